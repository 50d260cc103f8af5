//! The guest that judges sees no difference after a move, and does see one where there is one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use support::{Sandbox, code, stderr, stdout};

/// How often it looks before it switches the machine off.
const LOOKS: u32 = 6;

fn run(sandbox: &Sandbox, name: &str, vcpus: &str, more: &[&str]) -> std::process::Output {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/bin/abi.img");
    let append = format!("abi.looks={LOOKS}");
    let report = format!("{name}.json");
    let mut args = vec!["run", name, "--deterministic", "--memory", "8M", "--vcpus", vcpus];
    args.extend(["--kernel", kernel.to_str().unwrap(), "--append", &append, "--report", &report]);
    args.extend(more);
    sandbox.abide(&args)
}

#[test]
fn guest_saved_at_many_points_sees_what_it_saw_at_first() {
    for vcpus in ["1", "2"] {
        let sandbox = Sandbox::new();
        let whole = run(&sandbox, "whole", vcpus, &[]);
        assert_eq!(code(&whole), 0, "{}", stderr(&whole));
        let whole_said = stdout(&whole);
        let last = format!("abi: {LOOKS} looks, 0 with differences");
        assert!(whole_said.contains(&last), "{whole_said}");
        assert!(whole_said.contains("cpu0 MIDR_EL1=0x"), "{whole_said}");
        let instructions = sandbox.report("whole")["instructions"].as_u64().unwrap();
        for part in 1..8 {
            let (at, file) = ((instructions * part / 8).to_string(), format!("{part}.abide"));
            let saved = run(&sandbox, &file, vcpus, &["--save-at", &at, "--save-to", &file]);
            assert_eq!(code(&saved), 12, "{}", stderr(&saved));
            let restored = sandbox.abide(&["restore", &file]);
            assert_eq!(code(&restored), 0, "{}", stderr(&restored));
            let said = stdout(&saved) + &stdout(&restored);
            assert!(said == whole_said, "saved after {at} instructions: {said}");
        }
    }
}
