//! The script: accesses and system instructions that fault or nearly do, with translation tables
//! that hold every kind of descriptor at every level, all in one memory image.

#![expect(clippy::cast_possible_truncation, reason = "places in the image")]

use crate::monitor::{CODE, COMMON, LOOP};

/// Where the image is loaded and entered.
pub const IMAGE: u64 = 0x4040_0000;
/// PL011's data register.
pub const UART: u64 = 0x0900_0000;

const OPERANDS: u64 = IMAGE + 0x400;
const VECTORS: u64 = IMAGE + 0x800;
/// The page with the instructions under test.
const OPS_PAGE: u64 = IMAGE + 0x1000;
const TABLES: u64 = IMAGE + 0x2000;
const SCRIPT: u64 = IMAGE + 0x2_0000;
/// Memory that accesses reach.
const DATA: u64 = 0x4080_0000;
/// A physical address where nothing answers.
const NOTHING: u64 = 0x7000_0000;
/// An address of more bits than TCR_EL1.IPS allows here, 40.
const TOO_LARGE: u64 = 1 << 41;

/// The upper half, 39 bits: VA = HIGH | PA but for the page of the instructions under test.
const HIGH: u64 = 0xffff_ff80_0000_0000;
const OPS: u64 = HIGH | 0x4060_0000;
const OPS_WRITABLE: u64 = OPS + 0x1000;

const SCTLR: u64 = 0x30d0_0800 | M | UCT | DZE | UCI;
const M: u64 = 1;
const A: u64 = 1 << 1;
const UMA: u64 = 1 << 9;
const DZE: u64 = 1 << 14;
const UCT: u64 = 1 << 15;
const WXN: u64 = 1 << 19;
const UCI: u64 = 1 << 26;
/// Both halves of 39 bits, tables Normal write-back inner shareable, 40-bit physical addresses, top
/// byte of the lower half ignored.
const TCR: u64 = 25 | 0x3500 | (25 << 16) | (0x3500 << 16) | 2 << 30 | TBI0 | 2 << 32;
const EPD0: u64 = 1 << 7;
const TBI0: u64 = 1 << 37;
/// Normal write-back, Device-nGnRE, Normal non-cacheable, Device-nGnRnE.
const MAIR: u64 = 0x0044_04ff;
const CPACR: u64 = 3 << 20;

const EL0: u64 = 0x3c0;
const EL1: u64 = 0x3c5;

// Descriptors.
const TABLE: u64 = 3;
const BLOCK: u64 = 1;
const PAGE: u64 = 3;
const AF: u64 = 1 << 10;
const SHARED: u64 = 3 << 8;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const DEVICE: u64 = 1 << 2;
const UNCACHED: u64 = 2 << 2;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const NO_USER_TABLE: u64 = 1 << 61;
const READ_ONLY_TABLE: u64 = 1 << 62;

/// One test: the state to run up to two instructions in.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    sctlr: u64,
    tcr: u64,
    ttbr0: u64,
    cpacr: u64,
    x0: u64,
    x1: u64,
    words: [u32; 2],
    spsr: u64,
}

const NOP: u32 = 0xd503_201f;
const MRS_PAR: u32 = 0xd538_7401;
const LDR: (&str, u32) = ("ldr x1, [x0]", 0xf940_0001);
const STR: (&str, u32) = ("str x1, [x0]", 0xf900_0001);
const BR: (&str, u32) = ("br x0", 0xd61f_0000);

/// Accesses at x0.
const ACCESSES: [(&str, u32); 17] = [
    ("ldp x1, x2, [x0]", 0xa940_0801),
    ("stp x1, x2, [x0]", 0xa900_0801),
    ("ldrb w1, [x0]", 0x3940_0001),
    ("ldrsh x1, [x0]", 0x7980_0001),
    ("strh w1, [x0]", 0x7900_0001),
    ("ldr q0, [x0]", 0x3dc0_0000),
    ("str q0, [x0]", 0x3d80_0000),
    ("ldp q0, q1, [x0]", 0xad40_0400),
    ("ldr x1, [x0], #8", 0xf840_8401),
    ("str x1, [x0, #8]!", 0xf800_8c01),
    ("ldtr x1, [x0]", 0xf840_0801),
    ("sttr x1, [x0]", 0xf800_0801),
    ("ldtrb w1, [x0]", 0x3840_0801),
    ("dc zva, x0", 0xd50b_7420),
    ("prfm pldl1keep, [x0]", 0xf980_0000),
    LDR,
    STR,
];

/// Cache maintenance at x0.
const CACHES: [(&str, u32); 5] = [
    ("dc ivac, x0", 0xd508_7620),
    ("dc cvac, x0", 0xd50b_7a20),
    ("dc cvau, x0", 0xd50b_7b20),
    ("dc civac, x0", 0xd50b_7e20),
    ("ic ivau, x0", 0xd50b_7520),
];

const LDXR: u32 = 0xc85f_7c01;
/// Second of two instructions: whether it faults without the first is the implementation's choice.
const STXR: u32 = 0xc802_7c01;

/// Accesses at x0 that demand alignment.
const ALIGNED_ACCESSES: [(&str, u32); 5] = [
    ("ldxr x1, [x0], stxr w2, x1, [x0]", LDXR),
    ("ldaxr w1, [x0]", 0x885f_fc01),
    ("ldxp x1, x2, [x0]", 0xc87f_0801),
    ("ldar x1, [x0]", 0xc8df_fc01),
    ("stlr x1, [x0]", 0xc89f_fc01),
];

const TRANSLATIONS: [(&str, u32); 4] = [
    ("at s1e1r", 0xd508_7800),
    ("at s1e1w", 0xd508_7820),
    ("at s1e0r", 0xd508_7840),
    ("at s1e0w", 0xd508_7860),
];

/// Instructions that are trapped or UNDEFINED somewhere, and end at once where they are not.
const SYSTEM: [(&str, u32); 34] = [
    ("svc #0x1234", 0xd402_4681),
    ("brk #0x5678", 0xd42a_cf00),
    ("udf #0", 0),
    ("smc #0", 0xd400_0003),
    ("hlt #1", 0xd440_0020),
    ("drps", 0xd6bf_03e0),
    ("msr daifset, #2", 0xd503_42df),
    ("msr daifclr, #2", 0xd503_42ff),
    ("msr daif, x1", 0xd51b_4221),
    ("mrs x1, daif", 0xd53b_4221),
    ("mrs x1, nzcv", 0xd53b_4201),
    ("mrs x1, currentel", 0xd538_4241),
    ("mrs x1, spsel", 0xd538_4201),
    ("msr spsel, #0", 0xd500_40bf),
    ("mrs x1, ctr_el0", 0xd53b_0021),
    ("mrs x1, dczid_el0", 0xd53b_00e1),
    ("mrs x1, midr_el1", 0xd538_0001),
    ("mrs x1, isr_el1", 0xd538_c101),
    ("mrs x1, tpidr_el0", 0xd53b_d041),
    ("msr tpidr_el0, x1", 0xd51b_d041),
    ("mrs x1, tpidrro_el0", 0xd53b_d061),
    ("msr tpidrro_el0, x1", 0xd51b_d061),
    ("msr sp_el0, x1", 0xd518_4101),
    ("tlbi vmalle1", 0xd508_871f),
    ("tlbi vae1is, x0", 0xd508_8320),
    ("ic iallu", 0xd508_751f),
    ("fmov d0, d1, by way of ldr d0, [x0]", 0xfd40_0000),
    ("mrs x1, fpsr", 0xd53b_4421),
    ("msr fpcr, x1", 0xd51b_4401),
    ("ldadd x1, x2, [x0]", 0xf821_0002),
    ("mrs x1, an ID register that is reserved", 0xd538_07e1),
    ("mrs x1, hcr_el2", 0xd53c_1101),
    ("mrs x1, sctlr_el3", 0xd53e_1001),
    ("mrs x1, an unallocated register", 0xd53d_f0e1),
];

/// Tables in the image, each of 512 descriptors.
#[derive(Default)]
struct Tables(Vec<[u64; 512]>);

impl Tables {
    fn add(&mut self, descriptors: &[(usize, u64)]) -> u64 {
        let mut table = [0; 512];
        for &(index, descriptor) in descriptors {
            table[index] = descriptor;
        }
        self.0.push(table);
        TABLES + 0x1000 * (self.0.len() as u64 - 1)
    }
}

/// A virtual address with what is there.
#[derive(Clone)]
struct Place {
    name: String,
    va: u64,
}

/// The lower half: where its tables begin, and what the places in it are.
struct Lower {
    level0: u64,
    level1: u64,
    level2: u64,
    places: Vec<Place>,
}

/// Descriptors of a leaf, named; `leaf` is [`BLOCK`] or [`PAGE`] with an output address.
fn leaves(leaf: u64) -> Vec<(&'static str, u64)> {
    let good = leaf | AF | SHARED;
    let elsewhere = |address: u64| good & !0xffff_ffff_f000 | address;
    vec![
        ("EL1 read-write", good | UXN | PXN),
        ("invalid", good & !3 | 2),
        ("no access flag", good & !AF),
        ("EL1 read-only", good | READ_ONLY),
        ("output too large", elsewhere(TOO_LARGE)),
        ("EL0 read-write", good | USER),
        ("EL0 read-only", good | USER | READ_ONLY),
        ("EL0 read-write UXN", good | USER | UXN),
        ("EL1 executable", good | UXN),
        ("EL1 read-only PXN", good | READ_ONLY | PXN),
        ("EL0 read-only PXN", good | USER | READ_ONLY | PXN),
        ("EL0 device", good | USER | DEVICE | UXN | PXN),
        ("EL0 non-cacheable", good | USER | UNCACHED),
        ("nothing there", elsewhere(NOTHING) | USER | READ_ONLY),
        ("no access flag, read-only", (good | READ_ONLY) & !AF),
        ("no access flag, output too large", elsewhere(TOO_LARGE) & !AF),
        ("EL0 not global", good | USER | 1 << 11),
        ("EL0 not shared", (good | USER) & !SHARED),
        ("EL1 read-write, executable", good),
    ]
}

fn lower(tables: &mut Tables) -> Lower {
    let mut places = Vec::new();
    let mut add = |name: String, va: u64| places.push(Place { name, va });
    let level = |leaf: u64, more: &[(&'static str, u64)]| -> Vec<(&'static str, u64)> {
        leaves(leaf).into_iter().chain(more.iter().copied()).collect()
    };
    let indexed = |list: &[(&'static str, u64)]| -> Vec<(usize, u64)> {
        list.iter().enumerate().map(|(index, &(_, descriptor))| (index, descriptor)).collect()
    };

    // Two pages side by side lead to accesses from a good page into a bad one.
    let pages = level(DATA | PAGE, &[("reserved descriptor", DATA | BLOCK | AF)]);
    let level3 = tables.add(&indexed(&pages));
    let blocks = level(
        DATA | BLOCK,
        &[
            ("table too large", TOO_LARGE | TABLE),
            ("table where nothing is", NOTHING | TABLE),
            ("pages", level3 | TABLE),
            ("pages by a table without EL0", level3 | TABLE | NO_USER_TABLE),
            ("pages by a read-only table", level3 | TABLE | READ_ONLY_TABLE),
            ("pages by a table of PXN", level3 | TABLE | PXN_TABLE),
            ("pages by a table of UXN", level3 | TABLE | UXN_TABLE),
        ],
    );
    let level2 = tables.add(&indexed(&blocks));
    let giants = level(
        0x4000_0000 | BLOCK,
        &[
            ("table too large", TOO_LARGE | TABLE),
            ("table where nothing is", NOTHING | TABLE),
            ("blocks", level2 | TABLE),
            ("blocks by a table without EL0 and read-only", {
                level2 | TABLE | NO_USER_TABLE | READ_ONLY_TABLE
            }),
        ],
    );
    let level1 = tables.add(&indexed(&giants));
    let level0 = tables.add(&[(0, level1 | TABLE), (1, DATA | BLOCK | AF), (2, level2)]);

    // Past the image in a block of 1 GiB, a little into smaller ones.
    for (index, (name, _)) in (0..).zip(&giants) {
        add(format!("level 1 {name}"), index << 30 | DATA & 0x3fff_ffff | 0x40);
    }
    let first = giants.iter().position(|(name, _)| *name == "blocks").expect("it is there") as u64;
    for (index, (name, _)) in (0..).zip(&blocks) {
        add(format!("level 2 {name}"), first << 30 | index << 21 | 0x80);
    }
    let at = blocks.iter().position(|(name, _)| *name == "pages").expect("it is there") as u64;
    for (index, (name, _)) in (0..).zip(&pages) {
        add(format!("level 3 {name}"), first << 30 | at << 21 | index << 12 | 0xc0);
    }
    for (table, (name, _)) in (at..).zip(&blocks[at as usize..]).skip(1) {
        for page in [0, 5, 6, 8] {
            let va = first << 30 | table << 21 | page << 12 | 0xc0;
            add(format!("{name}: {}", pages[page as usize].0), va);
        }
    }
    let restricted = (first + 1) << 30 | 5 << 21;
    add("level 2 by a restricted table: EL0 read-write".to_owned(), restricted);
    add("upper half, nothing mapped".to_owned(), HIGH | 0x7f_0000_0000);
    add("upper half, EL1 only".to_owned(), OPS_WRITABLE + 0x40);
    add("between the halves".to_owned(), 0x0000_0080_0000_0000);
    add("between the halves, above".to_owned(), 0xffff_ff00_0000_0000);
    add("a tag in the lower half".to_owned(), 0xa500_0000_0000_0040 | DATA);
    add("a tag in the upper half".to_owned(), 0xa5ff_ff80_0000_0000 | IMAGE);
    Lower { level0, level1, level2, places }
}

fn upper(tables: &mut Tables) -> u64 {
    let good = AF | SHARED;
    let ops = tables.add(&[
        (0, OPS_PAGE | PAGE | good | USER | READ_ONLY),
        (1, OPS_PAGE | PAGE | good | UXN | PXN),
    ]);
    let block = |address: u64| (address >> 21 & 0x1ff) as usize;
    let ram = tables
        .add(&[(block(IMAGE), IMAGE | BLOCK | good | READ_ONLY | UXN), (block(OPS), ops | TABLE)]);
    let devices = tables.add(&[(block(UART), UART | BLOCK | AF | DEVICE | UXN | PXN)]);
    tables.add(&[(0, devices | TABLE), (1, ram | TABLE)])
}

const DC_ZVA: &str = "dc zva, x0";

fn unaligned(place: &Place) -> Place {
    Place { name: format!("{}, unaligned", place.name), va: place.va + 1 }
}

/// Builds the list of entries.
struct Builder {
    base: Entry,
    entries: Vec<Entry>,
}

impl Builder {
    /// Adds an entry: the base with changes.
    fn add(&mut self, name: String, word: u32, change: impl FnOnce(&mut Entry)) {
        let second = if word == LDXR { STXR } else { NOP };
        let mut entry = Entry { name, words: [word, second], ..self.base.clone() };
        change(&mut entry);
        self.entries.push(entry);
    }

    fn at(&mut self, place: &Place, (text, word): (&str, u32), spsr: u64) {
        let level = if spsr == EL0 { "EL0" } else { "EL1" };
        let name = format!("{text} at {level}: {}", place.name);
        self.add(name, word, |entry| (entry.x0, entry.spsr) = (place.va, spsr));
    }

    fn translate(&mut self, place: &Place) {
        for (text, word) in TRANSLATIONS {
            let name = format!("{text}: {}", place.name);
            self.add(name, word, |entry| {
                entry.words[1] = MRS_PAR;
                entry.x0 = place.va;
            });
        }
    }

    /// Loads, stores, jumps and translations everywhere.
    fn places(&mut self, lower: &Lower) {
        for place in &lower.places {
            for spsr in [EL0, EL1] {
                self.at(place, LDR, spsr);
                self.at(place, STR, spsr);
                if !place.name.contains("device") {
                    self.at(place, BR, spsr);
                }
            }
            self.translate(place);
        }
    }

    /// Every form of access where it matters, aligned and not.
    fn accesses(&mut self, lower: &Lower) {
        let some = lower.places.iter().filter(|place| {
            let names =
                ["EL1 read-write", "invalid", "EL1 read-only", "EL0 read-only", "EL0 device"];
            place.name.strip_prefix("level 3 ").is_some_and(|name| names.contains(&name))
        });
        for place in some {
            let device = place.name.contains("device");
            for access in ACCESSES.into_iter().filter(|(text, _)| !device || *text != DC_ZVA) {
                self.at(place, access, EL0);
                self.at(place, access, EL1);
                if !device {
                    self.at(&unaligned(place), access, EL1);
                }
            }
            for access in ALIGNED_ACCESSES.into_iter().filter(|_| !device) {
                self.at(place, access, EL1);
            }
        }
    }

    /// What QEMU lets pass. These come last, because what they store is not read again.
    fn strict(&mut self, lower: &Lower) {
        let named = |name: &'static str| {
            lower.places.iter().filter(move |place| place.name == format!("level 3 {name}"))
        };
        for place in named("invalid").chain(named("EL1 read-only")).chain(named("EL1 read-write")) {
            for access in CACHES {
                self.at(place, access, EL0);
                self.at(place, access, EL1);
            }
        }
        for place in named("EL0 device") {
            for access in ACCESSES.into_iter().filter(|(text, _)| !text.contains('b')) {
                self.at(&unaligned(place), access, EL1);
            }
        }
    }

    /// SCTLR_EL1.A, exclusives and pages that an access only reaches into.
    fn alignment(&mut self, lower: &Lower) {
        let page = |name: &str| {
            let found = lower.places.iter().find(|place| place.name == format!("level 3 {name}"));
            found.expect("it is there").va & !0xfff
        };
        let good = page("EL1 read-write");
        for (text, word) in ACCESSES.into_iter().chain(ALIGNED_ACCESSES) {
            let demanded = text.contains("ld") || text.contains("st");
            if demanded && !text.contains("prfm") {
                self.add(format!("{text} with SCTLR_EL1.A, unaligned"), word, |entry| {
                    (entry.x0, entry.sctlr) = (good + 0x11, SCTLR | A);
                });
            }
        }
        let exclusive = |text: &str| text.contains("xr") || text.contains("xp");
        for (text, word) in ALIGNED_ACCESSES.into_iter().filter(|(text, _)| exclusive(text)) {
            self.add(format!("{text}, unaligned"), word, |entry| entry.x0 = good + 0x22);
        }
        // The page behind the first is invalid.
        for (text, word) in ACCESSES.into_iter().filter(|(text, _)| text.contains("x0]")) {
            self.add(format!("{text} into an invalid page"), word, |entry| {
                entry.x0 = good + 0xfff;
            });
        }
        let read_only = page("EL1 read-only");
        for (text, word) in [STR, LDR] {
            self.add(format!("{text} from a page without access flag"), word, |entry| {
                entry.x0 = read_only - 4;
            });
        }
        for odd in 1..4 {
            for spsr in [EL0, EL1] {
                let name = format!("br x0 to an address with {odd} in its lowest bits, {spsr:#x}");
                self.add(name, BR.1, |entry| (entry.x0, entry.spsr) = (OPS + odd, spsr));
            }
        }
    }

    /// TCR_EL1 and TTBR0_EL1 of other shapes, and SCTLR_EL1.WXN.
    fn regimes(&mut self, lower: &Lower) {
        let sized = |size: u64| TCR & !0x3f | size;
        let data = DATA & 0x1f_ffff | 0x40;
        let regimes: [(&str, u64, u64, &[u64]); 10] = [
            (
                "48 bits",
                sized(16),
                lower.level0,
                &[DATA, 1 << 39, 2 << 39, 3 << 39, 1 << 47, 1 << 48, 5 << 48, 5 << 56 | DATA],
            ),
            (
                "48 bits, top byte counts",
                sized(16) & !TBI0,
                lower.level0,
                &[DATA, 5 << 48, 5 << 56 | DATA],
            ),
            ("EPD0", TCR | EPD0, lower.level1, &[DATA, 1 << 40]),
            ("top byte counts", TCR & !TBI0, lower.level1, &[DATA, 5 << 56 | DATA]),
            ("32-bit physical addresses", TCR & !(7 << 32), lower.level1, &[DATA, 4 << 30]),
            ("table too large", TCR, TOO_LARGE, &[DATA]),
            ("table where nothing is", TCR, NOTHING, &[DATA, 0]),
            ("30 bits", sized(34), lower.level2, &[data, 1 << 21 | data, 1 << 30, 1 << 31]),
            ("25 bits", sized(39), lower.level2, &[data, 5 << 21, 1 << 25, 1 << 26]),
            ("38 bits", sized(26), lower.level1, &[DATA, 5 << 30 | DATA & 0x3fff_ffff, 1 << 38]),
        ];
        for (name, tcr, ttbr0, addresses) in regimes {
            for &va in addresses {
                for (text, word) in [LDR, BR, TRANSLATIONS[0], TRANSLATIONS[3]] {
                    self.add(format!("{text} {va:#x}: {name}"), word, |entry| {
                        (entry.tcr, entry.ttbr0, entry.x0) = (tcr, ttbr0, va);
                        if text.starts_with("at") {
                            entry.words[1] = MRS_PAR;
                        }
                    });
                }
            }
        }
        for place in lower.places.iter().filter(|place| place.name.starts_with("level 3")) {
            if !place.name.contains("device") {
                for spsr in [EL0, EL1] {
                    let name = format!("br x0 with WXN, {spsr:#x}: {}", place.name);
                    self.add(name, BR.1, |entry| {
                        (entry.x0, entry.spsr, entry.sctlr) = (place.va, spsr, SCTLR | WXN);
                    });
                }
            }
        }
    }

    /// System instructions under each control that may trap them.
    fn system(&mut self, lower: &Lower) {
        let block = lower.places.iter().find(|place| place.name == "level 2 EL0 read-write");
        let va = block.expect("it is there").va + 0xf80;
        let controls = [
            ("default", SCTLR, CPACR),
            ("no cache maintenance at EL0", SCTLR & !(UCI | UCT | DZE), CPACR),
            ("DAIF at EL0", SCTLR | UMA, CPACR),
            ("no SIMD and FP", SCTLR, 0),
            ("no SIMD and FP at EL0", SCTLR, 1 << 20),
            ("no SIMD and FP, 2", SCTLR, 2 << 20),
        ];
        let zva = ACCESSES.into_iter().filter(|(text, _)| *text == DC_ZVA);
        let all: Vec<_> = SYSTEM.into_iter().chain(CACHES).chain(zva).collect();
        for (control, sctlr, cpacr) in controls {
            for &(text, word) in &all {
                for spsr in [EL0, EL1] {
                    let name = format!("{text}, {control}, {spsr:#x}");
                    self.add(name, word, |entry| {
                        (entry.sctlr, entry.cpacr, entry.spsr) = (sctlr, cpacr, spsr);
                        (entry.x0, entry.x1) = (va, 0x240);
                    });
                }
            }
        }
        for (text, word) in [("wfi", 0xd503_207f), ("wfe", 0xd503_205f)] {
            // SCTLR_EL1.nTWI and nTWE are clear: a trap.
            self.add(format!("{text} trapped at EL0"), word, |entry| {
                (entry.sctlr, entry.spsr) = (SCTLR & !(1 << 16 | 1 << 18), EL0);
            });
        }
    }

    /// Exception returns to every mode, with every bit of PSTATE.
    fn returns(&mut self) {
        for mode in (0..16).chain([0x11, 0x12, 0x13, 0x17, 0x1b, 0x1f]) {
            self.add(format!("return to mode {mode:#x}"), NOP, |entry| entry.spsr = 0x3c0 | mode);
        }
        for bit in (6..10).chain(20..32) {
            for spsr in [EL0, EL1] {
                let name = format!("return with bit {bit} changed, {spsr:#x}");
                self.add(name, NOP, |entry| entry.spsr = spsr ^ 1 << bit);
            }
        }
    }
}

/// The image and the names of the script's entries.
pub fn image() -> (Vec<u8>, Vec<String>) {
    let mut tables = Tables::default();
    let lower = lower(&mut tables);
    let ttbr1 = upper(&mut tables);
    let identity = tables.add(&[(1, 0x4000_0000 | BLOCK | AF | SHARED | READ_ONLY)]);

    let base = Entry {
        name: String::new(),
        sctlr: SCTLR,
        tcr: TCR,
        ttbr0: lower.level1,
        cpacr: CPACR,
        x0: 0,
        x1: 0x0123_4567_89ab_cdef,
        words: [NOP; 2],
        spsr: EL1,
    };
    let mut builder = Builder { base, entries: Vec::new() };
    builder.places(&lower);
    builder.accesses(&lower);
    builder.alignment(&lower);
    builder.regimes(&lower);
    builder.system(&lower);
    builder.returns();
    builder.strict(&lower);

    let mut image = vec![0; (SCRIPT - IMAGE) as usize + 64 * builder.entries.len()];
    let mut put = |at: u64, bytes: &[u8]| {
        let at = (at - IMAGE) as usize;
        image[at..at + bytes.len()].copy_from_slice(bytes);
    };
    for (at, word) in (IMAGE..).step_by(4).zip(CODE) {
        put(at, &word.to_le_bytes());
    }
    let far_valid = [0x20, 0x21, 0x22, 0x24, 0x25].iter().fold(0_u64, |mask, ec| mask | 1 << ec);
    let count = builder.entries.len() as u64;
    let operands = [
        MAIR,
        TCR,
        identity,
        ttbr1,
        SCTLR,
        HIGH | VECTORS,
        HIGH | SCRIPT,
        count,
        OPS_WRITABLE,
        OPS,
        HIGH | UART,
        far_valid,
        HIGH | (IMAGE + LOOP),
    ];
    for (at, operand) in (OPERANDS..).step_by(8).zip(operands) {
        put(at, &operand.to_le_bytes());
    }
    for vector in 0..16_u32 {
        let at = VECTORS + 0x80 * u64::from(vector);
        let back = ((at + 4 - (IMAGE + COMMON)) / 4) as u32;
        put(at, &(0xd280_0012 | vector << 5).to_le_bytes()); // mov x18, the vector
        put(at + 4, &(0x1400_0000 | (0x400_0000 - back)).to_le_bytes()); // b common
    }
    put(OPS_PAGE + 8, &0xd420_0000_u32.to_le_bytes()); // brk #0
    for (at, descriptor) in (TABLES..).step_by(8).zip(tables.0.as_flattened()) {
        put(at, &descriptor.to_le_bytes());
    }
    for (at, entry) in (SCRIPT..).step_by(64).zip(&builder.entries) {
        let words = u64::from(entry.words[1]) << 32 | u64::from(entry.words[0]);
        let fields = [entry.sctlr, entry.tcr, entry.ttbr0, entry.cpacr, entry.x0, entry.x1];
        let bytes = fields.into_iter().chain([words, entry.spsr]).flat_map(u64::to_le_bytes);
        put(at, &bytes.collect::<Vec<u8>>());
    }
    (image, builder.entries.into_iter().map(|entry| entry.name).collect())
}
