//! Exit codes: what a script can know without reading a word.

use abide_machine::runner::Outcome;
use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Fine; of `run` and `restore`: the guest powered itself off.
    Fine,
    /// Refused, or two things differ; the reasons were printed.
    Refused,
    /// The input is damaged.
    Damaged,
    /// This host cannot.
    HostCannot,
    /// The guest asked for a reset.
    GuestReset,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// The guest was saved and goes on wherever its file is restored.
    SavedAway,
    /// The guest was handed over and goes on in another process.
    GivenAway,
    /// The guest was ended from outside.
    Stopped,
}

impl Exit {
    /// The one with this number.
    pub fn of(number: i32) -> Option<Self> {
        let all = [
            Self::Fine,
            Self::Refused,
            Self::Damaged,
            Self::HostCannot,
            Self::GuestReset,
            Self::GuestPanicked,
            Self::SavedAway,
            Self::Stopped,
            Self::GivenAway,
        ];
        all.into_iter().find(|exit| i32::from(exit.number()) == number)
    }

    /// The number. 2 is usage, which the argument parser exits with itself.
    pub const fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Refused => 1,
            Self::Damaged => 3,
            Self::HostCannot => 4,
            Self::GuestReset => 10,
            Self::GuestPanicked => 11,
            Self::SavedAway => 12,
            Self::Stopped => 13,
            Self::GivenAway => 14,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.number().into()
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::PoweredOff => Self::Fine,
            Outcome::Reset => Self::GuestReset,
            Outcome::Panicked => Self::GuestPanicked,
            Outcome::SavedAway => Self::SavedAway,
            Outcome::GivenAway => Self::GivenAway,
            Outcome::Stopped => Self::Stopped,
        }
    }
}
