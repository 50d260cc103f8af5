//! The registers are the whole state, and nothing but the state.

mod support;

use abide_arm64::{SysReg, kvm};
use abide_engine::{Clock, Stop};
use abide_engine_soft::cpu_model::{INT, PORTABLE};
use abide_engine_soft::state;
use abide_reg::{RegError, RegId, Value};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use support::{
    CNTKCTL, CNTV_CTL, CNTV_TVAL, CODE, DATA, Guest, HVC, VECTORS, asm, mrs, msr, pte, reg,
};

/// xorshift64*, so that failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A guest that uses everything that has state: translation, an interrupting timer, exclusives,
/// waiting, SIMD registers, a copy of code that it writes and runs.
fn busy_guest() -> Guest {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, 0x10_0000_0000, 3, DATA | pte::PAGE | pte::AF);
    // IRQ: count in x20, set the timer again, return.
    guest.place(VECTORS + 0x280, &[asm::add(20, 20, 1), msr(CNTV_TVAL, 21), asm::ERET]);
    guest.set_x(21, 37);
    guest.set_x(1, 0x10_0000_0000);
    guest.set_x(2, 1);
    guest.set_x(19, 4000);
    guest.set_x(10, CODE + 0x2000);
    guest.set_x(11, u64::from(asm::RET) << 32 | u64::from(asm::add(8, 8, 3)));
    guest.set_sys(CNTKCTL, 1 << 2 | 1 << 4);
    guest.place(
        CODE,
        &[
            msr(CNTV_TVAL, 21),
            msr(CNTV_CTL, 2),
            asm::DAIF_CLR_I,
            // loop: an exclusive counter,
            0xc85f_7c20, // ldxr x0, [x1]
            asm::add(0, 0, 5),
            0xc803_7c20, // stxr w3, x0, [x1]
            0x8b03_0084, // add x4, x4, x3: failures
            // a checksum over what it sees,
            0xcac0_0ca5, // eor x5, x5, x0, ror #3
            mrs(6, support::CNTVCT),
            0x8b06_00a5, // add x5, x5, x6
            0x3d80_0420, // str q0, [x1, #16]
            0x3dc0_0421, // ldr q1, [x1, #16]
            // code that it writes,
            asm::str(11, 10),
            asm::sys(3, 7, 5, 1, 10),
            asm::ISB,
            asm::blr(10),
            // and a wait for an event every round.
            asm::WFE,
            asm::subs(19, 19, 1),
            asm::b_cond(asm::NE, -15),
            HVC,
        ],
    );
    guest.set(kvm::PC, CODE);
    guest
}

/// Runs to the end by budgets from `budget`, warping time while the guest waits; after each run
/// `between` sees the guest.
fn finish(guest: &mut Guest, mut budget: impl FnMut() -> u64, mut between: impl FnMut(&mut Guest)) {
    for _ in 0..1_000_000 {
        match guest.vcpu.run(budget(), &guest.bus).expect("soft") {
            Stop::System(_) => return,
            Stop::Idle => {
                let deadline = guest.vcpu.deadline_ticks().expect("nothing else wakes it");
                let ahead = deadline.saturating_sub(guest.clock.now_ticks());
                guest.clock.warp.fetch_add(ahead, Ordering::Relaxed);
            }
            Stop::Budget | Stop::Kicked => {}
        }
        between(guest);
    }
    panic!("the guest does not end: {:#x}", guest.pc());
}

fn instructions(guest: &Guest) -> u64 {
    guest.clock.instructions.load(Ordering::Relaxed)
}

#[test]
fn a_transplanted_guest_ends_as_one_never_touched() {
    let mut untouched = busy_guest();
    finish(&mut untouched, || 65_536, |_| {});
    assert!(untouched.x(20) > 300, "{} interrupts", untouched.x(20));
    let (registers, ram) = untouched.everything();
    for seed in 1..=5 {
        let mut random = Random(seed);
        let mut budgets = Random(seed << 8);
        let mut guest = busy_guest();
        let mut moves = 0;
        finish(
            &mut guest,
            || 1 + budgets.below(2000),
            |guest| {
                if random.below(8) == 0 {
                    guest.transplant();
                    moves += 1;
                }
            },
        );
        assert!(moves > 100, "{moves} moves");
        let (found, found_ram) = guest.everything();
        for (was, is) in registers.iter().zip(&found) {
            assert_eq!(was, is, "seed {seed}");
        }
        assert!(ram == found_ram, "seed {seed}: memory differs");
        assert_eq!(instructions(&untouched), instructions(&guest), "seed {seed}");
    }
}

#[test]
fn random_code_ends_the_same_however_it_is_cut() {
    let mut random = Random(77);
    for round in 0..50 {
        let words: Vec<u32> = (0..512)
            .map(|_| {
                let word = (random.next() >> 32) as u32;
                // Half of it data processing and memory, so that not all is exceptions.
                if random.below(2) == 0 { word & !(7 << 26) | 5 << 26 | 1 << 28 } else { word }
            })
            .collect();
        let values: Vec<u64> = (0..31).map(|_| DATA + (random.below(0x1000) & !7)).collect();
        let start = || {
            let (mut guest, _) = Guest::with_mmu();
            for vector in 0..16 {
                // Skip the instruction: ELR + 4 into ELR; x30 is lost, the same in every run.
                let elr = reg(3, 0, 4, 0, 1);
                guest.place(
                    VECTORS + 0x80 * vector,
                    &[mrs(30, elr), asm::add(30, 30, 4), msr(elr, 30), asm::ERET],
                );
            }
            guest.place(CODE, &words);
            for (number, &value) in (0..).zip(&values) {
                guest.set_x(number, value);
            }
            guest.set(kvm::PC, CODE);
            guest
        };
        let mut whole = start();
        let mut moved = start();
        let mut ran = 0;
        let stop = whole.vcpu.run(3000, &whole.bus).unwrap();
        let target = instructions(&whole);
        let mut last = Stop::Budget;
        while last == Stop::Budget && ran < target {
            let budget = (1 + random.below(97)).min(3000 - ran.min(2999));
            last = moved.vcpu.run(budget, &moved.bus).unwrap();
            ran = instructions(&moved);
            moved.transplant();
        }
        assert_eq!((stop, target), (last, ran), "round {round}");
        assert!(whole.everything() == moved.everything(), "round {round}");
    }
}

#[test]
fn ids_are_unique_named_and_read_back() {
    let table = state::table();
    let guest = Guest::new();
    let ids: HashSet<RegId> = table.iter().map(|def| def.id).collect();
    assert_eq!(ids.len(), table.len());
    assert_eq!(guest.vcpu.reg_ids(), table.iter().map(|def| def.id).collect::<Vec<_>>());
    let names: HashSet<&str> = table.iter().map(|def| def.name).collect();
    assert_eq!(names.len(), table.len(), "names are unique");
    let mut bytes = 0;
    for def in table {
        let value = guest.vcpu.load(def.id).unwrap();
        assert_eq!(value.width(), def.width, "{}", def.name);
        bytes += def.width;
    }
    assert!(bytes < 8192, "{bytes} bytes of values");
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut guest = Guest::new();
    let before = guest.everything().0;
    let refuse = |guest: &mut Guest, id: RegId, value: Value| {
        let error = guest.vcpu.store(id, &value).unwrap_err();
        assert!(matches!(error, RegError::Refused { .. }), "{error}");
    };
    let sysreg = |op0, op1, crn, crm, op2| kvm::sysreg(SysReg::new(op0, op1, crn, crm, op2));
    refuse(&mut guest, kvm::PSTATE, Value::u64(0x9));
    refuse(&mut guest, kvm::PSTATE, Value::u64(0x13));
    refuse(&mut guest, kvm::PSTATE, Value::u64(1 << 22));
    refuse(&mut guest, sysreg(3, 0, 0, 0, 5), Value::u64(0x8000_0001));
    refuse(&mut guest, sysreg(3, 0, 0, 6, 0), Value::u64(0x0100_0000));
    refuse(&mut guest, sysreg(2, 0, 1, 1, 4), Value::u64(0));
    refuse(&mut guest, kvm::TIMER_CTL, Value::u64(8));
    refuse(&mut guest, state::MP_STATE, Value::u8(2));
    refuse(&mut guest, state::WAIT, Value::u8(3));
    refuse(&mut guest, state::EVENT, Value::u8(2));
    refuse(&mut guest, state::EXCLUSIVE_SIZE, Value::u8(3));
    refuse(&mut guest, state::SERROR, Value::bytes(&[0, 1, 0, 0, 0, 0, 0, 0, 0]));
    assert!(matches!(
        guest.vcpu.store(kvm::FPCR, &Value::u64(0)),
        Err(RegError::Width { found: 8, allowed: 4, .. })
    ));
    let unknown = RegId::named("cpu.unknown");
    assert_eq!(guest.vcpu.load(unknown), Err(RegError::Unknown { id: unknown }));
    assert_eq!(guest.everything().0, before);
}

#[test]
fn identities_are_fixed_once_the_guest_ran() {
    let mut guest = Guest::with_model(&INT);
    let midr = kvm::sysreg(SysReg::new(3, 0, 0, 0, 0));
    guest.set(midr, 0x411f_d070);
    guest.run(&[mrs(0, SysReg::new(3, 0, 0, 0, 0))]);
    assert_eq!(guest.x(0), 0x411f_d070);
    assert!(guest.vcpu.store(midr, &Value::u64(0)).is_err());
    guest.set(midr, 0x411f_d070);
    assert_ne!(INT.registers, PORTABLE.registers);
}

#[test]
fn garbage_in_every_register_never_stops_the_machine() {
    let mut random = Random(5);
    for _ in 0..100 {
        let (mut guest, _) = Guest::with_mmu();
        for id in guest.vcpu.reg_ids() {
            let width = guest.vcpu.load(id).unwrap().width();
            let bytes: Vec<u8> = (0..width).map(|_| random.next().to_le_bytes()[0]).collect();
            // Refusals are fine; what is taken must be run.
            let _ = guest.vcpu.store(id, &Value::bytes(&bytes));
        }
        let _ = guest.vcpu.store(state::MP_STATE, &Value::u8(0));
        guest.vcpu.run(500, &guest.bus).unwrap();
        let _ = guest.vcpu.deadline_ticks();
    }
    // Every system register that there can be, read and written by the guest.
    let mut guest = Guest::new();
    for vector in 0..16 {
        let elr = reg(3, 0, 4, 0, 1);
        let skip = [mrs(30, elr), asm::add(30, 30, 4), msr(elr, 30), asm::ERET];
        guest.place(VECTORS + 0x80 * vector, &skip);
    }
    for number in 0x8000..=0xffffu16 {
        let reg = SysReg(number);
        guest.place(
            CODE,
            &[mrs(0, reg), msr(reg, 1), asm::sys(0, 0, 0, 0, 1) | u32::from(number) << 5, HVC],
        );
        guest.set_x(1, random.next());
        guest.set(kvm::PC, CODE);
        guest.set(kvm::PSTATE, support::EL1H);
        guest.vcpu.run(200, &guest.bus).unwrap();
        if number % 64 == 0 {
            let (fresh, _) = Guest::with_mmu();
            guest = fresh;
        }
    }
}

/// Files of KVM of Linux 6.1 have no physical timer, and those of abide 0.1.0 no caches.
#[test]
fn what_older_hosts_do_not_have_may_be_missing() {
    let vcpu = Guest::new().vcpu;
    for id in [kvm::PTIMER_CTL, kvm::PTIMER_CVAL, kvm::PTIMER_CNT, kvm::ccsidr(0)] {
        assert!(!vcpu.requires(id), "{id}");
        assert!(vcpu.reg_ids().contains(&id), "{id}");
    }
    for id in [kvm::TIMER_CTL, kvm::TIMER_CNT, kvm::PC, kvm::v(31), kvm::sysreg(support::ESR)] {
        assert!(vcpu.requires(id), "{id}");
    }
    assert_eq!(vcpu.load(kvm::PTIMER_CTL).ok(), Some(Value::u64(0)), "off");
}

/// A guest that came from KVM goes on reading of its caches what it read there.
#[test]
fn caches_read_as_they_were_saved() {
    let [csselr, ccsidr] = [reg(3, 2, 0, 0, 0), reg(3, 1, 0, 0, 0)];
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.vcpu.store(kvm::ccsidr(2), &Value::u32(0x700f_e01a)).unwrap();
    for (selector, expected) in [(2, 0x700f_e01a), (0, 2), (13, 2), (14, 0)] {
        guest.set_x(1, selector);
        guest.run(&[msr(csselr, 1), mrs(2, ccsidr)]);
        assert_eq!(guest.x(2), expected, "selector {selector}");
    }
    assert_eq!(guest.vcpu.load(kvm::ccsidr(2)).ok(), Some(Value::u32(0x700f_e01a)));
}
