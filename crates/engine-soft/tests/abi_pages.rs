//! Pages of guest ABIs beside RAM: every instruction reaches them as it reaches RAM, and none
//! writes to those that are only for reading.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its guest has failed")]

mod support;

use abide_arm64::kvm;
use abide_engine_soft::cpu_model::N1_LIKE;
use abide_memory::{AbiPages, GuestRam, PageAccess};
use abide_reg::Gpa;
use std::sync::Arc;
use support::{DATA, ESR, FAR, Guest, HVC, RAM_BASE, RAM_LEN, TTBR0, asm, pte};

const PAGE: u64 = 0x090b_0000;
/// Two pages of the guest's on [`PAGE`].
const VA: u64 = 0x10_0000_0000;
/// Two pages of the guest's on RAM with the same content.
const RAM_VA: u64 = VA + 0x4000;
const ABORT: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;
const EXTERNAL: u64 = 0x10;

/// Loads to x2, x4, v0 to v3, from x1.
const LOADS: &[(&str, u32)] = &[
    ("ldrb w2, [x1]", 0x3940_0022),
    ("ldrh w2, [x1]", 0x7940_0022),
    ("ldr w2, [x1]", 0xb940_0022),
    ("ldr x2, [x1]", 0xf940_0022),
    ("ldrsw x2, [x1]", 0xb980_0022),
    ("ldr x2, [x1, #8]", 0xf940_0422),
    ("ldr x2, [x1], #8", 0xf840_8422),
    ("ldr x2, [x1, #8]!", 0xf840_8c22),
    ("ldp x2, x4, [x1]", 0xa940_1022),
    ("ldp w2, w4, [x1]", 0x2940_1022),
    ("ldnp x2, x4, [x1]", 0xa840_1022),
    ("ldtr x2, [x1]", 0xf840_0822),
    ("ldr d0, [x1]", 0xfd40_0020),
    ("ldr q0, [x1]", 0x3dc0_0020),
    ("ldp q0, q1, [x1]", 0xad40_0420),
    ("ld1 {v0.16b-v3.16b}, [x1]", 0x4c40_2020),
    ("ld4 {v0.4s-v3.4s}, [x1]", 0x4c40_0820),
    ("ld1r {v0.2d}, [x1]", 0x4d40_cc20),
    ("ldar x2, [x1]", 0xc8df_fc22),
    ("ldapr x2, [x1]", 0xf8bf_c022),
    ("ldxr x2, [x1]", 0xc85f_7c22),
    ("ldaxp x2, x4, [x1]", 0xc87f_9022),
];

/// How many of [`LOADS`] need an aligned address: the last ones.
const ALIGNED_LOADS: usize = 4;

/// Stores of x0, x3, v0 to v3 to x1.
const STORES: &[(&str, u32)] = &[
    ("strb w0, [x1]", 0x3900_0020),
    ("strh w0, [x1]", 0x7900_0020),
    ("str w0, [x1]", 0xb900_0020),
    ("str x0, [x1]", 0xf900_0020),
    ("str x0, [x1, #8]", 0xf900_0420),
    ("str x0, [x1], #8", 0xf800_8420),
    ("str x0, [x1, #8]!", 0xf800_8c20),
    ("stp x0, x3, [x1]", 0xa900_0c20),
    ("stp w0, w3, [x1]", 0x2900_0c20),
    ("stnp x0, x3, [x1]", 0xa800_0c20),
    ("sttr x0, [x1]", 0xf800_0820),
    ("str d0, [x1]", 0xfd00_0020),
    ("str q0, [x1]", 0x3d80_0020),
    ("stp q0, q1, [x1]", 0xad00_0420),
    ("st1 {v0.16b-v3.16b}, [x1]", 0x4c00_2020),
    ("st4 {v0.4s-v3.4s}, [x1]", 0x4c00_0820),
    ("stlr x0, [x1]", 0xc89f_fc20),
    ("stxr w2, x0, [x1]", 0xc802_7c20),
    ("stlxp w2, x0, x3, [x1]", 0xc822_8c20),
    ("ldadd x0, x2, [x1]", 0xf820_0022),
    ("swpal x0, x2, [x1]", 0xf8e0_8022),
    ("cas x0, x3, [x1]", 0xc8a0_7c23),
    ("dc zva, x1", 0xd50b_7421),
];

/// DC CIVAC, CVAU, IVAC and IC IVAU of x1.
const MAINTENANCE: [u32; 4] = [0xd50b_7e21, 0xd50b_7b21, 0xd508_7621, 0xd50b_7521];

fn content(at: u64) -> u64 {
    at.wrapping_mul(0x0101_0101_0101_0107).wrapping_add(5)
}

/// A guest with the same content at [`VA`], a page of a guest ABI, and at [`RAM_VA`], RAM.
fn guest(access: PageAccess) -> (Guest, Arc<AbiPages>) {
    let page = Arc::new(AbiPages::new(Gpa(PAGE), access).unwrap());
    let ram = GuestRam::new(Gpa(RAM_BASE), RAM_LEN).unwrap();
    let ram = Arc::new(ram.with_pages(vec![Arc::clone(&page)]).unwrap());
    let (mut guest, mut tables) = Guest::on(ram, Arc::default(), &N1_LIKE).switch_mmu_on();
    for (va, pa) in [(VA, PAGE), (RAM_VA, DATA)] {
        for more in [0, 0x1000] {
            tables.map(&guest, va + more, 3, (pa + more) | pte::PAGE | pte::AF | pte::USER);
        }
    }
    for at in (0..0x2000).step_by(8) {
        page.host().write(Gpa(PAGE + at), &content(at).to_le_bytes()).unwrap();
        guest.write_u64(DATA + at, content(at));
    }
    guest.set_x(0, 0x1122_3344_5566_7788);
    guest.set_x(3, 0x99aa_bbcc_ddee_ff00);
    (guest, page)
}

fn page_bytes(page: &AbiPages) -> Vec<u8> {
    let mut bytes = vec![0; 0x2000];
    page.host().read(page.gpa(), &mut bytes).unwrap();
    bytes
}

fn ram_bytes(guest: &Guest) -> Vec<u8> {
    let mut bytes = vec![0; 0x2000];
    guest.ram.read(Gpa(DATA), &mut bytes).unwrap();
    bytes
}

/// What an instruction at `va` leaves: registers, and whether it came to its end.
fn effect(guest: &mut Guest, word: u32, va: u64) -> (Vec<u64>, Vec<abide_reg::Value>, bool) {
    for number in [2, 4] {
        guest.set_x(number, 0);
    }
    for number in 0..4u8 {
        let value = abide_reg::Value::u128(u128::from(number) * 0x0123_4567_89ab_cdef_1111);
        guest.vcpu.store(kvm::v(number), &value).unwrap();
    }
    guest.set_x(1, va);
    guest.run(&[word]);
    let moved = guest.x(1).wrapping_sub(va);
    let vectors = (0..4).map(|number| guest.vcpu.load(kvm::v(number)).unwrap()).collect();
    (vec![guest.x(2), guest.x(4), moved], vectors, guest.pc() < support::VECTORS)
}

#[test]
fn every_load_reads_a_page_as_it_reads_ram() {
    for access in [PageAccess::ReadOnly, PageAccess::ReadWrite] {
        let (mut guest, _page) = guest(access);
        let unaligned = &LOADS[..LOADS.len() - ALIGNED_LOADS];
        let cases = LOADS.iter().map(|load| (load, 0x40)).chain(
            // Unaligned, and across two pages of the guest's.
            unaligned.iter().flat_map(|load| [(load, 0x43), (load, 0xffd)]),
        );
        for ((name, word), at) in cases {
            let from_page = effect(&mut guest, *word, VA + at);
            assert!(from_page.2, "{name} at {at:#x} took an exception");
            let from_ram = effect(&mut guest, *word, RAM_VA + at);
            assert_eq!(from_page, from_ram, "{name} at {at:#x}");
        }
    }
}

#[test]
fn every_store_to_a_page_for_reading_is_an_external_abort_and_writes_nothing() {
    let (mut guest, page) = guest(PageAccess::ReadOnly);
    let before = page_bytes(&page);
    for (count, (name, word)) in (1..).zip(STORES) {
        // A read first: that the page is known for reading must not open it for writing.
        guest.set_x(1, VA + 0x40);
        guest.run(&[asm::ldr(2, 1)]);
        let at = VA + 0x40;
        let (_, _, ended) = effect(&mut guest, *word, at);
        assert!(!ended, "{name} was not refused");
        assert_eq!(guest.sys(ESR), ABORT | WNR | EXTERNAL, "{name}");
        assert!((at..at + 16).contains(&guest.sys(FAR)), "{name}");
        assert_eq!(guest.x(1), at, "{name} does not write its base back");
        assert_eq!(page_bytes(&page), before, "{name}");
        assert!(page.refused_writes() >= count, "{name} was not counted");
    }
    // Across the end of RAM's page into one that is only for reading: neither is touched.
    let ram = ram_bytes(&guest);
    guest.set_x(1, VA + 0xffc);
    guest.run(&[asm::str(0, 1)]);
    assert_eq!(guest.sys(ESR), ABORT | WNR | EXTERNAL);
    assert_eq!((page_bytes(&page), ram_bytes(&guest)), (before, ram));
}

#[test]
fn every_store_to_a_page_for_writing_does_what_it_does_to_ram() {
    let (mut guest, page) = guest(PageAccess::ReadWrite);
    guest.ram.dirty().start();
    for (name, word) in STORES {
        let to_page = effect(&mut guest, *word, VA + 0x40);
        assert!(to_page.2, "{name} took an exception");
        let to_ram = effect(&mut guest, *word, RAM_VA + 0x40);
        assert_eq!((&to_page, page_bytes(&page)), (&to_ram, ram_bytes(&guest)), "{name}");
    }
    // An exclusive pair: held, and lost when the host writes.
    const LDXR: u32 = 0xc85f_7c24; // ldxr x4, [x1]
    const STXR: u32 = 0xc802_7c20; // stxr w2, x0, [x1]
    guest.set_x(1, VA + 0x80);
    guest.run(&[LDXR, STXR]);
    assert_eq!(guest.x(2), 0, "the exclusive store succeeds");
    guest.run(&[LDXR]);
    page.host().write(Gpa(PAGE + 0x80), &[0; 8]).unwrap();
    guest.run(&[STXR]);
    assert_eq!(guest.x(2), 1, "the host wrote in between");
    let dirty: Vec<u64> = guest.ram.dirty().harvest().iter().collect();
    let pages = RAM_LEN / abide_memory::PAGE_SIZE;
    assert!(dirty.iter().all(|&page| page < pages), "pages are no RAM: {dirty:?}");
}

#[test]
fn maintenance_of_a_page_passes() {
    let (mut guest, page) = guest(PageAccess::ReadOnly);
    for word in MAINTENANCE {
        let (_, _, ended) = effect(&mut guest, word, VA + 0x40);
        assert!(ended, "{word:#x}: {:#x}", guest.sys(ESR));
    }
    assert_eq!(page.refused_writes(), 0);
}

#[test]
fn code_and_translation_tables_may_stand_in_a_page() {
    let (mut guest, page) = guest(PageAccess::ReadOnly);
    let put = |at: u64, bytes: &[u8]| page.host().write(Gpa(PAGE + at), bytes).unwrap();
    for (at, word) in (0..).step_by(4).zip([asm::mov(5, 77), HVC]) {
        put(at, &word.to_le_bytes());
    }
    // EL1 executes nothing that EL0 may write: the mapping of RAM stays, this one is its own.
    guest.set_sys(support::SCTLR, 0x00c5_0078);
    guest.run_from(PAGE);
    assert_eq!(guest.x(5), 77);
    // The first table stands in the page: what it has is the RAM that holds this program.
    let root = guest.sys(TTBR0);
    for slot in 0..512 {
        put(0x1000 + 8 * slot, &guest.read_u64(root + 8 * slot).to_le_bytes());
    }
    guest.set_sys(TTBR0, PAGE + 0x1000);
    guest.set_sys(support::SCTLR, 0x00c5_0078 | 1);
    guest.set_x(1, VA + 0x48);
    guest.run(&[asm::ldr(2, 1)]);
    assert_eq!(guest.x(2), content(0x48));
    // Where a table is neither RAM nor a page, the walk ends in an external abort.
    put(0x1000 + 8 * 5, &((PAGE + AbiPages::LEN) | 3).to_le_bytes());
    guest.set_x(1, 5 << 30);
    guest.run(&[asm::ldr(2, 1)]);
    assert_eq!(guest.sys(ESR), ABORT | 0x16);
}
