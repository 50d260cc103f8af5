//! What the guide's chapter on contracts shows is what is printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;
use support::{Sandbox, code, stderr, stdout};

/// A command of the guide, and the lines that it shows of the answer.
struct Example {
    arguments: Vec<String>,
    lines: Vec<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ abide ").filter(|_| inside) {
            let arguments = command.split_whitespace().map(str::to_owned).collect();
            examples.push(Example { arguments, lines: Vec::new() });
        } else if inside && line != "..." {
            examples.last_mut().unwrap().lines.push(line.to_owned());
        }
    }
    examples
}

#[test]
fn every_example_of_the_chapter_on_contracts_is_answered_as_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/contracts.md");
    let examples = examples(&std::fs::read_to_string(path).unwrap());
    assert!(examples.len() >= 8, "{}", examples.len());
    let sandbox = Sandbox::new();
    let guest = sandbox.run_demo_guest("web", &["--save-at", "100000", "--save-to", "web.abide"]);
    assert_eq!(code(&guest), 12, "{}", stderr(&guest));
    for Example { arguments, lines } in examples {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = sandbox.abide(&arguments);
        assert!(code(&output) <= 1, "{arguments:?}: {}", stderr(&output));
        let said = format!("{}{}", stderr(&output), stdout(&output));
        let mut said_lines = said.lines();
        for line in &lines {
            assert!(said_lines.any(|said| said == line), "{arguments:?}\n{line}\nin\n{said}");
        }
    }
}
