//! Self-hosted debug: software step, breakpoints, watchpoints.
//!
//! The suite of kvm-unit-tests prints the same here and on QEMU; these are the corners.

mod support;

use abide_arm64::{SysReg, kvm};
use support::{CODE, DATA, ESR, FAR, Guest, HVC, NOP, VECTORS, asm, msr, reg};

const MDSCR: SysReg = reg(2, 0, 0, 2, 2);
const OSLAR: SysReg = reg(2, 0, 1, 0, 4);
const OSDLR: SysReg = reg(2, 0, 1, 3, 4);
const CONTEXTIDR: SysReg = reg(3, 0, 13, 0, 1);
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;
/// PSTATE.SS, as an SPSR has it.
const STEP: u64 = 1 << 21;
/// EL1h with everything masked but debug exceptions.
const EL1H_DEBUG: u64 = 0x1c5;

const fn bvr(number: u16) -> SysReg {
    reg(2, 0, 0, number, 4)
}
const fn bcr(number: u16) -> SysReg {
    reg(2, 0, 0, number, 5)
}
const fn wvr(number: u16) -> SysReg {
    reg(2, 0, 0, number, 6)
}
const fn wcr(number: u16) -> SysReg {
    reg(2, 0, 0, number, 7)
}
/// A syndrome of a debug exception: its class, and IL and the fault status.
const fn debug(class: u64) -> u64 {
    class << 26 | 1 << 25 | 0x22
}
const ISV: u64 = 1 << 24;
const WNR: u64 = 1 << 6;

fn guest(mdscr: u64) -> Guest {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.set_sys(MDSCR, mdscr);
    guest
}

/// Runs from EL1 with debug exceptions open; gives the syndrome, where it was, and the vector.
fn run_at_el1(guest: &mut Guest, words: &[u32]) -> (u64, u64, u64) {
    guest.set(kvm::PSTATE, EL1H_DEBUG);
    guest.run(words);
    (guest.sys(ESR), guest.get(kvm::ELR_EL1), guest.vector())
}

/// Returns from EL1 to EL0 at [`CODE`] with this SPSR, so that the step is armed as by a debugger.
fn return_to_el0(guest: &mut Guest, spsr: u64, words: &[u32]) -> (u64, u64, u64) {
    const RETURN: u64 = CODE + 0x1000;
    guest.place(CODE, words);
    guest.place(RETURN, &[asm::ERET]);
    guest.set(kvm::PSTATE, support::EL1H);
    guest.set(kvm::ELR_EL1, CODE);
    guest.set(kvm::SPSR_EL1, spsr);
    guest.run_from(RETURN);
    (guest.sys(ESR), guest.get(kvm::ELR_EL1), guest.vector())
}

#[test]
fn a_step_ends_behind_one_instruction() {
    let mut guest = guest(SS);
    let step = return_to_el0(&mut guest, STEP, &[asm::mov(3, 7), asm::mov(4, 8)]);
    assert_eq!(step, (debug(0x32) | ISV, CODE + 4, 0x400));
    assert_eq!((guest.x(3), guest.x(4)), (7, 0));
    assert_eq!(guest.get(kvm::SPSR_EL1) & STEP, 0);
    // A branch, and a load-exclusive, which the syndrome names.
    let step = return_to_el0(&mut guest, STEP, &[asm::b(2), NOP, asm::mov(3, 1)]);
    assert_eq!(step, (debug(0x32) | ISV, CODE + 8, 0x400));
    guest.set_x(1, DATA);
    let step = return_to_el0(&mut guest, STEP, &[0xc85f_7c22]); // ldxr x2, [x1]
    assert_eq!(step, (debug(0x32) | ISV | 1 << 6, CODE + 4, 0x400));
    // Not armed: the exception comes at once, and says that nothing was stepped.
    let step = return_to_el0(&mut guest, 0, &[asm::mov(3, 9)]);
    assert_eq!(step, (debug(0x32), CODE, 0x400));
    assert_eq!(guest.x(3), 7);
}

#[test]
fn an_exception_in_a_step_keeps_or_ends_it() {
    let mut guest = guest(SS);
    // SVC is the step; returning from it finds it over.
    let (esr, elr, _) = return_to_el0(&mut guest, STEP, &[asm::SVC]);
    assert_eq!((esr >> 26, elr), (0x15, CODE + 4));
    assert_eq!(guest.get(kvm::SPSR_EL1) & STEP, 0);
    // A fault returns to the instruction, which is still to be stepped.
    guest.set_x(1, 0);
    let (esr, elr, _) = return_to_el0(&mut guest, STEP, &[asm::ldr(2, 1)]);
    assert_eq!((esr >> 26, elr), (0x24, CODE));
    assert_eq!(guest.get(kvm::SPSR_EL1) & STEP, STEP);
    // WFI does not wait.
    guest.set_sys(support::SCTLR, 0x00c5_0078 | 1 << 16);
    let step = return_to_el0(&mut guest, STEP, &[asm::WFI]);
    assert_eq!(step, (debug(0x32) | ISV, CODE + 4, 0x400));
}

#[test]
fn locks_and_masks_keep_debug_exceptions_away() {
    let program = [asm::mov(3, 7), HVC];
    for (name, mdscr, pstate, lock) in [
        ("KDE clear", MDE, EL1H_DEBUG, None),
        ("PSTATE.D set", MDE | KDE, support::EL1H, None),
        ("MDE clear", KDE, EL1H_DEBUG, None),
        ("OS lock", MDE | KDE, EL1H_DEBUG, Some(OSLAR)),
        ("OS double lock", MDE | KDE, EL1H_DEBUG, Some(OSDLR)),
    ] {
        let mut guest = guest(mdscr);
        guest.set_sys(bvr(0), CODE + 4);
        guest.set_sys(bcr(0), 0x1e7);
        guest.set(kvm::PSTATE, pstate);
        guest.set_x(1, 1);
        let lock = lock.map_or(NOP, |lock| msr(lock, 1));
        guest.run(&[lock, program[0]]);
        assert_eq!((guest.pc(), guest.x(3)), (CODE + 12, 7), "{name}");
    }
}

#[test]
fn a_breakpoint_stops_before_its_instruction() {
    let mut guest = guest(MDE | KDE);
    guest.set_sys(bvr(5), CODE + 4);
    guest.set_sys(bcr(5), 0x1e7);
    let program = [asm::mov(3, 7), asm::mov(3, 9)];
    assert_eq!(run_at_el1(&mut guest, &program), (debug(0x31), CODE + 4, 0x200));
    assert_eq!(guest.x(3), 7);
    // Of EL0 only, and of EL1 only.
    guest.set_sys(bcr(5), 0x1e5);
    guest.run(&program);
    assert_eq!(guest.x(3), 9);
    let found = return_to_el0(&mut guest, 0, &program);
    assert_eq!(found, (debug(0x30), CODE + 4, 0x400));
    guest.set_sys(bcr(5), 0x1e3);
    let (esr, ..) = return_to_el0(&mut guest, 0, &[NOP, asm::SVC]);
    assert_eq!(esr >> 26, 0x15);
}

/// The last two of six breakpoints match contexts.
#[test]
fn a_linked_breakpoint_needs_the_context() {
    let mut guest = guest(MDE | KDE);
    guest.set_sys(bvr(0), CODE);
    // Linked to breakpoint 4, which matches a context.
    guest.set_sys(bcr(0), 1 << 20 | 4 << 16 | 0x1e7);
    guest.set_sys(bvr(4), 0x1234);
    guest.set_sys(bcr(4), 3 << 20 | 0x1e7);
    guest.set_sys(CONTEXTIDR, 0x1235);
    guest.set(kvm::PSTATE, EL1H_DEBUG);
    guest.run(&[NOP]);
    assert_eq!(guest.pc(), CODE + 8);
    guest.set_sys(CONTEXTIDR, 0x1234);
    assert_eq!(run_at_el1(&mut guest, &[NOP]).0, debug(0x31));
    // Breakpoint 3 cannot.
    guest.set_sys(bcr(0), 1 << 20 | 3 << 16 | 0x1e7);
    guest.set_sys(bvr(3), 0x1234);
    guest.set_sys(bcr(3), 3 << 20 | 0x1e7);
    guest.set(kvm::PSTATE, EL1H_DEBUG);
    guest.run(&[NOP]);
    assert_eq!(guest.pc(), CODE + 8);
}

/// Each row: the instruction, x1, where it is watched and how, and the address and direction told.
#[test]
fn watchpoints_stop_before_the_access() {
    const LOADS: u64 = 1 << 3;
    const STORES: u64 = 2 << 3;
    const ALL: u64 = 3 << 3;
    const EVERY_BYTE: u64 = 0xff << 5;
    let w8 = EVERY_BYTE | 7;
    for (name, word, base, watched, control, told) in [
        ("ldr", asm::ldr(2, 1), DATA, DATA, w8 | LOADS, Some((DATA, 0))),
        ("ldr, stores watched", asm::ldr(2, 1), DATA, DATA, w8 | STORES, None),
        ("str", asm::str(2, 1), DATA, DATA, w8 | ALL, Some((DATA, WNR))),
        ("str beside", asm::str(2, 1), DATA + 8, DATA, w8 | ALL, None),
        ("str across", asm::str(2, 1), DATA + 1, DATA + 8, w8 | ALL, Some((DATA + 8, WNR))),
        ("strb, byte 3", 0x3900_0022, DATA + 3, DATA, 1 << 8 | 7 | ALL, Some((DATA + 3, WNR))),
        ("strb, byte 4", 0x3900_0022, DATA + 4, DATA, 1 << 8 | 7 | ALL, None),
        (
            "strb, range of 2 KiB",
            0x3900_0022,
            DATA + 0x7ff,
            DATA,
            11 << 24 | w8 | ALL,
            Some((DATA + 0x7ff, WNR)),
        ),
        ("strb behind it", 0x3900_0022, DATA + 0x800, DATA, 11 << 24 | w8 | ALL, None),
        ("stp x2, x3, [x1, #16]!", 0xa981_0c22, DATA, DATA + 24, w8 | ALL, Some((DATA + 24, WNR))),
        ("ldr x2, [x1], #8", 0xf840_8422, DATA, DATA + 8, w8 | ALL, None),
        ("ldr x2, [x1, #8]", 0xf940_0422, DATA, DATA + 8, w8 | ALL, Some((DATA + 8, 0))),
        ("ldr x2, [x1, x4, lsl #3]", 0xf864_7822, DATA, DATA + 32, w8 | ALL, Some((DATA + 32, 0))),
        ("ldr q2, [x1]", 0x3dc0_0022, DATA, DATA + 8, w8 | ALL, Some((DATA + 8, 0))),
        (
            "st4 {v0.16b - v3.16b}, [x1]",
            0x4c00_0020,
            DATA,
            DATA + 56,
            w8 | ALL,
            Some((DATA + 56, WNR)),
        ),
        ("stxr w3, x2, [x1]", 0xc803_7c22, DATA, DATA, w8 | ALL, Some((DATA, WNR))),
        ("ldar x2, [x1]", 0xc8df_fc22, DATA, DATA, w8 | ALL, Some((DATA, 0))),
        (
            "dc zva, x1",
            asm::sys(3, 7, 4, 1, 1),
            DATA + 8,
            DATA + 40,
            w8 | ALL,
            Some((DATA + 40, WNR)),
        ),
        ("dc civac, x1", asm::sys(3, 7, 14, 1, 1), DATA, DATA, w8 | ALL, None),
        ("prfm [x1]", 0xf980_0020, DATA, DATA, w8 | ALL, None),
        ("ldtr of EL1 as EL0, EL1 watched", 0xf840_0822, DATA, DATA, EVERY_BYTE | 3 | ALL, None),
    ] {
        let mut guest = guest(MDE | KDE);
        guest.set_sys(wvr(3), watched);
        guest.set_sys(wcr(3), control);
        guest.set_x(1, base);
        guest.set_x(2, 0x1122);
        guest.set_x(4, 4);
        guest.set(kvm::PSTATE, EL1H_DEBUG);
        guest.run(&[word]);
        let Some((far, direction)) = told else {
            assert_eq!(guest.pc(), CODE + 8, "{name}");
            continue;
        };
        let found = (guest.sys(ESR), guest.sys(FAR), guest.get(kvm::ELR_EL1));
        assert_eq!(found, (debug(0x35) | direction, far, CODE), "{name}");
        assert_eq!((guest.x(1), guest.read_u64(DATA)), (base, 0), "{name}: nothing happened");
    }
}

/// Faults of the MMU come before watchpoints.
#[test]
fn a_watched_access_that_faults_is_a_fault() {
    let (mut guest, _) = Guest::with_mmu();
    guest.set_sys(MDSCR, MDE | KDE);
    guest.set_sys(wvr(0), 0x10_0000_0000);
    guest.set_sys(wcr(0), 0xff << 5 | 3 << 3 | 7);
    guest.set_x(1, 0x10_0000_0000);
    assert_eq!(run_at_el1(&mut guest, &[asm::ldr(2, 1)]).0 >> 26, 0x25);
}

/// Enabled by the guest itself, in the middle of a page and of a loop; and moved to a fresh vCPU.
#[test]
fn the_guest_switches_it_on_and_takes_it_along() {
    let mut guest = guest(0);
    guest.set_sys(bvr(0), CODE + 16);
    guest.set_sys(bcr(0), 0x1e7);
    guest.set_x(1, MDE | KDE);
    guest.set_x(5, 3);
    let program = [msr(MDSCR, 1), asm::ISB, asm::subs(5, 5, 1), asm::b_cond(asm::NE, -1), NOP];
    assert_eq!(run_at_el1(&mut guest, &program), (debug(0x31), CODE + 16, 0x200));
    assert_eq!(guest.x(5), 0);
    // Armed, not yet stepped.
    guest.set_sys(MDSCR, SS);
    guest.place(CODE, &[asm::mov(3, 7), asm::mov(3, 9)]);
    guest.set(kvm::PSTATE, STEP);
    guest.set(kvm::PC, CODE);
    guest.transplant();
    guest.run_from(CODE);
    assert_eq!((guest.sys(ESR), guest.x(3)), (debug(0x32) | ISV, 7));
    assert_eq!(guest.pc(), VECTORS + 0x404);
}
