//! The registers of a vCPU: its whole state, under the ids that KVM gives them.
//!
//! What KVM has no id for has a name of abide's own and is [`Class::Volatile`]: another engine
//! drops it and the guest cannot tell, but a run that shall be repeated exactly needs it.

use crate::cpu::{CACHES, Cpu, Wait};
use crate::sysreg::{Kind, Slot, TABLE};
use crate::timer::Timer;
use crate::vcpu::SoftVcpu;
use abide_arm64::{SysReg, kvm};
use abide_engine::PowerState;
use abide_reg::{Class, RegDef, RegError, RegId, Registers, Rule, Value};
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

/// Power state: u8, 0 on, 1 off (`KVM_MP_STATE_RUNNABLE`, `KVM_MP_STATE_STOPPED`).
pub const MP_STATE: RegId = RegId::named("cpu.mp_state");
/// A pending SError: 9 bytes, whether (0 no, 1 yes, 2 with a syndrome) and the syndrome
/// (`KVM_GET_VCPU_EVENTS`).
pub const SERROR: RegId = RegId::named("cpu.serror");
/// Whether the CPU waits: u8, 0 not, 1 for an interrupt (WFI), 2 for an event (WFE).
pub const WAIT: RegId = RegId::named("cpu.wait");
/// The virtual count at which the event stream ends a WFE: u64.
pub const WAIT_UNTIL: RegId = RegId::named("cpu.wait_until");
/// The event register: u8.
pub const EVENT: RegId = RegId::named("cpu.event");
/// The physical address that the exclusive monitor watches: u64.
pub const EXCLUSIVE_ADDRESS: RegId = RegId::named("cpu.exclusive_address");
/// What the load-exclusive read there: u128.
pub const EXCLUSIVE_VALUE: RegId = RegId::named("cpu.exclusive_value");
/// How many bytes it watches: u8, 0 while it is open.
pub const EXCLUSIVE_SIZE: RegId = RegId::named("cpu.exclusive_size");

const CNTFRQ: RegId = RegId::named("cpu.cntfrq");

#[rustfmt::skip]
const X_NAMES: [&str; 31] = [
    "X0", "X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "X10", "X11",
    "X12", "X13", "X14", "X15", "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23",
    "X24", "X25", "X26", "X27", "X28", "X29", "X30",
];

#[rustfmt::skip]
const V_NAMES: [&str; 32] = [
    "V0", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10", "V11",
    "V12", "V13", "V14", "V15", "V16", "V17", "V18", "V19", "V20", "V21", "V22", "V23",
    "V24", "V25", "V26", "V27", "V28", "V29", "V30", "V31",
];

#[rustfmt::skip]
const CCSIDR_NAMES: [&str; CACHES] = [
    "CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]", "CCSIDR_EL1[3]", "CCSIDR_EL1[4]",
    "CCSIDR_EL1[5]", "CCSIDR_EL1[6]", "CCSIDR_EL1[7]", "CCSIDR_EL1[8]", "CCSIDR_EL1[9]",
    "CCSIDR_EL1[10]", "CCSIDR_EL1[11]", "CCSIDR_EL1[12]", "CCSIDR_EL1[13]",
];

/// What a register of the table is kept in.
#[derive(Clone, Copy, Debug)]
enum Place {
    X(u8),
    SpEl0,
    SpEl1,
    Pc,
    Pstate,
    V(u8),
    Fpsr,
    Fpcr,
    Sys(Slot),
    Id(Slot),
    Mpidr,
    Ccsidr(u8),
    Count(Timer),
    Cntfrq,
    MpState,
    Serror,
    Wait,
    WaitUntil,
    Event,
    ExclusiveAddress,
    ExclusiveValue,
    ExclusiveSize,
}

struct Table {
    defs: Vec<RegDef>,
    places: Vec<Place>,
    by_id: std::collections::HashMap<RegId, usize>,
}

impl Table {
    fn add(&mut self, def: RegDef, place: Place) {
        self.by_id.insert(def.id, self.defs.len());
        self.defs.push(def);
        self.places.push(place);
    }

    fn state(&mut self, id: RegId, name: &'static str, width: usize, place: Place) {
        self.add(RegDef::state(id, name, width), place);
    }

    fn own(&mut self, id: RegId, name: &'static str, width: usize, place: Place) {
        self.add(RegDef::state(id, name, width).class(Class::Volatile), place);
    }
}

/// The register under which KVM has the value of a slot.
fn kvm_id(slot: Slot, reg: SysReg) -> RegId {
    match slot {
        Slot::ElrEl1 => kvm::ELR_EL1,
        Slot::SpsrEl1 => kvm::SPSR_EL1,
        Slot::CntvCvalEl0 => kvm::TIMER_CVAL,
        _ => kvm::sysreg(reg),
    }
}

static STATE: LazyLock<Table> = LazyLock::new(|| {
    let mut table =
        Table { defs: Vec::new(), places: Vec::new(), by_id: std::collections::HashMap::new() };
    // ID registers first: what they promise decides whether the rest can be taken.
    for def in TABLE.iter().filter(|def| def.kind == Kind::Id) {
        let promise = RegDef::state(kvm::sysreg(def.reg), def.name, 8).rule(Rule::IDENTITY);
        table.add(promise, Place::Id(def.slot));
    }
    let cntfrq = RegDef::state(CNTFRQ, "CNTFRQ_EL0", 8).rule(Rule::IDENTITY);
    table.add(cntfrq, Place::Cntfrq);
    let mpidr = kvm::sysreg(SysReg::new(3, 0, 0, 0, 5));
    table.add(RegDef::state(mpidr, "MPIDR_EL1", 8).rule(Rule::IDENTITY), Place::Mpidr);
    for (n, name) in (0..).zip(CCSIDR_NAMES) {
        // Files of abide 0.1.0 do not have them, and it passes them on.
        let id = kvm::ccsidr(n);
        let def = RegDef::state(id, name, 4).rule(abide_arm64::rules::rule(id));
        table.add(def.class(Class::Static), Place::Ccsidr(n));
    }
    for (n, name) in (0..).zip(X_NAMES) {
        table.state(kvm::x(n), name, 8, Place::X(n));
    }
    table.state(kvm::SP_EL0, "SP_EL0", 8, Place::SpEl0);
    table.state(kvm::PC, "PC", 8, Place::Pc);
    table.state(kvm::PSTATE, "PSTATE", 8, Place::Pstate);
    table.state(kvm::SP_EL1, "SP_EL1", 8, Place::SpEl1);
    for (n, name) in (0..).zip(V_NAMES) {
        table.state(kvm::v(n), name, 16, Place::V(n));
    }
    table.state(kvm::FPSR, "FPSR", 4, Place::Fpsr);
    table.state(kvm::FPCR, "FPCR", 4, Place::Fpcr);
    let stateful = |kind| matches!(kind, Kind::Plain | Kind::Custom);
    for def in TABLE.iter().filter(|def| stateful(def.kind) && def.slot != Slot::MpidrEl1) {
        let (id, place) = (kvm_id(def.slot, def.reg), Place::Sys(def.slot));
        // KVM has no OS double lock.
        if def.slot == Slot::OsdlrEl1 {
            table.own(id, def.name, 8, place);
        } else {
            table.state(id, def.name, 8, place);
        }
    }
    for (id, name, timer) in [
        (kvm::TIMER_CNT, "CNTVCT_EL0", Timer::Virtual),
        (kvm::PTIMER_CNT, "CNTPCT_EL0", Timer::Physical),
    ] {
        table.add(RegDef::state(id, name, 8).rule(Rule::COUNTER), Place::Count(timer));
    }
    table.add(RegDef::state(MP_STATE, "MP_STATE", 1), Place::MpState);
    table.add(RegDef::state(SERROR, "SERROR", 9), Place::Serror);
    table.own(WAIT, "WAIT", 1, Place::Wait);
    table.own(WAIT_UNTIL, "WAIT_UNTIL", 8, Place::WaitUntil);
    table.own(EVENT, "EVENT", 1, Place::Event);
    table.own(EXCLUSIVE_ADDRESS, "EXCLUSIVE_ADDRESS", 8, Place::ExclusiveAddress);
    table.own(EXCLUSIVE_VALUE, "EXCLUSIVE_VALUE", 16, Place::ExclusiveValue);
    table.own(EXCLUSIVE_SIZE, "EXCLUSIVE_SIZE", 1, Place::ExclusiveSize);
    table
});

/// Every register of a vCPU, in the order in which it is to be written back.
#[must_use]
pub fn table() -> &'static [RegDef] {
    &STATE.defs
}

/// The definition of one of them.
#[must_use]
pub fn definition(id: RegId) -> Option<&'static RegDef> {
    STATE.by_id.get(&id).map(|&index| &STATE.defs[index])
}

impl SoftVcpu {
    fn value(&self, place: Place) -> Value {
        let cpu = &self.cpu;
        match place {
            Place::X(n) => Value::u64(cpu.x[usize::from(n)]),
            Place::SpEl0 => Value::u64(cpu.stack_pointer(false)),
            Place::SpEl1 => Value::u64(cpu.stack_pointer(true)),
            Place::Pc => Value::u64(cpu.pc),
            Place::Pstate => Value::u64(cpu.pstate()),
            Place::V(n) => Value::u128(cpu.v[usize::from(n)]),
            Place::Fpsr => Value::u32(cpu.fpsr),
            Place::Fpcr => Value::u32(cpu.fpcr),
            Place::Sys(slot) => Value::u64(cpu.sys(slot)),
            Place::Id(slot) => Value::u64(self.shared.ids(self.id.index()).get(slot)),
            Place::Mpidr => Value::u64(cpu.mpidr),
            Place::Ccsidr(n) => Value::u32(cpu.ccsidr[usize::from(n)]),
            Place::Count(timer) => Value::u64(timer.count(&self.shared, &*self.clock)),
            Place::Cntfrq => Value::u64(self.shared.cntfrq_hz),
            Place::MpState => Value::u8(u8::from(cpu.power == PowerState::Off)),
            Place::Serror => {
                let (kind, syndrome) = match cpu.serror {
                    None => (0, 0),
                    Some(None) => (1, 0),
                    Some(Some(syndrome)) => (2, syndrome),
                };
                let mut bytes = [kind; 9];
                bytes[1..].copy_from_slice(&u64::to_le_bytes(syndrome));
                Value::bytes(&bytes)
            }
            Place::Wait => Value::u8(cpu.wait as u8),
            Place::WaitUntil => Value::u64(cpu.wait_until),
            Place::Event => {
                Value::u8(u8::from(cpu.event || self.shared.event_requested(self.id.index())))
            }
            Place::ExclusiveAddress => Value::u64(cpu.monitor.pa),
            Place::ExclusiveValue => Value::u128(cpu.monitor.value),
            Place::ExclusiveSize => Value::u8(cpu.monitor.size),
        }
    }

    /// Stores a checked-width value; `Err` says what is allowed.
    fn set_value(&mut self, place: Place, value: &Value) -> Result<(), &'static str> {
        let byte = || value.as_bytes().first().copied().unwrap_or(0);
        let word = || value.to_u64().unwrap_or(0);
        let quad = || value.to_u128().unwrap_or(0);
        let half = || value.to_u32().unwrap_or(0);
        let cpu = &mut self.cpu;
        match place {
            Place::X(n) => cpu.x[usize::from(n)] = word(),
            Place::SpEl0 => *cpu.banked_sp(false) = word(),
            Place::SpEl1 => *cpu.banked_sp(true) = word(),
            Place::Pc => cpu.pc = word(),
            Place::Pstate => {
                let allowed = "AArch64 EL0t, EL1t or EL1h, and no bit but NZCV, SS, IL, DAIF, M";
                let known = 0xf030_03cf;
                if word() & !known != 0 || !matches!(word() & 0xf, 0 | 4 | 5) {
                    return Err(allowed);
                }
                cpu.set_pstate(word());
            }
            Place::V(n) => cpu.v[usize::from(n)] = quad(),
            Place::Fpsr => cpu.fpsr = half(),
            Place::Fpcr => cpu.fpcr = half(),
            Place::Sys(slot) => self.set_system(slot, word())?,
            Place::Id(slot) => self.set_id(slot, word())?,
            Place::Mpidr if word() != cpu.mpidr => return Err("the affinity of this vCPU"),
            Place::Mpidr => {}
            Place::Ccsidr(n) => cpu.ccsidr[usize::from(n)] = half(),
            Place::Count(timer) => {
                let offset = self.clock.now_ticks().wrapping_sub(word());
                match timer {
                    Timer::Virtual => &self.shared.virtual_offset,
                    Timer::Physical => &self.shared.physical_offset,
                }
                .store(offset, Ordering::Relaxed);
            }
            Place::Cntfrq if word() != self.shared.cntfrq_hz => {
                return Err("the frequency the VM was made with");
            }
            Place::Cntfrq => {}
            Place::MpState => {
                cpu.power = match byte() {
                    0 => PowerState::On,
                    1 => PowerState::Off,
                    _ => return Err("0 (on) or 1 (off)"),
                };
            }
            Place::Serror => {
                let bytes = value.as_bytes();
                let syndrome = bytes[1..].iter().rev().fold(0, |sum, &b| sum << 8 | u64::from(b));
                cpu.serror = match (byte(), syndrome) {
                    (0, 0) => None,
                    (1, 0) => Some(None),
                    (2, syndrome) if syndrome >> 25 == 0 => Some(Some(syndrome)),
                    _ => return Err("0, 1, or 2 and a syndrome of 25 bits"),
                };
            }
            Place::Wait => {
                cpu.wait = match byte() {
                    0 => Wait::Nothing,
                    1 => Wait::Interrupt,
                    2 => Wait::Event,
                    _ => return Err("0, 1 (WFI) or 2 (WFE)"),
                };
            }
            Place::WaitUntil => cpu.wait_until = word(),
            Place::Event if byte() > 1 => return Err("0 or 1"),
            Place::Event => cpu.event = byte() == 1,
            Place::ExclusiveAddress => cpu.monitor.pa = word(),
            Place::ExclusiveValue => cpu.monitor.value = quad(),
            Place::ExclusiveSize if !matches!(byte(), 0 | 1 | 2 | 4 | 8 | 16) => {
                return Err("0, 1, 2, 4, 8 or 16");
            }
            Place::ExclusiveSize => cpu.monitor.size = byte(),
        }
        Ok(())
    }

    fn set_system(&mut self, slot: Slot, value: u64) -> Result<(), &'static str> {
        let allowed = match slot {
            Slot::OslsrEl1 => "8 or 10",
            _ => "bits that the register has",
        };
        let def = TABLE.iter().find(|def| def.slot == slot).ok_or(allowed)?;
        if self.shared.ids(self.id.index()).uses_unimplemented(slot, value) {
            return Err("little-endian data and granules of 4 KiB; others are only advertised");
        }
        let refused = match slot {
            Slot::OslsrEl1 => !matches!(value, 8 | 10),
            _ => value & !def.mask != 0,
        };
        if refused {
            return Err(allowed);
        }
        self.cpu.set_sys(slot, value);
        Ok(())
    }

    fn set_id(&mut self, slot: Slot, value: u64) -> Result<(), &'static str> {
        let vcpu = self.id.index();
        if self.shared.ids(vcpu).get(slot) == value {
            return Ok(());
        }
        if self.shared.started.load(Ordering::Relaxed) {
            return Err("no other value once a vCPU has run");
        }
        self.shared.set_id(vcpu, slot, value)?;
        self.cpu.ids = self.shared.ids(vcpu);
        Ok(())
    }
}

impl Cpu {
    /// SP_EL0 or SP_EL1.
    fn stack_pointer(&self, el1: bool) -> u64 {
        use crate::lower::slot;
        let current = (self.el == 1 && self.sp_sel) == el1;
        let other = if el1 { slot::SP_EL1 } else { slot::SP_EL0 };
        self.x[usize::from(if current { slot::SP } else { other })]
    }
}

impl Registers for SoftVcpu {
    fn reg_ids(&self) -> Vec<RegId> {
        STATE.defs.iter().map(|def| def.id).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        let at = *STATE.by_id.get(&id).ok_or(RegError::Unknown { id })?;
        Ok(self.value(STATE.places[at]))
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        let at = *STATE.by_id.get(&id).ok_or(RegError::Unknown { id })?;
        let allowed = STATE.defs[at].width;
        if value.width() != allowed {
            return Err(RegError::Width { id, found: value.width(), allowed });
        }
        self.set_value(STATE.places[at], value).map_err(|allowed| RegError::Refused {
            id,
            found: value.clone(),
            allowed,
        })?;
        // Whatever was translated, decoded or told before belongs to another state.
        self.forget();
        self.cpu.timer_levels = [None; 2];
        Ok(())
    }
}
