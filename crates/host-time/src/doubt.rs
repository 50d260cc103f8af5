//! Why a host cannot say what time it is.

use crate::leap::LeapTableError;
use std::path::PathBuf;

/// Why there is no time to publish, or only an old one that is carried on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// STA_UNSYNC.
    #[error(
        "host clock status: STA_UNSYNC, with a maximum error of {maxerror_us} us; allowed \
         synchronised; start a time daemon (chronyd, ntpd) on the host"
    )]
    Unsynchronised {
        /// `maxerror`.
        maxerror_us: i64,
    },
    /// Synchronised, but the kernel has no TAI offset, nor is there a table to tell it.
    #[error(
        "host clock tai: found {tai_sec}, allowed 10 to 1000, and {table}; let the time daemon \
         set it (chrony: `leapseclist`, `leapsectz`), or renew the host's leap-seconds.list"
    )]
    NoTaiOffset {
        /// `tai`.
        tai_sec: i32,
        /// What is wrong with the table.
        table: NoTable,
    },
    /// The kernel and the table tell different offsets.
    #[error(
        "host clock tai: found {kernel_sec}, but the table of leap seconds has {table_sec} for \
         this day; correct whichever is wrong"
    )]
    TaiContradiction {
        /// The kernel's.
        kernel_sec: i16,
        /// The table's.
        table_sec: i16,
    },
    /// A leap second is near and the kernel was not told: the clock is smeared, or about to be
    /// wrong by a second.
    #[error(
        "host clock: a leap second at {at_utc_sec} s (UTC) is within {within_s} s and the kernel \
         was not told of it, so the clock may be smeared; if not, say `--host-clock exact`"
    )]
    LeapNotAnnounced {
        /// The first second after it.
        at_utc_sec: i64,
        /// How near that counts as near.
        within_s: i64,
    },
    /// The kernel is making a leap second that the table does not have.
    #[error(
        "host clock: the kernel was told of a leap second that the table of leap seconds does \
         not have; correct whichever is wrong"
    )]
    LeapDisputed,
    /// The operator says so.
    #[error("host clock: declared smeared, and a smeared clock cannot tell TAI")]
    Smeared,
    /// It shows a time before the table of leap seconds was made.
    #[error(
        "host clock: found {utc_sec} s (UTC), but the table of leap seconds was made later, at \
         {made_sec} s; set the clock"
    )]
    BeforeTable {
        /// What it shows.
        utc_sec: i64,
        /// When the table was made.
        made_sec: i64,
    },
    /// The host slept, and its time daemon has not looked since.
    #[error("host clock: the host slept, and the clock was not synchronised since")]
    Slept,
    /// The guest's counter went back.
    #[error("guest counter: went back from {from} to {to}")]
    CounterWentBack {
        /// Before.
        from: u64,
        /// After.
        to: u64,
    },
    /// The counter has no frequency that time can be computed with.
    #[error("guest counter frequency: found {hz} Hz, allowed 2 Hz and more")]
    Frequency {
        /// In Hz.
        hz: u64,
    },
    /// Lost so long ago that the error is larger than the kernel's own limit.
    #[error("host clock: not synchronised for so long that it may be {error_ns} ns wrong")]
    LostTooLong {
        /// The error.
        error_ns: u64,
    },
    /// A field that no kernel fills like this.
    #[error("host clock {field}: found {found}, which no kernel says")]
    Implausible {
        /// Of `struct timex`.
        field: &'static str,
        /// Its value.
        found: i64,
    },
    /// The kernel does not answer.
    #[error("host clock: adjtimex failed with errno {errno}; a sandbox may forbid it")]
    Unreadable {
        /// Why.
        errno: i32,
    },
    /// Somebody changed the clock during every attempt to read it.
    #[error("host clock: changed during every attempt to read it")]
    Unsteady,
}

impl Doubt {
    /// Whether a time that was trusted before may be carried on by the counter alone. It may not
    /// where the counter itself, or the offset of TAI, is what is doubted.
    #[must_use]
    pub const fn lets_run_on(&self) -> bool {
        match self {
            Self::Unsynchronised { .. }
            | Self::NoTaiOffset { .. }
            | Self::LeapNotAnnounced { .. }
            | Self::LeapDisputed
            | Self::BeforeTable { .. }
            | Self::Implausible { .. }
            | Self::Unreadable { .. }
            | Self::Unsteady => true,
            Self::TaiContradiction { .. }
            | Self::Smeared
            | Self::Slept
            | Self::CounterWentBack { .. }
            | Self::Frequency { .. }
            | Self::LostTooLong { .. } => false,
        }
    }
}

/// Why there is no table of leap seconds to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTable {
    /// None was given or found.
    #[error("there is no table of leap seconds")]
    Missing,
    /// It cannot be read.
    #[error("{path} cannot be read: errno {errno}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        errno: i32,
    },
    /// It is not one.
    #[error("{path} is no table of leap seconds: {error}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Why.
        error: LeapTableError,
    },
    /// It has expired.
    #[error("the table of leap seconds expired at {expires_sec} s (UTC)")]
    Expired {
        /// When.
        expires_sec: i64,
    },
}
