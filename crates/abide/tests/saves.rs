//! Saves that go wrong from outside, and files that are hard to get at.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use support::{Running, Sandbox, code, shipped_guest, stderr};

/// The guest that comes with abide, with 64 MiB in RAM that take a while to save.
fn large_guest(sandbox: &Sandbox) -> Running {
    let content: Vec<u8> =
        (0..16u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(sandbox.path("bulk"), content).unwrap();
    let mut command = sandbox.command(&["run", "web", "--memory", "128M", "--initrd", "bulk"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guest = Running(command.spawn().unwrap());
    guest.wait_for("abide> ");
    guest
}

/// The file goes on as a guest that answers, and powers off.
fn goes_on(sandbox: &Sandbox, more: &[&str]) -> Running {
    let args = [&["restore", "web.abide", "again"], more].concat();
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut again = Running(command.spawn().unwrap());
    again.type_in("time\n");
    again.wait_for("abide> ");
    again
}

/// Kills a guest while it is saved over a file of its own; returns what that file held before.
/// Where the save was over before that, another guest has its turn.
fn killed_while_saved(sandbox: &Sandbox) -> Vec<u8> {
    let (file, half) = (sandbox.path("web.abide"), sandbox.path("web.abide.partial"));
    for _ in 0..50 {
        let mut guest = large_guest(sandbox);
        let save = ["save", "web", "web.abide", "--overwrite", "--keep-running"];
        let first = sandbox.abide(&save);
        assert_eq!(code(&first), 0, "{}", stderr(&first));
        let before = std::fs::read(&file).unwrap();
        let mut second = sandbox.command(&save).stderr(Stdio::null()).spawn().unwrap();
        while !half.exists() && second.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        guest.0.kill().unwrap();
        guest.0.wait().unwrap();
        let told = second.wait().unwrap();
        if half.exists() {
            assert!(!told.success(), "who asked for it is told");
            return before;
        }
    }
    panic!("each save of 64 MiB was over at once");
}

#[test]
fn save_that_is_killed_leaves_the_file_before_and_the_way_for_the_next() {
    let sandbox = Sandbox::new();
    let before = killed_while_saved(&sandbox);
    let (file, half) = (sandbox.path("web.abide"), sandbox.path("web.abide.partial"));
    assert!(std::fs::read(&file).unwrap() == before, "the file before is whole");
    let mut again = goes_on(&sandbox, &[]);
    let third = sandbox.abide(&["save", "again", "web.abide", "--overwrite", "--keep-running"]);
    assert_eq!(code(&third), 0, "{}", stderr(&third));
    assert!(!half.exists());
    let verified = sandbox.abide(&["verify", "web.abide"]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    again.type_in("poweroff\n");
    assert_eq!(again.end(), 0);
}

#[test]
fn file_that_may_only_be_read_is_restored_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let _guest = shipped_guest(&sandbox, "web");
    let saved = sandbox.abide(&["save", "web", "web.abide", "--keep-running"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    let file = sandbox.path("web.abide");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    let before = std::fs::read(&file).unwrap();
    for more in [&[][..], &["--eager"]] {
        let mut again = goes_on(&sandbox, more);
        again.type_in("mem\npoweroff\n");
        assert_eq!(again.end(), 0);
        assert!(std::fs::read(&file).unwrap() == before);
    }
}

#[test]
fn file_that_is_removed_while_memory_comes_is_read_to_its_end() {
    let sandbox = Sandbox::new();
    let guest = large_guest(&sandbox);
    let saved = sandbox.abide(&["save", "web", "web.abide"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(guest.end(), 12);
    let mut command = sandbox.command(&["restore", "web.abide", "again"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut again = Running(command.spawn().unwrap());
    let mut words = String::new();
    let mut said = BufReader::new(again.0.stderr.take().unwrap());
    said.read_line(&mut words).unwrap();
    assert!(words.contains("; memory lazy: userfaultfd"), "{words}");
    std::fs::remove_file(sandbox.path("web.abide")).unwrap();
    // Once it answers on its console, it does so on its socket.
    again.type_in("time\n");
    again.wait_for("abide> ");
    // A save needs all of it, and another file takes the name.
    let saved = sandbox.abide(&["save", "again", "web.abide", "--keep-running"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    again.type_in("poweroff\n");
    assert_eq!(again.end(), 0);
    goes_on(&sandbox, &["--eager"]);
}
