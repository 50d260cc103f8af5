//! An engine that answers as a host's profile says, and counts how often it is asked.

use abide_arm64::kvm;
use abide_contract::codec::{read_contract, read_profile};
use abide_contract::{Answer, FreshVm, Profile, Whose, rules, shipped};
use abide_engine::{
    Abi, Bus, Engine, EngineError, InterruptLines, Irqchip, Kick, PowerState, Provider, Stop, Vcpu,
    Vm, VmConfig,
};
use abide_machine::GuestContract;
use abide_pvtime::{REVISION_1_0, Revision, Revisions, VERSION_1_0};
use abide_reg::{Class, Gpa, RegError, RegId, Registers, Value, VcpuId};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What comes with abide for a Neoverse-N1 under these kernels.
pub const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];

/// The profile of a kernel on a CPU.
pub fn profile(kernel: &str, cpu: &str) -> Profile {
    let text = shipped::text(&format!("debian-{kernel}-{cpu}")).expect("shipped");
    read_profile(text).expect("a profile")
}

/// The contract of this name.
pub fn contract(name: &str) -> GuestContract {
    let text = shipped::text(name).expect("shipped");
    GuestContract::new(read_contract(text).expect("a contract"))
}

/// How often registers were written and read.
#[derive(Debug, Default)]
pub struct Counts {
    pub stores: AtomicUsize,
    pub loads: AtomicUsize,
}

impl Counts {
    pub fn take(&self) -> (usize, usize) {
        (self.stores.swap(0, Ordering::Relaxed), self.loads.swap(0, Ordering::Relaxed))
    }
}

/// An engine on the host of a profile.
pub struct Host {
    profile: &'static Profile,
    /// Whether vCPUs begin with something in each register of state, as after a life.
    lived: bool,
    /// A register in which it keeps another value than it was given.
    alters: Option<RegId>,
    pub counts: Arc<Counts>,
}

impl Host {
    pub fn of(profile: Profile) -> Self {
        let profile = Box::leak(Box::new(profile));
        Self { profile, lived: false, alters: None, counts: Arc::default() }
    }

    pub fn new(kernel: &str, cpu: &str) -> Self {
        Self::of(profile(kernel, cpu))
    }

    pub fn lived(self) -> Self {
        Self { lived: true, ..self }
    }

    pub fn altering(self, id: RegId) -> Self {
        Self { alters: Some(id), ..self }
    }

    pub fn profile(&self) -> &Profile {
        self.profile
    }
}

impl Engine for Host {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn stolen_time(&self) -> Revisions {
        let version = Value::u32(VERSION_1_0);
        let offer = self.profile.offers.get(&rules::PVTIME);
        let is_kept = offer.is_some_and(|it| it.answer(rules::PVTIME, &version) == Answer::Kept);
        Revisions::of(is_kept.then_some(REVISION_1_0))
    }

    fn create_vm(&self, _config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        Ok(Box::new(HostVm {
            profile: self.profile,
            shared: Arc::new(Mutex::new(FreshVm::new(self.profile))),
            lived: self.lived,
            alters: self.alters,
            counts: Arc::clone(&self.counts),
        }))
    }
}

type Values = FreshVm<'static>;

struct HostVm {
    profile: &'static Profile,
    shared: Arc<Mutex<Values>>,
    lived: bool,
    alters: Option<RegId>,
    counts: Arc<Counts>,
}

impl Vm for HostVm {
    fn provider(&self, abi: Abi) -> Provider {
        if abi == Abi::Irqchip { Provider::Machine } else { Provider::Native }
    }

    fn create_vcpu(
        &mut self,
        id: VcpuId,
        _lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError> {
        let mut vcpu = HostVcpu {
            id,
            profile: self.profile,
            shared: Arc::clone(&self.shared),
            own: FreshVm::new(self.profile),
            alters: self.alters,
            counts: Arc::clone(&self.counts),
        };
        if self.lived {
            vcpu.live();
        }
        self.counts.take();
        Ok(Box::new(vcpu))
    }

    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError> {
        Ok(None)
    }

    fn counts_instructions(&self) -> bool {
        false
    }

    fn sync_dirty_log(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

struct HostVcpu {
    id: VcpuId,
    profile: &'static Profile,
    shared: Arc<Mutex<Values>>,
    own: Values,
    alters: Option<RegId>,
    counts: Arc<Counts>,
}

impl HostVcpu {
    /// Puts something into each register of state that a guest could have changed.
    fn live(&mut self) {
        for (n, id) in self.reg_ids().into_iter().enumerate() {
            let offer = &self.profile.offers[&id];
            let pair = kvm::set_clear_pair(id);
            let is_plain = offer.default.is_none() && pair.is_none() && id != MP_STATE;
            if is_plain && id != kvm::PC && id != kvm::PSTATE {
                let mut bytes = vec![0; offer.width];
                bytes[0] = u8::try_from((n * 7 + self.id.index()) % 251).expect("a byte");
                self.store(id, &Value::bytes(&bytes)).expect("plain state");
            }
            // Two counters are on.
            if pair.is_some_and(|pair| pair.set == id) {
                self.store(id, &Value::u64(0x8000_0001)).expect("plain state");
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Values> {
        self.shared.lock().expect("not poisoned")
    }
}

const MP_STATE: RegId = RegId::named("cpu.mp_state");

impl Registers for HostVcpu {
    fn reg_ids(&self) -> Vec<RegId> {
        let of_vcpu = |id: &RegId| match id {
            RegId::Kvm(_) => true,
            RegId::Named(name) => name.as_str().starts_with("cpu."),
            _ => false,
        };
        self.profile.offers.keys().copied().filter(of_vcpu).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        let offer = self.profile.offer(id).ok_or(RegError::Unknown { id })?;
        let held = match offer.scope {
            Whose::Vm => self.shared().read(id).cloned(),
            Whose::Vcpu => self.own.read(id).cloned(),
        };
        let held = held.unwrap_or_else(|| Value::bytes(&vec![0; offer.width]));
        if self.alters != Some(id) {
            return Ok(held);
        }
        let mut bytes = held.as_bytes().to_vec();
        bytes[0] ^= 1;
        Ok(Value::bytes(&bytes))
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.counts.stores.fetch_add(1, Ordering::Relaxed);
        let offer = self.profile.offer(id).ok_or(RegError::Unknown { id })?;
        let answer = match offer.scope {
            Whose::Vm => self.shared().write(id, value),
            Whose::Vcpu => self.own.write(id, value),
        };
        match answer {
            None => Err(RegError::Unknown { id }),
            Some(Answer::Refused(_)) => Err(RegError::Host { id, errno: 22 }),
            Some(_) => Ok(()),
        }
    }
}

struct NoKick;

impl Kick for NoKick {
    fn kick(&self) {}
}

impl Vcpu for HostVcpu {
    fn id(&self) -> VcpuId {
        self.id
    }

    fn run(&mut self, _budget: u64, _bus: &dyn Bus) -> Result<Stop, EngineError> {
        Ok(Stop::Idle)
    }

    fn deadline_ticks(&self) -> Option<u64> {
        None
    }

    fn power(&self) -> PowerState {
        PowerState::On
    }

    fn power_on(&mut self, _entry: Gpa, _context: u64) -> Result<(), EngineError> {
        Ok(())
    }

    fn power_off(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn class_of(&self, _id: RegId) -> Class {
        Class::Mandatory
    }

    fn requires(&self, id: RegId) -> bool {
        kvm::is_base_state(id)
    }

    fn set_stolen_time(&mut self, _: Gpa, _: Revision) -> Result<(), EngineError> {
        Ok(())
    }

    fn kicker(&self) -> Arc<dyn Kick> {
        Arc::new(NoKick)
    }
}
