//! Checks that leave a CPU idle, side by side: each by the command that runs it alone.

use crate::paths;
use crate::tally::{Count, Tally};
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// How many run at a time.
const LANES: usize = 2;

/// Runs these commands of `cargo xtask`, the words of each divided by one space. What one says is
/// shown when it has ended, so that it stands together.
pub fn run(tally: &mut Tally, commands: &[&str]) {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(tally));
    let lane = || {
        while let Some(command) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begin = Instant::now();
            let ended = end_of(command);
            let took = begin.elapsed();
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            println!("\n== {command}");
            let counted = ended.and_then(|(text, is_good)| {
                print!("{text}");
                count_of(&text, is_good)
            });
            let name = command.split(' ').next().unwrap_or_default();
            match counted {
                Ok(count) => tally.add(name, took, count, Ok(())),
                Err(error) => tally.add(name, took, Count::default(), Err(error)),
            }
        }
    };
    thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
}

/// What a command said on both of its outputs, and whether it ended well.
fn end_of(command: &str) -> Result<(String, bool)> {
    let file = tempfile::NamedTempFile::new()?;
    let mut xtask = Command::new(env::current_exe()?);
    xtask.args(command.split(' ')).current_dir(paths::root()).stdin(Stdio::null());
    xtask.stdout(file.as_file().try_clone()?).stderr(file.as_file().try_clone()?);
    let status = xtask.status().with_context(|| format!("cannot start xtask {command}"))?;
    let text = fs::read(file.path()).context("reading what was said")?;
    Ok((String::from_utf8_lossy(&text).into_owned(), status.success()))
}

/// What a command counted, which must agree with how it ended.
fn count_of(text: &str, is_good: bool) -> Result<Count> {
    match text.lines().rev().find_map(Count::read) {
        Some(count) if is_good == (count.failed == 0) => Ok(count),
        Some(count) => bail!("counted {count}, and ended {}", if is_good { "well" } else { "ill" }),
        None => bail!("ended without a count"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_must_agree_with_the_end() {
        let counted = |text: &str, is_good| count_of(text, is_good).ok();
        let count = |passed, failed| Some(Count { passed, failed });
        assert_eq!(counted("1 passed, 0 failed\nx\n7 passed, 0 failed\n", true), count(7, 0));
        assert_eq!(counted("7 passed, 2 failed\nerror: 2 checks\n", false), count(7, 2));
        assert_eq!(counted("7 passed, 0 failed\nerror: no end\n", false), None);
        assert_eq!(counted("7 passed, 2 failed\n", true), None);
        assert_eq!(counted("error: no kernel\n", false), None);
        assert_eq!(counted("", true), None);
    }
}
