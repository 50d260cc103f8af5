//! Another program takes over a running guest, in the place of the one that has it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use support::{Running, Sandbox, code, demo_guest, shipped_guest, stderr};

fn upgrade(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.abide(&[&["upgrade", "web"][..], more].concat())
}

fn status(sandbox: &Sandbox) -> serde_json::Value {
    let output = sandbox.abide(&["status", "web", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// A program that claims to have a handoff and then does what the script says.
fn script(sandbox: &Sandbox, then: &str) -> String {
    let path = sandbox.path("program");
    let text =
        format!("#!/bin/sh\nif [ \"$2\" = --help ]; then echo --takes-over; exit; fi\n{then}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn guest_keeps_name_console_and_memory_in_three_programs() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    guest.type_in("mem\n");
    guest.wait_for("abide> ");
    let mut processes = vec![status(&sandbox)["pid"].clone()];
    for epoch in 2..=4 {
        let moved = upgrade(&sandbox, &["--json", "--report", "swap.html"]);
        assert_eq!(code(&moved), 0, "{}", stderr(&moved));
        let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
        assert_eq!((&told["epoch"], &told["memory"]), (&epoch.into(), &"descriptor".into()));
        let now = status(&sandbox);
        assert_eq!(now["state"], "running");
        assert!(!processes.contains(&now["pid"]), "{now} is none of {processes:?}");
        processes.push(now["pid"].clone());
        // Who reads and types notices nothing.
        guest.type_in("mem check\n");
        let said = guest.wait_for("abide> ");
        assert!(said.contains("intact"), "{said}");
    }
    let page = std::fs::read_to_string(sandbox.path("swap.html")).unwrap();
    assert!(page.contains("<svg"), "{page}");
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0, "the first process ends as the last one does");
    assert!(!sandbox.path("state/abide/web").exists(), "the place is left");
}

#[test]
fn guest_is_ended_wherever_it_is() {
    let sandbox = Sandbox::new();
    let guest = shipped_guest(&sandbox, "web");
    assert_eq!(code(&upgrade(&sandbox, &[])), 0);
    assert_eq!(code(&sandbox.abide(&["stop", "web"])), 0);
    assert_eq!(guest.end(), 13);

    let guest = shipped_guest(&sandbox, "web");
    assert_eq!(code(&upgrade(&sandbox, &[])), 0);
    // Who started it knows the first process only.
    let first = rustix::process::Pid::from_child(&guest.0);
    rustix::process::kill_process(first, rustix::process::Signal::TERM).unwrap();
    assert_eq!(guest.end(), 13);
    assert_eq!(code(&sandbox.abide(&["status", "web"])), 1);
}

#[test]
fn guest_goes_on_where_the_other_program_fails() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    guest.type_in("mem\n");
    guest.wait_for("abide> ");
    let before = status(&sandbox)["pid"].clone();
    let abide = env!("CARGO_BIN_EXE_abide");
    let wrong = [
        // It refuses, ends, or does something else.
        (script(&sandbox, "exit 3"), "ended before it could take it (exit status: 3)"),
        ("/bin/true".to_owned(), "does not answer as abide does"),
        ("/nowhere".to_owned(), "/nowhere"),
    ];
    for (program, why) in &wrong {
        let failed = upgrade(&sandbox, &["--to", program]);
        assert_eq!(code(&failed), 1, "{program}");
        assert!(stderr(&failed).contains(why), "{}", stderr(&failed));
        guest.type_in("mem check\n");
        assert!(guest.wait_for("abide> ").contains("intact"));
        assert_eq!(
            (&status(&sandbox)["pid"], &status(&sandbox)["state"]),
            (&before, &"running".into())
        );
    }
    // It cannot have the guest's stolen time.
    let lacking = script(&sandbox, &format!("exec {abide} \"$@\" --stolen-time none"));
    let failed = upgrade(&sandbox, &["--to", &lacking]);
    assert_eq!(code(&failed), 1);
    let said = stderr(&failed);
    assert!(said.contains("goes on here") && said.contains("pvtime"), "{said}");
    guest.type_in("mem check\n");
    assert!(guest.wait_for("abide> ").contains("intact"));
    // What failed left nothing that is in the way of the next.
    assert_eq!(code(&upgrade(&sandbox, &["--to", abide])), 0);
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}

#[test]
fn repeatable_guest_ends_as_if_nobody_had_touched_it() {
    let sandbox = Sandbox::new();
    assert_eq!(code(&sandbox.run_demo_guest("untouched", &[])), 0);
    let kernel = demo_guest();
    let mut args = vec!["run", "web", "--deterministic", "--memory", "64M", "--kernel"];
    args.extend([kernel.to_str().unwrap(), "--report", "web.json"]);
    let mut command = sandbox.command(&args);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guest = Running(command.spawn().unwrap());
    guest.wait_for("\n");
    let moved = upgrade(&sandbox, &[]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    drop(guest.0.stdout.take());
    assert_eq!(guest.end(), 0);
    let (untouched, upgraded) = (sandbox.report("untouched"), sandbox.report("web"));
    assert_eq!(upgraded["arrival"]["epoch"], 2, "{upgraded}");
    for field in ["state_hash", "instructions", "console_bytes"] {
        assert_eq!(upgraded[field], untouched[field], "{field}");
    }
}
