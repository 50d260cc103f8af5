//! What a call is given, what it returns, and who answers it.

use crate::{Firmware, psci, pv_time, smccc, spec, trng};
use abide_reg::{Gpa, VcpuId};

/// The vCPU that called, as it was at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Which one.
    pub vcpu: VcpuId,
    /// It executes AArch32: PSCI's 64-bit functions do not exist for it.
    pub is_aarch32: bool,
    /// Its data accesses at EL1 are big-endian; a CPU it switches on starts the same way.
    pub is_big_endian: bool,
}

impl Caller {
    /// A caller in AArch64 state, little-endian.
    #[must_use]
    pub const fn aarch64(vcpu: VcpuId) -> Self {
        Self { vcpu, is_aarch32: false, is_big_endian: false }
    }
}

/// A counter that `KVM_PTP` may be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PtpCounter {
    /// `CNTVCT_EL0` as the guest reads it.
    Virtual,
    /// `CNTPCT_EL0` as the guest reads it.
    Physical,
}

/// Two clocks read at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtpSample {
    /// Nanoseconds since 1970-01-01 UTC.
    pub realtime_ns: u64,
    /// The counter's value, in ticks.
    pub counter_ticks: u64,
}

/// What the machine lends to a call: its vCPUs, a source of entropy and its clocks.
pub trait Environment {
    /// How many vCPUs there are: ids 0 up to this.
    fn vcpu_count(&self) -> u32;

    /// The vCPU's `MPIDR_EL1`. Bits outside the affinity fields are ignored.
    fn mpidr(&self, vcpu: VcpuId) -> u64;

    /// Whether the vCPU is switched on. It is from the moment [`Effect::CpuOn`] was returned, as
    /// with KVM, which therefore has no use for `ON_PENDING`.
    fn is_on(&self, vcpu: VcpuId) -> bool;

    /// 64 random bits, or `None` while there are none. A deterministic machine saves the state of
    /// its source.
    fn entropy(&mut self) -> Option<u64>;

    /// Real time and the counter at one instant, or `None` where the machine cannot read both.
    fn ptp(&self, counter: PtpCounter) -> Option<PtpSample>;

    /// Where the vCPU's record of stolen time is, or `None` where it has none, which is what a
    /// machine without stolen time may leave it at.
    fn stolen_time_record(&self, _vcpu: VcpuId) -> Option<Gpa> {
        None
    }

    /// The vCPU asked for its record, which begins anew: all of it is 0 but its revision.
    fn begin_stolen_time(&mut self, _vcpu: VcpuId) {}
}

/// What the machine has to do once `x0`–`x3` are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reset the target and let it run; it is on from now on.
    CpuOn {
        /// The vCPU; it is off.
        target: VcpuId,
        /// Where it begins, with the MMU off.
        entry: Gpa,
        /// Its `x0`.
        context_id: u64,
        /// Whether it starts with big-endian data accesses.
        is_big_endian: bool,
    },
    /// Switch the caller off.
    CpuOff,
    /// Let the caller wait for an interrupt, as `WFI` does; its state is kept.
    Suspend,
    /// Switch the machine off. All vCPUs stop.
    SystemOff,
    /// Reset the machine. All vCPUs stop.
    SystemReset,
    /// Reset the machine in a way the guest chose. All vCPUs stop.
    SystemReset2 {
        /// 0 = warm, 0x8000_0000 and above = a vendor's.
        reset_type: u32,
        /// The vendor's argument.
        cookie: u64,
    },
    /// Switch the machine off after the guest has hibernated. All vCPUs stop.
    SystemOff2,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What to write into `x0`–`x3`.
    pub regs: [u64; 4],
    /// What to do then.
    pub effect: Option<Effect>,
}

impl Reply {
    /// A code in `x0`; `x1`–`x3` become 0, as KVM leaves them.
    pub(crate) const fn code(code: i64) -> Self {
        Self::regs([code.cast_unsigned(), 0, 0, 0])
    }

    pub(crate) const fn regs(regs: [u64; 4]) -> Self {
        Self { regs, effect: None }
    }

    pub(crate) const fn with(self, effect: Effect) -> Self {
        Self { effect: Some(effect), ..self }
    }
}

impl Firmware {
    /// Answers the call with `args` in `x0`–`x3`; the function id is `w0`.
    ///
    /// `None` means that the function belongs to somebody else. Where nobody takes it, the router
    /// answers [`spec::SMCCC_NOT_SUPPORTED`].
    ///
    /// Meant for `HVC #0`, and for `SMC #0` where the machine lets guests use that. Registers above
    /// `x3` are not touched `[DEN0028 2]`.
    #[must_use]
    pub fn call(
        &self,
        caller: Caller,
        args: &[u64; 4],
        env: &mut dyn Environment,
    ) -> Option<Reply> {
        let function = low32(args[0]);
        let is_arch =
            function & (spec::FAST_CALL | spec::OWNER_MASK) == spec::FAST_CALL | spec::OWNER_ARCH;
        match function {
            _ if is_arch => Some(smccc::arch_call(self, function, args)),
            _ if is_psci(function) => Some(psci::call(self, caller, function, args, env)),
            spec::TRNG_VERSION
            | spec::TRNG_FEATURES
            | spec::TRNG_GET_UUID
            | spec::TRNG_RND32
            | spec::TRNG_RND64 => Some(trng::call(self, function, args, env)),
            spec::PV_TIME_FEATURES | spec::PV_TIME_ST => {
                Some(pv_time::call(self, caller, function, args, env))
            }
            spec::VENDOR_HYP_CALL_UID
            | spec::VENDOR_HYP_KVM_FEATURES
            | spec::VENDOR_HYP_KVM_PTP
            | spec::VENDOR_HYP_KVM_DISCOVER_IMPL_VER
            | spec::VENDOR_HYP_KVM_DISCOVER_IMPL_CPUS => {
                Some(smccc::vendor_call(self, function, args, env))
            }
            _ => None,
        }
    }
}

/// PSCI's range with 32-bit or 64-bit arguments; all of it is ours, named or not.
fn is_psci(function: u32) -> bool {
    (function & !spec::SMC64).wrapping_sub(spec::PSCI_BASE) <= spec::PSCI_FUNCTION_LAST
}

#[expect(clippy::cast_possible_truncation, reason = "w-register: the lower half is meant")]
pub(crate) const fn low32(number: u64) -> u32 {
    number as u32
}
