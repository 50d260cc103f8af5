//! # abide-host-time: what the host's clock says, and how wrong it may be
//!
//! Reads the kernel's clock together with the counter that a guest reads, and turns both into an
//! [`abide_vmclock::Claim`]: TAI over the guest's counter, with errors that are true even if the
//! host's clock is slewed, set or lost afterwards. Where that cannot be said, [`Doubt`] says why.
//!
//! * [`Sample`]: one look: the clock between two reads of the counter, the tightest of several,
//!   between two reads of the kernel's state.
//! * [`Assessor`]: from looks to claims. It takes everything as an argument and reads nothing.
//! * [`LeapTable`]: the table of leap seconds, with its expiry and its hash.
//! * [`policy`]: when a page is written, and when a guest is interrupted for it.
//! * [`KernelClock`]: the host's clock; [`SimulatedClock`]: one that a file describes, for tests.
//!
//! | the host | what a guest is told |
//! |---|---|
//! | never synchronised since this process looks | nothing: UNRELIABLE |
//! | synchronised, TAI known | SYNCHRONIZED |
//! | synchronised, TAI unknown: neither the kernel's `tai` nor a table that has not expired | nothing |
//! | no longer synchronised, or set by hand | FREERUNNING: the last time that was believed, carried on by the counter, for its error is known |
//! | carried on until it may be 16 s wrong | nothing |
//! | kernel and table tell different offsets | nothing |
//! | around a leap second of which the kernel was not told | FREERUNNING, or nothing: it may be smeared |
//! | a smear at another time, or of another kind | cannot be seen: say `smeared` |
//! | slept | nothing, until its clock was synchronised again |
//!
//! A clock that was stepped, and then says it is synchronised, contradicts what the page says: the
//! guest is then told of a disruption ([`abide_vmclock::Vmclock::claim`]).

pub mod assess;
pub mod discipline;
mod doubt;
mod kernel;
mod leap;
pub mod policy;
mod sample;
mod simulated;
mod source;

pub use assess::{Assessment, Assessor, Kind};
pub use discipline::{Discipline, LeapState};
pub use doubt::{Doubt, NoTable};
pub use kernel::KernelClock;
pub use leap::{Leap, LeapTable, LeapTableError, TABLE_LEN_MAX, month_of};
pub use sample::{GuestCounter, HostClock, Pair, Sample, Suspended, Utc};
pub use simulated::{SimulatedClock, SimulationError};
pub use source::{HostTime, LEAP_SECONDS_LIST, read_table};
