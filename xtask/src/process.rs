//! Running other programs, with errors that say which program and how it was called.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `command` on our own terminal.
///
/// # Errors
/// If it cannot be started or ends with anything but success.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{}: {status}", line(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed.
///
/// # Errors
/// As [`run`], with what it said on standard error.
pub fn capture(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&capture_bytes(command)?).into_owned())
}

/// As [`capture`], for a program that prints something else than text.
///
/// # Errors
/// As [`capture`].
pub fn capture_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{}: {status}\n{}", line(command), String::from_utf8_lossy(&stderr).trim_end());
    }
    Ok(stdout)
}

/// A line that a program printed, without its end.
pub struct Line<'a>(pub &'a str);

/// Runs `command`, hands on each line of its standard output, and returns its exit code.
///
/// # Errors
/// If it cannot be started, or has not ended after `limit`: then it is killed.
pub fn watch(command: &mut Command, limit: Duration, mut each: impl FnMut(Line)) -> Result<i32> {
    let mut rest: Vec<u8> = Vec::new();
    let ended = pour(command, limit, |chunk| {
        rest.extend_from_slice(chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            each(Line(String::from_utf8_lossy(&rest[..end]).trim_end_matches('\r')));
            rest.drain(..=end);
        }
        false
    })?;
    if !rest.is_empty() {
        each(Line(&String::from_utf8_lossy(&rest)));
    }
    match ended {
        Ended::Exit(code) => Ok(code),
        Ended::Stopped | Ended::OutOfTime => {
            bail!("{}: not finished after {limit:?}, killed", line(command))
        }
    }
}

/// How a watched program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code; 128 + n for signal n.
    Exit(i32),
    /// Killed, because its output said enough.
    Stopped,
    /// Killed, because it took too long.
    OutOfTime,
}

/// Runs `command` and hands on its standard output as it comes, until it ends, `limit` has passed,
/// or `enough` says so.
///
/// # Errors
/// If the program cannot be started.
pub fn pour(
    command: &mut Command,
    limit: Duration,
    mut enough: impl FnMut(&[u8]) -> bool,
) -> Result<Ended> {
    pour_in_time(command, limit, |chunk| (!enough(chunk)).then_some(limit))
}

/// As [`pour`], but `more` tells how long all of it may take by what came so far, or that it was
/// enough. Before anything came that is `limit`.
///
/// # Errors
/// As [`pour`].
pub fn pour_in_time(
    command: &mut Command,
    mut limit: Duration,
    mut more: impl FnMut(&[u8]) -> Option<Duration>,
) -> Result<Ended> {
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", line(command)))?;
    let chunks = chunks(&mut child)?;
    let ended = loop {
        match chunks.recv_timeout(limit.saturating_sub(begin.elapsed())) {
            Ok(chunk) => match more(&chunk) {
                Some(time) => limit = time,
                None => break Ended::Stopped,
            },
            Err(RecvTimeoutError::Timeout) => break Ended::OutOfTime,
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Ended::Exit(exit_code(&mut child)?));
            }
        }
    };
    // It may just have ended by itself, which is as good.
    let _ = child.kill();
    child.wait().with_context(|| format!("waiting for {}", line(command)))?;
    Ok(ended)
}

fn exit_code(child: &mut Child) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait()?;
    Ok(status.code().or_else(|| status.signal().map(|number| 128 + number)).unwrap_or(-1))
}

/// A child's standard output, piece by piece; the channel closes at its end.
///
/// # Errors
/// If its standard output is no pipe.
pub fn chunks(child: &mut Child) -> Result<mpsc::Receiver<Vec<u8>>> {
    let mut output = child.stdout.take().context("standard output is a pipe")?;
    let (sender, receiver) = mpsc::sync_channel(16);
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// The program that `cargo` called us through, so that the toolchain stays the same.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::paths::root());
    cargo
}

/// A command as one would type it, for messages, cut where it gets long.
fn line(command: &Command) -> String {
    const LETTERS_MAX: usize = 160;
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_and_exit_code_are_handed_on() {
        let mut lines = Vec::new();
        let code = watch(&mut shell("printf 'a\\r\\nb'; exit 7"), LIMIT, |Line(line)| {
            lines.push(line.to_owned());
        });
        assert_eq!(code.expect("it ends"), 7);
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn killed_program_has_its_signals_code() {
        let code = watch(&mut shell("kill -9 $$"), LIMIT, |_| {});
        assert_eq!(code.expect("it ends"), 137);
    }

    #[test]
    fn program_is_stopped_when_it_said_enough() {
        let ended = pour(&mut shell("echo enough; exec tail -f /dev/null"), LIMIT, |_| true);
        assert_eq!(ended.expect("it starts"), Ended::Stopped);
    }

    #[test]
    fn program_that_takes_too_long_is_stopped() {
        let limit = Duration::from_millis(50);
        let ended = pour(&mut shell("exec tail -f /dev/null"), limit, |_| false);
        assert_eq!(ended.expect("it starts"), Ended::OutOfTime);
    }

    #[test]
    fn program_has_the_time_that_its_output_says() {
        let limit = Duration::from_millis(50);
        let mut said = shell("echo more; exec tail -f /dev/null");
        let ended = pour_in_time(&mut said, LIMIT, |_| Some(limit));
        assert_eq!(ended.expect("it starts"), Ended::OutOfTime);
        let mut silent = shell("exec tail -f /dev/null");
        let ended = pour_in_time(&mut silent, limit, |_| Some(LIMIT));
        assert_eq!(ended.expect("it starts"), Ended::OutOfTime);
    }

    #[test]
    fn failure_says_what_was_called() {
        let error = capture(&mut shell("echo why >&2; exit 3")).expect_err("it fails");
        let text = format!("{error:#}");
        assert!(text.contains("sh -c echo why") && text.ends_with("why"), "{text}");
    }
}
