//! Counting what passed and what failed, and saying so at the end.

use anyhow::{Result, ensure};
use std::fmt;
use std::time::{Duration, Instant};

/// How many checks passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl Count {
    /// One check.
    pub fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Reads a line that is a count, as it is displayed.
    pub fn read(line: &str) -> Option<Self> {
        let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
        Some(Self { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The steps of a run, each with its count.
#[derive(Default)]
pub struct Tally {
    steps: Vec<(String, Count, Duration, String)>,
}

impl Tally {
    /// Runs a step that counts its checks itself. An error is one more failed check.
    pub fn counted(&mut self, name: &str, step: impl FnOnce(&mut Count) -> Result<()>) {
        println!("\n== {name}");
        let start = Instant::now();
        let mut count = Count::default();
        let result = step(&mut count);
        self.add(name, start.elapsed(), count, result);
    }

    /// Adds a step that was run, with what it counted and how it ended.
    pub fn add(&mut self, name: &str, took: Duration, mut count: Count, result: Result<()>) {
        let mut note = String::new();
        if let Err(error) = result {
            println!("{name}: {error:#}");
            let text = format!("{error:#}");
            note = text.lines().next().unwrap_or_default().to_owned();
            count.failed += 1;
        } else if count == Count::default() {
            note = "nothing was checked".to_owned();
            count.failed = 1;
        }
        self.steps.push((name.to_owned(), count, took, note));
    }

    /// Runs a step that is one check.
    pub fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        self.counted(name, |count| step().map(|()| *count += Count::one(true)));
    }

    /// All steps together.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        for (_, count, ..) in &self.steps {
            total += *count;
        }
        total
    }
}

/// Runs one step by itself and says what it counted.
///
/// # Errors
/// If a check failed, or the step could not go on.
pub fn alone(step: impl FnOnce(&mut Count) -> Result<()>) -> Result<()> {
    let mut count = Count::default();
    step(&mut count)?;
    println!("{count}");
    ensure!(count.failed == 0, "{} checks failed", count.failed);
    ensure!(count.passed > 0, "nothing was checked");
    Ok(())
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>7} {:>7} {:>8}", "step", "passed", "failed", "seconds")?;
        for (name, count, took, note) in &self.steps {
            let seconds = took.as_secs_f64();
            let (passed, failed) = (count.passed, count.failed);
            writeln!(f, "{name:<16} {passed:>7} {failed:>7} {seconds:>8.1}  {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn error_and_empty_step_are_failures() {
        let mut tally = Tally::default();
        tally.step("good", || Ok(()));
        tally.step("bad", || bail!("no"));
        tally.counted("empty", |_| Ok(()));
        tally.counted("half", |count| {
            *count += Count { passed: 3, failed: 1 };
            bail!("and an error")
        });
        assert_eq!(tally.total(), Count { passed: 4, failed: 4 });
    }

    #[test]
    fn count_is_read_as_it_is_shown() {
        let count = Count { passed: 12, failed: 3 };
        assert_eq!(Count::read(&count.to_string()), Some(count));
        for other in ["", "12 passed", "12 passed, 3 failed, 1 ignored", "a passed, 3 failed"] {
            assert_eq!(Count::read(other), None, "{other}");
        }
    }

    #[test]
    fn alone_a_failure_and_an_empty_step_are_errors() {
        let counted = |count| {
            alone(|sum| {
                *sum += count;
                Ok(())
            })
        };
        assert!(counted(Count { passed: 2, failed: 0 }).is_ok());
        assert!(counted(Count { passed: 2, failed: 1 }).is_err());
        assert!(counted(Count::default()).is_err());
        assert!(alone(|_| bail!("no")).is_err());
    }
}
