//! Running: commands between slices, saves on the way, time while nobody runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine::Stop;
use abide_machine::board::{RTC_BASE, UART_BASE};
use abide_machine::runner::{
    Command, Control, Outcome, Reply, RunConfig, RunResult, SavePoint, Status, control,
};
use abide_machine::{Machine, TimeSource};
use abide_snapshot::Reader;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{BOARD, KERNEL, MockEngine, born, born_with, file_with, restored};

const PL011_DR: u64 = UART_BASE.0;
const PL011_FR: u64 = UART_BASE.0 + 0x18;
const PL031_DR: u64 = RTC_BASE.0;
const PL031_MR: u64 = RTC_BASE.0 + 0x04;
const PL031_IMSC: u64 = RTC_BASE.0 + 0x10;
const PL031_MIS: u64 = RTC_BASE.0 + 0x18;

/// A guest that never ends and retires 1000 instructions in each slice.
fn busy() -> MockEngine {
    MockEngine::new(|turn| {
        turn.clock.retire(1000);
        Stop::Budget
    })
}

/// A guest that powers off after so many slices of 1000 instructions.
fn busy_for(slices: u64) -> MockEngine {
    MockEngine::new(move |turn| {
        turn.clock.retire(1000);
        if turn.next_step() + 1 < slices { Stop::Budget } else { turn.power_off() }
    })
}

/// Runs the machine while `ask` talks to it from another thread.
fn run_asked(machine: &mut Machine, ask: impl FnOnce(Control) + Send) -> RunResult {
    let (control, queue) = control();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let stop = control.clone();
            let asked = catch_unwind(AssertUnwindSafe(|| ask(control)));
            if asked.is_err() {
                // Else the machine would run on, and the test would not end with its failure.
                let _ = stop.ask(Command::Stop);
            }
            asked
        });
        let result = machine.run(&queue, &RunConfig::default()).unwrap();
        drop(queue);
        match asking.join().unwrap() {
            Ok(()) => result,
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Runs it with nobody to ask.
fn run_alone(machine: &mut Machine, config: &RunConfig) -> RunResult {
    let (_, queue) = control();
    machine.run(&queue, config).unwrap()
}

fn status(control: &Control) -> Status {
    match control.ask(Command::Status) {
        Some(Reply::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

/// Asks until the guest is further than it was: two commands may be served between two slices.
fn wait_for_progress(control: &Control, before: u64) {
    while status(control).instructions <= before {}
}

fn done(control: &Control, command: Command) {
    let reply = control.ask(command);
    assert!(matches!(reply, Some(Reply::Done)), "{reply:?}");
}

fn type_in(control: &Control, bytes: &[u8]) {
    let reply = control.ask(Command::Input(bytes.to_vec()));
    assert!(matches!(reply, Some(Reply::Typed { taken }) if taken == bytes.len()), "{reply:?}");
}

fn save(path: PathBuf, keep_running: bool) -> Command {
    Command::Save { path, keep_running, compress: false, overwrite: false }
}

// ---- Commands ----

#[test]
fn commands_are_served_between_slices() {
    let mut machine = born(&busy(), KERNEL);
    let result = run_asked(&mut machine, |control| {
        let first = status(&control);
        assert_eq!((first.paused, first.engine, first.vcpu_count), (false, "mock", 2));
        assert_eq!((first.ram_len, first.deterministic), (BOARD.ram_len, true));
        assert!(first.instructions.is_multiple_of(1000), "{first:?}");
        done(&control, Command::Pause);
        let (paused, later) = (status(&control), status(&control));
        assert!(paused.paused);
        assert_eq!(paused, later, "a paused guest stands still");
        done(&control, Command::Resume);
        let resumed = status(&control);
        assert!(!resumed.paused);
        wait_for_progress(&control, resumed.instructions);
        done(&control, Command::Stop);
        assert!(control.ask(Command::Status).is_none(), "it has ended");
    });
    assert_eq!(result.outcome, Outcome::Stopped);
    assert!(result.failed_saves.is_empty());
}

#[test]
fn pausing_twice_and_resuming_twice_is_once() {
    let mut machine = born(&busy(), KERNEL);
    run_asked(&mut machine, |control| {
        for _ in 0..2 {
            done(&control, Command::Pause);
        }
        assert!(status(&control).paused);
        done(&control, Command::Resume);
        assert!(!status(&control).paused);
        done(&control, Command::Resume);
        assert!(!status(&control).paused);
        done(&control, Command::Stop);
    });
}

#[test]
fn typed_input_reaches_the_guest_in_order() {
    // Echoes what it reads, and ends at a dot.
    let engine = MockEngine::new(|turn| {
        while turn.read(PL011_FR) & 1 << 4 == 0 {
            let byte = turn.read(PL011_DR) & 0xff;
            if byte == u64::from(b'.') {
                return turn.power_off();
            }
            turn.write(PL011_DR, byte);
        }
        turn.clock.retire(1000);
        Stop::Budget
    });
    let mut machine = born(&engine, KERNEL);
    let typed = b"more than a FIFO of one character holds".to_vec();
    let result = run_asked(&mut machine, |control| {
        type_in(&control, &typed);
        type_in(&control, b".");
    });
    assert_eq!(result.outcome, Outcome::PoweredOff);
    assert_eq!(machine.console_bytes(), typed.len() as u64);
    let state = machine.state().unwrap();
    let console = state.iter().find(|unit| unit.unit.as_str() == "console").unwrap();
    let crc = console.entries[1].value.to_u32();
    assert_eq!(crc, Some(crc32c::crc32c(&typed)), "in order, none lost, none doubled");
}

#[test]
fn input_that_waits_while_paused_is_read_after_the_resume() {
    let engine = MockEngine::new(|turn| {
        if turn.read(PL011_FR) & 1 << 4 == 0 { turn.power_off() } else { Stop::Budget }
    });
    let mut machine = born(&engine, KERNEL);
    let result = run_asked(&mut machine, |control| {
        done(&control, Command::Pause);
        type_in(&control, b"x");
        assert!(status(&control).paused);
        done(&control, Command::Resume);
    });
    assert_eq!(result.outcome, Outcome::PoweredOff);
}

// ---- Saving ----

#[test]
fn save_that_fails_leaves_the_guest_running_and_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().join("existing");
    std::fs::write(&existing, b"precious").unwrap();
    let mut machine = born(&busy(), KERNEL);
    let result = run_asked(&mut machine, |control| {
        for path in [folder.path().join("no/such/folder"), existing.clone(), folder.path().into()] {
            let before = status(&control).instructions;
            let reply = control.ask(save(path.clone(), false));
            let Some(Reply::Failed(error)) = reply else { panic!("{path:?}: {reply:?}") };
            let text = error.to_string();
            assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
            assert!(!status(&control).paused);
            wait_for_progress(&control, before);
        }
        done(&control, Command::Stop);
    });
    assert_eq!(result.outcome, Outcome::Stopped);
    assert_eq!(std::fs::read(&existing).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no half file");
}

#[test]
fn save_that_keeps_running_keeps_running_and_one_that_does_not_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (folder.path().join("first"), folder.path().join("last"));
    let mut machine = born(&busy(), KERNEL);
    let result = run_asked(&mut machine, |control| {
        let reply = control.ask(save(first.clone(), true));
        let Some(Reply::Saved { file_len }) = reply else { panic!("{reply:?}") };
        assert_eq!(file_len, std::fs::metadata(&first).unwrap().len());
        wait_for_progress(&control, status(&control).instructions);
        assert!(matches!(control.ask(save(last.clone(), false)), Some(Reply::Saved { .. })));
        assert!(control.ask(Command::Status).is_none());
    });
    assert_eq!(result.outcome, Outcome::SavedAway);
    assert_eq!(of_file(&last).state().unwrap(), machine.state().unwrap());
    assert!(of_file(&first).instructions() < machine.instructions());
}

#[test]
fn guest_saved_while_paused_stays_paused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paused");
    let mut machine = born(&busy(), KERNEL);
    run_asked(&mut machine, |control| {
        done(&control, Command::Pause);
        let before = status(&control);
        assert!(matches!(control.ask(save(path.clone(), true)), Some(Reply::Saved { .. })));
        assert_eq!(status(&control), before);
        done(&control, Command::Stop);
    });
    assert_eq!(of_file(&path).state().unwrap(), machine.state().unwrap());
}

fn of_file(path: &Path) -> Machine {
    restored(&MockEngine::idle(), std::fs::read(path).unwrap())
}

#[test]
fn save_points_are_met_at_the_next_end_of_a_slice() {
    let folder = tempfile::tempdir().unwrap();
    let point = |instructions| SavePoint {
        instructions,
        path: folder.path().join(instructions.to_string()),
    };
    // Before the first instruction, within one slice twice, at an edge, past the guest's end.
    let counts = [0, 1500, 1600, 3000, 99_000];
    let config = RunConfig {
        save_points: counts.map(point).to_vec(),
        keep_running: true,
        compress: true,
        ..RunConfig::default()
    };
    let mut machine = born(&busy_for(6), KERNEL);
    let result = run_alone(&mut machine, &config);
    assert_eq!(result.outcome, Outcome::PoweredOff);
    assert!(result.failed_saves.is_empty());
    for (count, expected) in [(0, 0), (1500, 2000), (1600, 2000), (3000, 3000)] {
        assert_eq!(of_file(&point(count).path).instructions(), expected, "{count}");
    }
    assert!(!point(99_000).path.exists());
    // Saving moved nothing, and each file leads to the same end.
    let mut untouched = born(&busy_for(6), KERNEL);
    run_alone(&mut untouched, &RunConfig::default());
    assert_eq!(machine.state_hash().unwrap(), untouched.state_hash().unwrap());
    for count in [0, 1500, 3000] {
        let file = std::fs::read(point(count).path).unwrap();
        let mut again = restored(&busy_for(6), file);
        assert_eq!(run_alone(&mut again, &RunConfig::default()).outcome, Outcome::PoweredOff);
        assert_eq!(again.state_hash().unwrap(), untouched.state_hash().unwrap(), "from {count}");
    }
}

#[test]
fn last_save_point_ends_the_run_unless_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let good = SavePoint { instructions: 1000, path: folder.path().join("good") };
    let bad = |instructions| SavePoint { instructions, path: folder.path().join("no/bad") };
    let run = |save_points| {
        let mut machine = born(&busy_for(6), KERNEL);
        let config = RunConfig { save_points, ..RunConfig::default() };
        let result = run_alone(&mut machine, &config);
        (result.outcome, result.failed_saves.len(), machine.instructions())
    };
    assert_eq!(run(vec![good.clone()]), (Outcome::SavedAway, 0, 1000));
    // The guest is not lost because its file is.
    assert_eq!(run(vec![good.clone(), bad(2000)]), (Outcome::PoweredOff, 1, 6000));
    assert_eq!(run(vec![bad(0), good]), (Outcome::SavedAway, 1, 1000));
}

// ---- Idle ----

#[test]
fn idle_virtual_machine_warps_to_the_alarm() {
    let engine = MockEngine::new(|turn| match turn.next_step() {
        0 => {
            let now_s = turn.read(PL031_DR);
            turn.write(PL031_IMSC, 1);
            turn.write(PL031_MR, now_s + 100);
            Stop::Idle
        }
        1 => {
            assert_eq!(turn.read(PL031_MIS), 1, "woken by the alarm");
            turn.power_off()
        }
        step => panic!("step {step}"),
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::PoweredOff);
    assert_eq!(machine.guest_ns(), 100_000_000_000);
    assert_eq!(machine.instructions(), 0);
}

#[test]
fn idle_virtual_machine_warps_to_the_earliest_of_alarm_and_timers() {
    const TIMER_TICKS: u64 = 12_345;
    let engine = MockEngine::new(|turn| match turn.next_step() {
        0 => {
            let now_s = turn.read(PL031_DR);
            turn.write(PL031_IMSC, 1);
            turn.write(PL031_MR, now_s + 1);
            *turn.deadline = Some(TIMER_TICKS);
            Stop::Idle
        }
        1 => {
            assert_eq!(turn.clock.now_ticks(), TIMER_TICKS);
            assert_eq!(turn.read(PL031_MIS), 0, "the alarm is later");
            *turn.deadline = None;
            Stop::Idle
        }
        2 => {
            assert_eq!(turn.clock.now_ticks(), BOARD.cntfrq_hz);
            turn.power_off()
        }
        step => panic!("step {step}"),
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::PoweredOff);
}

#[test]
fn machine_that_is_idle_for_ever_with_nobody_to_ask_ends() {
    let mut machine = born(&MockEngine::idle(), KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::Stopped);
    // So does one whose last CPU switched itself off.
    let engine = MockEngine::new(|turn| turn.call(0x8400_0002, &[]).unwrap());
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::Stopped);
}

#[test]
fn deadline_that_wakes_nobody_does_not_keep_an_idle_machine_busy() {
    // A timer that fired long ago while its interrupt is masked.
    let engine = MockEngine::new(|turn| {
        *turn.deadline = Some(5);
        Stop::Idle
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::Stopped);
    assert_eq!(machine.guest_ns(), 80, "it came to the deadline");
}

#[test]
fn alarms_until_the_end_of_time_end_the_run() {
    // Sets the alarm as far ahead as it goes, 136 years, and waits for it, again and again.
    let engine = MockEngine::new(|turn| {
        let now_s = turn.read(PL031_DR);
        turn.write(RTC_BASE.0 + 0x1c, 1);
        turn.write(PL031_IMSC, 1);
        turn.write(PL031_MR, now_s.wrapping_sub(1) & 0xffff_ffff);
        turn.next_step();
        Stop::Idle
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::Stopped);
    let again = restored(&MockEngine::idle(), file_with(&machine, |_| ()));
    assert_eq!(again.state().unwrap(), machine.state().unwrap());
}

#[test]
fn cpu_whose_deadline_passes_while_another_runs_gets_its_turn() {
    let engine = MockEngine::new(|turn| {
        use abide_arm64::kvm;
        if turn.id.0 == 1 {
            // Past the first CPU's deadline, and then waits.
            turn.clock.retire(8000);
            return Stop::Idle;
        }
        match turn.next_step() {
            0 => turn.call(0xc400_0003, &[1, turn.x(kvm::PC), 0]).unwrap(),
            1 => {
                *turn.deadline = Some(turn.clock.now_ticks() + 10);
                Stop::Idle
            }
            _ => {
                assert!(turn.clock.now_ticks() >= 1000);
                turn.power_off()
            }
        }
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::PoweredOff);
}

#[test]
fn paused_machine_that_nobody_can_resume_ends() {
    let mut machine = born(&busy(), KERNEL);
    let result = run_asked(&mut machine, |control| done(&control, Command::Pause));
    assert_eq!(result.outcome, Outcome::Stopped);
}

#[test]
fn idle_machine_is_woken_by_input() {
    let engine = MockEngine::new(|turn| {
        if turn.read(PL011_FR) & 1 << 4 == 0 { turn.power_off() } else { Stop::Idle }
    });
    let mut machine = born(&engine, KERNEL);
    let result = run_asked(&mut machine, |control| {
        assert!(!status(&control).paused);
        type_in(&control, b"x");
    });
    assert_eq!(result.outcome, Outcome::PoweredOff);
}

#[test]
fn alarm_survives_a_restore_while_idle() {
    let folder = tempfile::tempdir().unwrap();
    let engine = MockEngine::new(|turn| match turn.next_step() {
        0 => {
            let now_s = turn.read(PL031_DR);
            turn.write(PL031_IMSC, 1);
            turn.write(PL031_MR, now_s + 100);
            turn.clock.retire(1000);
            Stop::Budget
        }
        1 => Stop::Idle,
        2 => {
            assert_eq!(turn.read(PL031_MIS), 1);
            turn.power_off()
        }
        step => panic!("step {step}"),
    });
    let path = folder.path().join("idle");
    let save_points = vec![SavePoint { instructions: 1, path: path.clone() }];
    let config = RunConfig { save_points, ..RunConfig::default() };
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &config).outcome, Outcome::SavedAway);
    let mut again = restored(&engine, std::fs::read(&path).unwrap());
    assert_eq!(run_alone(&mut again, &RunConfig::default()).outcome, Outcome::PoweredOff);
    assert_eq!(again.guest_ns(), 100_000_000_000);
}

// ---- Power ----

#[test]
fn each_end_of_a_guest_has_its_outcome() {
    let ends = [(0x8400_0008, Outcome::PoweredOff), (0x8400_0009, Outcome::Reset)];
    for (function, outcome) in ends {
        let engine = MockEngine::new(move |turn| turn.call(function, &[]).unwrap());
        let mut machine = born(&engine, KERNEL);
        assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, outcome);
        // A panic said before is what happened.
        let engine = MockEngine::new(move |turn| {
            for &byte in b"---[ end Kernel panic - not syncing" {
                turn.write(PL011_DR, byte.into());
            }
            turn.call(function, &[]).unwrap()
        });
        let mut machine = born(&engine, KERNEL);
        assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::Panicked);
    }
}

#[test]
fn second_cpu_is_switched_on_with_its_context_and_saved_as_it_is() {
    let ran = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&ran);
    let engine = MockEngine::new(move |turn| {
        use abide_arm64::kvm;
        if turn.id.0 == 1 {
            seen.fetch_add(1, Ordering::Relaxed);
            assert_eq!((turn.x(kvm::PC), turn.x(kvm::x(0))), (0x4010_0000, 77));
            return turn.power_off();
        }
        if turn.next_step() > 0 {
            return Stop::Budget;
        }
        turn.call(0xc400_0003, &[1, 0x4010_0000, 77]).unwrap()
    });
    let mut machine = born(&engine, KERNEL);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::PoweredOff);
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    // PSCI of the restored machine knows that it is on: 0 says so.
    let file = file_with(&machine, |_| ());
    let answer = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&answer);
    let engine = MockEngine::new(move |turn| {
        let mut x = [0; abide_engine::SMCCC_REGISTERS];
        x[..3].copy_from_slice(&[0xc400_0004, 1, 0]);
        turn.bus.smccc(turn.id, &mut x);
        told.store(x[0], Ordering::Relaxed);
        turn.power_off()
    });
    run_alone(&mut restored(&engine, file), &RunConfig::default());
    assert_eq!(answer.load(Ordering::Relaxed), 0, "AFFINITY_INFO: on");
}

// ---- Engines whose slices do not end by themselves ----

#[test]
fn engine_that_runs_until_kicked_notices_every_command() {
    let engine = MockEngine::new(|turn| {
        turn.kicked.wait();
        Stop::Kicked
    });
    let engine = MockEngine { counts_instructions: false, ..engine };
    for time in [TimeSource::Virtual, TimeSource::Host] {
        let mut machine = born_with(&engine, KERNEL, BOARD, time);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kicked");
        let result = run_asked(&mut machine, |control| {
            assert!(!status(&control).paused);
            done(&control, Command::Pause);
            assert!(status(&control).paused);
            done(&control, Command::Resume);
            type_in(&control, b"x");
            assert!(matches!(control.ask(save(path.clone(), true)), Some(Reply::Saved { .. })));
            assert!(!status(&control).paused);
            done(&control, Command::Stop);
        });
        assert_eq!(result.outcome, Outcome::Stopped);
        assert_eq!(of_file(&path).is_deterministic(), time == TimeSource::Virtual);
    }
}

#[test]
fn machine_on_host_time_stands_still_while_it_does_not_run() {
    let mut machine = born_with(&busy_for(3), KERNEL, BOARD, TimeSource::Host);
    assert_eq!(machine.guest_ns(), 0);
    assert_eq!(run_alone(&mut machine, &RunConfig::default()).outcome, Outcome::PoweredOff);
    let ended = machine.guest_ns();
    let again = restored(&MockEngine::idle(), file_with(&machine, |_| ()));
    assert_eq!((machine.guest_ns(), again.guest_ns()), (ended, ended));
    let reader = Reader::from_bytes(file_with(&again, |_| ())).unwrap();
    assert_eq!(reader.ram_ranges()[0].size, BOARD.ram_len);
}
