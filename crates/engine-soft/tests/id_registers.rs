//! ID registers as a promise, both ways: what a CPU model hides is UNDEFINED, what it shows works.

mod support;

use abide_engine::Engine;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, INT, N1_LIKE, PORTABLE, V8_0};
use abide_engine_soft::decode::{Entry, Extension, Kind, entries};
use abide_memory::GuestRam;
use abide_reg::{Gpa, Value};
use std::sync::Arc;
use support::{CODE, DATA, ESR, Guest, asm, msr};

/// What a word outside the base set needs.
fn extension(line: &Entry, word: u32) -> Option<Extension> {
    Some(match line.kind() {
        Kind::ScalarFp(kind) => kind.extension(word),
        Kind::Simd(kind) => kind.extension(word),
        Kind::SimdFp(kind) => kind.extension(word),
        Kind::Crypto(kind) => kind.extension(word),
        Kind::Structures(kind) => kind.extension(word),
        Kind::Atomic(kind) => kind.extension(word),
        _ => return None,
    })
}

/// Words of a line with registers that all may be used: base x1, no other register like it.
fn words(line: &'static Entry) -> impl Iterator<Item = u32> {
    const SPREAD: u32 = 0x9e37_79b9;
    let word = move |number: u32| {
        let free = number.wrapping_mul(SPREAD) & !(0x001f_03ff) | 2 << 16 | 1 << 5 | 4;
        line.pattern().word(free)
    };
    (0..64).map(word).filter(|&word| line.contains(word))
}

/// Whether the guest executed the word, instead of finding it UNDEFINED.
fn works(guest: &mut Guest, word: u32) -> bool {
    guest.set_x(1, DATA);
    guest.run(&[word]);
    let (pc, esr) = (guest.pc(), guest.sys(ESR));
    assert!(pc == CODE + 8 || esr == 1 << 25, "{word:#010x}: {esr:#x}");
    pc == CODE + 8
}

fn check(model: &'static CpuModel, shown: &[Extension]) {
    let mut guest = Guest::with_model(model);
    guest.stop_at_vectors();
    let mut tried = 0;
    for line in entries() {
        for word in words(line) {
            let Some(extension) = extension(line, word) else { continue };
            let expected = shown.contains(&extension);
            assert_eq!(works(&mut guest, word), expected, "{}: {word:#010x}, {line:?}", model.name);
            tried += 1;
        }
    }
    assert!(tried > 10_000, "only {tried}");
}

const ARMV8_0: [Extension; 6] = [
    Extension::Fp,
    Extension::AdvSimd,
    Extension::Aes,
    Extension::Pmull,
    Extension::Sha1,
    Extension::Sha256,
];

#[test]
fn int_has_nothing_beyond_the_base_set() {
    check(&INT, &[]);
}

#[test]
fn portable_has_floating_point_and_advanced_simd() {
    check(&PORTABLE, &ARMV8_0[..2]);
}

#[test]
fn v8_0_has_what_armv8_0_has() {
    check(&V8_0, &ARMV8_0);
}

#[test]
fn n1_like_has_every_extension_there_is() {
    let mut shown = ARMV8_0.to_vec();
    shown.extend([Extension::Fp16, Extension::Rdm, Extension::DotProd]);
    shown.extend([Extension::Lse, Extension::Lrcpc]);
    check(&N1_LIKE, &shown);
}

/// Instructions of the base set's classes that ID registers tell of.
#[test]
fn base_extensions_keep_to_their_fields() {
    let crc32x = 0x9ac2_4c23; // crc32x w3, w1, x2
    let dc_cvap = asm::sys(3, 7, 12, 1, 1);
    for (model, crc, cvap) in [
        (&INT, false, false),
        (&PORTABLE, true, false),
        (&V8_0, true, false),
        (&N1_LIKE, true, true),
    ] {
        let mut guest = Guest::with_model(model);
        guest.stop_at_vectors();
        assert_eq!(works(&mut guest, crc32x), crc, "{}", model.name);
        assert_eq!(works(&mut guest, dc_cvap), cvap, "{}", model.name);
    }
}

/// A host of Linux 7.2 shows the registers of GICv3 in ID_PFR1_EL1 and takes no other value.
#[test]
fn portable_shows_the_gic_of_aarch32() {
    let guest = Guest::with_model(&PORTABLE);
    let id_pfr1 = abide_arm64::kvm::sysreg(support::reg(3, 0, 0, 1, 1));
    assert_eq!(guest.vcpu.load(id_pfr1).ok(), Some(Value::u64(0x1000_0000)));
}

/// Both vCPUs execute one page of code, in turn: what one decoded there is of no use to another
/// that shows less, nor are its ID registers.
#[test]
fn each_vcpu_keeps_to_its_own_id_registers() {
    const MIDR: u32 = support::mrs(2, support::reg(3, 0, 0, 0, 0));
    const ISAR0: u32 = support::mrs(3, support::reg(3, 0, 0, 6, 0));
    let fadd = 0x1e62_2820; // fadd d0, d1, d2
    let fadd_half = 0x1ee2_2820; // fadd h0, h1, h2
    let ldadd = 0xf820_0022; // ldadd x0, x2, [x1]
    let aese = 0x4e28_4820; // aese v0.16b, v1.16b
    let sdot = 0x4e82_9420; // sdot v0.4s, v1.16b, v2.16b
    let sqrdmlah = 0x6e82_8420; // sqrdmlah v0.4s, v1.4s, v2.4s
    let crc32x = 0x9ac2_4c23; // crc32x w3, w1, x2
    let dc_cvap = asm::sys(3, 7, 12, 1, 1);
    let features = [fadd, fadd_half, ldadd, aese, sdot, sqrdmlah, crc32x, dc_cvap];
    let mut guests = Guest::each(&[&INT, &N1_LIKE, &PORTABLE]);
    guests[0].stop_at_vectors();
    let shown = [
        (0, [false; 8], (0x000f_0510, 0)),
        (1, [true; 8], (0x000f_0510, 0x1000_1021_1120)),
        (2, features.map(|word| word == fadd || word == crc32x), (0x411f_d070, 0x0001_0000)),
    ];
    let code: Vec<u32> = features.iter().flat_map(|&word| [word, support::HVC]).collect();
    guests[0].place(CODE, &code);
    let place = |number: u64| CODE + 8 * number;
    for order in [[1, 0, 2, 1], [0, 1, 2, 0], [2, 1, 0, 2]] {
        for vcpu in order {
            let (_, works, _) = shown[vcpu];
            for (number, works) in (0..).zip(works) {
                let guest = &mut guests[vcpu];
                guest.set_x(1, DATA);
                guest.run_from(place(number));
                let expected = if works { place(number) + 8 } else { support::VECTORS + 0x204 };
                assert_eq!(guest.pc(), expected, "vCPU {vcpu}, feature {number}");
            }
        }
    }
    for (vcpu, _, ids) in shown {
        let guest = &mut guests[vcpu];
        guest.run(&[MIDR, ISAR0]);
        assert_eq!((guest.x(2), guest.x(3)), ids, "vCPU {vcpu}");
        // As after CPU_OFF and CPU_ON.
        guest.vcpu.power_on(Gpa(CODE), 0).unwrap();
        guest.run(&[MIDR, ISAR0]);
        assert_eq!((guest.x(2), guest.x(3)), ids, "vCPU {vcpu} after a reset");
    }
}

#[test]
fn models_are_as_many_as_vcpus() {
    let ram = Arc::new(GuestRam::new(Gpa(support::RAM_BASE), support::RAM_LEN).unwrap());
    let engine = SoftEngine::with_models(vec![&INT, &PORTABLE]);
    let made = [1, 2, 3].map(|vcpu_count| {
        engine.create_vm(support::config(&ram, &Arc::default(), vcpu_count)).is_ok()
    });
    assert_eq!(made, [false, true, false]);
}

/// N, Z, C and V of FPSR are flags of AArch32, which no model shows: RES0.
#[test]
fn fpsr_has_no_flags_of_aarch32() {
    const FPSR: abide_arm64::SysReg = support::reg(3, 3, 4, 4, 1);
    for model in [&PORTABLE, &V8_0, &N1_LIKE] {
        let mut guest = Guest::with_model(model);
        for (written, read) in
            [(u64::MAX, 0x0800_009f), (0xf000_0000, 0), (0x0800_0011, 0x0800_0011)]
        {
            guest.set_x(1, written);
            guest.run(&[msr(FPSR, 1), support::mrs(2, FPSR)]);
            assert_eq!(guest.x(2), read, "{}: {written:#x}", model.name);
        }
    }
}

/// Data of the other endianness and granules of 64 KiB, each as a bit that switches it on.
#[test]
fn what_is_only_shown_cannot_be_switched_on() {
    let mmfr0 = support::reg(3, 0, 0, 7, 0);
    let (sctlr, tcr) = (support::reg(3, 0, 1, 0, 0), support::reg(3, 0, 2, 0, 2));
    // EE, E0E, TG0 and TG1.
    let cases = [(sctlr, 25), (sctlr, 24), (tcr, 14), (tcr, 30)];
    for (reg, bit) in cases {
        let value = if (reg, bit) == (tcr, 30) { 3 << 30 } else { 1 << bit };
        let mut guest = Guest::showing_unimplemented();
        guest.stop_at_vectors();
        guest.set_sys(mmfr0, 0x1124);
        guest.set_x(1, value);
        guest.run(&[msr(reg, 1)]);
        assert_eq!((guest.sys(ESR), guest.sys(reg) & value), (1 << 25, 0), "{reg} bit {bit}");
        // Nor can a guest come with it.
        let error = guest.vcpu.store(abide_arm64::kvm::sysreg(reg), &Value::u64(value));
        assert!(error.unwrap_err().to_string().contains("only advertised"), "{reg} bit {bit}");
        // Where it is not shown, these bits have no effect, and the guest goes on.
        let mut guest = Guest::showing_unimplemented();
        guest.stop_at_vectors();
        guest.set_x(1, value);
        guest.run(&[msr(reg, 1)]);
        assert_eq!(guest.pc(), CODE + 8, "{reg} bit {bit}");
    }
    // The default takes no such promise at all.
    let mut guest = Guest::new();
    let error = guest.vcpu.store(abide_arm64::kvm::sysreg(mmfr0), &Value::u64(0x1124));
    assert!(error.unwrap_err().to_string().contains("--accept advertised-not-implemented"));
}
