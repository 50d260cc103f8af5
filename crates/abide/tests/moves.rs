//! The right to run: a file of `save --move` gives it once, and the guest is told what it is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use support::{Running, Sandbox, code, shipped_guest, stderr, stdout};

/// A guest that was saved away with the right to run.
fn moved_away(sandbox: &Sandbox, more: &[&str]) {
    let guest = shipped_guest(sandbox, "web");
    let args = [&["save", "web", "web.abide", "--move"], more].concat();
    let saved = sandbox.abide(&args);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert!(stderr(&saved).contains("abide restore --move web.abide"), "{}", stderr(&saved));
    assert_eq!(guest.end(), 12, "its source has ended");
}

/// Restores the file and lets the guest come to its prompt.
fn goes_on(sandbox: &Sandbox, file: &str, name: &str, more: &[&str]) -> Running {
    let args = [&["restore", file, name], more].concat();
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guest = Running(command.spawn().unwrap());
    guest.type_in("time\n");
    guest.wait_for("abide> ");
    guest
}

/// Marker, generation counter and generation as a running guest has them.
fn told(sandbox: &Sandbox, name: &str) -> (u64, u64, String) {
    let file = format!("{name}.look");
    let saved = sandbox.abide(&["save", name, &file, "--keep-running", "--overwrite"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    let (clock, id) = (registers(sandbox, &file, "vmclock"), registers(sandbox, &file, "vmgenid"));
    let number = |id: &str| u64::from_str_radix(clock(id).trim_start_matches("0x"), 16).unwrap();
    (
        number("vmclock.disruption-marker"),
        number("vmclock.vm-generation-counter"),
        id("vmgenid.generation"),
    )
}

fn registers(sandbox: &Sandbox, file: &str, unit: &str) -> impl Fn(&str) -> String {
    let output = sandbox.abide(&["inspect", file, "--unit", unit, "--json"]);
    let seen: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let entries = seen["records"][0]["registers"].as_array().unwrap().clone();
    move |id| {
        let entry = entries.iter().find(|entry| entry["id"] == id).unwrap();
        entry["value"].as_str().unwrap().to_owned()
    }
}

fn right(sandbox: &Sandbox, file: &str) -> serde_json::Value {
    let output = sandbox.abide(&["inspect", file, "--json"]);
    let seen: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    seen["right_to_run"].clone()
}

#[test]
fn moved_guest_is_the_same_one_and_a_restored_one_is_a_copy() {
    let sandbox = Sandbox::new();
    moved_away(&sandbox, &[]);
    assert_eq!(right(&sandbox, "web.abide")["taken"], false);
    let digest = |file: &str| {
        let output = sandbox.abide(&["inspect", file, "--json"]);
        let seen: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        seen["digest"].as_str().unwrap().to_owned()
    };
    let before = digest("web.abide");
    let clock = registers(&sandbox, "web.abide", "vmclock");
    let id = registers(&sandbox, "web.abide", "vmgenid");
    assert_eq!(clock("vmclock.disruption-marker"), "0x0000000000000001");
    // A copy first: it leaves the right where it is.
    let copy = goes_on(&sandbox, "web.abide", "copy", &[]);
    let (marker, counter, generation) = told(&sandbox, "copy");
    assert_eq!((marker, counter), (2, 2));
    assert_ne!(generation, id("vmgenid.generation"));
    assert_eq!(right(&sandbox, "web.abide")["taken"], false);
    let moved = goes_on(&sandbox, "web.abide", "moved", &["--move"]);
    assert_eq!(told(&sandbox, "moved"), (2, 1, id("vmgenid.generation")));
    assert_eq!(right(&sandbox, "web.abide")["taken"], true);
    // The mark leaves the file whole, and its name the same.
    let verified = sandbox.abide(&["verify", "web.abide"]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    assert_eq!(digest("web.abide"), before);
    for mut guest in [copy, moved] {
        guest.type_in("poweroff\n");
        assert_eq!(guest.end(), 0);
    }
    // The second time it is refused, with what to do instead; and that goes.
    let again = sandbox.abide(&["restore", "web.abide", "again", "--move"]);
    assert_eq!(code(&again), 1);
    let words = stderr(&again);
    assert!(words.contains("taken already") && words.contains("without --move"), "{words}");
    let mut another = goes_on(&sandbox, "web.abide", "another", &[]);
    let (_, counter, other) = told(&sandbox, "another");
    assert_eq!(counter, 2);
    assert_ne!(other, generation, "two copies of one file differ");
    another.type_in("poweroff\n");
    assert_eq!(another.end(), 0);
}

#[test]
fn a_right_that_cannot_be_taken_starts_nothing() {
    let sandbox = Sandbox::new();
    moved_away(&sandbox, &["--compress"]);
    let file = sandbox.path("web.abide");
    // Somebody else is taking it.
    let held = std::fs::File::open(&file).unwrap();
    held.lock().unwrap();
    let busy = sandbox.abide(&["restore", "web.abide", "--move"]);
    assert_eq!(code(&busy), 1);
    assert!(stderr(&busy).contains("another restore"), "{}", stderr(&busy));
    drop(held);
    // A file that was saved without it has none to give.
    let plain = goes_on(&sandbox, "web.abide", "plain", &[]);
    let saved = sandbox.abide(&["save", "plain", "plain.abide"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(plain.end(), 12);
    assert!(right(&sandbox, "plain.abide").is_null(), "a copy's file gives no right");
    let none = sandbox.abide(&["restore", "plain.abide", "--move"]);
    assert_eq!(code(&none), 1);
    assert!(stderr(&none).contains("saved without --move"), "{}", stderr(&none));
    // Nor is it both moved and left running.
    let both = sandbox.abide(&["save", "web", "x.abide", "--move", "--keep-running"]);
    assert_eq!(code(&both), 2);
    // Where the file cannot be marked, nothing runs: root may write what nobody may.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&file).is_err() {
        let refused = sandbox.abide(&["restore", "web.abide", "--move"]);
        assert_eq!(code(&refused), 1);
        assert!(stderr(&refused).contains("cannot be taken"), "{}", stderr(&refused));
    }
    assert_eq!(right(&sandbox, "web.abide")["taken"], false);
}

#[test]
fn a_copied_file_has_a_right_of_its_own_and_a_damaged_mark_is_found() {
    let sandbox = Sandbox::new();
    moved_away(&sandbox, &[]);
    std::fs::copy(sandbox.path("web.abide"), sandbox.path("twin.abide")).unwrap();
    for file in ["web.abide", "twin.abide"] {
        let mut guest = goes_on(&sandbox, file, "moved", &["--move"]);
        guest.type_in("poweroff\n");
        assert_eq!(guest.end(), 0);
    }
    // The state, which stands 80 bytes into the first record, given back by hand.
    let path = sandbox.path("web.abide");
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[256 + 64 + 16], 2);
    bytes[256 + 64 + 16] = 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = sandbox.abide(&["restore", "web.abide", "--move"]);
    assert_eq!(code(&refused), 3, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("right-to-run"), "{}", stderr(&refused));
}
