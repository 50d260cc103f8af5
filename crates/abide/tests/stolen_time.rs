//! `--stolen-time` as users run it, and guests from before there was stolen time.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use serde_json::Value;
use std::path::Path;
use support::{Sandbox, code, stderr, stdout};

/// What `inspect` says of each vCPU's record of stolen time.
fn records(sandbox: &Sandbox, file: &str) -> Vec<Value> {
    let inspected = sandbox.abide(&["inspect", file, "--json"]);
    assert_eq!(code(&inspected), 0, "{}", stderr(&inspected));
    let seen: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let all = seen["records"].as_array().unwrap();
    all.iter().filter(|record| record["unit"] == "pvtime").cloned().collect()
}

fn value(record: &Value, name: &str) -> Value {
    let registers = record["registers"].as_array().unwrap();
    registers.iter().find(|register| register["id"] == name).unwrap()["value"].clone()
}

/// A guest of two vCPUs, saved in the middle of its work.
fn saved(sandbox: &Sandbox, name: &str, more: &[&str]) -> String {
    let file = format!("{name}.abide");
    let args = ["--vcpus", "2", "--save-at", "30000000", "--save-to", &file];
    let output = sandbox.run_demo_guest(name, &[&args, more].concat());
    assert_eq!(code(&output), 12, "{}", stderr(&output));
    file
}

#[test]
fn a_guest_gets_what_its_engine_offers_and_goes_where_that_is_kept() {
    let sandbox = Sandbox::new();
    for (asked, revision) in [("0", "0x00000000"), ("1", "0x00000001"), ("1,0", "0x00000000")] {
        let file = saved(&sandbox, "guest", &["--stolen-time", asked]);
        let found = records(&sandbox, &file);
        let revisions: Vec<_> = found.iter().map(|it| value(it, "pvtime.revision")).collect();
        assert_eq!(revisions, [revision, revision], "{asked}");
        let places = found.iter().map(|it| value(it, "pvtime.table-gpa"));
        let expected = ["0x00000000090a0000", "0x00000000090a0040"];
        assert_eq!(places.collect::<Vec<_>>(), expected, "{asked}");
    }
    let (own, file) = (["--stolen-time", "1"], "guest.abide");
    saved(&sandbox, "guest", &own);
    for (offered, exit) in [("none", 1), ("0", 1), ("1", 0), ("0,1", 0)] {
        let output = sandbox.abide(&["restore", file, "again", "--stolen-time", offered]);
        let text = stderr(&output);
        assert_eq!(code(&output), exit, "{offered}: {text}");
        if exit != 0 {
            let named = text.contains("stolen time") && text.contains("0x00010001");
            assert!(named && stdout(&output).is_empty(), "{offered}: {text}");
        }
    }
}

#[test]
fn a_guest_without_stays_without_and_one_with_needs_it() {
    let sandbox = Sandbox::new();
    let file = saved(&sandbox, "without", &["--stolen-time", "none"]);
    assert_eq!(records(&sandbox, &file), Vec::<Value>::new());
    let whole = ["--vcpus", "2", "--stolen-time", "none"];
    assert_eq!(code(&sandbox.run_demo_guest("whole", &whole)), 0);
    let again = sandbox.abide(&["restore", &file, "again", "--report", "again.json"]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let hash = |name| sandbox.report(name)["state_hash"].clone();
    assert_eq!(hash("again"), hash("whole"));
    let file = saved(&sandbox, "with", &[]);
    assert_eq!(records(&sandbox, &file).len(), 2);
    let refused = sandbox.abide(&["restore", &file, "again", "--stolen-time", "none"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("stolen time"), "{}", stderr(&refused));
}

#[test]
fn guests_of_release_0_1_0_have_no_stolen_time_and_get_none() {
    let sandbox = Sandbox::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v0.1.0");
    for case in ["plain", "two-cpus"] {
        let file = golden.join(format!("{case}.abide"));
        let args = ["restore", file.to_str().unwrap(), case, "--save-at", "1", "--save-to"];
        let to = format!("{case}.abide");
        let output = sandbox.abide(&[&args[..], &[&to]].concat());
        assert_eq!(code(&output), 12, "{}", stderr(&output));
        assert_eq!(records(&sandbox, &to), Vec::<Value>::new());
    }
}

#[test]
fn profiles_tell_what_is_offered() {
    let sandbox = Sandbox::new();
    for (offered, default, accepts) in [
        ("none", "0x00000000", "accepts = { values = [\"0x0\"] }"),
        ("0", "0x00010000", "accepts = { values = [\"0x0\", \"0x10000\"] }"),
        ("1", "0x00010001", "accepts = { values = [\"0x0\", \"0x10001\"] }"),
        ("0,1", "0x00010000", "accepts = { values = [\"0x0\", \"0x10000\", \"0x10001\"] }"),
    ] {
        let output = sandbox.abide(&["probe", "--engine", "soft", "--stolen-time", offered]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let text = stdout(&output);
        let line = text.lines().find(|line| line.contains("pvtime.version")).unwrap();
        assert!(line.contains(default) && line.contains(accepts), "{offered}: {line}");
    }
}

#[test]
fn what_is_no_list_of_revisions_starts_nothing() {
    let sandbox = Sandbox::new();
    for wrong in ["", "x", "0,", "-1", "none,0", "4294967295"] {
        let output = sandbox.abide(&["run", &format!("--stolen-time={wrong}")]);
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{wrong}: {text}");
        assert!(text.contains("--stolen-time"), "{wrong}: {text}");
    }
}
