//! Translation: permissions, faults and their syndromes, TLB maintenance.

mod support;

use abide_arm64::kvm;
use support::{
    CODE, DATA, EL1H, ESR, FAR, Guest, HVC, NOP, PAR, RAM_BASE, SCTLR, TCR, TTBR0, Tables, VECTORS,
    asm, msr, pte,
};

/// A virtual address that no flat mapping covers.
const VA: u64 = 0x10_0000_0000;
/// The same in the half of TTBR1.
const HIGH_VA: u64 = 0xffff_ff90_0000_0000;

const READ: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;

/// A load at `va`: the exception syndrome, or `None` if it came through.
fn load(guest: &mut Guest, va: u64) -> Option<u64> {
    guest.set_x(1, va);
    guest.run(&[asm::ldr(0, 1)]);
    (guest.pc() != CODE + 8).then(|| guest.sys(ESR))
}

fn store(guest: &mut Guest, va: u64) -> Option<u64> {
    guest.set_x(1, va);
    guest.run(&[asm::str(0, 1)]);
    (guest.pc() != CODE + 8).then(|| guest.sys(ESR))
}

/// The same load with the rights of EL0, LDTR.
fn load_as_user(guest: &mut Guest, va: u64) -> Option<u64> {
    guest.set_x(1, va);
    guest.run(&[0xf840_0820]);
    (guest.pc() != CODE + 8).then(|| guest.sys(ESR))
}

#[test]
fn faults_carry_status_level_direction_and_address() {
    let (mut guest, mut tables) = Guest::with_mmu();
    assert_eq!(load(&mut guest, VA), Some(READ | 0x05), "translation fault, level 1");
    assert_eq!(guest.sys(FAR), VA);
    assert_eq!(guest.vector(), 0x200, "current level with SP_EL1");
    tables.map(&guest, VA, 3, DATA | pte::PAGE);
    assert_eq!(load(&mut guest, VA), Some(READ | 0x0b), "access flag fault, level 3");
    assert_eq!(load(&mut guest, VA + 0x1000), Some(READ | 0x07), "translation fault, level 3");
    assert_eq!(load(&mut guest, VA + 0x20_0000), Some(READ | 0x06), "level 2");
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF | pte::READ_ONLY);
    assert_eq!(load(&mut guest, VA), None);
    assert_eq!(store(&mut guest, VA + 8), Some(READ | WNR | 0x0f), "permission fault, level 3");
    assert_eq!(guest.sys(FAR), VA + 8);
    // A block that is not there at all, and one beyond the physical addresses of TCR.IPS.
    tables.map(&guest, VA + 0x20_0000, 2, 1 << 44 | pte::BLOCK | pte::AF);
    assert_eq!(load(&mut guest, VA + 0x20_0000), Some(READ | 0x02), "address size, level 2");
    tables.map(&guest, VA + 0x40_0000, 2, 0x2000_0000 | pte::BLOCK | pte::AF);
    assert_eq!(load(&mut guest, VA + 0x40_0000), Some(READ | 0x10), "external abort");
    // A table that is not in RAM.
    guest.write_u64(tables.root() + 8 * (VA >> 30 & 511), 0x1000 | 3);
    guest.set_sys(TTBR0, tables.root());
    assert_eq!(load(&mut guest, VA), Some(READ | 0x16), "external abort on walk, level 2");
}

#[test]
fn user_pages_obey_the_rights_of_both_levels() {
    let (mut guest, mut tables) = Guest::with_mmu();
    let page = DATA | pte::PAGE | pte::AF;
    tables.map(&guest, VA, 3, page | pte::USER);
    tables.map(&guest, VA + 0x1000, 3, page);
    tables.map(&guest, VA + 0x2000, 3, page | pte::USER | pte::READ_ONLY);
    assert_eq!(load(&mut guest, VA), None);
    assert_eq!(load_as_user(&mut guest, VA), None);
    assert_eq!(load(&mut guest, VA + 0x1000), None);
    assert_eq!(load_as_user(&mut guest, VA + 0x1000), Some(READ | 0x0f));
    assert_eq!(load_as_user(&mut guest, VA + 0x2000), None);
    assert_eq!(store(&mut guest, VA + 0x2000), Some(READ | WNR | 0x0f));
}

#[test]
fn execution_needs_the_right_of_its_level() {
    let (mut guest, mut tables) = Guest::with_mmu();
    let code = RAM_BASE + 0x40_0000;
    guest.place(code, &[NOP, HVC]);
    let page = code | pte::PAGE | pte::AF;
    let mut tables_of_vectors = Tables::new(tables.root());
    let mut run = |guest: &mut Guest, va: u64, descriptor: u64, pstate: u64| {
        tables.map(guest, va, 3, descriptor);
        guest.set(kvm::PSTATE, pstate);
        guest.run_from(va);
        (guest.pc() != va + 8).then(|| guest.sys(ESR))
    };
    let abort = |class: u64, status: u64| Some(class << 26 | 1 << 25 | status);
    assert_eq!(run(&mut guest, VA, page, EL1H), None);
    assert_eq!(run(&mut guest, VA, page | pte::PXN, EL1H), abort(0x21, 0x0f));
    // What EL0 can write, EL1 cannot execute.
    assert_eq!(run(&mut guest, VA, page | pte::USER, EL1H), abort(0x21, 0x0f));
    assert_eq!(run(&mut guest, VA, page | pte::USER | pte::UXN, 0), abort(0x20, 0x0f));
    assert_eq!(guest.vector(), 0x400, "from EL0");
    // At EL0 the code itself comes through and its HVC is UNDEFINED.
    assert_eq!(run(&mut guest, VA, page | pte::USER, 0), abort(0, 0));
    assert_eq!(guest.get(kvm::ELR_EL1), VA + 4);
    // WXN: writable is not executable; so the vectors must not be writable.
    let vectors = VECTORS | pte::BLOCK | pte::AF | pte::READ_ONLY;
    tables_of_vectors.map(&guest, VECTORS, 2, vectors);
    guest.set_sys(SCTLR, 0x00c5_0078 | 1 | 1 << 19);
    assert_eq!(run(&mut guest, VA, page | pte::USER, 0), abort(0x20, 0x0f));
}

#[test]
fn halves_tags_and_disabled_walks() {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, HIGH_VA, 3, DATA | pte::PAGE | pte::AF);
    guest.write_u64(DATA, 7);
    assert_eq!(load(&mut guest, HIGH_VA), None);
    assert_eq!(guest.x(0), 7);
    assert_eq!(load(&mut guest, 1 << 40), Some(READ | 0x04), "between the halves");
    let tagged = 0xa500_0000_0000_0000 | DATA;
    assert_eq!(load(&mut guest, tagged), Some(READ | 0x04), "tags count");
    let tcr = guest.sys(TCR);
    guest.set_sys(TCR, tcr | 1 << 37);
    assert_eq!(load(&mut guest, tagged), None, "TBI0");
    assert_eq!(guest.x(0), 7);
    guest.set_sys(TCR, tcr | 1 << 23);
    assert_eq!(load(&mut guest, HIGH_VA), Some(READ | 0x04), "EPD1");
}

#[test]
fn at_reports_in_par() {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF | pte::READ_ONLY | 3 << 8);
    guest.set_x(1, VA + 0x123);
    let at = |op2| asm::sys(0, 7, 8, op2, 1);
    guest.run(&[at(0)]);
    assert_eq!(guest.sys(PAR), 0xff << 56 | DATA | 1 << 11 | 3 << 7, "S1E1R");
    guest.run(&[at(1)]);
    assert_eq!(guest.sys(PAR), 1 << 11 | 0x0f << 1 | 1, "S1E1W");
    guest.run(&[at(2)]);
    assert_eq!(guest.sys(PAR), 1 << 11 | 0x0f << 1 | 1, "S1E0R");
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF | pte::DEVICE);
    guest.run(&[at(1)]);
    assert_eq!(guest.sys(PAR), DATA | 1 << 11 | 2 << 7, "device memory is outer shareable");
}

#[test]
fn stale_translations_end_with_tlbi_or_another_asid() {
    let (mut guest, mut tables) = Guest::with_mmu();
    let (one, two) = (DATA, DATA + 0x1000);
    guest.write_u64(one, 1);
    guest.write_u64(two, 2);
    guest.set_x(1, VA);
    // The program itself changes the mapping: x2 is the descriptor's place, x3 the new one.
    tables.map(&guest, VA, 3, one | pte::PAGE | pte::AF);
    let level2 = guest.read_u64(tables.root() + 8 * (VA >> 30 & 511)) & !3;
    let level3 = guest.read_u64(level2) & !3;
    guest.set_x(2, level3);
    guest.set_x(3, two | pte::PAGE | pte::AF);
    guest.set_x(4, VA >> 12);
    let remap = |maintenance: &[u32]| {
        let mut program = vec![asm::ldr(0, 1), asm::str(3, 2)];
        program.extend_from_slice(maintenance);
        program.push(asm::ldr(5, 1));
        program
    };
    for (name, maintenance) in [
        ("VAE1", vec![asm::sys(0, 8, 7, 1, 4)]),
        ("VALE1IS", vec![asm::sys(0, 8, 3, 5, 4)]),
        ("VAAE1", vec![asm::sys(0, 8, 7, 3, 4)]),
        ("ASIDE1", vec![asm::sys(0, 8, 7, 2, 31)]),
        ("VMALLE1IS", vec![asm::sys(0, 8, 3, 0, 31)]),
        ("another ASID", vec![msr(TTBR0, 6)]),
    ] {
        guest.write_u64(level3, one | pte::PAGE | pte::AF);
        guest.set_sys(TTBR0, tables.root());
        guest.set_x(6, tables.root() | 5 << 48);
        guest.run(&remap(&maintenance));
        assert_eq!((guest.x(0), guest.x(5)), (1, 2), "{name}");
    }
}

/// Linux clears access flags so. A restored vCPU has nothing translated: for both to go the same
/// way, no translation outlives a slice.
#[test]
fn access_flag_cleared_without_tlbi_is_missed_by_the_next_slice() {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    guest.set_x(1, VA);
    // It stops in between, and nobody touches the vCPU there.
    guest.run(&[asm::ldr(0, 1), HVC, asm::ldr(0, 1)]);
    assert_eq!(guest.pc(), CODE + 8);
    tables.map(&guest, VA, 3, DATA | pte::PAGE);
    guest.vcpu.run(1000, &guest.bus).unwrap();
    assert_eq!(guest.sys(ESR), READ | 0x0b, "access flag fault, level 3");
}

#[test]
fn one_tlbi_ends_a_whole_block() {
    let (mut guest, mut tables) = Guest::with_mmu();
    let (one, two) = (RAM_BASE + 0x40_0000, RAM_BASE + 0x60_0000);
    tables.map(&guest, VA, 2, one | pte::BLOCK | pte::AF);
    guest.write_u64(one + 0x5000, 1);
    guest.write_u64(two + 0x5000, 2);
    let level2 = guest.read_u64(tables.root() + 8 * (VA >> 30 & 511)) & !3;
    guest.set_x(1, VA + 0x5000);
    guest.set_x(2, level2);
    guest.set_x(3, two | pte::BLOCK | pte::AF);
    // The maintenance names another page of the block than the one that was used.
    guest.set_x(4, (VA + 0x9000) >> 12);
    guest.run(&[asm::ldr(0, 1), asm::str(3, 2), asm::sys(0, 8, 7, 1, 4), asm::ldr(5, 1)]);
    assert_eq!((guest.x(0), guest.x(5)), (1, 2));
}

/// Calls a function, maps another in its place, tells with TLBI by address and calls it again.
#[test]
fn fetches_follow_a_tlbi_of_their_page_or_block() {
    let (one, two) = (RAM_BASE + 0x40_0000, RAM_BASE + 0x60_0000);
    for (level, kind, named) in [(3, pte::PAGE, 0x5000), (2, pte::BLOCK, 0x9000)] {
        let (mut guest, mut tables) = Guest::with_mmu();
        guest.place(one + 0x5000, &[asm::mov(0, 1), asm::RET]);
        guest.place(two + 0x5000, &[asm::mov(0, 2), asm::RET]);
        let offset = if level == 3 { 0x5000 } else { 0 };
        tables.map(&guest, VA + offset, level, (one + offset) | kind | pte::AF);
        let level2 = guest.read_u64(tables.root() + 8 * (VA >> 30 & 511)) & !3;
        let slot = if level == 3 { (guest.read_u64(level2) & !3) + 8 * 5 } else { level2 };
        guest.set_x(1, VA + 0x5000);
        guest.set_x(2, slot);
        guest.set_x(3, (two + offset) | kind | pte::AF);
        guest.set_x(4, (VA + named) >> 12);
        let tlbi = asm::sys(0, 8, 7, 1, 4);
        guest.run(&[asm::blr(1), asm::add(5, 0, 0), asm::str(3, 2), tlbi, asm::ISB, asm::blr(1)]);
        assert_eq!((guest.x(5), guest.x(0)), (1, 2), "level {level}");
    }
}

#[test]
fn written_code_is_seen_after_ic_ivau() {
    let mut guest = Guest::new();
    guest.set_sys(SCTLR, 0x00c5_0078);
    let code = RAM_BASE + 0x40_0000;
    guest.place(code, &[asm::mov(0, 1), asm::RET]);
    guest.set_x(1, code);
    guest.set_x(2, (u64::from(asm::RET) << 32) | u64::from(asm::mov(0, 2)));
    let ic_ivau = asm::sys(3, 7, 5, 1, 1);
    guest.run(&[asm::blr(1), asm::add(5, 0, 0), asm::str(2, 1), ic_ivau, asm::ISB, asm::blr(1)]);
    assert_eq!((guest.x(5), guest.x(0)), (1, 2));
    // The second word of what was decoded as one op: a comparison and its branch.
    guest.place(code, &[asm::subs(31, 31, 0), asm::b_cond(asm::NE, 2), asm::RET, asm::RET]);
    let skip = asm::b_cond(0, 3);
    guest.set_x(3, u64::from(skip) << 32 | u64::from(asm::subs(31, 31, 0)));
    guest.place(code + 16, &[asm::mov(0, 9), asm::RET]);
    guest.run(&[asm::blr(1), asm::str(3, 1), ic_ivau, asm::ISB, asm::blr(1)]);
    assert_eq!(guest.x(0), 9);
}
