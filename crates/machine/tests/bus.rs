//! Whatever a guest does to the bus: no panic, no endless run, and a state that can be saved and
//! taken back.

mod support;

use abide_arm64::SysReg;
use abide_engine::{AfterCall, SMCCC_REGISTERS, Stop, SystemEvent};
use abide_machine::runner::{Outcome, RunConfig, control};
use abide_reg::Gpa;
use abide_testkit::corpus;
use proptest::prelude::*;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::{KERNEL, MockEngine, Turn, born, file_with, restored};

/// Kind, size and where, an address or function or register, and a value.
const OPERATION_LEN: usize = 14;

/// Where the guest's operations begin, in bytes, and that they are all done.
type Script = Arc<Mutex<Vec<[u8; OPERATION_LEN]>>>;

fn script(data: &[u8]) -> Script {
    let (operations, _) = data.as_chunks::<OPERATION_LEN>();
    // The last comes first off.
    Arc::new(Mutex::new(operations.iter().rev().copied().collect()))
}

/// A device's address, if `selector` chooses one: bit 7 leaves the address as it is.
fn aim(selector: u8, address: u32) -> u64 {
    let place = u64::from(address);
    match selector & 0x87 {
        0 => 0x0800_0000 + (place & 0xffff),
        1 => 0x080a_0000 + (place & 0x3_ffff),
        2 => 0x080b_0000 + (place & 0x2_ffff),
        3 => 0x0900_0000 + (place & 0xfff),
        4 => 0x0901_0000 + (place & 0xfff),
        // Where registers are dense.
        5 => 0x0900_0000 + (place & 0x3c),
        6 => 0x0901_0000 + (place & 0x1c),
        7 => place << 12,
        _ => place,
    }
}

/// Functions of every service that the firmware has, and their neighbours.
fn function(selector: u8, number: u32) -> u64 {
    let low = u64::from(number & 0x7f);
    match selector & 7 {
        0 => 0x8400_0000 | low & 0x1f,
        1 => 0xc400_0000 | low & 0x1f,
        2 => 0x8400_0050 | low & 7,
        3 => 0xc400_0053,
        4 => 0x8000_0000 | low & 3 | (low & 4) << 13,
        5 => 0x8600_0000 | low,
        6 => 0xc600_0040 | low & 1,
        _ => u64::from(number),
    }
}

/// Does one operation; a stop if the guest leaves for it.
fn operate(turn: &mut Turn<'_>, operation: [u8; OPERATION_LEN]) -> Option<Stop> {
    let [kind, selector, a0, a1, a2, a3, value @ ..] = operation;
    let place = u32::from_le_bytes([a0, a1, a2, a3]);
    let value = u64::from_le_bytes(value);
    // Odd sizes are not the engine's to make; unaligned addresses are.
    let size = 1 << (kind >> 4 & 3);
    let gpa = Gpa(aim(selector, place));
    let reg = match selector & 3 {
        0 => SysReg(a0.into()),
        // Where CPU interfaces have theirs.
        _ => SysReg::new(3, 0, 12, 8 | u16::from(a0 & 7), (a0 >> 3 & 7).into()),
    };
    let (id, bus) = (turn.id, turn.bus);
    turn.clock.retire(u64::from(kind >> 6));
    match kind & 0xf {
        0..=3 => {
            bus.mmio_write(id, gpa, size, value);
        }
        4..=6 => {
            let read = bus.mmio_read(id, gpa, size);
            let fits = read.is_none_or(|read| size == 8 || read >> (8 * size) == 0);
            assert!(fits, "{read:x?} of {size} bytes at {gpa}");
        }
        7 | 8 => {
            bus.sysreg_write(id, reg, value);
        }
        9 | 10 => {
            bus.sysreg_read(id, reg);
        }
        11 => bus.set_ppi(id, place & 0x3f, value & 1 != 0),
        12 => *turn.deadline = (value & 1 != 0).then(|| value >> (value & 63)),
        _ => return call(turn, function(selector, place), value),
    }
    // A whole WFI now and then.
    (kind == 0xff).then_some(Stop::Idle)
}

fn call(turn: &mut Turn<'_>, function: u64, value: u64) -> Option<Stop> {
    let mut x = [value; SMCCC_REGISTERS];
    x[0] = function;
    // Near numbers name vCPUs, states and services; others are addresses.
    x[1] = if value & 0x100 == 0 { value & 0xff } else { value };
    x[2] = value.rotate_right(9);
    let before = x;
    let after = turn.bus.smccc(turn.id, &mut x);
    assert_eq!(x[4..], before[4..], "results are in x0 to x3");
    match after {
        AfterCall::Continue => None,
        AfterCall::Wait => Some(Stop::Idle),
        AfterCall::Leave => Some(Stop::System(SystemEvent::Noted)),
    }
}

/// Lets a guest do what `data` says, on both of its vCPUs, over as many resets as it asks for.
fn body(data: &[u8]) {
    let script = script(data);
    let left = Arc::clone(&script);
    let engine = MockEngine::new(move |turn| {
        loop {
            let Some(operation) = script.lock().expect("not poisoned").pop() else {
                *turn.deadline = None;
                return Stop::Idle;
            };
            if let Some(stop) = operate(turn, operation) {
                // A timer that fired wakes nobody twice.
                *turn.deadline = turn.deadline.filter(|&at| at > turn.clock.now_ticks());
                return stop;
            }
        }
    });
    let mut machine = born(&engine, KERNEL);
    let (asker, queue) = control();
    drop(asker);
    loop {
        let result = machine.run(&queue, &RunConfig::default()).expect("a guest cannot fail a run");
        // All CPUs off, or waiting for ever: as far as it comes.
        if result.outcome == Outcome::Stopped || left.lock().expect("not poisoned").is_empty() {
            break;
        }
    }
    let again = restored(&MockEngine::idle(), file_with(&machine, |_| ()));
    assert_eq!(again.state().expect("readable"), machine.state().expect("readable"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_guest_leaves_a_state_that_can_be_saved(
        data in proptest::collection::vec(any::<u8>(), 0..OPERATION_LEN * 400),
    ) {
        body(&data);
    }
}

#[test]
fn corpus_replays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let replayed = corpus::replay(folder, 24, body);
    assert!(replayed.files >= 4 && replayed.changes >= 90, "{replayed:?}");
}

/// Every register of every device, with each size, and each value that fills a byte alike.
#[test]
fn sweep_of_the_device_space_does_not_panic() {
    for fill in [0_u64, u64::MAX, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa] {
        let engine = MockEngine::new(move |turn| {
            let regions = [
                (0x0800_0000, 0x1_0000, 4),
                (0x080a_0000, 0x6_0000, 4),
                (0x0900_0000, 0x1008, 1),
                (0x0901_0000, 0x1008, 1),
                // What lies between, and RAM, which is no device.
                (0, 0x5000_0000, 0x10_0004),
            ];
            for (base, len, step) in regions {
                for gpa in (base..base + len).step_by(step).map(Gpa) {
                    for size in [1, 2, 4, 8] {
                        let read = turn.bus.mmio_read(turn.id, gpa, size);
                        let wrote = turn.bus.mmio_write(turn.id, gpa, size, fill);
                        assert_eq!(read.is_some(), wrote.is_some(), "{gpa}");
                    }
                }
            }
            for reg in 0..=u16::MAX {
                turn.bus.sysreg_write(turn.id, SysReg(reg), fill);
                turn.bus.sysreg_read(turn.id, SysReg(reg));
            }
            turn.power_off()
        });
        let mut machine = born(&engine, KERNEL);
        let (_, queue) = control();
        let result = machine.run(&queue, &RunConfig::default()).expect("a guest cannot fail a run");
        assert_eq!(result.outcome, Outcome::PoweredOff);
        let again = restored(&MockEngine::idle(), file_with(&machine, |_| ()));
        assert_eq!(again.state().expect("readable"), machine.state().expect("readable"));
    }
}

#[test]
fn addresses_without_a_device_answer_nothing() {
    let engine = MockEngine::new(|turn| {
        // Before, between and behind devices; the third redistributor; RAM; the end of everything.
        for gpa in [
            0x07ff_ffff,
            0x0801_0000,
            0x080e_0000,
            0x0900_1000,
            0x0901_1000,
            0x0a00_0000,
            0x4000_0000,
            u64::from(u32::MAX),
            1 << 40,
            u64::MAX,
        ] {
            assert_eq!(turn.bus.mmio_read(turn.id, Gpa(gpa), 4), None, "{gpa:#x}");
            assert_eq!(turn.bus.mmio_write(turn.id, Gpa(gpa), 4, 1), None, "{gpa:#x}");
        }
        turn.power_off()
    });
    let mut machine = born(&engine, KERNEL);
    let (_, queue) = control();
    assert_eq!(
        machine.run(&queue, &RunConfig::default()).expect("runs").outcome,
        Outcome::PoweredOff
    );
}

#[test]
fn unknown_calls_are_not_supported() {
    let engine = MockEngine::new(|turn| {
        for function in [0_u64, 0x8500_0000, 0xbf00_0000, 0x8600_1234, u64::from(u32::MAX)] {
            let mut x = [7; SMCCC_REGISTERS];
            x[0] = function;
            assert_eq!(turn.bus.smccc(turn.id, &mut x), AfterCall::Continue);
            assert_eq!(x[0], u64::MAX, "{function:#x}");
        }
        turn.power_off()
    });
    let mut machine = born(&engine, KERNEL);
    let (_, queue) = control();
    assert_eq!(
        machine.run(&queue, &RunConfig::default()).expect("runs").outcome,
        Outcome::PoweredOff
    );
}
