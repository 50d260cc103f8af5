//! The promise: a guest that was saved and restored ends as one that was never touched.

mod support;

use support::{Sandbox, code, stderr, stdout};

#[test]
fn two_runs_end_in_the_same_state() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        let output = sandbox.run_demo_guest(name, &[]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    let (one, two) = (sandbox.report("one"), sandbox.report("two"));
    assert_eq!(one["state_hash"], two["state_hash"]);
    assert_eq!(one["instructions"], two["instructions"]);
    assert_eq!(one["outcome"], "powered_off");
}

#[test]
fn a_guest_saved_away_ends_elsewhere_as_if_nothing_had_happened() {
    let sandbox = Sandbox::new();
    let untouched = sandbox.run_demo_guest("untouched", &[]);
    let end = sandbox.report("untouched");
    let total = end["instructions"].as_u64().unwrap();
    for (n, compress) in [(1, false), (3, true), (6, false)] {
        let at = (total / 7 * n).to_string();
        let file = format!("{n}.abide");
        let mut more = vec!["--save-at", &at, "--save-to", &file];
        if compress {
            more.push("--compress");
        }
        let away = sandbox.run_demo_guest("away", &more);
        assert_eq!(code(&away), 12, "{}", stderr(&away));
        assert_eq!(sandbox.report("away")["outcome"], "saved_away");

        let back = sandbox.abide(&["restore", &file, "back", "--report", "back.json"]);
        assert_eq!(code(&back), 0, "{}", stderr(&back));
        let report = sandbox.report("back");
        assert_eq!(report["state_hash"], end["state_hash"], "saved at {at}");
        assert_eq!(report["instructions"], end["instructions"], "saved at {at}");
        assert_eq!(stdout(&away) + &stdout(&back), stdout(&untouched), "saved at {at}");
    }
}

#[test]
fn being_saved_on_the_way_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run_demo_guest("untouched", &[]);
    let mut more = vec!["--keep-running".to_owned()];
    for n in 1..=5 {
        more.extend(["--save-at".to_owned(), (n * 10_000_000 + n).to_string()]);
        more.extend(["--save-to".to_owned(), format!("{n}.abide")]);
    }
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let saved = sandbox.run_demo_guest("saved", &more);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(sandbox.report("saved"), {
        let mut same = sandbox.report("untouched");
        same["name"] = "saved".into();
        same
    });
    let verify = sandbox.abide(&["verify", "3.abide"]);
    assert_eq!(code(&verify), 0, "{}", stderr(&verify));
}

#[test]
fn state_besides_ram_is_small() {
    let sandbox = Sandbox::new();
    sandbox.run_demo_guest("guest", &[]);
    let bytes = sandbox.report("guest")["state_bytes"].as_u64().unwrap();
    assert!(bytes <= 24 << 10, "{bytes} bytes");
}

#[test]
fn the_demo_shows_it() {
    let sandbox = Sandbox::new();
    let output = sandbox.abide(&["demo", "--saves", "2", "--report", "demo.html"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let page = std::fs::read_to_string(sandbox.path("demo.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http"), "one self-contained page");
}
