//! Handoffs of real processes that are cut off: the guest stays, or an operator says whose it is.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use support::handoff::{
    PLAIN, await_state, cut_off, expected, expected_by_tcp, migrate, state, status,
};
use support::{Running, Sandbox, code, shipped_guest, stderr};

/// The word of the destination that is withheld.
const PREPARED: u16 = 9;
const ACKNOWLEDGED: u16 = 11;

fn kill(process: &mut Running) {
    process.0.kill().unwrap();
    process.0.wait().unwrap();
}

/// `migrate NAME --resolve`, and more.
fn resolve(sandbox: &Sandbox, name: &str, more: &[&str]) -> std::process::Output {
    sandbox.abide(&[&["migrate", name, "--resolve", PLAIN[0]], more].concat())
}

/// A guest that is prepared by a destination, whose source was killed.
fn orphaned(sandbox: &Sandbox) -> (Running, String) {
    let mut here = shipped_guest(sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let (there, to) = expected_by_tcp(sandbox, "other", &["--insecure-plain-tcp"]);
    cut_off(sandbox, &to, PREPARED, || {
        let told = status(sandbox, "web");
        assert_eq!(told["state"], "frozen");
        assert!(told["handoff"]["rounds"].as_u64().unwrap() > 0, "{told}");
        kill(&mut here);
    });
    assert_eq!(state(sandbox, "other"), "prepared");
    (there, to)
}

#[test]
fn guest_runs_at_its_destination_where_its_source_is_stated_to_be_gone() {
    let sandbox = Sandbox::new();
    let (mut there, _) = orphaned(&sandbox);
    assert_eq!(status(&sandbox, "web")["state"], "outgoing", "the journal of the dead tells");
    let fenced = resolve(&sandbox, "other", &["--fenced"]);
    assert_eq!(code(&fenced), 0, "{}", stderr(&fenced));
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    assert_eq!(state(&sandbox, "other"), "running");
    // The source's operator says the same of the destination, too late for anybody to run it.
    let buried = resolve(&sandbox, "web", &["--fenced"]);
    assert_eq!(code(&buried), 0, "{}", stderr(&buried));
    assert_eq!(status(&sandbox, "web")["state"], "crashed");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn prepared_guest_is_lost_by_nothing_but_the_word_for_it() {
    let sandbox = Sandbox::new();
    let (mut there, to) = orphaned(&sandbox);
    let pid = Pid::from_child(&there.0);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process(pid, signal).unwrap();
        let said = support::handoff::line_with(&mut there, "no other copy");
        assert!(said.contains("--discard"), "{said}");
    }
    for give_up in [&["stop", "other"][..], &["migrate", "other", "--cancel"]] {
        let refused = sandbox.abide(give_up);
        assert_eq!(code(&refused), 1);
        assert!(stderr(&refused).contains("--discard"), "{}", stderr(&refused));
    }
    assert_eq!(state(&sandbox, "other"), "prepared");
    assert_eq!(code(&resolve(&sandbox, "web", &["--discard"])), 1, "none is prepared there");
    assert_eq!(code(&resolve(&sandbox, "other", &["--discard"])), 0);
    await_state(&sandbox, "other", "expected");
    // The source's journal hears of it from the destination, and knows then that it has crashed.
    let resolved = resolve(&sandbox, "web", &[&to, PLAIN[1]]);
    assert_eq!(code(&resolved), 1);
    assert!(stderr(&resolved).contains("has crashed"), "{}", stderr(&resolved));
    assert_eq!(status(&sandbox, "web")["state"], "crashed");
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(there.end(), 1, "nothing holds it any more");
    let told = status(&sandbox, "other");
    assert_eq!((&told["state"], &told["pid"]), (&"discarded".into(), &().into()));
}

#[test]
fn guest_is_its_sources_again_where_its_destination_is_stated_to_be_gone() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let moved = cut_off(&sandbox, &to, ACKNOWLEDGED, || {
        kill(&mut there);
        // It asks for ever, for the destination could have taken it.
        assert_eq!(state(&sandbox, "web"), "given away");
        assert_eq!(code(&resolve(&sandbox, "web", &[])), 1);
        assert_eq!(code(&resolve(&sandbox, "web", &["--fenced"])), 0);
    });
    assert_eq!(code(&moved), 1);
    assert!(stderr(&moved).contains("goes on here"), "{}", stderr(&moved));
    assert_eq!(state(&sandbox, "web"), "running");
    here.type_in("uptime\n");
    here.wait_for("abide> ");
    assert_eq!(status(&sandbox, "other")["state"], "crashed", "by the journal there");
    // Its epoch is a later one than the destination's was.
    let mut next = expected(&sandbox, "next", "s", &[]);
    let moved = migrate(&sandbox, "web", "s");
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(told["epoch"], 4, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    next.type_in("poweroff\n");
    assert_eq!(next.end(), 0);
}

#[test]
fn guest_whose_source_is_killed_is_the_destinations_once_that_is_resolved() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    // The source's process is killed when the destination is prepared.
    cut_off(&sandbox, &to, 9, || {
        here.0.kill().unwrap();
        here.0.wait().unwrap();
    });
    assert_eq!(state(&sandbox, "other"), "prepared");
    let untold = sandbox.abide(&["migrate", "web", "--resolve", PLAIN[0]]);
    assert_eq!(code(&untold), 1);
    let words = stderr(&untold);
    assert!(words.contains("here, guest") && words.contains("give the destination"), "{words}");
    let resolved = sandbox.abide(&["migrate", "web", &to, "--resolve", PLAIN[0], PLAIN[1]]);
    assert_eq!(code(&resolved), 0, "{}", stderr(&resolved));
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn guest_whose_source_never_heard_of_its_arrival_goes_on_to_others() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let (there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    // The source's process is killed when the destination says that it runs.
    cut_off(&sandbox, &to, 11, || {
        here.0.kill().unwrap();
        here.0.wait().unwrap();
    });
    let mut next = expected(&sandbox, "next", "s", &[]);
    let moved = migrate(&sandbox, "other", "s");
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(there.end(), 14);
    // The destination's journal still tells the source that the guest was taken there.
    let (_again, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let resolved = sandbox.abide(&["migrate", "web", &to, "--resolve", PLAIN[0], PLAIN[1]]);
    assert_eq!(code(&resolved), 0, "{}", stderr(&resolved));
    next.type_in("poweroff\n");
    assert_eq!(next.end(), 0);
}

#[test]
fn guest_stays_whatever_word_before_the_record_is_lost_and_the_next_try_succeeds() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    // Welcome, accept, the end of a round, prepared.
    for kind in [2, 4, 7, 9] {
        let moved = cut_off(&sandbox, &to, kind, || {});
        assert_eq!(code(&moved), 1, "type {kind}");
        assert_eq!(state(&sandbox, "web"), "running", "type {kind}");
        here.type_in("mem check\n");
        let said = here.wait_for("abide> ");
        assert!(said.contains("intact"), "type {kind}: {said}");
    }
    assert_eq!(state(&sandbox, "other"), "prepared", "its source's word was lost too");
    let moved = sandbox.abide(&["migrate", "web", &to, PLAIN[0], PLAIN[1]]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}
