//! A guest writes to the page that it may only read: each write is the same external abort on every
//! engine, and none changes anything.

use crate::image::{self, DATA, PAGE_VA};
use crate::{Chosen, Failure};
use abide_firmware::Firmware;
use abide_machine::runner::{Outcome, RunConfig, control};
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_memory::AbiPages;
use abide_reg::Gpa;
use abide_testkit::guest::{Program, asm, sysreg, x};

/// One kind of write to the address in x1: its name, what comes before it, and itself.
struct Store(&'static str, Option<u32>, u32);

const LDXR: Option<u32> = Some(0xc85f_7c24); // ldxr x4, [x1]
const LDAXP: Option<u32> = Some(0xc87f_9424); // ldaxp x4, x5, [x1]

/// Stores of x0, x3, v0 to v3. Exclusive ones are behind a load that succeeded, else they would
/// store nothing anyway.
const STORES: &[Store] = &[
    Store("strb w0, [x1]", None, 0x3900_0020),
    Store("strh w0, [x1]", None, 0x7900_0020),
    Store("str w0, [x1]", None, 0xb900_0020),
    Store("str x0, [x1]", None, 0xf900_0020),
    Store("str x0, [x1], #8", None, 0xf800_8420),
    Store("str x0, [x1, #8]!", None, 0xf800_8c20),
    Store("stp x0, x3, [x1]", None, 0xa900_0c20),
    Store("stp w0, w3, [x1]", None, 0x2900_0c20),
    Store("str d0, [x1]", None, 0xfd00_0020),
    Store("str q0, [x1]", None, 0x3d80_0020),
    Store("stp q0, q1, [x1]", None, 0xad00_0420),
    Store("st1 {v0.16b-v3.16b}, [x1]", None, 0x4c00_2020),
    Store("stlr x0, [x1]", None, 0xc89f_fc20),
    Store("stxr w2, x0, [x1]", LDXR, 0xc802_7c20),
    Store("stlxp w2, x0, x3, [x1]", LDAXP, 0xc822_8c20),
    Store("dc zva, x1", None, 0xd50b_7421),
];

/// With FEAT_LSE, which not every CPU has `[DDI0487 D24.2.74]`.
const ATOMICS: &[Store] = &[
    Store("ldadd x0, x2, [x1]", None, 0xf820_0022),
    Store("swpal x0, x2, [x1]", None, 0xf8e0_8022),
    Store("cas x0, x3, [x1]", None, 0xc8a0_7c23),
];

/// Where in the page they write: at a multiple of what DC ZVA clears.
const AT: u64 = 0x800;

/// A synchronous external abort of data, from the same level, on a write `[DDI0487 D24.2.40]`.
const ABORT: u64 = 0x25 << 26 | 1 << 25 | WNR | 0x10;
const WNR: u64 = 1 << 6;

/// What the guest notes of a write: ESR_EL1, FAR_EL1 less the address, ELR_EL1 less that of the
/// instruction, how far x1 moved.
const NOTE_WORDS: usize = 4;
/// Its length in bytes.
const NOTE_LEN: u32 = 32;
const _: () = assert!(NOTE_LEN as usize == 8 * NOTE_WORDS);

/// A guest that writes in each of these ways. x20 is where the next note goes.
fn writing(stores: &[&Store]) -> Result<Vec<u8>, Failure> {
    image::of(|program| {
        let handler = program.label();
        let mut handlers = [None; 16];
        // A synchronous exception from the current level with its own stack [DDI0487 D1.4].
        handlers[4] = Some(handler);
        let vectors = program.vectors(handlers);
        program.address_of(x(16), vectors);
        program.msr(sysreg::VBAR_EL1, x(16));
        asm!(program.assembler(); isb);
        program.mov64(x(20), DATA.0);
        program.mov64(x(0), 0x1122_3344_5566_7788);
        program.mov64(x(3), 0x99aa_bbcc_ddee_ff00);
        for store in stores {
            note(program, store);
        }
        let after = program.label();
        program.branch(after);
        program.bind(handler);
        program.mrs(x(22), sysreg::ESR_EL1);
        program.mrs(x(23), sysreg::FAR_EL1);
        program.mrs(x(24), sysreg::ELR_EL1);
        asm!(program.assembler(); add x16, x24, 4);
        program.msr(sysreg::ELR_EL1, x(16));
        asm!(program.assembler(); eret);
        program.bind(after);
    })
}

fn note(program: &mut Program, Store(_, before, word): &Store) {
    let instruction = program.label();
    program.mov64(x(21), PAGE_VA + AT);
    program.address_of(x(25), instruction);
    asm!(program.assembler()
        ; mov x1, x21
        // A read first: that the page is known for reading must not open it for writing.
        ; ldr x4, [x1]
        ; mov x22, xzr
        ; mov x23, x21
        ; mov x24, x25
    );
    if let Some(before) = before {
        program.word(*before);
    }
    program.bind(instruction);
    program.word(*word);
    asm!(program.assembler()
        ; sub x23, x23, x21
        ; sub x24, x24, x25
        ; sub x1, x1, x21
        ; stp x22, x23, [x20]
        ; stp x24, x1, [x20, 16]
        ; add x20, x20, NOTE_LEN
    );
}

/// What became of all writes on one engine.
struct Came {
    notes: Vec<[u64; NOTE_WORDS]>,
    /// Those that were refused, as the engine counted them.
    refused: u64,
}

fn run(chosen: &Chosen, stores: &[&Store]) -> Result<Came, Failure> {
    let birth = BirthConfig {
        board: chosen.board(),
        virtio: &[],
        time: TimeSource::Host,
        firmware: Firmware::default(),
        kernel: &writing(stores)?,
        initrd: None,
        bootargs: "",
        console: Box::new(std::io::sink()),
        memory_file: None,
    };
    let mut machine = Machine::create(chosen.engine.as_ref(), birth)?;
    let page = machine.vmclock_page().ok_or("the machine has no page")?;
    let before = content(&page)?;
    let (_control, queue) = control();
    let outcome = machine.run(&queue, &RunConfig::default())?.outcome;
    if outcome != Outcome::PoweredOff {
        return Err(format!("the guest did not come to its end: {outcome:?}").into());
    }
    if content(&page)? != before {
        return Err("the page has changed".into());
    }
    let notes = (0..stores.len()).map(|number| {
        let mut words = [0; NOTE_WORDS];
        for (at, word) in (0..).zip(&mut words) {
            let mut bytes = [0; 8];
            let offset = 8 * (NOTE_WORDS * number + at) as u64;
            machine.ram().read(Gpa(DATA.0 + offset), &mut bytes)?;
            *word = u64::from_le_bytes(bytes);
        }
        Ok(words)
    });
    let notes = notes.collect::<Result<_, Failure>>()?;
    Ok(Came { notes, refused: page.refused_writes() })
}

fn content(page: &AbiPages) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; usize::try_from(AbiPages::LEN)?];
    page.host().read(page.gpa(), &mut bytes)?;
    Ok(bytes)
}

/// Whether every engine refuses every write in the same way.
pub fn judge(engines: &[(&str, Chosen)]) -> Result<(), Failure> {
    let stores: Vec<&Store> = STORES.iter().chain(atomics()).collect();
    let mut wrong = 0;
    for (engine, chosen) in engines {
        let came = run(chosen, &stores).map_err(|error| format!("{engine}: {error}"))?;
        for (Store(name, ..), note) in stores.iter().zip(&came.notes) {
            let [syndrome, address, place, moved] = *note;
            let is_right = syndrome == ABORT && address < 16 && place == 0 && moved == 0;
            wrong += usize::from(!is_right);
            let word = if is_right { "ok  " } else { "FAIL" };
            println!(
                "{word} {engine} {name}: ESR_EL1 {syndrome:#x}, FAR_EL1 +{address:#x}, ELR_EL1 \
                 +{place:#x}, base moved by {moved:#x}"
            );
        }
        let counted = came.refused == stores.len() as u64;
        wrong += usize::from(!counted);
        let word = if counted { "ok  " } else { "FAIL" };
        println!("{word} {engine}: {} of {} writes counted as refused", came.refused, stores.len());
    }
    if wrong > 0 { Err(format!("{wrong} are not as they should be").into()) } else { Ok(()) }
}

/// Those that this host's CPU has; the software engine has them.
fn atomics() -> &'static [Store] {
    #[cfg(target_arch = "aarch64")]
    if !std::arch::is_aarch64_feature_detected!("lse") {
        println!("     this host's CPU has no atomic instructions (FEAT_LSE): left out");
        return &[];
    }
    ATOMICS
}
