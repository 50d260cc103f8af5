//! `test`: all tests, counted.

use crate::paths;
use crate::process::{self, Line};
use crate::tally::Count;
use anyhow::{Result, bail};
use std::fmt;
use std::process::Command;
use std::time::Duration;

/// Building everything and running every test may take this long on two slow cores.
const LIMIT: Duration = Duration::from_secs(30 * 60);

#[derive(clap::Args)]
pub struct Arguments {}

pub fn task(_: &Arguments) -> Result<()> {
    let mut count = Count::default();
    run(&mut count)?;
    println!("{count}");
    if count.failed > 0 {
        bail!("{} tests failed", count.failed);
    }
    Ok(())
}

/// `cargo test --workspace`, as the README has it.
///
/// # Errors
/// If a test failed, or was left out: a test that does not run shows nothing.
pub fn run(count: &mut Count) -> Result<()> {
    let cargo = process::cargo();
    // What cargo says of the program that it starts stands among what that says.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" test --workspace 2>&1"]).arg(cargo.get_program());
    command.current_dir(paths::root());
    let mut running = Running::default();
    let code = process::watch(&mut command, LIMIT, |Line(line)| {
        println!("{line}");
        running.hear(line);
        *count += parse_result(line).unwrap_or_default();
    });
    let code = code.map_err(|error| error.context(running.to_string()))?;
    // The failures counted above make this one failed as a whole, which would count once more.
    if code != 0 && count.failed == 0 {
        bail!("cargo test --workspace: exit code {code}");
    }
    Ok(())
}

/// What runs, as far as the output tells.
#[derive(Debug, Default)]
struct Running {
    /// The test program, as cargo names it.
    program: Option<String>,
    /// Tests of it that were said to take long, or to have begun, and have not ended.
    tests: Vec<String>,
}

impl Running {
    fn hear(&mut self, line: &str) {
        let said = line.trim_start();
        let program = said.strip_prefix("Running ").or_else(|| said.strip_prefix("Doc-tests "));
        if let Some(program) = program {
            *self = Self { program: Some(program.to_owned()), tests: Vec::new() };
        } else if let Some(test) = line.strip_prefix("test ") {
            // `a has been running for over 60 seconds`; where tests run one by one, `a ... ` ends
            // what is said until there is a result behind it.
            if let Some((name, _)) = test.split_once(" has been running for over ") {
                self.tests.push(name.to_owned());
            } else if let Some(name) = test.strip_suffix(" ... ") {
                self.tests.push(name.to_owned());
            } else if let Some((name, _)) = test.split_once(" ... ") {
                self.tests.retain(|test| test != name);
            }
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.program, &*self.tests) {
            (None, _) => f.write_str("no test program was started"),
            (Some(program), []) => write!(f, "last started: {program}"),
            (Some(program), tests) => {
                write!(f, "last started: {program}; not ended: {}", tests.join(", "))
            }
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`, an ignored test being a failed one.
fn parse_result(line: &str) -> Option<Count> {
    let (_, figures) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let figure = |name: &str| {
        let part = figures.split("; ").find_map(|part| part.strip_suffix(name));
        part.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    Some(Count { passed: figure("passed"), failed: figure("failed") + figure("ignored") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_and_ignored_tests_are_failures() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered \
                    out; finished in 0.12s";
        assert_eq!(parse_result(line), Some(Count { passed: 12, failed: 3 }));
        assert_eq!(parse_result("test a::b ... ok"), None);
    }

    #[test]
    fn tests_that_do_not_end_are_named() {
        let mut running = Running::default();
        let said = |running: &mut Running, lines: &[&str]| {
            lines.iter().for_each(|line| running.hear(line));
            running.to_string()
        };
        assert_eq!(said(&mut running, &["   Compiling a v1"]), "no test program was started");
        let lines = ["     Running tests/a.rs (target/a-1)", "running 3 tests", "test x ... ok"];
        assert_eq!(said(&mut running, &lines), "last started: tests/a.rs (target/a-1)");
        let lines =
            ["y", "z", "w"].map(|name| format!("test {name} has been running for over 60 s"));
        let lines = [&lines[0], &lines[1], &lines[2], "test z ... FAILED"];
        let expected = "last started: tests/a.rs (target/a-1); not ended: y, w";
        assert_eq!(said(&mut running, &lines), expected);
        let lines = ["   Doc-tests a", "test one ... ok", "test two ... "];
        assert_eq!(said(&mut running, &lines), "last started: a; not ended: two");
    }
}
