//! `test`: all tests, counted.

use crate::process::{self, Line};
use crate::tally::Count;
use anyhow::{Result, bail};
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
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace"]);
    let code = process::watch(&mut cargo, LIMIT, |Line(line)| {
        println!("{line}");
        *count += parse_result(line).unwrap_or_default();
    })?;
    // The failures counted above make this one failed as a whole, which would count once more.
    if code != 0 && count.failed == 0 {
        bail!("cargo test --workspace: exit code {code}");
    }
    Ok(())
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
}
