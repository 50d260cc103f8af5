//! Several vCPUs at the same time: what the architecture promises them of each other.

mod support;

use abide_machine::runner::Outcome;
use abide_machine::{Machine, TimeSource};
use abide_testkit::guest::{Program, asm, sysreg, x};
use support::smp::{
    DATA, DMB_ISH, DMB_ISHLD, DMB_ISHST, DSB_ISH, OWN, SEV, WFE, WFI, add_atomically, image,
    machine, run, switch_on, wait_until_at_least, word,
};

/// Runs the program in both kinds of time, and looks at each end.
fn in_both_times(vcpus: u32, image: &[u8], look: impl Fn(&Machine)) {
    for time in [TimeSource::Host, TimeSource::Virtual] {
        let mut machine = machine(vcpus, image, time);
        assert_eq!(run(&mut machine), Outcome::PoweredOff, "{time:?}");
        look(&machine);
    }
}

/// Counts down from `times` in x24 while `body` is repeated.
fn repeat(program: &mut Program, times: u64, body: impl FnOnce(&mut Program)) {
    let again = program.label();
    program.mov64(x(24), times);
    program.bind(again);
    body(program);
    asm!(program.assembler(); sub x24, x24, 1);
    program.branch_if_not_zero(x(24), again);
}

// ---- Exclusives ----

/// Each vCPU takes a lock `times` times and adds 1 to a number that only the lock protects.
fn spinlock(vcpus: u32, times: u64) -> Vec<u8> {
    image(vcpus, |program, _| {
        asm!(program.assembler(); add x25, x20, OWN);
        repeat(program, times, |program| {
            let (take, taken) = (program.label(), program.label());
            program.bind(take);
            asm!(program.assembler(); ldaxr w0, [x25]; cbz w0, =>taken);
            program.word(WFE);
            program.branch(take);
            program.bind(taken);
            asm!(program.assembler()
                ; mov w0, 1
                ; stxr w1, w0, [x25]
                ; cbnz w1, =>take
                ; ldr x0, [x25, 64]
                ; add x0, x0, 1
                ; str x0, [x25, 64]
                ; stlr wzr, [x25]
            );
        });
    })
}

#[test]
fn spinlock_lets_one_in_at_a_time() {
    for (vcpus, times) in [(2, 20_000), (8, 2000)] {
        in_both_times(vcpus, &spinlock(vcpus, times), |machine| {
            assert_eq!(word(machine, OWN + 64), u64::from(vcpus) * times);
        });
    }
}

#[test]
fn sixty_four_vcpus_share_a_spinlock() {
    in_both_times(64, &spinlock(64, 50), |machine| {
        assert_eq!(word(machine, OWN + 64), 64 * 50);
    });
}

#[test]
fn pairs_of_registers_are_exchanged_as_one() {
    const TIMES: u64 = 10_000;
    // Both halves move with each step, so a torn pair would show.
    let image = image(4, |program, fail| {
        asm!(program.assembler(); add x25, x20, OWN);
        repeat(program, TIMES, |program| {
            let again = program.label();
            program.bind(again);
            asm!(program.assembler()
                ; ldaxp x0, x1, [x25]
                ; mvn x2, x1
                ; cmp x0, x2
                ; b.ne =>fail
                ; add x0, x0, 1
                ; mvn x1, x0
                ; stlxp w3, x0, x1, [x25]
                ; cbnz w3, =>again
            );
        });
    });
    for time in [TimeSource::Host, TimeSource::Virtual] {
        let mut machine = machine(4, &image, time);
        let start = u64::MAX.to_le_bytes();
        machine.ram().write(abide_reg::Gpa(DATA.0 + u64::from(OWN) + 8), &start).unwrap();
        assert_eq!(run(&mut machine), Outcome::PoweredOff, "{time:?}: a torn pair");
        assert_eq!(word(&machine, OWN), 4 * TIMES);
        assert_eq!(word(&machine, OWN + 8), !(4 * TIMES));
    }
}

#[test]
fn exclusives_of_every_size_and_after_clrex() {
    const TIMES: u64 = 3000;
    // Bytes and halves wrap; each vCPU adds to all of them, which are neighbours in one word.
    let image = image(3, |program, fail| {
        asm!(program.assembler(); add x25, x20, OWN);
        repeat(program, TIMES, |program| {
            let [byte, half, word] = [(); 3].map(|()| program.label());
            program.bind(byte);
            asm!(program.assembler()
                ; ldxrb w0, [x25]
                ; add w0, w0, 1
                ; stxrb w1, w0, [x25]
                ; cbnz w1, =>byte
                ; add x2, x25, 2
            );
            program.bind(half);
            asm!(program.assembler()
                ; ldxrh w0, [x2]
                ; add w0, w0, 1
                ; stxrh w1, w0, [x2]
                ; cbnz w1, =>half
                ; add x2, x25, 4
            );
            program.bind(word);
            asm!(program.assembler()
                ; ldxr w0, [x2]
                ; add w0, w0, 1
                ; stxr w1, w0, [x2]
                ; cbnz w1, =>word
                ; ldxr w0, [x2]
                ; clrex
                ; stxr w1, w0, [x2]
                ; cbz w1, =>fail
            );
        });
    });
    in_both_times(3, &image, |machine| {
        let count = 3 * TIMES;
        let expected = (count & 0xff) | (count & 0xffff) << 16 | count << 32;
        assert_eq!(word(machine, OWN), expected);
    });
}

// ---- Order ----

/// Two vCPUs meet before each of `rounds` rounds; in x24 the rounds left, in x26 and x27 the
/// addresses of the round's two places, 64 bytes apart.
fn in_rounds(rounds: u64, body: impl FnOnce(&mut Program, abide_testkit::guest::Label)) -> Vec<u8> {
    image(2, |program, fail| {
        asm!(program.assembler(); add x25, x20, OWN; add x26, x25, 1024);
        repeat(program, rounds, |program| {
            // Mine is at x25 + 128 * number, the other's at x25 + 128 * (1 - number).
            asm!(program.assembler()
                ; add x27, x26, 64
                ; add x0, x25, x19, lsl 7
                ; ldr x3, [x0]
                ; add x3, x3, 1
                ; stlr x3, [x0]
                ; mov x1, 1
                ; sub x1, x1, x19
                ; add x0, x25, x1, lsl 7
            );
            wait_until_at_least(program);
            body(program, fail);
            asm!(program.assembler(); add x26, x26, 128);
        });
    })
}

#[test]
fn message_passing_is_ordered_by_barriers_and_by_release_and_acquire() {
    for barriers in [true, false] {
        let image = in_rounds(1000, |program, fail| {
            let (reader, end, again) = (program.label(), program.label(), program.label());
            asm!(program.assembler(); mov x2, 1; cbnz x19, =>reader; str x2, [x26]);
            if barriers {
                program.word(DMB_ISHST);
                asm!(program.assembler(); str x2, [x27]);
            } else {
                asm!(program.assembler(); stlr x2, [x27]);
            }
            program.branch(end);
            let seen = program.label();
            program.bind(again);
            program.word(WFE);
            program.bind(reader);
            if barriers {
                asm!(program.assembler(); ldr x3, [x27]; cbnz x3, =>seen);
            } else {
                asm!(program.assembler(); ldar x3, [x27]; cbnz x3, =>seen);
            }
            program.branch(again);
            program.bind(seen);
            if barriers {
                program.word(DMB_ISHLD);
            }
            asm!(program.assembler(); ldr x3, [x26]; cbz x3, =>fail);
            program.bind(end);
        });
        in_both_times(2, &image, |_| ());
    }
}

#[test]
fn store_buffering_is_forbidden_across_dmb_dsb_and_between_stlr_and_ldar() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum By {
        Dmb,
        Dsb,
        Ordered,
    }
    const ROUNDS: u32 = 1000;
    for by in [By::Dmb, By::Dsb, By::Ordered] {
        // Each writes its own place, reads the other's, and notes what it saw behind its own.
        let image = in_rounds(ROUNDS.into(), |program, _| {
            asm!(program.assembler()
                ; cmp x19, 0
                ; csel x0, x26, x27, eq
                ; csel x1, x27, x26, eq
                ; mov x2, 1
            );
            if by == By::Ordered {
                asm!(program.assembler(); stlr x2, [x0]; ldar x3, [x1]);
            } else {
                asm!(program.assembler(); str x2, [x0]);
                program.word(if by == By::Dmb { DMB_ISH } else { DSB_ISH });
                asm!(program.assembler(); ldr x3, [x1]);
            }
            asm!(program.assembler(); str x3, [x0, 8]);
        });
        in_both_times(2, &image, |machine| {
            for round in 0..ROUNDS {
                let at = OWN + 1024 + 128 * round;
                let saw = [word(machine, at + 8), word(machine, at + 72)];
                assert_ne!(saw, [0, 0], "round {round}, {by:?}: both read before both wrote");
            }
        });
    }
}

#[test]
fn load_buffering_is_forbidden_across_dmb() {
    const ROUNDS: u32 = 1000;
    let image = in_rounds(ROUNDS.into(), |program, _| {
        asm!(program.assembler()
            ; cmp x19, 0
            ; csel x0, x26, x27, eq
            ; csel x1, x27, x26, eq
            ; mov x2, 1
            ; ldr x3, [x1]
        );
        program.word(DMB_ISH);
        asm!(program.assembler(); str x2, [x0]; str x3, [x0, 8]);
    });
    in_both_times(2, &image, |machine| {
        for round in 0..ROUNDS {
            let at = OWN + 1024 + 128 * round;
            let saw = [word(machine, at + 8), word(machine, at + 72)];
            assert_ne!(saw, [1, 1], "round {round}: each read what the other wrote later");
        }
    });
}

// ---- Events and interrupts ----

#[test]
fn events_pass_a_turn_around() {
    const VCPUS: u32 = 4;
    const TURNS: u64 = 400;
    // The event stream is on and slow: an event that got lost would still end, if late.
    let image = image(VCPUS, |program, _| {
        program.set(sysreg::CNTKCTL_EL1, 1 << 2 | 15 << 4);
        asm!(program.assembler(); add x25, x20, OWN; mov x26, x19);
        repeat(program, TURNS, |program| {
            let (again, mine) = (program.label(), program.label());
            program.bind(again);
            asm!(program.assembler(); ldar x0, [x25]; cmp x0, x26; b.eq =>mine);
            program.word(WFE);
            program.branch(again);
            program.bind(mine);
            asm!(program.assembler(); add x0, x0, 1; stlr x0, [x25]);
            program.word(DSB_ISH);
            program.word(SEV);
            asm!(program.assembler(); add x26, x26, VCPUS);
        });
    });
    in_both_times(VCPUS, &image, |machine| {
        assert_eq!(word(machine, OWN), u64::from(VCPUS) * TURNS);
    });
}

/// Lets the vCPU take SGIs, which end WFI but are not taken as exceptions.
fn accept_sgis(program: &mut Program) {
    const GICR_BASE: u64 = 0x080a_0000;
    // Wake the redistributor, SGIs in group 1, all enabled; one redistributor every 128 KiB.
    asm!(program.assembler(); lsl x0, x19, 17);
    program.mov64(x(1), GICR_BASE);
    asm!(program.assembler()
        ; add x0, x0, x1
        ; str wzr, [x0, 0x14]
        ; add x0, x0, 0x10, lsl 12
        ; mov w1, 0xffff
        ; str w1, [x0, 0x80]
        ; str w1, [x0, 0x100]
    );
    program.set(sysreg::ICC_SRE_EL1, 7);
    program.set(sysreg::ICC_PMR_EL1, 0xff);
    program.set(sysreg::ICC_IGRPEN1_EL1, 1);
}

#[test]
fn interrupts_between_cpus_end_wfi() {
    const GICD_CTLR: abide_reg::Gpa = abide_reg::Gpa(0x0800_0000);
    const VCPUS: u32 = 4;
    const TURNS: u64 = 300;
    // Each waits for an SGI and sends one to the next; the first sends before it waits. There is
    // no timer: one SGI that were lost would be one too few for ever.
    let image = image(VCPUS, |program, fail| {
        accept_sgis(program);
        let (others, begin) = (program.label(), program.label());
        program.branch_if_not_zero(x(19), others);
        program.store(GICD_CTLR, 0x12, abide_testkit::guest::Width::Word);
        program.bind(others);
        add_atomically(program, 8);
        asm!(program.assembler(); add x0, x20, 8; mov x3, VCPUS as u64);
        wait_until_at_least(program);
        asm!(program.assembler(); add x25, x19, 1; and x25, x25, 3; mov x26, 1; lsl x26, x26, x25);
        program.bind(begin);
        repeat(program, TURNS, |program| {
            let (wait, take, none) = (program.label(), program.label(), program.label());
            program.branch_if_not_zero(x(19), wait);
            program.msr(sysreg::ICC_SGI1R_EL1, x(26));
            program.bind(wait);
            program.mrs(x(0), sysreg::ICC_IAR1_EL1);
            asm!(program.assembler(); cmp x0, 1020; b.lo =>take);
            program.word(WFI);
            program.branch(wait);
            program.bind(take);
            program.branch_if_not_zero(x(0), fail);
            program.msr(sysreg::ICC_EOIR1_EL1, x(0));
            program.branch_if_zero(x(19), none);
            program.msr(sysreg::ICC_SGI1R_EL1, x(26));
            program.bind(none);
        });
        asm!(program.assembler(); add x0, x20, OWN; str x25, [x0, x19, lsl 3]);
    });
    in_both_times(VCPUS, &image, |machine| {
        for vcpu in 0..VCPUS {
            assert_eq!(word(machine, OWN + 8 * vcpu), u64::from((vcpu + 1) % VCPUS));
        }
    });
}

// ---- Power ----

#[test]
fn cpus_are_switched_on_and_off_in_a_storm() {
    const VCPUS: u32 = 6;
    const STORMS: u64 = 60;
    const AFFINITY_INFO: u64 = 0xc400_0004;
    let image = image(VCPUS, |program, fail| {
        let (last, entry, start) = (program.label(), program.label(), program.label());
        // Those whom the prologue switched on switch themselves off by the common end.
        program.branch_if_not_zero(x(19), last);
        program.branch(start);
        // In a storm: counts, and is off again.
        program.bind(entry);
        program.mov64(x(20), DATA.0);
        add_atomically(program, OWN);
        program.call(support::smp::PSCI_CPU_OFF, &[]);
        program.branch(fail);
        program.bind(start);
        repeat(program, STORMS, |program| {
            for number in 1..VCPUS {
                let (off, on) = (program.label(), program.label());
                program.bind(off);
                // 1: it is off.
                program.mov64(x(0), AFFINITY_INFO);
                program.mov64(x(1), number.into());
                asm!(program.assembler(); mov x2, 0; hvc 0; cmp x0, 1; b.eq =>on);
                program.word(WFE);
                program.branch(off);
                program.bind(on);
                switch_on(program, number, entry);
                program.branch_if_not_zero(x(0), fail);
            }
        });
        asm!(program.assembler(); add x0, x20, OWN);
        program.mov64(x(3), STORMS * u64::from(VCPUS - 1));
        wait_until_at_least(program);
        program.bind(last);
    });
    in_both_times(VCPUS, &image, |machine| {
        assert_eq!(word(machine, OWN), STORMS * u64::from(VCPUS - 1));
    });
}
