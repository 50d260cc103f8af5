//! Guests go through standard input and output, as through ssh.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use support::handoff::{PLAIN, await_state, forward_until, line_with, state, status};
use support::{Running, Sandbox, code, shipped_guest, stderr};

/// A command of the shell that expects `other`. By `exec` the shell keeps nothing of this test's.
fn receive(sandbox: &Sandbox) -> String {
    let abide = env!("CARGO_BIN_EXE_abide");
    let log = sandbox.path("console");
    format!("exec:exec {abide} receive other - --engine soft {} 2>{}", PLAIN[0], log.display())
}

#[test]
fn guest_goes_through_a_command_of_the_shell_and_prints_beside_it() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let to = receive(&sandbox);
    let told = sandbox.abide(&["migrate", "web", &to, "--dry-run", "--json", PLAIN[0]]);
    assert_eq!(code(&told), 0, "{}", stderr(&told));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told["forecast"]["bytes_per_s"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(state(&sandbox, "web"), "running");
    // Who expected it saw the tunnel end, and has ended.
    while support::handoff::is_there(&sandbox, "other") {}
    here.type_in("mem\n");
    here.wait_for("abide> ");
    here.type_in("mem check\n");
    let moved = sandbox.abide(&["migrate", "web", &to, PLAIN[0], "--json"]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&told["memory"], &told["to"]), (&"stream".into(), &to.into()));
    assert_eq!(here.end(), 14);
    assert_eq!(state(&sandbox, "other"), "running", "though its tunnel has ended");
    let said = std::fs::read_to_string(sandbox.path("console")).unwrap();
    assert!(said.contains("is expected at -"), "{said}");
    assert_eq!(code(&sandbox.abide(&["stop", "other"])), 0);
}

#[test]
fn guest_goes_through_pipes_and_its_console_does_not() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("count 40\n");
    here.wait_for("3");
    let mut command = sandbox.command(&["receive", "other", "-", "--engine", "soft", PLAIN[0]]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut there = Running(command.spawn().unwrap());
    let mut moving = sandbox.command(&["migrate", "web", "-", PLAIN[0]]);
    moving.stdin(there.0.stdout.take().unwrap()).stdout(there.0.stdin.take().unwrap());
    let moved = moving.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    line_with(&mut there, "40");
    assert_eq!(code(&sandbox.abide(&["stop", "other"])), 0);
    assert_eq!(there.end(), 13);
}

/// Gives the command one end of a tunnel, and returns the other.
fn tunnel_of(command: &mut Command) -> UnixStream {
    let (near, far) = UnixStream::pair().unwrap();
    let far = OwnedFd::from(far);
    command.stdin(far.try_clone().unwrap()).stdout(far).stderr(Stdio::piped());
    near
}

#[test]
fn what_went_through_a_tunnel_that_is_cut_is_dropped_by_the_word_for_it() {
    /// The destination's last word, that it took the guest.
    const ACKNOWLEDGED: u16 = 11;
    let sandbox = Sandbox::new();
    let here = shipped_guest(&sandbox, "web");
    let mut receiving = sandbox.command(&["receive", "other", "-", "--engine", "soft", PLAIN[0]]);
    let mut moving = sandbox.command(&["migrate", "web", "-", PLAIN[0]]);
    let (far, near) = (tunnel_of(&mut receiving), tunnel_of(&mut moving));
    let there = Running(receiving.spawn().unwrap());
    let moved = moving.spawn().unwrap();
    // Their ends are theirs alone.
    drop((receiving, moving));
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let forward = std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
    forward_until(&far, &near, ACKNOWLEDGED);
    let resolve = |more| sandbox.abide(&["migrate", "web", "--resolve", more, PLAIN[0]]);
    for end in [&far, &near] {
        end.shutdown(Shutdown::Both).ok();
    }
    forward.join().unwrap();
    await_state(&sandbox, "other", "running");
    assert_eq!(state(&sandbox, "web"), "given away", "nobody there can be asked");
    let dropped = resolve("--discard");
    assert_eq!(code(&dropped), 0, "{}", stderr(&dropped));
    let moved = moved.wait_with_output().unwrap();
    assert_eq!(code(&moved), 1);
    assert!(stderr(&moved).contains("as was said"), "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    let told = status(&sandbox, "web");
    assert_eq!((&told["state"], &told["pid"]), (&"given away".into(), &().into()));
    assert_eq!(code(&sandbox.abide(&["stop", "other"])), 0);
    assert_eq!(there.end(), 13);
}

#[test]
fn guest_stays_where_the_tunnel_leads_nowhere() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    for (to, why) in [
        ("exec:true", "goes on here"),
        ("exec:cat", "goes on here"),
        // Standard input is /dev/null.
        ("-", "a pipe or a socket"),
    ] {
        let refused = sandbox.abide(&["migrate", "web", to, PLAIN[0]]);
        assert_eq!(code(&refused), 1, "{to}");
        assert!(stderr(&refused).contains(why), "{to}: {}", stderr(&refused));
        await_state(&sandbox, "web", "running");
    }
    let nobody = sandbox.abide(&["receive", "other", "-", PLAIN[0]]);
    assert!(stderr(&nobody).contains("a pipe or a socket"), "{}", stderr(&nobody));
    let exec = sandbox.abide(&["receive", "other", "exec:cat", PLAIN[0]]);
    assert!(stderr(&exec).contains("is expected at -"), "{}", stderr(&exec));
    let json = sandbox.abide(&["migrate", "web", "-", "--json"]);
    assert!(stderr(&json).contains("no answer can go there"), "{}", stderr(&json));
    here.type_in("poweroff\n");
    assert_eq!(here.end(), 0);
}
