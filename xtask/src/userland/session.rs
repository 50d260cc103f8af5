//! A guest at whose console somebody types: its prompt is waited for, and its answers are read.

use crate::process;
use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What a prompt of the guest's shell begins and ends with; between them is a directory.
pub const PROMPT: (&str, &str) = ("root@guest:", "# ");

/// A guest that says nothing for so long will say no more.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// A running guest, ended when dropped.
pub struct Session {
    child: Child,
    input: ChildStdin,
    chunks: Receiver<Vec<u8>>,
    /// What was said and not yet read, without orders to the terminal.
    said: Plain,
    end: Instant,
}

impl Session {
    /// Starts `command`, whose guest may live for `limit`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, limit: Duration) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let input = child.stdin.take().context("standard input is a pipe")?;
        let chunks = process::chunks(&mut child)?;
        let end = Instant::now() + limit;
        Ok(Self { child, input, chunks, said: Plain::default(), end })
    }

    /// Types a line.
    ///
    /// # Errors
    /// If the guest has ended.
    pub fn enter(&mut self, line: &str) -> Result<()> {
        let typed = self.input.write_all(format!("{line}\n").as_bytes());
        typed.and_then(|()| self.input.flush()).with_context(|| format!("typing {line:?}"))
    }

    /// Waits for the shell's prompt; returns what was said before it, and the prompt.
    ///
    /// # Errors
    /// If it does not come.
    pub fn prompt(&mut self) -> Result<(String, String)> {
        loop {
            let (before, last) = self.said.split_at_last_line();
            if last.starts_with(PROMPT.0) && last.ends_with(PROMPT.1) {
                let found = (before.to_owned(), last.to_owned());
                self.said.text.clear();
                return Ok(found);
            }
            self.hear("a prompt")?;
        }
    }

    /// Types a line at a prompt, and returns what it printed until the next one.
    ///
    /// # Errors
    /// If the next prompt does not come.
    pub fn answer(&mut self, line: &str) -> Result<String> {
        self.enter(line)?;
        let (said, _) = self.prompt()?;
        // The first line is what was typed.
        Ok(said.split_once('\n').map_or_else(String::new, |(_, answer)| answer.to_owned()))
    }

    /// Waits for the end; returns the exit code.
    ///
    /// # Errors
    /// If it does not come in time.
    pub fn end(mut self) -> Result<i32> {
        loop {
            match self.chunks.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.said.push(&chunk),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the guest did not end:\n… {}", super::said::tail(&self.said.text))
                }
            }
        }
        self.child.wait()?.code().context("ended by a signal")
    }

    fn hear(&mut self, what: &str) -> Result<()> {
        let left = self.end.saturating_duration_since(Instant::now()).min(SILENCE_MAX);
        let chunk = self.chunks.recv_timeout(left);
        let chunk = chunk.with_context(|| {
            format!("waiting for {what}; the guest said:\n… {}", super::said::tail(&self.said.text))
        })?;
        self.said.push(&chunk);
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text as it would stand on paper: without carriage returns and escape sequences.
#[derive(Default)]
struct Plain {
    text: String,
    escape: Escape,
}

/// Where in an escape sequence the last byte was.
#[derive(Default, Clone, Copy)]
enum Escape {
    #[default]
    Outside,
    /// Behind ESC.
    Begun,
    /// Behind ESC [, up to a letter.
    Control,
    /// Behind ESC ], up to BEL or another ESC.
    Text,
}

impl Plain {
    fn push(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for letter in text.chars() {
            self.escape = match (self.escape, letter) {
                (_, '\x1b') => Escape::Begun,
                (Escape::Begun, '[') => Escape::Control,
                (Escape::Begun, ']') => Escape::Text,
                (Escape::Control, '\x40'..='\x7e') | (Escape::Text, '\x07') => Escape::Outside,
                (Escape::Begun, _) => Escape::Outside,
                (Escape::Outside, '\r') => Escape::Outside,
                (Escape::Outside, other) => {
                    self.text.push(other);
                    Escape::Outside
                }
                (within, _) => within,
            };
        }
    }

    fn split_at_last_line(&self) -> (&str, &str) {
        self.text.rfind('\n').map_or(("", &*self.text), |at| self.text.split_at(at + 1))
    }
}

/// Runs one line at a prompt and holds what it prints against what it should.
///
/// # Errors
/// If it prints anything else.
pub fn expect(session: &mut Session, line: &str, expected: &str) -> Result<()> {
    let answer = session.answer(line)?;
    let difference = super::said::difference(expected, &answer);
    let difference = difference.unwrap_or_default();
    ensure!(difference.is_empty(), "`{line}`: {difference}; the guest said:\n{answer}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Session {
        let mut command = Command::new("sh");
        Session::start(command.args(["-c", script]), LIMIT).expect("it starts")
    }

    #[test]
    fn orders_to_the_terminal_are_left_out() {
        let mut plain = Plain::default();
        for piece in ["\x1b[?2004hroot@g", "uest:/# \x1b", "[0ma\r\n\x1b]0;title\x07b\x1bc"] {
            plain.push(piece.as_bytes());
        }
        assert_eq!(plain.text, "root@guest:/# a\nb");
        assert_eq!(plain.split_at_last_line(), ("root@guest:/# a\n", "b"));
    }

    #[test]
    fn answers_stand_between_prompts() {
        let mut session = shell(
            "printf 'Booting\\r\\nroot@guest:/# '; read a; \
             printf '%s\\r\\nfour\\r\\nroot@guest:/# ' \"$a\"; read a; exit 7",
        );
        assert_eq!(
            session.prompt().expect("a prompt"),
            ("Booting\n".into(), "root@guest:/# ".into())
        );
        expect(&mut session, "echo $((2 + 2))", "four\n").expect("as expected");
        session.enter("exit").expect("typed");
        assert_eq!(session.end().expect("it ends"), 7);
    }

    #[test]
    fn other_answers_and_early_ends_are_told() {
        let mut session =
            shell("printf 'root@guest:/# '; read a; printf 'x\\n5\\nroot@guest:/# '; read a");
        session.prompt().expect("a prompt");
        let error = expect(&mut session, "x", "4\n").expect_err("it is 5");
        assert!(format!("{error:#}").contains("line 1 is \"5\", expected \"4\""), "{error:#}");
        let mut session = shell("echo Kernel panic");
        let error = session.prompt().expect_err("no prompt comes");
        assert!(format!("{error:#}").contains("Kernel panic"), "{error:#}");
    }
}
