//! `probe`, `baseline` and `plan` as users run them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use serde_json::Value;
use support::{Sandbox, code, demo_guest, stderr, stdout};

const N1: [&str; 3] =
    ["debian-6.1-neoverse-n1", "debian-6.12-neoverse-n1", "debian-7.2-neoverse-n1"];

fn json(sandbox: &Sandbox, args: &[&str]) -> (i32, Value) {
    let output = sandbox.abide(args);
    (code(&output), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn upgrades_are_fine_and_downgrades_are_refused_with_reason_and_remedy() {
    let sandbox = Sandbox::new();
    let output = sandbox.abide(&["plan", N1[1], "--to", N1[2], "--back"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("drop       TCR2_EL1"), "{}", stdout(&output));

    let output = sandbox.abide(&["plan", N1[2], "--to", N1[1]]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.contains("cannot go"), "{text}");
    assert!(text.contains("refuse     PSCI_VERSION"), "{text}");
    assert!(text.contains("for PSCI_VERSION: give guests"), "{text}");
}

#[test]
fn a_baseline_goes_to_every_host_it_was_made_over() {
    let sandbox = Sandbox::new();
    let mut args = vec!["baseline", "-o", "fleet.toml", "--name", "fleet"];
    args.extend(N1);
    let output = sandbox.abide(&args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("CNTP_CTL_EL0 is beyond the contract"));
    // Nothing is written over by itself, and no comment lost in an update.
    assert_eq!(code(&sandbox.abide(&args)), 1);
    let text = std::fs::read_to_string(sandbox.path("fleet.toml")).unwrap();
    std::fs::write(sandbox.path("fleet.toml"), text.replace("# CLIDR_EL1", "# why not")).unwrap();
    args.push("--update");
    assert_eq!(code(&sandbox.abide(&args)), 0);
    let updated = std::fs::read_to_string(sandbox.path("fleet.toml")).unwrap();
    assert_eq!(updated, text.replace("# CLIDR_EL1", "# why not"));

    let mut args = vec!["plan", "fleet.toml", "--json", "--to"];
    args.extend(N1);
    let (exit, answer) = json(&sandbox, &args);
    assert_eq!((exit, &answer["fine"]), (0, &Value::Bool(true)));
    let plans = answer["plans"].as_array().unwrap();
    assert_eq!(plans.len(), 3);
    assert!(plans.iter().all(|plan| plan["counts"]["refuse"] == 0));
}

#[test]
fn hosts_with_nothing_in_common_have_no_baseline() {
    let sandbox = Sandbox::new();
    let output = sandbox.abide(&["baseline", "debian-6.1-max", "debian-6.12-max"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, ""));
    assert!(stderr(&output).contains("ID_AA64MMFR1_EL1.HCX: no value that all can show"));
}

#[test]
fn a_table_of_hosts_is_text_json_and_a_page() {
    let sandbox = Sandbox::new();
    let mut args = vec!["plan", "--report", "plan.html", "--back"];
    args.extend(N1);
    let output = sandbox.abide(&args);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.starts_with("from \\ to"), "{text}");
    assert_eq!(text.lines().take(4).filter(|line| line.contains("REFUSED")).count(), 2);
    let page = std::fs::read_to_string(sandbox.path("plan.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert_eq!(page.matches("<h2 id=").count(), 9);
    assert!(!page.contains("src=") && !page.contains("http"), "nothing from elsewhere");
    args[2] = "plan.json";
    sandbox.abide(&args);
    let report: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("plan.json")).unwrap()).unwrap();
    assert_eq!(report["plans"].as_array().unwrap().len(), 9);
    args[2] = "plan.txt";
    assert_eq!(code(&sandbox.abide(&args)), 1);
}

#[test]
fn a_saved_guest_is_planned_for_by_what_is_in_its_file() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_demo_guest("demo", &["--save-at", "100000", "--save-to", "a.abide"]);
    assert_eq!(code(&output), 12, "{}", stderr(&output));
    let output = sandbox.abide(&["probe", "-o", "soft.toml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));

    let (exit, answer) = json(&sandbox, &["plan", "a.abide", "--to", "soft.toml", "--json"]);
    assert_eq!(exit, 0, "{answer:#}");
    let registers = answer["plans"][0]["registers"].as_array().unwrap();
    assert!(registers.len() > 600, "{}", registers.len());
    assert!(registers.iter().any(|register| register["name"] == "board.ram_len"));

    let output = sandbox.abide(&["plan", "a.abide", "--to", N1[2]]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("refuse     ID_AA64PFR0_EL1"), "{}", stdout(&output));
    // The way home is asked for, and where home is.
    let output = sandbox.abide(&["plan", "a.abide", "--to", "soft.toml", "--back"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--home PROFILE"));
    let args = ["plan", "a.abide", "--to", "soft.toml", "--home", "soft.toml"];
    assert_eq!(code(&sandbox.abide(&args)), 0);
}

#[test]
fn every_model_of_the_software_engine_can_be_restored_on_any() {
    let sandbox = Sandbox::new();
    for cpu in ["int", "v8.0", "n1-like", "portable"] {
        let file = format!("{cpu}.toml");
        assert_eq!(code(&sandbox.abide(&["probe", "--cpu", cpu, "-o", &file])), 0);
    }
    let files = ["int.toml", "v8.0.toml", "n1-like.toml", "portable.toml"];
    let mut args = vec!["plan"];
    args.extend(files);
    let output = sandbox.abide(&args);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}

#[test]
fn exit_codes_tell_damage_from_refusal_and_usage() {
    let sandbox = Sandbox::new();
    let head =
        "format = \"abide-profile\"\nversion = 1\narchitecture = \"aarch64\"\nname = \"x\"\n";
    for (name, bytes, expected) in [
        ("syntax", "x = [".as_bytes().to_vec(), 3),
        ("binary", vec![0xff; 64], 3),
        ("empty", Vec::new(), 3),
        ("rule", format!("{head}[vm]\n\"cpu.x\" = {{ size = 1, rule = 1 }}\n").into_bytes(), 3),
        ("newer", head.replace("= 1", "= 3").into_bytes(), 1),
        ("other", head.replace("aarch64", "riscv64").into_bytes(), 1),
        ("huge", vec![b' '; 5 << 20], 3),
        ("contract", head.replace("profile", "contract").into_bytes(), 3),
    ] {
        std::fs::write(sandbox.path(name), bytes).unwrap();
        let output = sandbox.abide(&["plan", N1[0], "--to", name]);
        assert_eq!(code(&output), expected, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(name) && stdout(&output).is_empty(), "{name}");
    }
    let output = sandbox.abide(&["plan", N1[0], "--to", "nowhere"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("debian-7.2-max"), "{}", stderr(&output));
    assert_eq!(code(&sandbox.abide(&["plan"])), 2);
    assert_eq!(code(&sandbox.abide(&["baseline"])), 2);
    let kernel = demo_guest();
    let output = sandbox.abide(&["plan", kernel.to_str().unwrap(), "--to", N1[0]]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
}
