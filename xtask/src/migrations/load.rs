//! The guest under load (`guests/load`), and what it must say on its console.

use crate::abide::Linux;
use crate::hash::{self, Hash};
use crate::tasks::guests;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the guest needs of the modules that a guest with devices may have, with those that they
/// need.
const MODULES: [&str; 7] = [
    "virtio",
    "virtio_ring",
    "virtio_mmio",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
];
/// What the guest says.
const SAYS: &str = "abide-load: ";
/// So that the kernel does not cut its lines.
pub const QUIET: &str = "quiet loglevel=1";
const DISK_LEN: u64 = 16 << 20;
/// How much of the disk the guest uses, in blocks, and how long one is, in bytes.
const BLOCKS: usize = 256;
const BLOCK_LEN: usize = 32 << 10;
/// Who works: four in memory, one on the disk, one on the network.
const WORKERS: usize = 6;
const IN_MEMORY: usize = 4;
/// How much memory each of the four has, in pages.
const PAGES: usize = 2048;

/// The guest with its disk, before it runs.
pub struct Load {
    pub linux: Linux,
    /// What it writes to.
    pub disk: PathBuf,
}

impl Load {
    /// Makes RAM disk and disk in `folder`.
    ///
    /// # Errors
    /// If kernel or modules cannot be fetched, or the files cannot be made.
    pub fn new(series: &str, folder: &Path) -> Result<Self> {
        let is_wanted = |name: &str| MODULES.contains(&name);
        let linux = Linux::with_init(series, folder, &guests::load()?, &[], is_wanted)?;
        let disk = folder.join("disk.img");
        File::create(&disk)?.set_len(DISK_LEN)?;
        Ok(Self { linux, disk })
    }

    /// `abide run` of it.
    pub fn run(&self, program: &Path, vcpus: u32) -> Command {
        let mut command = self.linux.run_with(program, QUIET);
        command.args(["--vcpus", &vcpus.to_string(), "--net", "echo", "--disk"]).arg(&self.disk);
        command
    }

    /// Whether the guest has ended as it should, and its disk holds what it says.
    ///
    /// # Errors
    /// If not.
    pub fn check_end(&self, heard: &Heard) -> Result<()> {
        heard.check_end(disk_checksum(&fs::read(&self.disk)?))
    }
}

/// The hash of what the guest uses of its disk.
fn disk_checksum(bytes: &[u8]) -> u64 {
    let mut sum = Hash::new();
    for block in bytes.chunks(BLOCK_LEN).take(BLOCKS) {
        let (words, _) = block.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        sum.word(hash::of(&words));
    }
    sum.value()
}

/// What came from the guest's console, through all of its processes.
#[derive(Default)]
pub struct Heard {
    /// A line that is not whole.
    rest: Vec<u8>,
    /// How many lines the guest has counted.
    pub lines: u64,
    /// How many steps each worker has done.
    pub steps: [u64; WORKERS],
    /// What else the guest said.
    said: Vec<String>,
    /// What nobody expects: words of the kernel.
    pub others: Vec<String>,
}

impl Heard {
    /// Takes what came next.
    ///
    /// # Errors
    /// If a line is missing, comes twice, or tells of fewer steps than one before, or if the guest
    /// says that something is wrong.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<()> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let Some(said) = line.strip_prefix(SAYS) else {
            self.others.extend((!line.is_empty()).then(|| line.to_owned()));
            return Ok(());
        };
        let number =
            said.split_once(": ").and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        let Some((number, rest)) = number else {
            ensure!(!said.starts_with("FAILED") && said != "panic", "the guest says: {said}");
            self.said.push(said.to_owned());
            return Ok(());
        };
        let lines: u64 = number;
        ensure!(lines == self.lines + 1, "the guest counted {}, and then {lines}", self.lines);
        let numbers = rest.split(|letter: char| !letter.is_ascii_digit());
        let steps: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        let steps: [u64; WORKERS] = steps.try_into().ok().with_context(|| format!("{said:?}"))?;
        for (before, now) in self.steps.iter().zip(steps) {
            ensure!(now >= *before, "a worker went from step {before} back to {now}: {said}");
        }
        (self.lines, self.steps) = (lines, steps);
        Ok(())
    }

    /// Whether every worker has gone on since.
    pub fn all_went_on(&self, since: &[u64; WORKERS]) -> bool {
        self.steps.iter().zip(since).all(|(now, then)| now > then)
    }

    fn check_end(&self, disk: u64) -> Result<()> {
        let said = |line: &str| self.said.iter().filter(|said| *said == line).count();
        for worker in 0..IN_MEMORY {
            let line = format!("memory {worker}: {PAGES} pages are as written");
            ensure!(said(&line) == 1, "{line:?} is not said once: {:?}", self.said);
        }
        let rounds = self.said.iter().find_map(|said| {
            said.strip_prefix("network: ")?.split_once(' ')?.0.parse::<u64>().ok()
        });
        let rounds = rounds.context("no word about the network")?;
        ensure!(rounds >= self.steps[WORKERS - 1], "{rounds} rounds of the network are too few");
        let line = format!("{} lines", self.lines);
        ensure!(said(&line) == 1, "{line:?} is not said once: {:?}", self.said);
        let line = format!("disk checksum {disk:016x}");
        ensure!(said(&line) == 1, "the disk holds {disk:016x}, but: {:?}", self.said);
        if self.said.last().is_none_or(|last| last != "done") {
            bail!("the guest did not finish: {:?}", self.said);
        }
        Ok(())
    }
}

/// What a console says, for messages.
pub fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "abide-load: 1: memory 0 1 0 0, disk 7, network 2\r\n";
    const SECOND: &str = "abide-load: 2: memory 3 1 2 9, disk 7, network 2\r\n";

    fn heard(pieces: &[&str]) -> Result<Heard> {
        let mut heard = Heard::default();
        pieces.iter().try_for_each(|piece| heard.hear(piece.as_bytes()))?;
        Ok(heard)
    }

    #[test]
    fn lines_are_put_together_from_pieces_of_two_processes() {
        let (one, other) = SECOND.split_at(20);
        let found = heard(&["[ 0.1] kernel\r\n", FIRST, one, other]).unwrap();
        assert_eq!((found.lines, found.steps), (2, [3, 1, 2, 9, 7, 2]));
        assert!(found.all_went_on(&[2, 0, 1, 8, 6, 1]));
        assert!(!found.all_went_on(&[2, 0, 1, 8, 7, 1]), "the disk stands still");
    }

    #[test]
    fn gap_repeat_step_back_and_failure_are_noticed() {
        assert!(heard(&[SECOND]).is_err());
        assert!(heard(&[FIRST, FIRST]).is_err());
        let back = SECOND.replace("disk 7", "disk 6");
        assert!(heard(&[FIRST, &back]).is_err());
        assert!(heard(&[FIRST, "abide-load: FAILED: memory changed\r\n"]).is_err());
        assert!(heard(&[FIRST, "abide-load: 2: memory 3 1\r\n"]).is_err());
    }

    #[test]
    fn end_that_lacks_something_is_noticed() {
        let memory: String = (0..4)
            .map(|number| format!("abide-load: memory {number}: 2048 pages are as written\n"))
            .collect();
        let rest = "abide-load: network: 2 rounds came back, hash 00\n\
                    abide-load: disk checksum 0000000000000009\n";
        let all = [FIRST, &memory, rest, "abide-load: 1 lines\n", "abide-load: done\n"];
        heard(&all).unwrap().check_end(9).unwrap();
        assert!(heard(&all).unwrap().check_end(8).is_err(), "another disk");
        for left_out in 1..all.len() {
            let without = [&all[..left_out], &all[left_out + 1..]].concat();
            assert!(heard(&without).unwrap().check_end(9).is_err(), "{}", all[left_out]);
        }
    }

    #[test]
    fn every_byte_of_the_disk_counts() {
        let mut bytes = vec![0; BLOCKS * BLOCK_LEN];
        let empty = disk_checksum(&bytes);
        bytes[BLOCKS * BLOCK_LEN - 1] = 1;
        assert_ne!(disk_checksum(&bytes), empty);
    }
}
