//! Files of released versions, for ever: each is intact, reads as it did when it was written, is
//! restored to the last register, and its guest goes on to a good end.
//!
//! `golden/RELEASE/` holds for each case the file and, beside it, what `inspect` said of it on the
//! day. `cargo xtask golden --release RELEASE` adds the folder of a release; nothing ever changes
//! one. What this version writes is put through the same checks, release or not.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Sandbox, code, stderr, stdout};

/// The environment variable with the folder in which to make the files of a release.
const MAKE_IN: &str = "ABIDE_GOLDEN_MAKE_IN";

/// Name of a case and what it is born with; each is saved after some work.
const CASES: [(&str, &[&str]); 4] = [
    ("plain", &["--save-at", "2000000"]),
    (
        "devices",
        &[
            "--save-at",
            "20000000",
            "--rng",
            "--virtio-console",
            "--disk",
            "disk.img,readonly",
            "--net",
            "echo",
        ],
    ),
    ("two-cpus", &["--save-at", "40000000", "--vcpus", "2", "--cpu", "portable"]),
    ("asymmetric", &["--save-at", "40000000", "--vcpus", "2", "--asymmetric", "v8.0,n1-like"]),
];
/// The disk of the case `devices`.
const DISK: &str = "disk.img";
/// How the guest ends if all that it checks is right.
const GOOD_END: &str = "demo: all 12 right";

#[test]
fn what_this_version_writes_passes_as_a_release() {
    let sandbox = Sandbox::new();
    let made = sandbox.path("made");
    fs::create_dir(&made).unwrap();
    make(&sandbox, &made);
    check(&made);
    if let Some(place) = std::env::var_os(MAKE_IN) {
        let place = PathBuf::from(place);
        fs::create_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        for entry in fs::read_dir(&made).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn files_of_every_release_live_on() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    // Before the first release there is no such folder.
    for release in fs::read_dir(golden).into_iter().flatten() {
        check(&release.unwrap().path());
    }
}

/// Makes the files of a release in `folder`.
fn make(sandbox: &Sandbox, folder: &Path) {
    fs::write(sandbox.path(DISK), "abide golden disk, 32 bytes each".repeat(2048)).unwrap();
    fs::copy(sandbox.path(DISK), folder.join(DISK)).unwrap();
    for (name, born) in CASES {
        let file = folder.join(format!("{name}.abide"));
        let mut more = vec!["--compress", "--save-to", file.to_str().unwrap()];
        more.extend(born);
        let away = sandbox.run_demo_guest(name, &more);
        assert_eq!(code(&away), 12, "{name}: {}", stderr(&away));
        let seen = inspect(sandbox, &file);
        fs::write(folder.join(format!("{name}.json")), seen.to_string() + "\n").unwrap();
    }
}

/// Checks every file of a release.
fn check(folder: &Path) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "abide"));
    assert!(!files.is_empty(), "{}: no file", folder.display());
    for file in files {
        let sandbox = Sandbox::new();
        fs::copy(folder.join(DISK), sandbox.path(DISK)).unwrap();
        let recorded = fs::read_to_string(file.with_extension("json")).unwrap();
        check_content(&sandbox, &file, &serde_json::from_str(&recorded).unwrap());
        check_restore(&sandbox, &file);
        check_end(&sandbox, &file);
    }
}

/// The file is intact and reads as on the day it was written.
fn check_content(sandbox: &Sandbox, file: &Path, recorded: &Value) {
    let shown = file.display();
    let verified = sandbox.abide(&["verify", file.to_str().unwrap()]);
    assert_eq!(code(&verified), 0, "{shown}: {}", stdout(&verified));
    let seen = inspect(sandbox, file);
    assert_eq!(seen["digest"], recorded["digest"], "{shown}");
    let (now, then) = (registers(&seen), registers(recorded));
    assert!(then.len() > 500, "{shown}: {} registers recorded", then.len());
    for (register, then) in then.iter().zip(&now) {
        assert_eq!(register, then, "{shown}");
    }
    assert_eq!(now.len(), then.len(), "{shown}");
}

/// Restored and saved at once, it is the same guest; a later version may know more of it.
fn check_restore(sandbox: &Sandbox, file: &Path) {
    let shown = file.display();
    let mut args = restore(file);
    args.extend(["--save-at", "1", "--save-to", "again.abide", "--compress"]);
    let again = sandbox.abide(&args);
    assert_eq!(code(&again), 12, "{shown}: {}", stderr(&again));
    assert!(!stderr(&again).contains("unknown here"), "{shown}: {}", stderr(&again));
    let diff = sandbox.abide(&["diff", file.to_str().unwrap(), "again.abide", "--json"]);
    let differences: Vec<String> = serde_json::from_slice(&diff.stdout).unwrap();
    // Where the disk is, is the host's affair.
    let of_guest =
        |line: &&String| !line.contains("missing in the first file") && !line.contains("disk.path");
    let changed: Vec<_> = differences.iter().filter(of_guest).collect();
    assert!(changed.is_empty(), "{shown}: {changed:#?}");
}

fn check_end(sandbox: &Sandbox, file: &Path) {
    let end = sandbox.abide(&restore(file));
    assert_eq!(code(&end), 0, "{}: {}", file.display(), stderr(&end));
    let said = stdout(&end);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    assert!(last.is_some_and(|line| line.starts_with(GOOD_END)), "{}: {last:?}", file.display());
}

fn restore(file: &Path) -> Vec<&str> {
    let mut args = vec!["restore", file.to_str().unwrap()];
    if file.file_stem().is_some_and(|stem| stem == "devices") {
        args.extend(["--disk", "0=disk.img"]);
    }
    args
}

fn inspect(sandbox: &Sandbox, file: &Path) -> Value {
    let inspected = sandbox.abide(&["inspect", file.to_str().unwrap(), "--json"]);
    assert_eq!(code(&inspected), 0, "{}: {}", file.display(), stderr(&inspected));
    serde_json::from_slice(&inspected.stdout).unwrap()
}

/// Every register with its place, class and value. Names may become better ones.
fn registers(seen: &Value) -> Vec<[Value; 5]> {
    let of_record = |record: &Value| {
        let (unit, scope) = (record["unit"].clone(), record["scope"].clone());
        let of_register = move |register: &Value| {
            [
                unit.clone(),
                scope.clone(),
                register["id"].clone(),
                register["class"].clone(),
                register["value"].clone(),
            ]
        };
        record["registers"].as_array().unwrap().iter().map(of_register).collect::<Vec<_>>()
    };
    seen["records"].as_array().unwrap().iter().flat_map(of_record).collect()
}
