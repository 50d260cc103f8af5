//! `abide restore` without waiting for memory.

mod support;

use abide_snapshot::Reader;
use std::os::unix::fs::FileExt;
use support::{Sandbox, code, stderr, stdout};

/// The demo guest, saved on its way; returns how it ends untouched.
fn saved(sandbox: &Sandbox) -> serde_json::Value {
    let untouched = sandbox.run_demo_guest("untouched", &[]);
    assert_eq!(code(&untouched), 0, "{}", stderr(&untouched));
    let end = sandbox.report("untouched");
    let at = (end["instructions"].as_u64().unwrap_or_default() / 2).to_string();
    let away = sandbox.run_demo_guest("away", &["--save-at", &at, "--save-to", "half.abide"]);
    assert_eq!(code(&away), 12, "{}", stderr(&away));
    end
}

#[test]
fn guest_ends_the_same_with_memory_at_once_and_as_it_is_touched() {
    let sandbox = Sandbox::new();
    let end = saved(&sandbox);
    for (name, more, how) in [("lazy", None, "lazy: "), ("eager", Some("--eager"), "eager")] {
        let report = format!("{name}.json");
        let mut args = vec!["restore", "half.abide", name, "--report", &report];
        args.extend(more);
        let back = sandbox.abide(&args);
        assert_eq!(code(&back), 0, "{}", stderr(&back));
        let report = sandbox.report(name);
        assert_eq!(report["state_hash"], end["state_hash"], "{name}");
        assert_eq!(report["instructions"], end["instructions"], "{name}");
        let found = report["restored_ram"].as_str().map(str::to_owned);
        assert!(found.as_ref().is_some_and(|found| found.starts_with(how)), "{found:?}");
    }
}

#[test]
fn guest_saved_while_its_memory_comes_ends_the_same() {
    let sandbox = Sandbox::new();
    let end = saved(&sandbox);
    let at = (end["instructions"].as_u64().unwrap_or_default() / 2 + 1).to_string();
    let next = ["restore", "half.abide", "next", "--save-at", &at, "--save-to", "next.abide"];
    let next = sandbox.abide(&next);
    assert_eq!(code(&next), 12, "{}", stderr(&next));
    // Over the very file that it comes from.
    let over = ["restore", "next.abide", "over", "--save-at", "1", "--save-to", "next.abide"];
    let over = sandbox.abide(&over);
    assert_eq!(code(&over), 12, "{}", stderr(&over));
    let back = sandbox.abide(&["restore", "next.abide", "back", "--report", "back.json"]);
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert_eq!(sandbox.report("back")["state_hash"], end["state_hash"]);
}

#[test]
fn damage_in_memory_ends_the_guest_by_chunk_and_offset() {
    let sandbox = Sandbox::new();
    saved(&sandbox);
    let path = sandbox.path("half.abide");
    let reader = Reader::open(&path).map_err(|error| error.to_string());
    let chunk = reader.as_ref().map(|reader| reader.chunks().last().cloned());
    let Ok(Some(chunk)) = chunk else { panic!("{chunk:?}") };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path);
    let flip = |file: std::fs::File| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, chunk.offset + 100)?;
        file.write_all_at(&[byte[0] ^ 1], chunk.offset + 100)
    };
    assert!(file.and_then(flip).is_ok());
    for eager in [None, Some("--eager")] {
        let mut args = vec!["restore", "half.abide", "back"];
        args.extend(eager);
        let back = sandbox.abide(&args);
        let words = stderr(&back);
        assert_eq!(code(&back), 3, "{words}");
        assert!(words.contains(&format!("RAM chunk at {}", chunk.gpa)), "{words}");
        assert!(words.contains(&format!("at byte {}", chunk.offset)), "{words}");
        assert!(!stdout(&back).contains("done"), "the guest went on to its end");
    }
    let left = sandbox.abide(&["ps", "--json"]);
    assert_eq!(stdout(&left).trim(), "[]", "the place of an ended guest is free");
}
