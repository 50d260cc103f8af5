//! Exceptions, traps of EL0, interrupts, waiting and timers.

mod support;

use abide_arm64::kvm;
use abide_engine::Stop;
use abide_reg::Value;
use std::sync::atomic::Ordering;
use support::{
    CNTKCTL, CNTV_CTL, CNTV_CVAL, CNTV_TVAL, CNTVCT, CODE, EL1H, ESR, FAR, Guest, HVC, NOP, SCTLR,
    asm, mrs, msr, reg,
};

const IL: u64 = 1 << 25;
const fn class(ec: u64) -> u64 {
    ec << 26 | IL
}

/// Runs one instruction with `pstate` and gives the syndrome and the vector.
fn raise(guest: &mut Guest, pstate: u64, word: u32) -> (u64, u64) {
    guest.stop_at_vectors();
    guest.set(kvm::PSTATE, pstate);
    guest.run(&[word]);
    (guest.sys(ESR), guest.vector())
}

#[test]
fn syndromes_of_instructions() {
    let mut guest = Guest::new();
    assert_eq!(raise(&mut guest, EL1H, asm::SVC), (class(0x15) | 0x1234, 0x200));
    assert_eq!(guest.get(kvm::ELR_EL1), CODE + 4, "SVC returns behind itself");
    assert_eq!(raise(&mut guest, 0x3c4, asm::SVC), (class(0x15) | 0x1234, 0), "SP_EL0 at EL1");
    assert_eq!(raise(&mut guest, 0, asm::SVC), (class(0x15) | 0x1234, 0x400), "from EL0");
    assert_eq!(guest.get(kvm::PSTATE) & 0x3cf, EL1H, "all masked, EL1h");
    assert_eq!(guest.get(kvm::SPSR_EL1), 0);
    // BRK #0x55.
    assert_eq!(raise(&mut guest, EL1H, 0xd420_0aa0), (class(0x3c) | 0x55, 0x200));
    assert_eq!(guest.get(kvm::ELR_EL1), CODE, "BRK returns to itself");
    for (name, word) in [
        ("UDF", 0),
        ("SMC", 0xd400_0003),
        ("HLT", 0xd440_0000),
        ("DRPS", 0xd6bf_03e0),
        ("LDADD, hidden LSE", 0xf821_0020),
        ("LDLAR, hidden LOR", 0xc8df_7c20),
        ("MSR PAN, hidden", 0xd500_419f),
        ("a reserved system register", mrs(0, reg(3, 7, 15, 15, 7))),
        ("PMCR_EL0: no PMU", mrs(0, reg(3, 3, 9, 12, 0))),
        ("writing MIDR_EL1", msr(reg(3, 0, 0, 0, 0), 0)),
    ] {
        assert_eq!(raise(&mut guest, EL1H, word), (class(0), 0x200), "{name}");
    }
    for (name, word) in [
        ("ERET at EL0", asm::ERET),
        ("HVC at EL0", HVC),
        ("SCTLR_EL1 at EL0", mrs(0, SCTLR)),
        ("MIDR_EL1 at EL0", mrs(0, reg(3, 0, 0, 0, 0))),
        ("SPSel at EL0", 0xd500_41bf),
        ("TLBI at EL0", asm::sys(0, 8, 7, 0, 31)),
    ] {
        assert_eq!(raise(&mut guest, 0, word), (class(0), 0x400), "{name}");
    }
    // Reserved ID registers read as zero.
    guest.set_x(0, 5);
    guest.set(kvm::PSTATE, EL1H);
    guest.run(&[mrs(0, reg(3, 0, 0, 7, 7))]);
    assert_eq!(guest.x(0), 0);
}

#[test]
fn el0_is_trapped_where_el1_says_so() {
    let mut guest = Guest::new();
    let sctlr = 0x00c5_0078 & !(1 << 9 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 26);
    guest.set_sys(SCTLR, sctlr);
    let trap = |word: u32| {
        let field = |shift: u32, mask: u32| u64::from(word >> shift & mask);
        class(0x18)
            | (field(19, 3) << 20)
            | (field(5, 7) << 17)
            | (field(16, 7) << 14)
            | (field(12, 15) << 10)
            | (field(0, 31) << 5)
            | (field(8, 15) << 1)
            | field(21, 1)
    };
    let wfx = class(1) | 1 << 24 | 0xe << 20;
    let traps = [
        ("CTR_EL0", mrs(3, reg(3, 3, 0, 0, 1)), 1 << 15),
        ("DAIF", mrs(3, reg(3, 3, 4, 2, 1)), 1 << 9),
        ("DC ZVA", asm::sys(3, 7, 4, 1, 1), 1 << 14),
        ("IC IVAU", asm::sys(3, 7, 5, 1, 1), 1 << 26),
        ("DC CIVAC", asm::sys(3, 7, 14, 1, 1), 1 << 26),
    ];
    for (name, word, enable) in traps {
        guest.set_x(1, CODE + 0x1000);
        assert_eq!(raise(&mut guest, 0, word), (trap(word), 0x400), "{name}");
        guest.set_sys(SCTLR, sctlr | enable);
        guest.set_x(1, CODE + 0x1000);
        // Now the HVC behind it is what is UNDEFINED; without MMU, DC ZVA finds device memory.
        let (expected, behind) = match name {
            "DC ZVA" => (class(0x24) | 0x21 | 1 << 6, CODE),
            _ => (class(0), CODE + 4),
        };
        assert_eq!(raise(&mut guest, 0, word).0, expected, "{name} is open");
        assert_eq!(guest.get(kvm::ELR_EL1), behind, "{name} is open");
        guest.set_sys(SCTLR, sctlr);
    }
    assert_eq!(raise(&mut guest, 0, asm::WFI), (wfx, 0x400));
    assert_eq!(raise(&mut guest, 0, asm::WFE), (wfx | 1, 0x400));
    // Immediates of DAIF: op1 3, CRn 4, CRm the immediate.
    let daif = raise(&mut guest, 0, asm::DAIF_CLR_I);
    assert_eq!(daif, (class(0x18) | 7 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 2 << 1, 0x400));
    for (name, word, enable) in [
        ("CNTVCT_EL0", mrs(3, CNTVCT), 2),
        ("CNTFRQ_EL0", mrs(3, reg(3, 3, 14, 0, 0)), 1),
        ("CNTV_CTL_EL0", mrs(3, CNTV_CTL), 1 << 8),
        ("CNTP_CTL_EL0", mrs(3, reg(3, 3, 14, 2, 1)), 1 << 9),
    ] {
        guest.set_sys(CNTKCTL, 0);
        assert_eq!(raise(&mut guest, 0, word), (trap(word), 0x400), "{name}");
        guest.set_sys(CNTKCTL, enable);
        raise(&mut guest, 0, word);
        assert_eq!(guest.get(kvm::ELR_EL1), CODE + 4, "{name} is open");
    }
}

#[test]
fn fetching_faults() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.run_from(CODE + 2);
    assert_eq!((guest.sys(ESR), guest.sys(FAR)), (class(0x22), CODE + 2));
    guest.run_from(0x1000);
    assert_eq!((guest.sys(ESR), guest.sys(FAR)), (class(0x21) | 0x10, 0x1000));
    // A vector that cannot be fetched does not hang the machine.
    guest.set_sys(support::VBAR, 0x1000);
    guest.set(kvm::PC, 0x2000);
    assert_eq!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::Budget);
    assert_eq!(guest.clock.instructions.load(Ordering::Relaxed), 1000 + 4);
}

#[test]
fn eret_changes_level_or_says_that_it_cannot() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.place(CODE + 0x100, &[asm::SVC]);
    guest.set(kvm::ELR_EL1, CODE + 0x100);
    guest.set(kvm::SPSR_EL1, 0x6000_0000);
    guest.set(kvm::SP_EL0, 0x111);
    guest.set(kvm::SP_EL1, 0x222);
    guest.run(&[asm::ERET]);
    assert_eq!(guest.vector(), 0x400);
    assert_eq!(guest.get(kvm::SPSR_EL1), 0x6000_0000);
    assert_eq!((guest.get(kvm::SP_EL0), guest.get(kvm::SP_EL1)), (0x111, 0x222));
    for mode in [0x1, 0x8, 0x9, 0xd, 0x10, 0x13] {
        guest.set(kvm::PSTATE, EL1H);
        guest.set(kvm::ELR_EL1, CODE + 0x100);
        guest.set(kvm::SPSR_EL1, 0x8000_0000 | mode);
        guest.run(&[asm::ERET]);
        assert_eq!(guest.sys(ESR), class(0x0e), "illegal state, mode {mode:#x}");
        assert_eq!(guest.get(kvm::SPSR_EL1), 0x8010_0005, "IL is set, the level kept");
    }
}

#[test]
fn an_unmasked_interrupt_is_taken_before_the_next_instruction() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.bus.lines.set(true, false);
    guest.run(&[NOP, asm::DAIF_CLR_I, NOP, NOP]);
    assert_eq!(guest.vector(), 0x280, "IRQ");
    assert_eq!(guest.get(kvm::ELR_EL1), CODE + 8);
    guest.bus.lines.set(true, true);
    guest.set(kvm::PSTATE, EL1H);
    // MSR DAIF, xzr
    guest.run(&[0xd51b_423f]);
    assert_eq!(guest.vector(), 0x300, "FIQ comes first");
    guest.bus.lines.set(false, false);
    guest
        .vcpu
        .store(abide_engine_soft::state::SERROR, &Value::bytes(&[2, 9, 0, 0, 0, 0, 0, 0, 0]))
        .unwrap();
    guest.set(kvm::PSTATE, EL1H);
    guest.run(&[0xd51b_423f]);
    assert_eq!((guest.vector(), guest.sys(ESR)), (0x380, class(0x2f) | 9), "SError");
}

#[test]
fn wfi_waits_and_wakes_even_while_masked() {
    let mut guest = Guest::new();
    guest.place(CODE, &[asm::WFI, asm::mov(0, 7), HVC]);
    guest.set(kvm::PC, CODE);
    for _ in 0..3 {
        assert_eq!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::Idle);
    }
    assert_eq!(guest.x(0), 0);
    guest.bus.lines.set(true, false);
    assert!(matches!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::System(_)));
    assert_eq!(guest.x(0), 7);
    // Pending already: no wait at all.
    guest.run(&[asm::WFI]);
}

#[test]
fn wfe_waits_for_the_event_stream_or_not_at_all() {
    let mut guest = Guest::new();
    guest.run(&[asm::WFE]);
    // EVNTEN, bit 3 of the count.
    guest.set_sys(CNTKCTL, 1 << 2 | 3 << 4);
    guest.run(&[asm::SEVL, asm::WFE]);
    guest.place(CODE, &[asm::WFE, HVC]);
    guest.set(kvm::PC, CODE);
    assert_eq!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::Idle);
    let deadline = guest.vcpu.deadline_ticks().unwrap();
    assert_eq!(deadline & 15, 8, "bit 3 rises");
    let now = abide_engine::Clock::now_ticks(&*guest.clock);
    guest.clock.warp.fetch_add(deadline - now - 1, Ordering::Relaxed);
    assert_eq!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::Idle);
    guest.clock.warp.fetch_add(1, Ordering::Relaxed);
    assert!(matches!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::System(_)));
}

#[test]
fn the_timer_fires_at_its_instruction() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    // x0 counts loops; the timer is set to 100 ticks, 800 instructions, from the start.
    guest.set_x(1, 100);
    guest.set_x(2, 1);
    guest.run(&[
        msr(CNTV_TVAL, 1),
        msr(CNTV_CTL, 2),
        asm::DAIF_CLR_I,
        asm::add(0, 0, 1),
        asm::b(-1),
    ]);
    assert_eq!(guest.vector(), 0x280);
    assert_eq!(guest.bus.ppis.lock().unwrap().as_slice(), [(27, false), (30, false), (27, true)]);
    let at = guest.clock.instructions.load(Ordering::Relaxed);
    // The interrupt comes at the first branch at which 800 instructions were executed.
    assert_eq!(guest.x(0), 399, "at {at}");
    // ISTATUS, then masked: the level falls.
    guest.set_x(2, 3);
    guest.set(kvm::PSTATE, EL1H);
    guest.run(&[mrs(3, CNTV_CTL), msr(CNTV_CTL, 2), mrs(4, CNTV_CTL), NOP]);
    assert_eq!((guest.x(3), guest.x(4)), (5, 7));
    assert_eq!(guest.bus.ppis.lock().unwrap().last(), Some(&(27, false)));
}

#[test]
fn timer_that_comes_due_behind_the_last_look_is_not_slept_through() {
    let mut guest = Guest::new();
    guest.set_x(1, 100);
    guest.set_x(2, 1);
    guest.place(CODE, &[msr(CNTV_TVAL, 1), msr(CNTV_CTL, 2), asm::WFI, HVC]);
    guest.set(kvm::PC, CODE);
    assert_eq!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::Idle);
    let deadline = guest.vcpu.deadline_ticks().unwrap();
    // The host's clock goes on while nobody looks.
    let now = abide_engine::Clock::now_ticks(&*guest.clock);
    guest.clock.warp.fetch_add(deadline - now, Ordering::Relaxed);
    assert_eq!(guest.vcpu.deadline_ticks(), Some(deadline));
    guest.clock.warp.fetch_add(5, Ordering::Relaxed);
    assert_eq!(guest.vcpu.deadline_ticks(), Some(deadline + 5), "at once");
    // It is told at the next look, and what it knows wakes nobody again.
    assert!(matches!(guest.vcpu.run(1000, &guest.bus).unwrap(), Stop::System(_)));
    assert_eq!(guest.bus.ppis.lock().unwrap().last(), Some(&(27, true)));
    assert_eq!(guest.vcpu.deadline_ticks(), None);
}

#[test]
fn counts_can_be_set_and_comparators_do_not_wrap() {
    let mut guest = Guest::new();
    guest.set(kvm::TIMER_CNT, 1 << 40);
    guest.run(&[mrs(0, CNTVCT), mrs(1, CNTV_TVAL)]);
    assert_eq!(guest.x(0), 1 << 40);
    assert_eq!(guest.get(kvm::TIMER_CVAL), guest.sys(CNTV_CVAL_AS_KVM));
    // TVAL of -1 is met at once; CVAL of the highest number never is.
    guest.set_x(1, 0xffff_ffff);
    guest.set_x(2, 1);
    guest.run(&[msr(CNTV_TVAL, 1), msr(CNTV_CTL, 2), mrs(3, CNTV_CTL)]);
    assert_eq!(guest.x(3), 5);
    guest.set_x(1, u64::MAX);
    guest.run(&[msr(CNTV_CVAL, 1), mrs(3, CNTV_CTL)]);
    assert_eq!(guest.x(3), 1);
    assert!(guest.vcpu.deadline_ticks().unwrap() > 1 << 63);
}

/// KVM's id of CNTV_CVAL_EL0 is the encoding of CNTVCT_EL0.
const CNTV_CVAL_AS_KVM: abide_arm64::SysReg = CNTVCT;

#[test]
fn a_kick_stops_the_current_or_the_next_run() {
    let mut guest = Guest::new();
    guest.place(CODE, &[asm::b(0)]);
    guest.set(kvm::PC, CODE);
    guest.vcpu.kicker().kick();
    assert_eq!(guest.vcpu.run(u64::MAX, &guest.bus).unwrap(), Stop::Kicked);
    assert_eq!(guest.vcpu.run(10, &guest.bus).unwrap(), Stop::Budget);
}
