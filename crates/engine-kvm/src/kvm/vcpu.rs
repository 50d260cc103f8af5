//! A vCPU: running it, and its registers.

use super::counter::KvmCounter;
use super::forward::Calls;
use super::kick::KvmKick;
use super::pmu::Pmu;
use super::rings::Rings;
use crate::ENGINE_NAME;
use crate::encoding;
use crate::host;
use crate::implementations::Implementations;
use crate::named::{self, Serror};
use crate::stolen_record::{Discount, RunDelay, StolenRecord};
use crate::trial::Seen;
use crate::untrapped::Untrapped;
use abide_arm64::features::{CpuFeatures, Feature, PmuEvents, VectorLengths};
use abide_arm64::rules::{PMCR_EL0, PMCR_STATE};
use abide_arm64::{SysReg, kvm, order};
use abide_engine::{
    Bus, EngineError, GuestCounter, Kick, PowerState, Stop, SystemEvent, Vcpu, VmConfig,
    place_of_record,
};
use abide_firmware::spec::REG_VENDOR_HYP_BMAP_2;
use abide_memory::{GuestRam, RamOffset};
use abide_pvtime::{Revision, Revisions, STOLEN_NS_OFFSET};
use abide_reg::{Class, Gpa, RegError, RegId, Registers, Value, VcpuId};
use kvm_bindings::{
    KVM_ARM_VCPU_PMU_V3, KVM_ARM_VCPU_POWER_OFF, KVM_ARM_VCPU_PSCI_0_2,
    KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_ARM_VCPU_PVTIME_CTRL,
    KVM_ARM_VCPU_PVTIME_IPA, KVM_ARM_VCPU_SVE, KVM_EXIT_ARM_NISV, KVM_EXIT_DIRTY_RING_FULL,
    KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN, RegList, kvm_device_attr, kvm_mp_state,
    kvm_vcpu_events, kvm_vcpu_init,
};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use std::os::raw::c_int;
use std::sync::Arc;

/// [`KVM_ARM_VCPU_SVE`] as `KVM_ARM_VCPU_FINALIZE` takes it.
const SVE_FEATURE: c_int = KVM_ARM_VCPU_SVE.cast_signed();

/// `KVM_RUN` was ended by a signal or by `immediate_exit`.
const EINTR: i32 = 4;

/// What the kernel says to a value that it does not take.
const EINVAL: i32 = 22;

/// `[DDI0487 D24.2.34]`. Linux 6.1 tells its user that data caches need no cleaning (IDC) where
/// CLIDR_EL1 says so, and lets guests read the CPU's own register, which may have 0 there; later
/// kernels trap the read `[linux arch/arm64/kvm/sys_regs.c access_ctr]`.
const CTR_EL0: RegId = kvm::sysreg(SysReg::new(3, 3, 0, 0, 1));

/// More registers than any kernel lists for a vCPU (about 360).
const REG_LIST_MAX: usize = 500;

/// A vCPU of the host's kernel.
pub(super) struct KvmVcpu {
    id: VcpuId,
    fd: VcpuFd,
    kick: Arc<KvmKick>,
    cntfrq_hz: u64,
    /// Whether the log already tells that an access without syndrome was answered with an abort.
    told_no_syndrome: bool,
    /// What the kernel hands out, with the VM's registers that it does not keep.
    calls: Arc<Calls>,
    /// CTR_EL0, where a guest reads something else than KVM tells.
    ctr: Option<Untrapped>,
    /// PMCEID0_EL0 and PMCEID1_EL0, where it has them and it is known what guests read.
    pmu_events: Option<PmuEvents>,
    /// The dirty rings of the VM, if it has them.
    rings: Option<Arc<Rings>>,
    /// Of which revisions records of stolen time are kept.
    stolen_time: Revisions,
    /// Its own, if it has one, and what the thread that runs it waited.
    record: Option<StolenRecord>,
    run_delay: Option<RunDelay>,
    /// The vCPU keeps the kernel's VM alive, and with it the memory slots that point here.
    ram: Arc<GuestRam>,
}

const MADE_WITH_LENGTHS: &str = "the vector lengths that the vCPUs were made with";
const MADE_WITH_EVENTS: &str = "events that this host has (KVM_ARM_VCPU_PMU_V3_FILTER hides more)";

/// What to do after an exit.
enum After {
    Run,
    Abort(Access),
    Stop(Stop),
}

/// What an instruction did that takes an abort.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// ESR_EL1 `[DDI0487 D24.2.40]`.
const ESR: RegId = kvm::sysreg(SysReg::new(3, 0, 5, 2, 0));
/// ESR_EL1.WnR of a data abort `[DDI0487 D24.2.40]`; the host's syndrome has it at the same place.
const WNR: u64 = 1 << 6;
/// What ESR_EL1 has besides ISS2, which aborts of this kind do not use.
const ESR_LOW: u64 = 0xffff_ffff;

/// CNTV_CTL_EL0.ISTATUS, CNTP_CTL_EL0.ISTATUS `[DDI0487 D24.10]`.
const CNT_CTL_ISTATUS: u64 = 1 << 2;

/// The bits of `KVM_ARM_VCPU_INIT` for a feature.
fn feature_bits(feature: Feature) -> u32 {
    match feature {
        Feature::Pmu => 1 << KVM_ARM_VCPU_PMU_V3,
        Feature::Sve => 1 << KVM_ARM_VCPU_SVE,
        Feature::Pauth => 1 << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1 << KVM_ARM_VCPU_PTRAUTH_GENERIC,
        // Refused before there is a VM.
        Feature::Mte | Feature::Sme => 0,
    }
}

/// Chooses the vector lengths and ends the choice: the kernel takes none afterwards, and gives out
/// no register before `[linux Documentation/virt/kvm/api.rst 4.119]`.
fn finalize_sve(fd: &VcpuFd, lengths: Option<VectorLengths>) -> Result<(), EngineError> {
    if let (Some(lengths), RegId::Kvm(number)) = (lengths, kvm::SVE_VLS) {
        let bytes: Vec<u8> = lengths.iter().flat_map(|word| word.to_le_bytes()).collect();
        fd.set_one_reg(number, &bytes).map_err(|_| host::wrong_vector_lengths())?;
    }
    fd.vcpu_finalize(&SVE_FEATURE)
        .map_err(|error| host::refused("KVM_ARM_VCPU_FINALIZE (SVE)", error.errno()))
}

/// The events of which performance monitors tell the guest, if it has them: those that it is to be
/// told of and the host has.
fn events_shown(features: CpuFeatures, seen: Option<Seen>) -> Option<PmuEvents> {
    let host = seen?.pmu_events.filter(|_| features.contains(Feature::Pmu))?;
    let told = features.pmu_events.unwrap_or(host);
    Some([host[0] & told[0], host[1] & told[1]])
}

impl KvmVcpu {
    /// Makes vCPU `id`; the first starts powered on, the others wait for PSCI CPU_ON.
    /// `seen` is what guests of this host read, where one was asked.
    pub(super) fn new(
        vm: &VmFd,
        config: &VmConfig,
        id: VcpuId,
        calls: Arc<Calls>,
        seen: Option<Seen>,
        rings: Option<Arc<Rings>>,
    ) -> Result<Self, EngineError> {
        let fd = vm
            .create_vcpu(u64::from(id.0))
            .map_err(|error| host::refused("KVM_CREATE_VCPU", error.errno()))?;
        let mut init = kvm_vcpu_init::default();
        vm.get_preferred_target(&mut init)
            .map_err(|error| host::refused("KVM_ARM_PREFERRED_TARGET", error.errno()))?;
        init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
        if id.0 != 0 {
            init.features[0] |= 1 << KVM_ARM_VCPU_POWER_OFF;
        }
        for feature in config.features.iter() {
            init.features[0] |= feature_bits(feature);
        }
        fd.vcpu_init(&init).map_err(|error| host::refused("KVM_ARM_VCPU_INIT", error.errno()))?;
        if config.features.contains(Feature::Sve) {
            finalize_sve(&fd, config.features.vector_lengths)?;
        }
        if let Some(rings) = &rings {
            rings.add(&fd)?;
        }
        let kick = Arc::new(KvmKick::new(&fd, vm.run_size())?);
        let mut vcpu = Self {
            id,
            fd,
            kick,
            cntfrq_hz: config.cntfrq_hz,
            told_no_syndrome: false,
            calls,
            ctr: None,
            pmu_events: events_shown(config.features, seen),
            rings,
            stolen_time: Revisions::NONE,
            record: None,
            run_delay: None,
            ram: Arc::clone(&config.ram),
        };
        if config.features.contains(Feature::Pmu) {
            vcpu.clear_pmu()?;
        }
        vcpu.list().map_err(|errno| host::refused("KVM_GET_REG_LIST", errno))?;
        let told = vcpu.load(CTR_EL0)?.to_u64();
        vcpu.ctr = seen.zip(told).and_then(|(seen, told)| Untrapped::new(seen.ctr, told));
        Ok(vcpu)
    }

    /// Puts what the architecture leaves open at reset to 0, the switches of the PMU: some kernels
    /// leave a pattern of bits there, which a restore could not clear on kernels that only set what
    /// is written to the one register and only clear what is written to the other. In PMCR_EL0 the
    /// pattern of Linux 6.1 has bits that later kernels clear under the guest.
    fn clear_pmu(&self) -> Result<(), EngineError> {
        if let RegId::Kvm(number) = PMCR_EL0 {
            let reset = self.load(PMCR_EL0)?.to_u64().unwrap_or(0) & !PMCR_STATE;
            self.store_one_reg(PMCR_EL0, number, &Value::u64(reset))?;
        }
        for pair in kvm::SET_CLEAR_PAIRS {
            for (id, value) in [(pair.clear, u64::MAX), (pair.set, 0)] {
                let RegId::Kvm(number) = id else { continue };
                self.store_one_reg(id, number, &Value::u64(value))?;
            }
        }
        Ok(())
    }

    /// Which records of stolen time it may be given.
    pub(super) fn offer_stolen_time(&mut self, revisions: Revisions) {
        self.stolen_time = revisions;
    }

    /// Where the kernel keeps the vCPU's record of stolen time.
    pub(super) fn tell_kernel_of_record(&self, at: Gpa) -> Result<(), EngineError> {
        let (group, attr) = (KVM_ARM_VCPU_PVTIME_CTRL, u64::from(KVM_ARM_VCPU_PVTIME_IPA));
        let request = kvm_device_attr { flags: 0, group, attr, addr: &raw const at.0 as u64 };
        self.fd
            .set_device_attr(&request)
            .map_err(|error| host::refused("KVM_ARM_VCPU_PVTIME_IPA", error.errno()))
    }

    /// Its performance monitors, to be started behind the interrupt controller.
    pub(super) fn pmu(&self) -> Result<Pmu, EngineError> {
        Pmu::of(&self.fd)
    }

    /// The kernel's list, in its own order.
    fn list(&self) -> Result<Vec<u64>, i32> {
        const ENOMEM: i32 = 12;
        let mut list = RegList::new(REG_LIST_MAX).map_err(|_| ENOMEM)?;
        self.fd.get_reg_list(&mut list).map_err(|error| error.errno())?;
        Ok(list.as_slice().to_vec())
    }

    fn events(&self) -> Result<kvm_vcpu_events, i32> {
        self.fd.get_vcpu_events().map_err(|error| error.errno())
    }

    fn serror(&self) -> Result<Serror, i32> {
        let exception = self.events()?.exception;
        Ok(match (exception.serror_pending, exception.serror_has_esr) {
            // On hosts with RAS the kernel says "has ESR" all the same.
            (0, _) => Serror::None,
            (_, 0) => Serror::Pending,
            _ => Serror::WithSyndrome(exception.serror_esr),
        })
    }

    fn set_serror(&self, serror: Serror) -> Result<(), i32> {
        let mut events = kvm_vcpu_events::default();
        events.exception.serror_pending = u8::from(serror != Serror::None);
        if let Serror::WithSyndrome(iss) = serror {
            events.exception.serror_has_esr = 1;
            events.exception.serror_esr = iss;
        }
        self.fd.set_vcpu_events(&events).map_err(|error| error.errno())
    }

    /// Makes the instruction that caused the last exit take a synchronous external abort.
    ///
    /// KVM never says in ESR_EL1 that it was a write, and Linux 6.1 sets bits 63:32, which are
    /// reserved. The guest is told what a CPU tells it, and the software engine.
    fn inject_external_abort(&self, access: Access) -> Result<(), EngineError> {
        let inject = || -> Result<(), i32> {
            // A pending SError is handed back as it is.
            let mut events = self.events()?;
            events.exception.ext_dabt_pending = 1;
            self.fd.set_vcpu_events(&events).map_err(|error| error.errno())
        };
        inject().map_err(|errno| host::refused("KVM_SET_VCPU_EVENTS", errno))?;
        let RegId::Kvm(number) = ESR else { return Ok(()) };
        let told = self.load_one_reg(ESR, number)?.to_u64().unwrap_or(0) & ESR_LOW & !WNR;
        let write = if access == Access::Write { WNR } else { 0 };
        Ok(self.store_one_reg(ESR, number, &Value::u64(told | write))?)
    }

    /// The guest reached for something by an instruction whose syndrome the CPU does not give.
    fn refuse_undecoded(&mut self) -> Access {
        #[expect(unsafe_code, reason = "which field of the union holds depends on the exit")]
        // SAFETY: the kernel has just left KVM_RUN with KVM_EXIT_ARM_NISV, for which it fills this
        // field: two integers `[linux Documentation/virt/kvm/api.rst 5]`.
        let nisv = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.arm_nisv };
        let access = if nisv.esr_iss & WNR != 0 { Access::Write } else { Access::Read };
        let gpa = Gpa(nisv.fault_ipa);
        if access == Access::Write && self.ram.place_of(gpa, 1).is_some() {
            refuse_write(self.id, &self.ram, gpa);
        } else {
            self.tell_no_syndrome();
        }
        access
    }

    fn mp_state(&self) -> Result<u32, i32> {
        self.fd.get_mp_state().map(|state| state.mp_state).map_err(|error| error.errno())
    }

    fn tell_no_syndrome(&mut self) {
        if !self.told_no_syndrome {
            self.told_no_syndrome = true;
            tracing::warn!(
                vcpu = %self.id,
                "the guest reached for a device with an instruction that KVM cannot decode (LDP, \
                 writeback, vectors); it takes an external abort, now and later"
            );
        }
    }

    /// Runs until the kernel hands something out, and sees to it.
    fn step(&mut self, bus: &dyn Bus) -> Result<After, EngineError> {
        let id = self.id;
        match self.fd.run() {
            Ok(VcpuExit::MmioRead(gpa, data)) => Ok(answer_read(bus, id, Gpa(gpa), data)),
            Ok(VcpuExit::MmioWrite(gpa, data)) => {
                Ok(answer_write(bus, id, &self.ram, Gpa(gpa), data))
            }
            Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_SHUTDOWN, _)) => {
                Ok(After::Stop(Stop::System(SystemEvent::Off)))
            }
            Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_RESET, _)) => {
                Ok(After::Stop(Stop::System(SystemEvent::Reset)))
            }
            Ok(VcpuExit::Intr) => Ok(After::Run),
            Ok(VcpuExit::Hypercall(_)) => self.answer_call().map(|()| After::Run),
            Ok(VcpuExit::Unsupported(KVM_EXIT_ARM_NISV)) => {
                Ok(After::Abort(self.refuse_undecoded()))
            }
            Ok(VcpuExit::Unsupported(KVM_EXIT_DIRTY_RING_FULL)) => {
                self.rings.as_ref().map_or(Ok(()), |rings| rings.empty())?;
                Ok(After::Run)
            }
            Ok(exit) => {
                tracing::error!(vcpu = %id, ?exit, "KVM_RUN ended for no reason known here");
                Err(host::unsupported(name_of(&exit)))
            }
            Err(error) if error.errno() == EINTR => {
                if self.kick.take_request() {
                    Ok(After::Stop(Stop::Kicked))
                } else {
                    Ok(After::Run)
                }
            }
            Err(error) => Err(host::refused("KVM_RUN", error.errno())),
        }
    }
}

/// An exit that no guest of this engine should be able to cause.
fn name_of(exit: &VcpuExit<'_>) -> &'static str {
    match exit {
        VcpuExit::FailEntry(..) => "entering the guest on this host (KVM_EXIT_FAIL_ENTRY)",
        VcpuExit::InternalError => "going on after an error inside KVM (KVM_EXIT_INTERNAL_ERROR)",
        VcpuExit::MemoryFault { .. } => "guest memory that is not RAM (KVM_EXIT_MEMORY_FAULT)",
        VcpuExit::SystemEvent(..) => "this system event (KVM_EXIT_SYSTEM_EVENT)",
        _ => "the exit reason that KVM_RUN gave; see the log",
    }
}

/// The kernel takes the data from its page on the next entry, so no stop is visible before that.
fn answer_read(bus: &dyn Bus, id: VcpuId, gpa: Gpa, data: &mut [u8]) -> After {
    match bus.mmio_read(id, gpa, data.len()) {
        Some(value) => {
            let len = data.len().min(size_of::<u64>());
            data[..len].copy_from_slice(&value.to_le_bytes()[..len]);
            After::Run
        }
        None => After::Abort(Access::Read),
    }
}

fn answer_write(bus: &dyn Bus, id: VcpuId, ram: &GuestRam, gpa: Gpa, data: &[u8]) -> After {
    if ram.place_of(gpa, 1).is_some() {
        refuse_write(id, ram, gpa);
        return After::Abort(Access::Write);
    }
    let mut bytes = [0; size_of::<u64>()];
    let len = data.len().min(bytes.len());
    bytes[..len].copy_from_slice(&data[..len]);
    match bus.mmio_write(id, gpa, data.len(), u64::from_le_bytes(bytes)) {
        Some(()) => After::Run,
        None => After::Abort(Access::Write),
    }
}

/// A write to a slot that is only for reading comes out as one to a device
/// `[linux Documentation/virt/kvm/api.rst 4.35]`; what the CPU gives no syndrome of, as one that
/// cannot be decoded. Both end in an external abort.
fn refuse_write(id: VcpuId, ram: &GuestRam, gpa: Gpa) {
    if ram.note_refused_write(gpa) {
        tracing::warn!(
            vcpu = %id,
            %gpa,
            "the guest wrote to a page that it may only read; it takes an external abort, now and \
             later"
        );
    }
}

impl KvmVcpu {
    fn run_to_stop(&mut self, bus: &dyn Bus) -> Result<Stop, EngineError> {
        loop {
            match self.step(bus)? {
                After::Run => {}
                After::Abort(access) => self.inject_external_abort(access)?,
                After::Stop(stop) => return Ok(stop),
            }
        }
    }

    /// The calling thread is about to run it.
    fn come(&mut self) -> Option<Discount> {
        let record = self.record.as_ref()?;
        let own = std::thread::current().id();
        if self.run_delay.as_ref().is_none_or(|delay| delay.thread != own) {
            self.run_delay = RunDelay::of_caller();
        }
        record.enter(own, self.run_delay.as_ref()?.waited_ns()?)
    }

    /// And has left.
    fn leave(&mut self, discount: Option<Discount>) {
        let (Some(record), Some(delay)) = (&mut self.record, &self.run_delay) else { return };
        if let Some(waited_ns) = delay.waited_ns() {
            record.leave(delay.thread, waited_ns, discount);
        }
    }

    /// Answers a call that the kernel handed out. The PC is behind it already
    /// `[linux Documentation/virt/kvm/api.rst 5 KVM_EXIT_HYPERCALL]`.
    fn answer_call(&self) -> Result<(), EngineError> {
        let mut x = [0; 4];
        for (number, value) in (0..).zip(&mut x) {
            *value = self.load(kvm::x(number))?.to_u64().unwrap_or(0);
        }
        for (number, value) in (0..).zip(self.calls.answer(self.id, &x)) {
            let id = kvm::x(number);
            if let RegId::Kvm(of_kernel) = id {
                self.store_one_reg(id, of_kernel, &Value::u64(value))?;
            }
        }
        Ok(())
    }

    /// Whether the kernel tells guests of calls that are for its VMM to answer.
    fn tells_of_calls(&self) -> bool {
        let RegId::Kvm(bitmap) = REG_VENDOR_HYP_BMAP_2 else { return false };
        self.list().is_ok_and(|list| list.contains(&bitmap))
    }

    fn load_one_reg(&self, id: RegId, number: u64) -> Result<Value, RegError> {
        let width = encoding::one_reg_width(number).ok_or(RegError::Unknown { id })?;
        let mut bytes = vec![0; width];
        self.fd
            .get_one_reg(number, &mut bytes)
            .map_err(|error| encoding::one_reg_error(id, error.errno()))?;
        Ok(Value::bytes(&bytes))
    }

    /// Without ISTATUS, which follows from count and comparator: kernels before 6.13 or so show it,
    /// later ones do not, and it is no state.
    fn load_timer_ctl(&self, id: RegId) -> Result<Value, RegError> {
        let RegId::Kvm(number) = id else { return Err(RegError::Unknown { id }) };
        let value = self.load_one_reg(id, number)?;
        Ok(value.to_u64().map_or(value, |ctl| Value::u64(ctl & !CNT_CTL_ISTATUS)))
    }

    fn store_one_reg(&self, id: RegId, number: u64, value: &Value) -> Result<(), RegError> {
        let allowed = encoding::one_reg_width(number).ok_or(RegError::Unknown { id })?;
        if value.width() != allowed {
            return Err(RegError::Width { id, found: value.width(), allowed });
        }
        self.fd
            .set_one_reg(number, value.as_bytes())
            .map(|_| ())
            .map_err(|error| encoding::one_reg_error(id, error.errno()))
    }

    fn store_mp_state(&self, value: &Value) -> Result<(), RegError> {
        let id = named::MP_STATE;
        let own = value.to_u8().ok_or(RegError::Width { id, found: value.width(), allowed: 1 })?;
        let allowed = "0 (on) or 1 (off)";
        let mp_state = named::mp_state_number(own).ok_or(RegError::Refused {
            id,
            found: value.clone(),
            allowed,
        })?;
        self.fd
            .set_mp_state(kvm_mp_state { mp_state })
            .map_err(|error| encoding::one_reg_error(id, error.errno()))
    }

    fn store_serror(&self, value: &Value) -> Result<(), RegError> {
        let id = named::SERROR;
        if value.width() != named::SERROR_LEN {
            return Err(RegError::Width { id, found: value.width(), allowed: named::SERROR_LEN });
        }
        let not_allowed = |allowed| RegError::Refused { id, found: value.clone(), allowed };
        let serror =
            Serror::from_value(value).ok_or(not_allowed("0, 1, or 2 and a syndrome of 25 bits"))?;
        let refused = |errno| encoding::one_reg_error(id, errno);
        self.set_serror(serror).map_err(refused)?;
        // The kernel can add a pending SError but does not take one back.
        if self.serror().map_err(refused)? != serror {
            return Err(not_allowed("what is pending already"));
        }
        Ok(())
    }

    /// What is fixed since the vCPU was made.
    fn check_same(&self, id: RegId, value: &Value, allowed: &'static str) -> Result<(), RegError> {
        if *value == self.load(id)? {
            return Ok(());
        }
        Err(RegError::Refused { id, found: value.clone(), allowed })
    }

    fn load_events(&self, id: RegId) -> Result<Value, RegError> {
        let events = self.pmu_events.ok_or(RegError::Unknown { id })?;
        let at = usize::from(id == kvm::PMU_EVENTS[1]);
        Ok(Value::u64(events[at]))
    }

    fn load_ctr(&self) -> Result<Value, RegError> {
        let RegId::Kvm(number) = CTR_EL0 else { return Err(RegError::Unknown { id: CTR_EL0 }) };
        let found = self.load_one_reg(CTR_EL0, number)?;
        let shown = self.ctr.zip(found.to_u64()).map(|(ctr, found)| ctr.shown(found));
        Ok(shown.map_or(found, Value::u64))
    }

    fn store_ctr(&self, value: &Value) -> Result<(), RegError> {
        let id = CTR_EL0;
        let RegId::Kvm(number) = id else { return Err(RegError::Unknown { id }) };
        let (Some(ctr), Some(wanted)) = (self.ctr, value.to_u64()) else {
            return self.store_one_reg(id, number, value);
        };
        let written = ctr.to_write(wanted).ok_or(RegError::Host { id, errno: EINVAL })?;
        self.store_one_reg(id, number, &Value::u64(written))
    }

    fn check_cntfrq(&self, value: &Value) -> Result<(), RegError> {
        let id = named::CNTFRQ;
        let hz = value.to_u64().ok_or(RegError::Width { id, found: value.width(), allowed: 8 })?;
        if hz == self.cntfrq_hz {
            return Ok(());
        }
        let allowed = "the frequency of this host's system counter, which KVM cannot scale";
        Err(RegError::Refused { id, found: value.clone(), allowed })
    }
}

impl Registers for KvmVcpu {
    fn reg_ids(&self) -> Vec<RegId> {
        // The list is made by a call that succeeded when the vCPU was made and only depends on
        // its features.
        let mut numbers = self.list().unwrap_or_default();
        debug_assert!(!numbers.is_empty(), "KVM_GET_REG_LIST fails only for vCPUs not initialised");
        numbers.sort_by_key(|&number| order::place(RegId::Kvm(number)));
        let kernel = numbers.into_iter().map(RegId::Kvm);
        let events = self.pmu_events.iter().flat_map(|_| kvm::PMU_EVENTS);
        let facts = std::iter::once(named::CNTFRQ).chain(events);
        let calls = self.calls.reg_ids();
        facts.chain(kernel).chain(calls).chain([named::SERROR, named::MP_STATE]).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        let refused = |errno| encoding::one_reg_error(id, errno);
        match id {
            named::MP_STATE => self.mp_state().map(named::mp_state_value).map_err(refused),
            named::SERROR => self.serror().map(Serror::to_value).map_err(refused),
            named::CNTFRQ => Ok(Value::u64(self.cntfrq_hz)),
            kvm::TIMER_CTL | kvm::PTIMER_CTL => self.load_timer_ctl(id),
            id if Implementations::has(id) => self.calls.load(id),
            CTR_EL0 => self.load_ctr(),
            id if kvm::PMU_EVENTS.contains(&id) => self.load_events(id),
            RegId::Kvm(number) => self.load_one_reg(id, number),
            _ => Err(RegError::Unknown { id }),
        }
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        match id {
            named::MP_STATE => self.store_mp_state(value),
            named::SERROR => self.store_serror(value),
            named::CNTFRQ => self.check_cntfrq(value),
            CTR_EL0 => self.store_ctr(value),
            kvm::SVE_VLS => self.check_same(id, value, MADE_WITH_LENGTHS),
            id if kvm::PMU_EVENTS.contains(&id) => self.check_same(id, value, MADE_WITH_EVENTS),
            id if Implementations::has(id) => self.calls.store(id, value),
            RegId::Kvm(number) => {
                self.store_one_reg(id, number, value)?;
                if id == REG_VENDOR_HYP_BMAP_2 {
                    self.calls.note_bitmap(value);
                }
                Ok(())
            }
            _ => Err(RegError::Unknown { id }),
        }
    }
}

impl Vcpu for KvmVcpu {
    fn id(&self) -> VcpuId {
        self.id
    }

    /// The budget has no meaning here: the host's CPU does not count for us.
    ///
    /// A kick, and any other signal, ends `KVM_RUN` only after the kernel has finished a device
    /// access that was under way, because it does so first whenever it is entered.
    fn run(&mut self, _budget: u64, bus: &dyn Bus) -> Result<Stop, EngineError> {
        let kick = Arc::clone(&self.kick);
        let _inside = kick.enter();
        let rings = self.rings.clone();
        let _executes = rings.as_ref().map(|rings| rings.enter());
        let discount = self.come();
        let stop = self.run_to_stop(bus);
        self.leave(discount);
        stop
    }

    /// The kernel keeps it from the first run on.
    fn set_stolen_time(&mut self, at: Gpa, revision: Revision) -> Result<(), EngineError> {
        let place = place_of_record(ENGINE_NAME, &self.stolen_time, &self.ram, at, revision)?;
        self.tell_kernel_of_record(at)?;
        let count = RamOffset(place.0 + STOLEN_NS_OFFSET);
        self.record = Some(StolenRecord::new(Arc::clone(&self.ram), count));
        Ok(())
    }

    fn counter(&self) -> Result<Option<Arc<dyn GuestCounter>>, EngineError> {
        let guest = || self.load(kvm::TIMER_CNT).map(|value| value.to_u64().unwrap_or(0));
        Ok(Some(Arc::new(KvmCounter::measure(guest)?)))
    }

    /// The kernel's timers wake the guest by themselves.
    fn deadline_ticks(&self) -> Option<u64> {
        None
    }

    fn power(&self) -> PowerState {
        match self.mp_state() {
            Ok(number) if named::is_stopped(number) => PowerState::Off,
            _ => PowerState::On,
        }
    }

    fn power_on(&mut self, _entry: Gpa, _context: u64) -> Result<(), EngineError> {
        Err(host::unsupported("powering a vCPU on from outside: PSCI is the kernel's"))
    }

    fn power_off(&mut self) -> Result<(), EngineError> {
        Err(host::unsupported("powering a vCPU off from outside: PSCI is the kernel's"))
    }

    fn class_of(&self, _id: RegId) -> Class {
        Class::Mandatory
    }

    /// Kernels add registers to their list; what every AArch64 CPU has must be there, and what the
    /// features of this one bring.
    fn requires(&self, id: RegId) -> bool {
        let own = [named::MP_STATE, named::SERROR, named::CNTFRQ];
        own.contains(&id) || kvm::is_base_state(id) || Feature::of_state(id).is_some()
    }

    /// A list of implementations, where the guest can be told that there is one.
    fn takes_too(&self) -> Vec<(RegId, usize)> {
        if self.tells_of_calls() { Implementations::all() } else { Vec::new() }
    }

    fn kicker(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.kick) as Arc<dyn Kick>
    }
}
