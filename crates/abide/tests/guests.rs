//! A guest that runs, and the commands that reach it.

mod support;

use std::process::Stdio;
use support::{Running, Sandbox, code, shipped_guest, stderr, stdout};

#[test]
fn the_shipped_guest_answers_and_powers_off() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    guest.type_in("help\n");
    guest.wait_for("poweroff");
    guest.wait_for("abide> ");
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}

#[test]
fn a_reset_has_its_own_exit_code() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    guest.type_in("reboot\n");
    assert_eq!(guest.end(), 10);
}

#[test]
fn a_running_guest_is_listed_paused_resumed_and_stopped() {
    let sandbox = Sandbox::new();
    let guest = shipped_guest(&sandbox, "web");
    assert!(stdout(&sandbox.abide(&["ps"])).contains("web"));
    assert_eq!(code(&sandbox.abide(&["pause", "web"])), 0);
    let paused = || -> serde_json::Value {
        let output = sandbox.abide(&["status", "web", "--json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let (first, second) = (paused(), paused());
    assert_eq!(first["state"], "paused");
    assert_eq!(first["guest_ns"], second["guest_ns"], "a paused guest's time stands still");
    assert_eq!(code(&sandbox.abide(&["resume", "web"])), 0);
    assert_eq!(paused()["state"], "running");
    assert_eq!(code(&sandbox.abide(&["stop", "web"])), 0);
    assert_eq!(guest.end(), 13);
    assert!(!stdout(&sandbox.abide(&["ps"])).contains("web"));
}

#[test]
fn a_guest_saved_from_outside_goes_on_with_its_memory() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    guest.type_in("mem\n");
    guest.wait_for("abide> ");
    let saved = sandbox.abide(&["save", "web", "web.abide"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(guest.end(), 12);

    let mut command = sandbox.command(&["restore", "web.abide", "web2"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut back = Running(command.spawn().unwrap());
    back.type_in("time\n");
    back.wait_for("abide> ");
    back.type_in("poweroff\n");
    assert_eq!(back.end(), 0);
}

#[test]
fn saving_where_it_cannot_be_leaves_the_guest_running() {
    let sandbox = Sandbox::new();
    let mut guest = shipped_guest(&sandbox, "web");
    std::fs::write(sandbox.path("there.abide"), b"precious").unwrap();
    for file in ["there.abide", "no/such/directory.abide"] {
        let refused = sandbox.abide(&["save", "web", file]);
        assert_eq!(code(&refused), 1, "{file}");
        assert!(!stderr(&refused).is_empty());
    }
    assert_eq!(std::fs::read(sandbox.path("there.abide")).unwrap(), b"precious");
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}

#[test]
fn names_are_taken_once_and_unknown_ones_refused() {
    let sandbox = Sandbox::new();
    let _guest = shipped_guest(&sandbox, "web");
    let second = sandbox.abide(&["run", "web"]);
    assert_eq!(code(&second), 1);
    assert!(stderr(&second).contains("web"), "{}", stderr(&second));
    let unknown = sandbox.abide(&["status", "nobody"]);
    assert_eq!(code(&unknown), 1);
    assert!(stderr(&unknown).contains("abide ps"), "{}", stderr(&unknown));
}

#[test]
fn a_guest_whose_process_is_stopped_is_listed_and_named() {
    let sandbox = Sandbox::new();
    let guest = shipped_guest(&sandbox, "web");
    let pid = guest.0.id().to_string();
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    let asked = sandbox.abide(&["ps"]);
    assert_eq!(code(&asked), 0, "{}", stderr(&asked));
    assert!(stdout(&asked).contains("web              silent"), "{}", stdout(&asked));
    let said = stderr(&asked);
    assert!(said.contains(&format!("`kill -CONT {pid}` lets it go on")), "{said}");
    let refused = sandbox.abide(&["status", "web"]);
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    signal("-CONT");
    let asked = sandbox.abide(&["ps"]);
    assert!(stdout(&asked).contains("web              running"), "{}", stdout(&asked));
}
