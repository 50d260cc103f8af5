//! Disks on the command line: what is refused, what is remembered, what can be told otherwise.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use support::{Sandbox, code, stderr, stdout};

const LEN: u64 = 1 << 20;

fn disk(sandbox: &Sandbox, name: &str, len: u64) -> String {
    let path = sandbox.path(name);
    std::fs::File::create(&path).unwrap().set_len(len).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_is_no_disk_is_refused_by_name() {
    let sandbox = Sandbox::new();
    disk(&sandbox, "odd.img", 1000);
    for (argument, exit, words) in [
        ("missing.img", 1, "missing.img: No such file"),
        ("odd.img", 1, "1000 bytes; a multiple of 512"),
        ("/dev/null", 1, "a character device"),
        ("a.img,rw", 2, "\"rw\" is no option"),
        ("", 2, "a path is needed"),
    ] {
        let output = sandbox.run_demo_guest("refused", &["--disk", argument]);
        assert_eq!(code(&output), exit, "{argument}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{argument}: {}", stderr(&output));
    }
}

#[test]
fn a_disk_in_use_is_refused() {
    let sandbox = Sandbox::new();
    let path = disk(&sandbox, "a.img", LEN);
    let held = std::fs::File::open(&path).unwrap();
    held.try_lock_shared().unwrap();
    let output = sandbox.run_demo_guest("second", &["--disk", "a.img"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("in use by another"), "{}", stderr(&output));
    let output = sandbox.run_demo_guest("reader", &["--disk", "a.img,readonly"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_snapshot_remembers_its_disks_and_can_be_told_of_others() {
    let sandbox = Sandbox::new();
    let path = disk(&sandbox, "a.img", LEN);
    let devices = ["--disk", "a.img", "--rng", "--virtio-console"];
    let untouched = sandbox.run_demo_guest("untouched", &devices);
    assert_eq!(code(&untouched), 0, "{}", stderr(&untouched));
    let mut more = devices.to_vec();
    more.extend(["--save-at", "1000000", "--save-to", "away.abide"]);
    assert_eq!(code(&sandbox.run_demo_guest("away", &more)), 12);
    let shown = sandbox.abide(&["inspect", "away.abide", "--unit", "disk"]);
    assert!(stdout(&shown).contains(&path), "{}", stdout(&shown));

    disk(&sandbox, "short.img", LEN / 2);
    std::fs::rename(&path, sandbox.path("b.img")).unwrap();
    for (arguments, words) in [
        (&[][..], "a.img: No such file"),
        (&["--disk", "0=short.img"], "short.img has 1024 sectors, the guest's had 2048"),
        (&["--disk", "c.img=b.img"], "c.img: no disk of the snapshot; it has 0 ("),
        (&["--disk", "0=b.img", "--disk", "1=b.img"], "1: no disk of the snapshot"),
    ] {
        let command = [&["restore", "away.abide", "back"], arguments].concat();
        let output = sandbox.abide(&command);
        assert_eq!(code(&output), 1, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
    // By its number, by the path as it was given, and by the full path.
    for old in ["0", "a.img", &path] {
        let change = format!("{old}=b.img");
        let command = ["restore", "away.abide", "back", "--report", "back.json", "--disk", &change];
        let output = sandbox.abide(&command);
        assert_eq!(code(&output), 0, "{old}: {}", stderr(&output));
        let hash = |name| sandbox.report(name)["state_hash"].clone();
        assert_eq!(hash("back"), hash("untouched"), "{old}");
    }
}
