//! SIMD and floating point where they meet memory and traps; their results are among the vectors.

#![expect(clippy::cast_possible_truncation, reason = "bytes of a pattern")]
#![expect(clippy::unwrap_used, reason = "it is a test")]

mod support;

use abide_arm64::kvm;
use abide_engine_soft::cpu_model::{INT, N1_LIKE};
use abide_reg::{Gpa, Value};
use support::{CODE, CPACR, DATA, ESR, FAR, Guest, SCTLR, asm, msr, pte};

const VA: u64 = 0x10_0000_0000;
/// ESR_EL1 of an access to SIMD and floating point that is switched off.
const SWITCHED_OFF: u64 = 0x07 << 26 | 1 << 25 | 1 << 24 | 0xe << 20;
const UNKNOWN: u64 = 1 << 25;
const ABORT: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;
const ALIGNMENT: u64 = 0x21;
const TRANSLATION: u64 = 7;

/// An access of x1's place by vector registers from 0 on.
#[derive(Clone, Copy)]
struct Access {
    load: u32,
    store: u32,
    bytes: usize,
}

/// LDUR and STUR of B, H, S, D and Q.
const ONE: [Access; 5] = [
    Access { load: 0x3c40_0020, store: 0x3c00_0020, bytes: 1 },
    Access { load: 0x7c40_0020, store: 0x7c00_0020, bytes: 2 },
    Access { load: 0xbc40_0020, store: 0xbc00_0020, bytes: 4 },
    Access { load: 0xfc40_0020, store: 0xfc00_0020, bytes: 8 },
    Access { load: 0x3cc0_0020, store: 0x3c80_0020, bytes: 16 },
];

/// LDP and STP of S, D and Q; LD1 and ST1 of one to four whole and of two half registers.
const SEVERAL: [Access; 8] = [
    Access { load: 0x2d40_0420, store: 0x2d00_0420, bytes: 8 },
    Access { load: 0x6d40_0420, store: 0x6d00_0420, bytes: 16 },
    Access { load: 0xad40_0420, store: 0xad00_0420, bytes: 32 },
    Access { load: 0x4c40_7020, store: 0x4c00_7020, bytes: 16 },
    Access { load: 0x4c40_a020, store: 0x4c00_a020, bytes: 32 },
    Access { load: 0x4c40_6020, store: 0x4c00_6020, bytes: 48 },
    Access { load: 0x4c40_2020, store: 0x4c00_2020, bytes: 64 },
    Access { load: 0x0c40_a020, store: 0x0c00_a020, bytes: 16 },
];

fn accesses() -> impl Iterator<Item = Access> {
    ONE.into_iter().chain(SEVERAL)
}

/// One instruction of each kind of op.
const INSTRUCTIONS: [u32; 9] = [
    0x4e22_8420, // add v0.16b, v1.16b, v2.16b
    0x6e22_1c20, // eor v0.16b, v1.16b, v2.16b
    0x1e62_2820, // fadd d0, d1, d2
    0x9e66_0020, // fmov x0, d1
    0x6e22_4020, // raddhn2 v0.16b, v1.8h, v2.8h
    0x3cc0_0020, // ldur q0, [x1]
    0xad40_0420, // ldp q0, q1, [x1]
    0x4c40_7020, // ld1 {v0.16b}, [x1]
    0x4e28_4820, // aese v0.16b, v1.16b
];

fn v(guest: &Guest, number: u8) -> u128 {
    guest.vcpu.load(kvm::v(number)).unwrap().to_u128().unwrap()
}

fn set_v(guest: &mut Guest, number: u8, value: u128) {
    guest.vcpu.store(kvm::v(number), &Value::u128(value)).unwrap();
}

/// A page at [`VA`] with nothing behind it.
fn one_page() -> Guest {
    let (mut guest, mut tables) = Guest::with_mmu_and_model(&N1_LIKE);
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    guest.set_x(1, VA);
    guest
}

#[test]
fn switching_off_stops_what_was_decoded_before() {
    for word in INSTRUCTIONS {
        // The second time around the instruction has been executed, and CPACR_EL1 been written.
        for (fpen, found) in [(0, SWITCHED_OFF), (2, SWITCHED_OFF)] {
            let mut guest = one_page();
            guest.set_x(3, fpen << 20);
            guest.run(&[word, msr(CPACR, 3), asm::ISB, asm::b(-3)]);
            assert_eq!(guest.sys(ESR), found, "{word:#x}");
            assert_eq!((guest.get(kvm::ELR_EL1), guest.vector()), (CODE, 0x200), "{word:#x}");
        }
        let mut guest = one_page();
        guest.set_sys(CPACR, 0);
        guest.set_x(3, 1 << 20);
        guest.run(&[msr(CPACR, 3), asm::ISB, word]);
        assert_eq!(guest.sys(ESR), 0, "{word:#x}");
    }
}

#[test]
fn an_exception_level_is_stopped_for_itself() {
    for word in INSTRUCTIONS {
        let (mut guest, mut tables) = Guest::with_mmu_and_model(&N1_LIKE);
        let user = pte::PAGE | pte::AF | pte::USER;
        tables.map(&guest, VA, 3, DATA | user);
        tables.map(&guest, VA + 0x1000, 3, CODE | user);
        guest.set_x(1, VA);
        guest.set_sys(CPACR, 1 << 20);
        guest.run(&[word]);
        assert_eq!(guest.sys(ESR), 0, "{word:#x}");
        for (fpen, found) in [(1, SWITCHED_OFF), (3, 0x15 << 26 | 1 << 25 | 0x1234)] {
            guest.place(CODE, &[word, asm::SVC]);
            guest.set(kvm::PSTATE, 0x3c0);
            guest.set_sys(CPACR, fpen << 20);
            guest.run_from(VA + 0x1000);
            assert_eq!((guest.sys(ESR), guest.vector()), (found, 0x400), "{word:#x}");
        }
    }
}

#[test]
fn a_cpu_without_them_has_no_such_instructions() {
    for word in INSTRUCTIONS {
        let (mut guest, _) = Guest::with_mmu_and_model(&INT);
        guest.set_sys(CPACR, 3 << 20);
        guest.set_x(1, DATA);
        guest.run(&[word]);
        assert_eq!((guest.sys(ESR), guest.vector()), (UNKNOWN, 0x200), "{word:#x}");
    }
}

/// What the engine's fast ways do, which know only pages: any address, and no byte beside it.
#[test]
fn accesses_are_right_at_every_address_of_a_page() {
    let mut guest = one_page();
    let pattern: Vec<u8> = (0..0x1000_u32).map(|at| (at * 7 + at / 256) as u8).collect();
    for access in accesses() {
        // The first is what the TLB does not answer yet.
        for offset in (0..40).chain(0x1000 - access.bytes - 20..=0x1000 - access.bytes) {
            guest.ram.write(Gpa(DATA), &pattern).unwrap();
            for number in 0..4 {
                set_v(&mut guest, number, u128::MAX);
            }
            guest.set_x(1, VA + offset as u64);
            guest.run(&[access.load, access.load]);
            assert_eq!(guest.sys(ESR), 0, "{:#x} at {offset}", access.load);
            let expected = &pattern[offset..][..access.bytes];
            assert_eq!(register_bytes(&guest, access), expected, "{:#x} {offset}", access.load);
            // To another place, over other bytes.
            guest.ram.write(Gpa(DATA), &[0xee; 0x1000]).unwrap();
            guest.run(&[access.store, access.store]);
            let mut stored = vec![0; 0x1000];
            guest.ram.read(Gpa(DATA), &mut stored).unwrap();
            assert_eq!(&stored[offset..][..access.bytes], expected, "{:#x}", access.store);
            stored[offset..][..access.bytes].fill(0xee);
            assert!(stored.iter().all(|&byte| byte == 0xee), "{:#x} {offset}", access.store);
        }
    }
}

/// The bytes that an access has loaded; what a register has above them is 0.
fn register_bytes(guest: &Guest, access: Access) -> Vec<u8> {
    let each = match access.bytes {
        bytes @ 1..16 if ONE.iter().any(|one| one.load == access.load) => bytes,
        8 => 4,
        16 if access.load == ONE[4].load || access.load == SEVERAL[3].load => 16,
        16 => 8,
        _ => 16,
    };
    let registers = (0..access.bytes / each).map(|number| v(guest, number as u8).to_le_bytes());
    registers
        .flat_map(|bytes| {
            assert!(bytes[each..].iter().all(|&byte| byte == 0));
            bytes[..each].to_vec()
        })
        .collect()
}

#[test]
fn a_fault_in_the_second_page_leaves_registers_as_they_were() {
    let mut guest = one_page();
    for access in accesses().filter(|access| access.bytes > 1) {
        for beyond in [1, access.bytes / 2, access.bytes - 1] {
            let va = VA + 0x1000 - (access.bytes - beyond) as u64;
            for (word, wnr) in [(access.load, 0), (access.store, WNR)] {
                for number in 0..4 {
                    set_v(&mut guest, number, 0x1111 * u128::from(number + 1));
                }
                guest.set_x(1, va);
                guest.run(&[word]);
                assert_eq!(guest.sys(ESR), ABORT | wnr | TRANSLATION, "{word:#x} {beyond}");
                assert_eq!(guest.sys(FAR), VA + 0x1000, "{word:#x} {beyond}");
                assert_eq!(guest.x(1), va);
                for number in 0..4 {
                    assert_eq!(v(&guest, number), 0x1111 * u128::from(number + 1), "{word:#x}");
                }
            }
        }
    }
}

#[test]
fn alignment_is_demanded_of_devices_and_where_the_guest_says_so() {
    const A: u64 = 1 << 1;
    let (mut guest, mut tables) = Guest::with_mmu_and_model(&N1_LIKE);
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    tables.map(&guest, VA + 0x1000, 3, DATA | pte::PAGE | pte::AF | pte::DEVICE);
    let plain = guest.sys(SCTLR);
    for access in ONE.into_iter().filter(|access| access.bytes > 1) {
        for (word, wnr) in [(access.load, 0), (access.store, WNR)] {
            for (page, sctlr, fault) in
                [(VA, plain, 0), (VA, plain | A, ALIGNMENT), (VA + 0x1000, plain, ALIGNMENT)]
            {
                // An aligned one first, so that the TLB has the page.
                guest.set_sys(SCTLR, sctlr);
                for (va, fault) in [(page, 0), (page + 1, fault)] {
                    guest.set_sys(ESR, 0);
                    guest.set_x(1, va);
                    guest.run(&[word]);
                    let expected = if fault == 0 { 0 } else { ABORT | wnr | fault };
                    assert_eq!(guest.sys(ESR), expected, "{word:#x} at {va:#x}");
                }
            }
        }
    }
}

#[test]
fn stores_are_seen_by_the_dirty_log_and_by_exclusives() {
    for access in accesses() {
        let mut guest = one_page();
        guest.ram.dirty().start();
        guest.run(&[access.store, access.store]);
        assert!(
            guest.ram.dirty().harvest().iter().any(|page| page == 0x300),
            "{:#x}",
            access.store
        );
        guest.run(&[access.store]);
        assert!(
            guest.ram.dirty().harvest().iter().any(|page| page == 0x300),
            "{:#x}",
            access.store
        );
        // ldxrb w2, [x1]; the store of another value; stxrb w3, w2, [x1]
        set_v(&mut guest, 0, 0xff);
        guest.write_u64(DATA, 0);
        guest.run(&[0x085f_7c22, access.store, 0x0803_7c22]);
        assert_eq!(guest.x(3), 1, "{:#x}", access.store);
    }
}

/// LDR and STR with an update of the base, LDP and STP, LD1 and ST1 by a register.
#[test]
fn bases_are_updated_once_the_access_is_done() {
    let mut guest = one_page();
    for (word, va, after) in [
        (0x3cc1_0c20, 0x10, 0x10),   // ldr q0, [x1, 16]!
        (0x3c81_0420, 0, 0x10),      // str q0, [x1], 16
        (0xfc5f_8c20, -8, -8),       // ldr d0, [x1, -8]!
        (0xacc1_0420, 0, 0x20),      // ldp q0, q1, [x1], 32
        (0xadbf_0420, -0x20, -0x20), // stp q0, q1, [x1, -32]!
        (0x6cc1_0420, 0, 0x10),      // ldp d0, d1, [x1], 16
        (0x4cdf_2020, 0, 0x40),      // ld1 {v0.16b - v3.16b}, [x1], 64
        (0x4c82_a020, 0, 5),         // st1 {v0.16b, v1.16b}, [x1], x2
    ] {
        let base = VA + 0x800;
        for number in 0..4 {
            set_v(&mut guest, number, 0xabcd);
        }
        guest.ram.write(Gpa(DATA), &[0; 0x1000]).unwrap();
        let place = (DATA + 0x800_u64).wrapping_add_signed(va);
        let is_load = word >> 22 & 1 == 1;
        if is_load {
            guest.write_u64(place, 0x1234);
        }
        guest.set_x(1, base);
        guest.set_x(2, 5);
        guest.run(&[word]);
        assert_eq!(guest.x(1), base.wrapping_add_signed(after), "{word:#x}");
        if is_load {
            assert_eq!(v(&guest, 0), 0x1234, "{word:#x}");
        } else {
            assert_eq!(guest.read_u64(place), 0xabcd, "{word:#x}");
        }
        // Beyond the page nothing changes.
        guest.set_x(1, VA + 0x2000);
        guest.run(&[word]);
        assert_eq!(guest.x(1), VA + 0x2000, "{word:#x}");
    }
}
