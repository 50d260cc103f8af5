//! # abide-vmclock: the time that a guest reads from a page
//!
//! A guest maps a page in which its host says what time it is as a function of the CPU's own
//! counter, how wrong that may be, and whether the guest has been moved or copied since it last
//! looked `[linux include/uapi/linux/vmclock-abi.h]`. Reading it takes no exit and no system call,
//! and it is right from the first instruction after a move.
//!
//! This crate has the layout ([`spec`], [`Body`], [`Constants`]), the way in which a page is shared
//! ([`seqlock`]), the host's side ([`Vmclock`]), the rule by which a time may follow another
//! ([`nest`]) and the guest's side ([`Reader`]). It reads no clock and maps no memory.
//!
//! | field | on migration |
//! |---|---|
//! | `magic`, `version` | the same everywhere |
//! | `size`, `counter_id`, `time_type` | carried: fixed at birth, a driver reads them once |
//! | `seq_count` | carried, and goes on from there: a reader that was stopped halfway starts again |
//! | `disruption_marker` | bumped whenever the guest arrives somewhere |
//! | `vm_generation_counter` | bumped when a copy arrives: a restored or cloned snapshot |
//! | flag `NOTIFICATION_PRESENT` | carried: Linux looks once |
//! | flags `DISRUPTION_SOON`, `_IMMINENT` | cleared: what was expected has happened |
//! | other flags | recomputed |
//! | `leap_second_smearing_hint` | carried |
//! | `clock_status`, `tai_offset_sec`, `leap_indicator` | recomputed from the host that it comes to |
//! | `counter_value`, `counter_period_*`, `time_*` | recomputed from the host that it comes to |
//!
//! Pause and reboot change nothing. Before the first claim of a host the status is
//! `UNRELIABLE`, not `INITIALIZING`, for which Linux tells a time all the same
//! `[linux drivers/ptp/ptp_vmclock.c]`.
//!
//! ```
//! use abide_vmclock::seqlock::AtomicPage;
//! use abide_vmclock::{Claim, Constants, Line, NoTime, Period, Reader, Time, Vmclock, spec};
//!
//! let constants = Constants {
//!     size_bytes: 4096,
//!     counter_id: spec::COUNTER_ARM_VCNT,
//!     time_type: spec::TIME_TAI,
//!     notifies: false,
//! };
//! let (page, mut clock) = (AtomicPage::default(), Vmclock::new(constants, 0));
//! clock.write_all(&page, |words| page.set_constants(words));
//!
//! let found = Constants::from_words(page.constants(), 4096)?;
//! let reader = Reader::new(found, spec::COUNTER_ARM_VCNT, 1000);
//! let early = reader.look(&page, || 500)?;
//! assert_eq!(reader.time(&early), Err(NoTime::Unreliable { clock_status: 4 }));
//!
//! let period = Period::of_hz(1_000_000_000).expect("a frequency");
//! let time = Time::from_parts(1_800_000_037, 0);
//! let line = Line { counter_value: 1000, time, period, period_maxerror: 0, time_maxerror_ns: 50 };
//! let claim = Claim {
//!     line,
//!     time_esterror_ns: 10,
//!     period_esterror: 0,
//!     tai_offset_sec: Some(-37),
//!     leap_indicator: spec::LEAP_NONE,
//!     is_synchronised: true,
//! };
//! clock.claim(claim, 1000);
//! clock.write(&page);
//! let reading = reader.time(&reader.look(&page, || 3000)?)?;
//! // 2,000 ticks of a nanosecond, rounded down.
//! assert_eq!(reading.time.to_string(), "1800000037.000001999");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod line;
pub mod nest;
mod page;
mod reader;
pub mod seqlock;
pub mod spec;
pub mod state;
mod time;

pub use device::{Claim, Intent, Notice, Outcome, Vmclock};
pub use line::Line;
pub use page::{Body, Constants, to_bytes};
pub use reader::{Event, HeadError, Look, NoTime, Reader, Reading};
pub use time::{Period, Time};
