//! The host's own clock. The one system call that no library with users wraps is here.

use crate::discipline::{Discipline, LeapState};
use crate::sample::{HostClock, Suspended, Utc};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::io;

/// The clock of the kernel under us.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelClock;

impl HostClock for KernelClock {
    fn discipline(&mut self) -> io::Result<Discipline> {
        // SAFETY: a `timex` is integers alone, for which zeroes are values.
        #[expect(unsafe_code, reason = "zeroes are the kernel's way to ask without changing")]
        let mut timex: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a whole `timex` of our own, and lives through the call, which
        // keeps nothing. `modes` is 0: nothing of the host's is changed.
        #[expect(unsafe_code, reason = "no library with users wraps adjtimex")]
        let returned = unsafe { libc::adjtimex(&raw mut timex) };
        if returned < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Discipline {
            leap: LeapState::from_return(returned),
            status: timex.status.cast_unsigned(),
            freq_scaled_ppm: timex.freq,
            tick_us: timex.tick,
            maxerror_us: timex.maxerror,
            esterror_us: timex.esterror,
            tai_sec: timex.tai,
        })
    }

    fn utc(&mut self) -> Utc {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        Utc { sec: tv_sec, ns: u32::try_from(tv_nsec).unwrap_or(0) }
    }

    fn suspended(&mut self) -> Suspended {
        let ns = |clock| {
            let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
            tv_sec.saturating_mul(1_000_000_000).saturating_add(tv_nsec)
        };
        let before_ns = ns(ClockId::Monotonic);
        let with_sleep_ns = ns(ClockId::Boottime);
        let after_ns = ns(ClockId::Monotonic);
        Suspended { least_ns: with_sleep_ns - after_ns, most_ns: with_sleep_ns - before_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_something_plausible() {
        let mut clock = KernelClock;
        let discipline = clock.discipline().unwrap();
        assert_eq!(discipline.implausible(), None, "{discipline:?}");
        let first = clock.utc();
        assert!(first.ns < 1_000_000_000);
        let Suspended { least_ns, most_ns } = clock.suspended();
        assert!(least_ns <= most_ns);
    }
}
