//! The guide's Debian example, done as it is written.
//!
//! In the guide's section, `sh` blocks are typed at the host, line by line, in a folder of their
//! own; `abide run` and `abide restore` leave one at the guest's console. A `console` block that
//! follows is typed there: at each of its prompts the rest of the line, and what stands below it
//! must be the guest's whole answer.

use super::session::{self, PROMPT, Session};
use crate::tally::Count;
use crate::{abide, paths, process};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const GUIDE: &str = "docs/guide/README.md";
const HEADING: &str = "### A Debian with programs in it";
/// One guest of the guide may live so long, on two slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub fn run(count: &mut Count) -> Result<()> {
    let guide = fs::read_to_string(paths::root().join(GUIDE)).context("reading the guide")?;
    let blocks = blocks(&guide)?;
    let folder = tempfile::tempdir_in(paths::work()?)?;
    let mut desk = Desk::new(folder.path())?;
    for block in &blocks {
        let result = desk.follow(block);
        *count += Count::one(result.is_ok());
        let first = block.lines.first().map_or("", String::as_str);
        match result {
            Ok(()) => println!("guide, line {}: `{first}` …: as written", block.line),
            Err(error) => {
                // What follows would only fail because of this.
                println!("guide, line {}: `{first}` …: FAILED: {error:#}", block.line);
                return Ok(());
            }
        }
    }
    let result = desk.leave();
    *count += Count::one(result.is_ok());
    result.or_else(|error| {
        println!("guide: FAILED: {error:#}");
        Ok(())
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Host,
    Guest,
}

/// A block of code in the guide.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    place: Place,
    /// Where it begins in the guide.
    line: usize,
    /// At the host, commands with continued lines joined.
    lines: Vec<String>,
}

/// The blocks of the section.
fn blocks(guide: &str) -> Result<Vec<Block>> {
    let mut lines = guide.lines().zip(1..).skip_while(|(line, _)| *line != HEADING);
    ensure!(lines.next().is_some(), "{GUIDE} has no {HEADING:?}");
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in lines {
        match (&mut open, line) {
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => block.push(line),
            (None, "```sh") => open = Some(Block::new(Place::Host, number)),
            (None, "```console") => open = Some(Block::new(Place::Guest, number)),
            (None, _) if line.starts_with("```") => bail!("line {number}: what is {line:?}?"),
            (None, _) if line.starts_with('#') => break,
            (None, _) => {}
        }
    }
    ensure!(open.is_none(), "a block does not end");
    let places = |place: Place| blocks.iter().filter(|block| block.place == place).count();
    ensure!(places(Place::Host) > 0 && places(Place::Guest) > 0, "the section shows nothing");
    Ok(blocks)
}

impl Block {
    const fn new(place: Place, line: usize) -> Self {
        Self { place, line, lines: Vec::new() }
    }

    fn push(&mut self, line: &str) {
        // A remark behind a command is for the reader.
        let line = if self.place == Place::Host {
            line.split_once("  # ").map_or(line, |(command, _)| command).trim_end()
        } else {
            line
        };
        match self.lines.last_mut() {
            Some(last) if self.place == Place::Host && last.ends_with('\\') => {
                last.pop();
                last.push_str(line.trim_start());
            }
            _ => self.lines.push(line.to_owned()),
        }
    }
}

/// Where the commands are typed: a folder, what they have set, and a guest's console.
struct Desk<'a> {
    folder: &'a Path,
    variables: Vec<(String, String)>,
    path: OsString,
    guest: Option<Session>,
    /// Whether the guest's shell has shown its prompt to an earlier process.
    is_restored: bool,
}

impl<'a> Desk<'a> {
    /// The guide says that `abide` stands for the program that was built.
    fn new(folder: &'a Path) -> Result<Self> {
        let bin = folder.join("bin");
        fs::create_dir(&bin)?;
        symlink(abide::build()?, bin.join("abide"))?;
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&before)))?;
        Ok(Self { folder, variables: Vec::new(), path, guest: None, is_restored: false })
    }

    fn follow(&mut self, block: &Block) -> Result<()> {
        match block.place {
            Place::Guest => self.type_at_guest(&block.lines),
            Place::Host => block.lines.iter().try_for_each(|line| self.type_at_host(line)),
        }
    }

    fn type_at_host(&mut self, line: &str) -> Result<()> {
        if line.starts_with("abide run ") || line.starts_with("abide restore ") {
            self.leave()?;
            // Without a shell between, so that ending the session ends the guest.
            let mut command = self.shell(&format!("exec {line}"));
            self.guest = Some(Session::start(&mut command, LIMIT)?);
            self.is_restored = line.starts_with("abide restore ");
            return Ok(());
        }
        let Some((name, _)) = line.split_once("=$(cargo xtask ") else {
            return process::capture(&mut self.shell(line)).map(drop);
        };
        // Where `cargo xtask` is known.
        let mut command = self.shell(&format!("{line}\nprintf %s \"${name}\""));
        let value = process::capture(command.current_dir(paths::root()))?;
        ensure!(!value.is_empty(), "`{line}` gives nothing");
        self.variables.push((name.to_owned(), value));
        Ok(())
    }

    /// The user's own guests have their sockets elsewhere.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).current_dir(self.folder).env("PATH", &self.path);
        command.env("XDG_STATE_HOME", self.folder.join("state"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn type_at_guest(&mut self, lines: &[String]) -> Result<()> {
        let session = self.guest.as_mut().context("no guest is running")?;
        if self.is_restored {
            session.enter("")?;
        }
        session.prompt()?;
        for (command, answer) in exchanges(lines)? {
            if command == "exit" {
                session.enter(&command)?;
                return self.leave();
            }
            session::expect(session, &command, &answer)?;
        }
        Ok(())
    }

    /// Waits for the guest's end, by itself or because it was saved.
    fn leave(&mut self) -> Result<()> {
        let Some(session) = self.guest.take() else { return Ok(()) };
        let code = session.end()?;
        let is_good = [abide::POWERED_OFF, abide::SAVED_AWAY].contains(&code);
        ensure!(is_good, "the guest ended with exit code {code}");
        Ok(())
    }
}

/// What is typed, and what is answered.
fn exchanges(lines: &[String]) -> Result<Vec<(String, String)>> {
    let mut exchanges: Vec<(String, String)> = Vec::new();
    for line in lines {
        let typed = line.strip_prefix(PROMPT.0).and_then(|rest| rest.split_once(PROMPT.1));
        match (typed, exchanges.last_mut()) {
            (Some((_, command)), _) => exchanges.push((command.to_owned(), String::new())),
            (None, Some((_, answer))) => {
                answer.push_str(line);
                answer.push('\n');
            }
            (None, None) => bail!("a console block begins with {line:?} and no prompt"),
        }
    }
    ensure!(!exchanges.is_empty(), "nothing is typed in a console block");
    Ok(exchanges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn blocks_are_those_of_the_section() {
        let guide = format!(
            "```sh\nother\n```\n{HEADING}\ntext\n```sh\na=1  # remark\nb \\\n    --c\n```\n\
             ```console\nroot@guest:/# x\ny\n```\n### Disks\n```sh\nother\n```\n"
        );
        let host = Block { place: Place::Host, line: 6, lines: strings(&["a=1", "b --c"]) };
        let guest =
            Block { place: Place::Guest, line: 11, lines: strings(&["root@guest:/# x", "y"]) };
        assert_eq!(blocks(&guide).expect("good blocks"), [host, guest]);
        for bad in ["no section", HEADING, &format!("{HEADING}\n```python\n```\n")] {
            assert!(blocks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_guide_has_blocks_of_both_places() {
        let guide = fs::read_to_string(paths::root().join(GUIDE)).expect("it is there");
        let blocks = blocks(&guide).expect("good blocks");
        for block in blocks.iter().filter(|block| block.place == Place::Guest) {
            exchanges(&block.lines).expect("prompts and answers");
        }
    }

    #[test]
    fn answers_stand_below_what_is_typed() {
        let lines = strings(&["root@guest:/# a # b", "1", "2", "root@guest:/tmp# c"]);
        let found = exchanges(&lines).expect("good lines");
        assert_eq!(found, [("a # b".into(), "1\n2\n".into()), ("c".into(), String::new())]);
        assert!(exchanges(&strings(&["1"])).is_err() && exchanges(&[]).is_err());
    }
}
