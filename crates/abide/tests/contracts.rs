//! Guests that are born under a contract, as users run them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use support::{Sandbox, code, stderr, stdout};

/// A sandbox with the software engine's profile and a contract over it.
fn with_contract() -> Sandbox {
    let sandbox = Sandbox::new();
    for args in [
        ["probe", "--engine", "soft", "-o", "soft.toml"].as_slice(),
        &["baseline", "soft.toml", "-o", "mine.toml", "--name", "mine"],
    ] {
        let output = sandbox.abide(args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
    }
    sandbox
}

/// Changes the contract's text.
fn edited(sandbox: &Sandbox, name: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(sandbox.path("mine.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(sandbox.path(name), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_contract_travels_with_its_guest() {
    let sandbox = with_contract();
    let untouched = sandbox.run_demo_guest("whole", &["--contract", "mine.toml"]);
    assert_eq!(code(&untouched), 0, "{}", stderr(&untouched));
    assert!(stderr(&untouched).contains("whole: contract mine: "), "{}", stderr(&untouched));
    let saves = ["--contract", "mine.toml", "--save-at", "100000", "--save-to", "web.abide"];
    let saved = sandbox.run_demo_guest("web", &saves);
    assert_eq!(code(&saved), 12, "{}", stderr(&saved));

    let shown = stdout(&sandbox.abide(&["inspect", "web.abide"]));
    assert!(shown.contains("\ncontract mine, "), "{shown}");
    assert!(!shown.contains("contract mine, 00000000"), "{shown}");
    let plan = sandbox.abide(&["plan", "web.abide", "--to", "soft.toml"]);
    assert_eq!(code(&plan), 0, "{}", stderr(&plan));
    assert!(stdout(&plan).contains("web (mine)"), "{}", stdout(&plan));

    let again = sandbox.abide(&["restore", "web.abide", "again", "--report", "again.json"]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let (whole, again) = (sandbox.report("whole"), sandbox.report("again"));
    assert_eq!(whole["state_hash"], again["state_hash"]);
    let count = |key: &str| again["restored_registers"][key].as_u64().unwrap();
    let each = again["restored_registers"]["vcpus"][0].as_u64().unwrap();
    assert_eq!(count("total"), count("vm") + count("own") + each);
    assert!(each > 100 && count("vm") > 20, "{again}");
}

#[test]
fn the_guest_sees_what_was_promised() {
    let sandbox = with_contract();
    let psci = "\"kvm:0x6030000000140000\" = \"0x0000000000010001\"";
    edited(&sandbox, "older.toml", psci, &psci.replace("10001", "10000"));
    let saves = ["--contract", "older.toml", "--save-at", "100000", "--save-to", "web.abide"];
    assert_eq!(code(&sandbox.run_demo_guest("web", &saves)), 12);
    let shown = stdout(&sandbox.abide(&["inspect", "web.abide", "--unit", "firmware"]));
    let line = shown.lines().find(|line| line.contains("PSCI_VERSION")).unwrap();
    assert!(line.contains("0x0000000000010000"), "{line}");
}

#[test]
fn what_is_no_contract_for_this_engine_starts_nothing() {
    let sandbox = with_contract();
    let pfr0 = "\"kvm:0x603000000013c020\" = \"0x";
    edited(&sandbox, "sve.toml", pfr0, &format!("{pfr0}0000000100000011\" # \""));
    edited(&sandbox, "other.toml", "\"aarch64\"", "\"x86_64\"");
    edited(&sandbox, "newer.toml", "version = 1", "version = 2");
    edited(&sandbox, "rules.toml", "[vm]", "[rules]\n[vm]");
    let twice = "[vcpu]\n\"kvm:0x603000000013c000\" = \"0x0000000000000001\"";
    edited(&sandbox, "twice.toml", "[vcpu]", twice);
    edited(&sandbox, "few.toml", "\"0x00000040\" # vCPUs", "\"0x00000000\" # vCPUs");
    std::fs::write(sandbox.path("nonsense.toml"), [0, 159, 146, 150]).unwrap();
    for (contract, exit, named) in [
        ("sve.toml", 1, "ID_AA64PFR0_EL1"),
        ("other.toml", 1, "architecture \"x86_64\" found, \"aarch64\" allowed"),
        ("newer.toml", 1, "version 2 found, this abide reads 1; use a newer one"),
        ("rules.toml", 3, "the key \"rules\" has no meaning here"),
        ("twice.toml", 3, "the register stands there twice"),
        ("few.toml", 1, "promises 0 vCPUs, 1 asked for: use fewer --vcpus"),
        ("nonsense.toml", 3, "neither a snapshot nor text"),
        ("soft.toml", 3, "a guest's contract is needed; `abide baseline` makes one"),
        (
            "none.toml",
            1,
            "no such file, and nothing of that name comes with abide (debian-6.1-max,",
        ),
        ("debian-neoverse-n1", 1, "ID_AA64DFR0_EL1.PMUVer); choose an engine and a host"),
        (".", 1, "reading .: Is a directory"),
    ] {
        let output = sandbox.run_demo_guest("web", &["--contract", contract]);
        let text = stderr(&output);
        assert_eq!(code(&output), exit, "{contract}: {text}");
        assert!(text.contains(named) && text.lines().count() == 1, "{contract}: {text}");
        assert!(stdout(&output).is_empty(), "{contract}: the guest printed");
    }
    for more in [["--cpu", "int"], ["--asymmetric", "int"], ["--features", "pmu"]] {
        let output = sandbox.abide(&["run", "--contract", "mine.toml", more[0], more[1]]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
    }
    let huge = ["run", "--deterministic", "--memory", "17179869183G", "--contract", "mine.toml"];
    let output = sandbox.abide(&huge);
    let text = stderr(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("mine promises 40 address bits (IPA), 64 asked for"), "{text}");
}
