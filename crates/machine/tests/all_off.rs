//! A guest that has switched off every vCPU of its own: it stays as it is until somebody outside
//! ends it, and says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine_soft::SoftEngine;
use abide_machine::TimeSource;
use abide_machine::runner::{Command, Control, Outcome, Reply, RunConfig, control};
use abide_testkit::guest::{asm, x};
use support::restored;
use support::smp::{PSCI_CPU_OFF, image, machine, run_asked, status};

/// Every vCPU, the first too, calls CPU_OFF.
fn leaving(vcpus: u32) -> Vec<u8> {
    image(vcpus, |program, fail| {
        program.call(PSCI_CPU_OFF, &[]);
        // It returned.
        asm!(program.assembler(); mov x0, 1);
        program.branch_if_not_zero(x(0), fail);
    })
}

/// Waits until no vCPU is on.
fn until_all_are_off(control: &Control) {
    while status(control).unwrap().vcpus_on != Some(0) {
        std::thread::yield_now();
    }
}

#[test]
fn it_tells_that_all_are_off_and_is_saved_and_stopped() {
    for time in [TimeSource::Host, TimeSource::Virtual] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("off");
        let mut first = machine(3, &leaving(3), time);
        assert_eq!(first.vcpus_on(), Some(1), "as it is born");
        let outcome = run_asked(&mut first, |control| {
            until_all_are_off(control);
            let (compress, overwrite, keep_running) = (true, false, true);
            let save = Command::Save { path: path.clone(), keep_running, compress, overwrite };
            assert!(matches!(control.ask(save), Some(Reply::Saved { .. })));
            for command in [Command::Pause, Command::Resume] {
                assert!(matches!(control.ask(command), Some(Reply::Done)));
            }
            assert_eq!(status(control).unwrap().vcpus_on, Some(0));
            assert!(matches!(control.ask(Command::Stop), Some(Reply::Done)));
        });
        assert_eq!(outcome, Outcome::Stopped);
        let mut again = restored(&SoftEngine::new(), std::fs::read(&path).unwrap());
        assert_eq!(again.vcpus_on(), Some(0));
        let outcome = run_asked(&mut again, |control| {
            assert_eq!(status(control).unwrap().vcpus_on, Some(0));
            assert!(matches!(control.ask(Command::Stop), Some(Reply::Done)));
        });
        assert_eq!(outcome, Outcome::Stopped);
    }
}

#[test]
fn it_ends_when_nobody_is_left_who_could_end_it() {
    for time in [TimeSource::Host, TimeSource::Virtual] {
        let (control, queue) = control();
        drop(control);
        let result = machine(2, &leaving(2), time).run(&queue, &RunConfig::default());
        assert_eq!(result.unwrap().outcome, Outcome::Stopped);
    }
}
