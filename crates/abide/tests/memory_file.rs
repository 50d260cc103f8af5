//! Guests whose memory is in a file, and stays there when they are saved.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use support::{Sandbox, code, stderr, stdout};

/// How the demo guest ends untouched, and what it prints.
fn untouched(sandbox: &Sandbox) -> (Value, String) {
    let output = sandbox.run_demo_guest("untouched", &[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (sandbox.report("untouched"), stdout(&output))
}

/// The demo guest with its memory in `guest.ram`, saved to `kept.abide` after a part of its run.
fn saved_away(sandbox: &Sandbox, end: &Value, sevenths: u64) -> String {
    let at = (end["instructions"].as_u64().unwrap() / 7 * sevenths).to_string();
    let more = ["--memory-file", "guest.ram", "--save-at", &at, "--save-to", "kept.abide"];
    let away = sandbox.run_demo_guest("away", &[&more[..], &["--keep-memory"]].concat());
    assert_eq!(code(&away), 12, "{}", stderr(&away));
    stdout(&away)
}

#[test]
fn guest_whose_memory_stays_in_place_ends_as_if_nothing_had_happened() {
    let sandbox = Sandbox::new();
    let (end, console) = untouched(&sandbox);
    let mut said = saved_away(&sandbox, &end, 2);
    let len = |name: &str| std::fs::metadata(sandbox.path(name)).unwrap().len();
    assert_eq!(len("guest.ram"), (64 << 20) + 65536);
    assert!(len("kept.abide") < 64 << 10, "{} bytes besides memory", len("kept.abide"));
    // A second life in the same memory, and a third elsewhere, by a whole file.
    let total = end["instructions"].as_u64().unwrap();
    for (sevenths, from, to, keep) in
        [(4, "kept.abide", "again.abide", true), (5, "again.abide", "whole.abide", false)]
    {
        let at = (total / 7 * sevenths).to_string();
        let mut args = vec!["restore", from, "next", "--save-at", &at, "--save-to", to];
        args.extend(keep.then_some("--keep-memory"));
        let next = sandbox.abide(&args);
        assert_eq!(code(&next), 12, "{}", stderr(&next));
        assert!(stderr(&next).contains("; memory in place\n"), "{}", stderr(&next));
        said += &stdout(&next);
    }
    let back = sandbox.abide(&["restore", "whole.abide", "back", "--report", "back.json"]);
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert_eq!(sandbox.report("back")["state_hash"], end["state_hash"]);
    assert_eq!(sandbox.report("back")["instructions"], end["instructions"]);
    assert_eq!(said + &stdout(&back), console);
}

#[test]
fn memory_is_restored_once_and_by_its_own_snapshot() {
    let sandbox = Sandbox::new();
    let (end, _) = untouched(&sandbox);
    saved_away(&sandbox, &end, 3);
    let inspected = sandbox.abide(&["inspect", "kept.abide"]);
    assert!(stdout(&inspected).contains("is not in the file, but in /"), "{}", stdout(&inspected));
    let anew = sandbox.run_demo_guest("anew", &["--memory-file", "guest.ram"]);
    assert_eq!(code(&anew), 1);
    assert!(stderr(&anew).contains("holds the memory of a saved guest"), "{}", stderr(&anew));
    // It may move.
    std::fs::rename(sandbox.path("guest.ram"), sandbox.path("moved.ram")).unwrap();
    let lost = sandbox.abide(&["restore", "kept.abide", "lost"]);
    assert_eq!(code(&lost), 1);
    assert!(stderr(&lost).contains("guest.ram: not there"), "{}", stderr(&lost));
    let here = ["restore", "kept.abide", "--memory-file", "moved.ram", "--report", "back.json"];
    let back = sandbox.abide(&here);
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert_eq!(sandbox.report("back")["state_hash"], end["state_hash"]);
    assert_eq!(sandbox.report("back")["restored_ram"], "in place");
    let twice = sandbox.abide(&here);
    assert_eq!(code(&twice), 1);
    assert!(stderr(&twice).contains("has run since the save"), "{}", stderr(&twice));
}

#[test]
fn whole_snapshot_can_go_to_a_memory_file() {
    let sandbox = Sandbox::new();
    let (end, _) = untouched(&sandbox);
    let at = (end["instructions"].as_u64().unwrap() / 2).to_string();
    let away = sandbox.run_demo_guest("away", &["--save-at", &at, "--save-to", "whole.abide"]);
    assert_eq!(code(&away), 12, "{}", stderr(&away));
    let back = ["restore", "whole.abide", "--memory-file", "guest.ram", "--report", "back.json"];
    let back = sandbox.abide(&back);
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert_eq!(sandbox.report("back")["state_hash"], end["state_hash"]);
    assert!(stderr(&back).contains("goes to a memory file"), "{}", stderr(&back));
}

#[test]
fn guest_without_a_memory_file_is_not_saved_and_goes_on() {
    let sandbox = Sandbox::new();
    let (end, _) = untouched(&sandbox);
    let more = ["--save-at", "1000000", "--save-to", "kept.abide", "--keep-memory"];
    let output = sandbox.run_demo_guest("guest", &more);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("`run --memory-file` gives it one"), "{}", stderr(&output));
    assert!(!sandbox.path("kept.abide").exists());
    assert_eq!(sandbox.report("guest")["state_hash"], end["state_hash"]);
}

#[test]
fn hashed_memory_that_was_changed_is_refused_as_damage() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run", "web", "--memory", "32M", "--memory-file", "ram"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut guest = support::Running(command.spawn().unwrap());
    guest.wait_for("abide> ");
    let busy = sandbox.abide(&["run", "other", "--memory", "32M", "--memory-file", "ram"]);
    assert_eq!(code(&busy), 1);
    assert!(stderr(&busy).contains("in use by another process"), "{}", stderr(&busy));
    let save = sandbox.abide(&["save", "web", "kept.abide", "--keep-memory", "--hash-memory"]);
    assert_eq!(code(&save), 0, "{}", stderr(&save));
    assert!(stderr(&save).contains("its memory stays in its file"), "{}", stderr(&save));
    assert_eq!(guest.end(), 12);
    let mut memory = std::fs::read(sandbox.path("ram")).unwrap();
    memory[20 << 20] ^= 1;
    std::fs::write(sandbox.path("ram"), &memory).unwrap();
    let back = sandbox.abide(&["restore", "kept.abide"]);
    assert_eq!(code(&back), 3, "{}", stderr(&back));
    assert!(stderr(&back).contains("not what it was at the save"), "{}", stderr(&back));
    memory[20 << 20] ^= 1;
    std::fs::write(sandbox.path("ram"), &memory).unwrap();
    let mut command = sandbox.command(&["restore", "kept.abide", "web"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut guest = support::Running(command.spawn().unwrap());
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}
