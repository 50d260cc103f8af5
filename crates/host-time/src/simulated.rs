//! A host's clock that a file describes, so that tests can have one that is synchronised, drifts,
//! steps or leaps on any machine.
//!
//! Each line is a word and a value; `#` begins a comment. The file is read anew at every look, so
//! changing it changes the clock of a running guest. Time goes on as the host's own does.
//!
//! | word | value | if it is missing |
//! |---|---|---|
//! | `synchronised` | `yes` or `no` | `yes` |
//! | `offset-ns` | what is added to the host's UTC | 0 |
//! | `maxerror-us`, `esterror-us` | as `adjtimex` tells them | 100 and 10 |
//! | `frequency-scaled-ppm` | the same, in 2^-16 ppm | 0 |
//! | `tick-us` | the same | 10000 |
//! | `tai-s` | the same: 0 for unknown | 37 |
//! | `leap` | `none`, `insert`, `delete`, `in-progress` or `over` | `none` |

use crate::discipline::{Discipline, LeapState, STA_DEL, STA_INS, STA_UNSYNC};
use crate::kernel::KernelClock;
use crate::sample::{HostClock, Suspended, Utc};
use crate::source::read_file;
use std::io;
use std::path::{Path, PathBuf};

/// How long a description may be, in bytes.
const LEN_MAX: usize = 4096;
const NS: i128 = 1_000_000_000;

/// Why a text describes no clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The file cannot be read.
    #[error("simulated clock {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A line is none of it.
    #[error("simulated clock, line {line}: found `{found}`, allowed {allowed}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is there.
        found: String,
        /// What may be there.
        allowed: &'static str,
    },
}

/// The clock of a file.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    path: PathBuf,
    offset_ns: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Description {
    discipline: Discipline,
    offset_ns: i64,
}

impl SimulatedClock {
    /// The clock that this file describes.
    ///
    /// # Errors
    /// [`SimulationError`]. Later, a file that cannot be read any more is a clock that does
    /// not answer.
    pub fn open(path: &Path) -> Result<Self, SimulationError> {
        let Description { offset_ns, .. } = read(path)?;
        Ok(Self { path: path.into(), offset_ns })
    }
}

impl HostClock for SimulatedClock {
    fn discipline(&mut self) -> io::Result<Discipline> {
        let description = read(&self.path).map_err(io::Error::other)?;
        self.offset_ns = description.offset_ns;
        Ok(description.discipline)
    }

    fn utc(&mut self) -> Utc {
        let Utc { sec, ns } = KernelClock.utc();
        let shown_ns = i128::from(sec) * NS + i128::from(ns) + i128::from(self.offset_ns);
        Utc {
            sec: i64::try_from(shown_ns.div_euclid(NS)).unwrap_or(i64::MAX),
            ns: u32::try_from(shown_ns.rem_euclid(NS)).unwrap_or(0),
        }
    }

    fn suspended(&mut self) -> Suspended {
        KernelClock.suspended()
    }
}

fn read(path: &Path) -> Result<Description, SimulationError> {
    let unreadable = |reason: String| SimulationError::Unreadable { path: path.into(), reason };
    let content = read_file(path, LEN_MAX).map_err(|error| unreadable(error.to_string()))?;
    if content.len() > LEN_MAX {
        return Err(unreadable(format!("longer than {LEN_MAX} bytes")));
    }
    parse(&String::from_utf8_lossy(&content))
}

fn parse(text: &str) -> Result<Description, SimulationError> {
    let discipline = Discipline {
        leap: LeapState::None,
        status: 0,
        freq_scaled_ppm: 0,
        tick_us: 10_000,
        maxerror_us: 100,
        esterror_us: 10,
        tai_sec: 37,
    };
    let mut description = Description { discipline, offset_ns: 0 };
    for (index, line) in text.lines().enumerate() {
        let wrong = |allowed| SimulationError::Line {
            line: index + 1,
            found: line.chars().take(80).collect(),
            allowed,
        };
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(word), Some(value), None) => {
                description.set(word, value).map_err(wrong)?;
            }
            _ => return Err(wrong("a word and a value")),
        }
    }
    Ok(description)
}

impl Description {
    fn set(&mut self, word: &str, value: &str) -> Result<(), &'static str> {
        let number = || value.parse::<i64>().map_err(|_| "a whole number");
        let clock = &mut self.discipline;
        match word {
            "synchronised" => match value {
                "yes" => clock.status &= !STA_UNSYNC,
                "no" => clock.status |= STA_UNSYNC,
                _ => return Err("yes or no"),
            },
            "offset-ns" => self.offset_ns = number()?,
            "maxerror-us" => clock.maxerror_us = number()?,
            "esterror-us" => clock.esterror_us = number()?,
            "frequency-scaled-ppm" => clock.freq_scaled_ppm = number()?,
            "tick-us" => clock.tick_us = number()?,
            "tai-s" => clock.tai_sec = i32::try_from(number()?).map_err(|_| "32 bits")?,
            "leap" => {
                let (leap, status) = leap(value)?;
                clock.leap = leap;
                clock.status = clock.status & STA_UNSYNC | status;
            }
            _ => return Err("one of the words that the documentation lists"),
        }
        Ok(())
    }
}

fn leap(value: &str) -> Result<(LeapState, u32), &'static str> {
    Ok(match value {
        "none" => (LeapState::None, 0),
        "insert" => (LeapState::Insert, STA_INS),
        "delete" => (LeapState::Delete, STA_DEL),
        "in-progress" => (LeapState::InProgress, STA_INS),
        "over" => (LeapState::Over, STA_INS),
        _ => return Err("none, insert, delete, in-progress or over"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_whole() {
        let text = "# A clock.\nsynchronised no\noffset-ns -5\nmaxerror-us 7 # us\nesterror-us 3\n\
                    frequency-scaled-ppm -65536\ntick-us 10001\ntai-s 36\nleap insert\n\n";
        let Description { discipline, offset_ns } = parse(text).unwrap();
        assert_eq!(offset_ns, -5);
        let expected = Discipline {
            leap: LeapState::Insert,
            status: STA_UNSYNC | STA_INS,
            freq_scaled_ppm: -65_536,
            tick_us: 10_001,
            maxerror_us: 7,
            esterror_us: 3,
            tai_sec: 36,
        };
        assert_eq!(discipline, expected);
    }

    #[test]
    fn what_describes_no_clock_is_refused_by_line() {
        for text in ["tai-s", "tai-s 1 2", "tai-s x", "tai-s 99999999999", "leap soon", "x 1"] {
            let wrong = parse(&format!("# one\n{text}\n"));
            assert!(matches!(wrong, Err(SimulationError::Line { line: 2, .. })), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        std::fs::write(&path, "#".repeat(5000)).unwrap();
        assert!(matches!(SimulatedClock::open(&path), Err(SimulationError::Unreadable { .. })));
    }

    #[test]
    fn a_change_of_the_file_changes_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        std::fs::write(&path, "tai-s 36\n").unwrap();
        let mut clock = SimulatedClock::open(&path).unwrap();
        assert_eq!(clock.discipline().unwrap().tai_sec, 36);
        std::fs::write(&path, "synchronised no\noffset-ns 3600000000000\n").unwrap();
        assert!(!clock.discipline().unwrap().is_synchronised());
        assert!(clock.utc().sec >= KernelClock.utc().sec + 3599);
        std::fs::remove_file(&path).unwrap();
        assert!(clock.discipline().is_err());
    }
}
