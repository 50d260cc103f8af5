//! Several vCPUs at the same time: pausing, saving and ending them, whatever they do.

mod support;

use abide_engine::Stop;
use abide_engine_soft::SoftEngine;
use abide_machine::error::MachineError;
use abide_machine::runner::{Command, Control, Outcome, Reply, RunConfig, SavePoint, control};
use abide_machine::{Machine, TimeSource};
use abide_testkit::guest::asm;
use std::path::Path;
use support::smp::{DATA, OWN, WFI, image, machine, run, run_asked, status, word};
use support::{BOARD, KERNEL, MockEngine, born_with, restored};

const UART_DR: u64 = 0x0900_0000;
const UART_FR: u64 = 0x0900_0018;

fn done(control: &Control, command: Command) {
    let reply = control.ask(command);
    assert!(matches!(reply, Some(Reply::Done)), "{reply:?}");
}

fn save(control: &Control, path: &Path) {
    let (path, compress) = (path.to_owned(), true);
    let command = Command::Save { path, keep_running: true, compress, overwrite: true };
    let reply = control.ask(command);
    assert!(matches!(reply, Some(Reply::Saved { .. })), "{reply:?}");
}

/// Each vCPU adds to its own number, to one by exclusives and to one under a lock, as often as the
/// number behind them says, or for ever.
fn busy(vcpus: u32) -> Vec<u8> {
    image(vcpus, |program, _| {
        let [again, add, take, end] = [(); 4].map(|()| program.label());
        asm!(program.assembler(); add x25, x20, OWN; add x26, x25, 1024; mov x27, 0);
        program.bind(again);
        asm!(program.assembler()
            ; ldr x0, [x25, 8]
            ; cmp x27, x0
            ; b.hs =>end
            ; add x27, x27, 1
            ; str x27, [x26, x19, lsl 3]
        );
        program.bind(add);
        asm!(program.assembler()
            ; ldxr x0, [x25]
            ; add x0, x0, 1
            ; stxr w1, x0, [x25]
            ; cbnz w1, =>add
            ; add x2, x25, 64
        );
        program.bind(take);
        asm!(program.assembler()
            ; ldaxr w0, [x2]
            ; cbnz w0, =>take
            ; mov w0, 1
            ; stxr w1, w0, [x2]
            ; cbnz w1, =>take
            ; ldr x0, [x25, 128]
            ; add x0, x0, 1
            ; str x0, [x25, 128]
            ; stlr wzr, [x2]
        );
        program.branch(again);
        program.bind(end);
    })
}

fn set_times(machine: &Machine, times: u64) {
    let place = abide_reg::Gpa(DATA.0 + u64::from(OWN) + 8);
    machine.ram().write(place, &times.to_le_bytes()).expect("inside RAM");
}

#[test]
fn storm_of_pauses_and_saves_loses_nothing_and_each_file_goes_on() {
    const VCPUS: u32 = 8;
    let folder = tempfile::tempdir().expect("a folder");
    let files = [0, 1, 2].map(|n: u32| folder.path().join(n.to_string()));
    let mut guest = machine(VCPUS, &busy(VCPUS), TimeSource::Host);
    set_times(&guest, u64::MAX);
    let outcome = run_asked(&mut guest, |control| {
        for file in &files {
            for _ in 0..40 {
                done(control, Command::Pause);
                let (first, second) = (status(control), status(control));
                assert!(first.as_ref().is_some_and(|status| status.paused));
                assert_eq!(first, second, "a paused guest stands still");
                done(control, Command::Resume);
            }
            save(control, file);
        }
        done(control, Command::Stop);
    });
    assert_eq!(outcome, Outcome::Stopped);
    for file in &files {
        let mut again = restored(&SoftEngine::new(), std::fs::read(file).expect("a file"));
        // Each vCPU goes on from where it was to the end.
        let furthest = (0..VCPUS).map(|vcpu| word(&again, OWN + 1024 + 8 * vcpu)).max();
        let times = furthest.unwrap_or(0) + 100;
        set_times(&again, times);
        assert_eq!(run(&mut again), Outcome::PoweredOff);
        for offset in [0, 128] {
            assert_eq!(word(&again, OWN + offset), u64::from(VCPUS) * times, "at {offset}");
        }
    }
}

fn pause_save_and_stop(guest: &mut Machine, file: &Path) {
    let outcome = run_asked(guest, |control| {
        for _ in 0..10 {
            done(control, Command::Pause);
            done(control, Command::Resume);
        }
        save(control, file);
        done(control, Command::Stop);
    });
    assert_eq!(outcome, Outcome::Stopped);
}

#[test]
fn guest_that_spins_with_interrupts_off_is_paused_saved_and_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    for vcpus in [1, 4, 64] {
        let file = folder.path().join(vcpus.to_string());
        let mut guest =
            machine(vcpus, &image(vcpus, |program, _| program.spin()), TimeSource::Host);
        pause_save_and_stop(&mut guest, &file);
        let saved = restored(&SoftEngine::new(), std::fs::read(&file).expect("a file"));
        assert_eq!(saved.board().vcpu_count, vcpus);
    }
}

#[test]
fn guest_that_waits_for_ever_is_paused_saved_and_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("waits");
    let waiting = image(4, |program, _| {
        let again = program.label();
        program.bind(again);
        program.word(WFI);
        program.branch(again);
    });
    let mut guest = machine(4, &waiting, TimeSource::Host);
    pause_save_and_stop(&mut guest, &file);
    let mut again = restored(&SoftEngine::new(), std::fs::read(&file).expect("a file"));
    let outcome = run_asked(&mut again, |control| done(control, Command::Stop));
    assert_eq!(outcome, Outcome::Stopped);
}

#[test]
fn save_point_is_met_while_all_run_and_the_file_goes_on() {
    const VCPUS: u32 = 4;
    let folder = tempfile::tempdir().expect("a folder");
    let points = [1u64, 300_000, 300_001, 900_000];
    let point = |&instructions: &u64| SavePoint {
        instructions,
        path: folder.path().join(instructions.to_string()),
    };
    let save_points: Vec<SavePoint> = points.iter().map(point).collect();
    let config = RunConfig { save_points: save_points.clone(), ..RunConfig::default() };
    let mut guest = machine(VCPUS, &busy(VCPUS), TimeSource::Host);
    set_times(&guest, u64::MAX);
    let (_control, queue) = control();
    let result = guest.run(&queue, &config).expect("runs");
    assert_eq!((result.outcome, result.failed_saves.len()), (Outcome::SavedAway, 0));
    for point in &save_points {
        let file = std::fs::read(&point.path).expect("a file");
        let mut again = restored(&SoftEngine::new(), file);
        assert!(again.instructions() >= point.instructions);
        let config = RunConfig {
            save_points: vec![SavePoint { instructions: again.instructions(), ..point.clone() }],
            ..RunConfig::default()
        };
        let before = again.instructions();
        let result = again.run(&queue, &config).expect("runs");
        assert_eq!(result.outcome, Outcome::SavedAway, "at once");
        assert_eq!(again.instructions(), before, "it has not run");
    }
}

#[test]
fn defect_in_a_vcpu_ends_the_machine_with_its_name() {
    let engine = MockEngine::new(|turn| {
        if turn.id.0 == 1 {
            panic!("a defect, for a test");
        }
        match turn.next_step() {
            0 => turn.call(0xc400_0003, &[1, turn.x(abide_arm64::kvm::PC), 0]).expect("leaves"),
            _ => Stop::Budget,
        }
    });
    let mut guest = born_with(&engine, KERNEL, BOARD, TimeSource::Host);
    let (control, queue) = control();
    let error = guest.run(&queue, &RunConfig::default()).expect_err("it cannot go on");
    assert!(
        matches!(&error, MachineError::VcpuPanicked { vcpu, message }
            if vcpu.0 == 1 && message.contains("a defect")),
        "{error}"
    );
    drop(queue);
    assert!(control.ask(Command::Status).is_none());
    assert!(guest.state().is_ok(), "the machine has its vCPUs back");
}

#[test]
fn what_is_typed_reaches_a_guest_with_threads_in_order() {
    let engine = MockEngine::new(|turn| {
        while turn.read(UART_FR) & 1 << 4 == 0 {
            let byte = turn.read(UART_DR) & 0xff;
            if byte == u64::from(b'.') {
                return turn.power_off();
            }
            turn.write(UART_DR, byte);
        }
        Stop::Budget
    });
    let mut guest = born_with(&engine, KERNEL, BOARD, TimeSource::Host);
    let typed = b"more than a FIFO of one character holds".repeat(20);
    let outcome = run_asked(&mut guest, |control| {
        for part in [&typed[..], b"."] {
            let reply = control.ask(Command::Input(part.to_vec()));
            assert!(matches!(reply, Some(Reply::Typed { taken }) if taken == part.len()));
        }
    });
    assert_eq!(outcome, Outcome::PoweredOff);
    assert_eq!(guest.console_bytes(), typed.len() as u64);
    let state = guest.state().expect("readable");
    let console = state.iter().find(|unit| unit.unit.as_str() == "console").expect("a console");
    let crc = console.entries[1].value.to_u32();
    assert_eq!(crc, Some(crc32c::crc32c(&typed)), "in order, none lost, none doubled");
}

#[test]
fn end_of_the_guest_meets_whatever_is_asked() {
    // The guest ends by itself while it is paused, saved and asked how it is.
    let folder = tempfile::tempdir().expect("a folder");
    for times in [10, 100, 1000, 10_000] {
        let mut guest = machine(3, &busy(3), TimeSource::Host);
        set_times(&guest, times);
        let outcome = run_asked(&mut guest, |control| {
            while status(control).is_some() {
                let _ = control.ask(Command::Pause);
                let _ = control.ask(Command::Resume);
                let path = folder.path().join("file");
                let (keep_running, compress, overwrite) = (true, false, true);
                let _ = control.ask(Command::Save { path, keep_running, compress, overwrite });
            }
        });
        assert_eq!(outcome, Outcome::PoweredOff);
        assert_eq!(word(&guest, OWN + 128), 3 * times);
    }
}

#[test]
fn registers_of_a_vcpu_on_its_way_to_power_on_are_saved() {
    // CPU_ON and a pause at once: whatever came first, the second CPU is on in the file or not
    // yet asked for, and the restored guest comes to its end.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    for _ in 0..20 {
        let mut guest = machine(16, &busy(16), TimeSource::Host);
        set_times(&guest, 50);
        let (control, queue) = control();
        let path = file.clone();
        let command = Command::Save { path, keep_running: false, compress: true, overwrite: true };
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| control.ask(command));
            let result = guest.run(&queue, &RunConfig::default()).expect("runs");
            drop(queue);
            result.outcome
        });
        if outcome == Outcome::SavedAway {
            let mut again = restored(&SoftEngine::new(), std::fs::read(&file).expect("a file"));
            assert_eq!(run(&mut again), Outcome::PoweredOff);
            assert_eq!(word(&again, OWN + 128), 16 * 50);
        }
    }
}
