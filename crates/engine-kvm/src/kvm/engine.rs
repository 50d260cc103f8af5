//! `/dev/kvm`.

use super::rings::{self, LogBy};
use super::{irqchip, kick, vm};
use crate::trial::Seen;
use crate::{ENGINE_NAME, HostFacts, encoding, host, trial};
use abide_arm64::features::{CpuFeatures, Feature};
use abide_engine::{Engine, EngineError, Vm, VmConfig};
use abide_memory::GuestRam;
use abide_pvtime::{REVISION_1_0, Revisions};
use abide_reg::Gpa;
use kvm_bindings::{
    KVM_CAP_ARM_INJECT_EXT_DABT, KVM_CAP_ARM_PMU_V3, KVM_CAP_ARM_PTRAUTH_ADDRESS,
    KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_CAP_ARM_SVE, KVM_CAP_STEAL_TIME,
};
use kvm_ioctls::{Cap, Kvm, VmFd};
use std::os::raw::c_ulong;
use std::sync::{Arc, OnceLock};

/// Guest physical addresses of this many bits hold every board with less than 1 TiB of RAM; all
/// arm64 hosts but the smallest offer them.
const IPA_BITS: u32 = 40;

/// Above every capability that there is; the newest known is 245.
const CAPABILITIES_END: u32 = 512;

/// KVM on an arm64 host, by its device `/dev/kvm`.
#[derive(Debug)]
pub struct KvmEngine {
    kvm: Kvm,
    cntfrq_hz: u64,
    log_by: LogBy,
    /// Of which revisions it may offer records of stolen time, where that was told.
    stolen_time: Option<Revisions>,
    /// What the tiny guest read, once one was run.
    seen: OnceLock<Seen>,
}

impl KvmEngine {
    /// Opens `/dev/kvm` and makes sure that it offers what every VM needs, a GICv3 among it.
    /// [`Self::try_guest`] comes next: where KVM tells its user another CTR_EL0 than guests read,
    /// only a guest finds out, and VMs made before show what KVM tells.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`], with what to do.
    pub fn open() -> Result<Self, EngineError> {
        let kvm = Kvm::new().map_err(|error| host::cannot_open(error.errno()))?;
        let version = kvm.get_api_version();
        if version != host::API_VERSION {
            return Err(host::wrong_version(version));
        }
        for (cap, what) in [
            (Cap::OneReg, "register access by id (KVM_CAP_ONE_REG)"),
            (Cap::DeviceCtrl, "devices (KVM_CAP_DEVICE_CTRL)"),
            (Cap::ImmediateExit, "way to leave KVM_RUN at once (KVM_CAP_IMMEDIATE_EXIT)"),
            (Cap::ArmPsci02, "PSCI (KVM_CAP_ARM_PSCI_0_2)"),
            (Cap::MpState, "power state of vCPUs (KVM_CAP_MP_STATE)"),
            (Cap::VcpuEvents, "pending SErrors as state (KVM_CAP_VCPU_EVENTS)"),
        ] {
            if !kvm.check_extension(cap) {
                return Err(host::lacks(what));
            }
        }
        if kvm.check_extension_raw(c_ulong::from(KVM_CAP_ARM_INJECT_EXT_DABT)) <= 0 {
            return Err(host::lacks("external aborts for guests (KVM_CAP_ARM_INJECT_EXT_DABT)"));
        }
        kick::install_handler()?;
        let engine = Self {
            cntfrq_hz: host_cntfrq_hz(),
            log_by: if rings::offered(&kvm) { LogBy::Rings } else { LogBy::Bitmap },
            stolen_time: None,
            seen: OnceLock::new(),
            kvm,
        };
        engine.check_gicv3()?;
        Ok(engine)
    }

    /// The same engine, which offers records of stolen time of no other revisions than these, and
    /// of these only what the host's kernel keeps.
    #[must_use]
    pub fn with_stolen_time(mut self, revisions: Revisions) -> Self {
        self.stolen_time = Some(revisions);
        self
    }

    /// Runs a tiny guest, to see whether this KVM runs any.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`], with what was seen and what to do.
    pub fn try_guest(&self, kind: trial::Kind) -> Result<(), EngineError> {
        // What monitors count only a guest that has them can tell.
        let has_pmu = self.kvm.check_extension_raw(c_ulong::from(KVM_CAP_ARM_PMU_V3)) > 0;
        let features = if has_pmu { CpuFeatures::of(&[Feature::Pmu]) } else { CpuFeatures::NONE };
        if let Some(seen) = trial::run(self, self.cntfrq_hz, features, kind)? {
            // Every guest reads the same.
            self.seen.get_or_init(|| seen);
        }
        Ok(())
    }

    /// Whether guests can be told of fewer events of performance monitors than the host has: one
    /// that is told of all but the first is asked.
    ///
    /// # Errors
    /// [`EngineError`] where the guest that is asked cannot be made or run.
    pub fn hides_events(&self) -> Result<bool, EngineError> {
        let Some([first, second]) = self.seen.get().and_then(|seen| seen.pmu_events) else {
            return Ok(false);
        };
        // Without its lowest bit, unless that is none.
        let fewer = [first & first.wrapping_sub(1), second];
        let mut features = CpuFeatures::of(&[Feature::Pmu]);
        features.pmu_events = Some(fewer);
        let seen = trial::run(self, self.cntfrq_hz, features, trial::Kind::Born)?;
        Ok(seen.and_then(|seen| seen.pmu_events) == Some(fewer))
    }

    /// Whether the host's KVM logs a guest's writes by rings, and this engine has it do so
    /// `[linux Documentation/virt/kvm/api.rst 8.29]`.
    #[must_use]
    pub fn has_dirty_rings(&self) -> bool {
        self.log_by == LogBy::Rings
    }

    /// The same engine, whose VMs do without dirty rings, as on hosts that have none.
    #[must_use]
    pub fn without_dirty_rings(self) -> Self {
        Self { log_by: LogBy::Bitmap, ..self }
    }

    /// The frequency of the host's system counter, in Hz: that of every guest's.
    #[must_use]
    pub fn cntfrq_hz(&self) -> u64 {
        self.cntfrq_hz
    }

    /// What the host's KVM is.
    #[must_use]
    pub fn facts(&self) -> HostFacts {
        let answer = |cap: u32| self.kvm.check_extension_raw(c_ulong::from(cap));
        let capabilities = (0..CAPABILITIES_END).map(|cap| (cap, answer(cap)));
        HostFacts {
            // A kernel without the choice says 0 and has 40.
            ipa_bits: u8::try_from(self.kvm.get_host_ipa_limit())
                .ok()
                .filter(|bits| *bits > 0)
                .unwrap_or(40),
            page_size: rustix::param::page_size() as u64,
            vcpus_max: u32::try_from(self.kvm.get_max_vcpus()).unwrap_or(1),
            has_stolen_time: answer(KVM_CAP_STEAL_TIME) > 0,
            capabilities: capabilities.filter(|(_, answer)| *answer > 0).collect(),
        }
    }

    /// Makes a GICv3 in a VM that is dropped at once. `KVM_CREATE_DEVICE_TEST` would tell the same
    /// but gives back descriptor 0, which `DeviceFd` would close: standard input.
    fn check_gicv3(&self) -> Result<(), EngineError> {
        irqchip::create_device(&self.create_fd(IPA_BITS)?)
            .map(drop)
            .map_err(|_| host::lacks("GICv3 (the host's interrupt controller is of another kind)"))
    }

    /// Whether vCPUs can be made with these features.
    fn check_features(&self, features: CpuFeatures) -> Result<(), EngineError> {
        for feature in features.iter() {
            let capabilities: &[(u32, &'static str)] = match feature {
                Feature::Pmu => &[(KVM_CAP_ARM_PMU_V3, "KVM_CAP_ARM_PMU_V3")],
                Feature::Sve => &[(KVM_CAP_ARM_SVE, "KVM_CAP_ARM_SVE")],
                Feature::Pauth => &[
                    (KVM_CAP_ARM_PTRAUTH_ADDRESS, "KVM_CAP_ARM_PTRAUTH_ADDRESS"),
                    (KVM_CAP_ARM_PTRAUTH_GENERIC, "KVM_CAP_ARM_PTRAUTH_GENERIC"),
                ],
                Feature::Mte | Feature::Sme => {
                    return Err(host::unsupported(feature.description()));
                }
            };
            for &(capability, name) in capabilities {
                if self.kvm.check_extension_raw(c_ulong::from(capability)) <= 0 {
                    return Err(host::lacks_feature(feature, name));
                }
            }
        }
        Ok(())
    }

    /// A VM whose guest physical addresses hold its RAM.
    pub(super) fn create_fd_for(&self, config: &VmConfig) -> Result<VmFd, EngineError> {
        let ram_end = config.ram.base().0 + config.ram.size();
        self.create_fd(IPA_BITS.max(u64::BITS - (ram_end - 1).leading_zeros()))
    }

    /// A VM whose guest physical addresses have `bits` bits.
    fn create_fd(&self, bits: u32) -> Result<VmFd, EngineError> {
        // A kernel without the choice says 0 and takes 0, which is 40 bits.
        let limit = u32::try_from(self.kvm.get_host_ipa_limit()).unwrap_or(0);
        if bits > limit && bits > IPA_BITS {
            return Err(host::unsupported("RAM that ends beyond the host's physical addresses"));
        }
        self.kvm
            .create_vm_with_ipa_size(bits.min(limit))
            .map_err(|error| host::refused("KVM_CREATE_VM", error.errno()))
    }
}

impl Engine for KvmEngine {
    fn name(&self) -> &'static str {
        ENGINE_NAME
    }

    fn try_ram(&self, ram: Arc<GuestRam>, entry: Gpa) -> Result<(), EngineError> {
        trial::run_from(self, self.cntfrq_hz, ram, entry)
    }

    /// Linux writes records of revision 0 alone `[linux arch/arm64/kvm/pvtime.c]`.
    fn stolen_time(&self) -> Revisions {
        if self.kvm.check_extension_raw(c_ulong::from(KVM_CAP_STEAL_TIME)) <= 0 {
            return Revisions::NONE;
        }
        let own = Revisions::of([REVISION_1_0]);
        self.stolen_time.as_ref().map_or(own.clone(), |told| told.common(&own))
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        if config.cntfrq_hz != self.cntfrq_hz {
            return Err(host::wrong_frequency(self.cntfrq_hz, config.cntfrq_hz));
        }
        if !encoding::nr_irqs_is_legal(config.gic_intids) {
            return Err(host::unsupported(
                "this number of INTIDs: 64 to 992 in steps of 32 are allowed",
            ));
        }
        self.check_features(config.features)?;
        let fd = self.create_fd_for(&config)?;
        let seen = self.seen.get().copied();
        Ok(Box::new(vm::KvmVm::new(fd, config, seen, self.log_by, self.stolen_time())?))
    }
}

/// CNTFRQ_EL0 of this host, in Hz.
fn host_cntfrq_hz() -> u64 {
    let hz: u64;
    #[expect(unsafe_code, reason = "no library call gives this register")]
    // SAFETY: reads one register, which Linux lets every process read (it sets
    // CNTKCTL_EL1.EL0VCTEN), and touches neither memory nor flags.
    unsafe {
        std::arch::asm!(
            "mrs {}, cntfrq_el0",
            out(reg) hz,
            options(nomem, nostack, preserves_flags)
        );
    }
    // Bits 63:32 are reserved [DDI0487 D24.10.2].
    hz & 0xffff_ffff
}
