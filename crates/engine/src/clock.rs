//! Where an engine takes its time from.

/// The one clock of a machine: the system counter, in ticks of CNTFRQ.
///
/// A clock either follows the host's time or is virtual: then it moves only with retired
/// instructions and with the jumps that the machine makes while every vCPU sleeps, and a run can be
/// repeated exactly.
pub trait Clock: Send + Sync {
    /// The system counter now.
    fn now_ticks(&self) -> u64;

    /// Tells that `instructions` more were executed. An engine says so before every call on the
    /// bus, before it reads the clock and when it stops, so that virtual time is exact there.
    fn retire(&self, instructions: u64);

    /// After how many more instructions the counter reaches `ticks`, where instructions are what
    /// moves it; 0 where it has. `None` for a clock that moves by itself.
    fn instructions_until(&self, ticks: u64) -> Option<u64>;
}
