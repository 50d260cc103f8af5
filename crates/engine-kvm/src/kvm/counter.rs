//! The guest's counter, read beside it: the host's, and how far the guest's is behind.

use abide_engine::GuestCounter;

/// How often the two are read together; the tightest counts.
const PAIRS: usize = 16;

/// CNTVCT_EL0 of a guest. KVM takes an offset from the host's counter for it, one for the VM.
#[derive(Debug)]
pub(super) struct KvmCounter {
    /// What the host's counter is ahead, modulo 2^64, at most.
    ahead: u64,
    /// By how many ticks it may be less.
    off_ticks: u64,
}

impl KvmCounter {
    /// From the guest's counter as the kernel tells it, read some times.
    pub(super) fn measure<E>(mut guest: impl FnMut() -> Result<u64, E>) -> Result<Self, E> {
        let mut best: Option<Self> = None;
        for _ in 0..PAIRS {
            let before = host_counter();
            let told = guest()?;
            let after = host_counter();
            // The guest's was read somewhere between: the host was at most `after` then.
            let (ahead, off_ticks) = (after.wrapping_sub(told), after.wrapping_sub(before));
            if best.as_ref().is_none_or(|best| off_ticks < best.off_ticks) {
                best = Some(Self { ahead, off_ticks });
            }
        }
        Ok(best.unwrap_or(Self { ahead: 0, off_ticks: u64::MAX }))
    }
}

impl GuestCounter for KvmCounter {
    /// At most what the guest reads: a reference point is never ahead of its counter.
    fn now(&self) -> u64 {
        host_counter().wrapping_sub(self.ahead)
    }

    fn off_ticks(&self) -> u64 {
        self.off_ticks
    }
}

/// CNTVCT_EL0 of this process: for a host its own counter, without an offset.
fn host_counter() -> u64 {
    let ticks: u64;
    #[expect(unsafe_code, reason = "no library call gives this register")]
    // SAFETY: reads one register, which Linux lets every process read (it sets
    // CNTKCTL_EL1.EL0VCTEN). The barrier keeps the read behind what is before it.
    unsafe {
        std::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack));
    }
    ticks
}
