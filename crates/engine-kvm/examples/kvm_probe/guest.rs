//! A guest of a few hundred instructions that touches everything an engine answers for, and moves
//! to another VM on its way.

use crate::fields;
use crate::machine::{Devices, Machine, RAM_BASE, parts};
use crate::program;
use crate::report::name;
use abide_arm64::kvm;
use abide_engine::{Bus, Kick, PowerState, Stop, SystemEvent};
use abide_engine_kvm::KvmEngine;
use abide_reg::{Gpa, RegError, RegId, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RESULTS: [&str; 13] = [
    "MMIO read of 0x18",
    "MIDR_EL1",
    "ID_AA64PFR0_EL1",
    "ID_AA64DFR0_EL1",
    "ID_AA64MMFR0_EL1",
    "CTR_EL0",
    "DCZID_EL0",
    "CNTFRQ_EL0",
    "CurrentEL",
    "ESR_EL1 of a load where nothing answers",
    "ESR_EL1 of a store where nothing answers",
    "ESR_EL1 of LDP from a device",
    "PSCI_VERSION",
];
/// Which of them are aborts, and of what: a data abort from the same level, a synchronous external
/// abort, on a write where bit 6 is set `[DDI0487 D24.2.40]`.
const ABORTS: [(u64, u64); 3] = [(9, 0x9600_0010), (10, 0x9600_0050), (11, 0x9600_0010)];
/// Where among the results those begin that come from ID registers.
const ID_REGISTERS: u64 = 0x80;

/// What the guest reported: place and value.
type Results = BTreeMap<u64, u64>;
/// What ID registers held before the guest ran: encoding and value.
type Promised = Vec<(u64, Value)>;

pub fn expect(
    what: &str,
    found: impl PartialEq + std::fmt::Debug,
    wanted: bool,
) -> Result<(), String> {
    println!("{} {what}: {found:x?}", if wanted { "ok  " } else { "FAIL" });
    if wanted { Ok(()) } else { Err(format!("{what}: {found:x?}")) }
}

/// Where the guest stands, in bytes from the start of its program.
fn place(machine: &Machine) -> Result<usize, Box<dyn Error>> {
    let pc = machine.vcpu.load(kvm::PC)?.to_u64().ok_or("PC has another width")?;
    Ok(usize::try_from(pc - RAM_BASE.0)?)
}

pub fn run(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let mut machine = born(engine)?;
    let promised = fields::PORTABLE
        .iter()
        .map(|&(encoding, _)| Ok((encoding, machine.vcpu.load(fields::sysreg(encoding))?)))
        .collect::<Result<Promised, RegError>>()?;
    let kick = Mutex::new(machine.vcpu.kicker());
    let (text, results) = (Mutex::new(String::new()), Mutex::new(Results::new()));
    let bus = Devices(|gpa: Gpa, size, write: Option<u64>| match (gpa.0, write) {
        (0x0900_0000, Some(byte)) => {
            let letter = u8::try_from(byte).map_or('?', char::from);
            text.lock().ok()?.push(letter);
            Some(0)
        }
        (0x0900_0018, None) if size == 4 => Some(0x1234_5678),
        (0x0900_001c, None) => {
            kick.lock().ok()?.kick();
            Some(0x55)
        }
        (0x0900_1000..=0x0900_1fff, Some(value)) => {
            results.lock().ok()?.insert((gpa.0 & 0xfff) / 8, value);
            Some(0)
        }
        _ => None,
    });
    check_kicks(&mut machine, &bus)?;
    machine.vm.sync_dirty_log()?;
    let pages: Vec<u64> = machine.ram.dirty().harvest().iter().collect();
    expect("pages the guest wrote", &pages, pages == [0x10, 0x100])?;

    let mut machine = moved(engine, &machine)?;
    machine.vcpu.store(kvm::x(20), &Value::u64(1))?;
    let stop = machine.vcpu.run(0, &bus)?;
    expect("end in the other VM", stop, stop == Stop::System(SystemEvent::Off))?;
    check_results(&text.into_inner()?, &results.into_inner()?, &promised)?;
    Ok(())
}

/// Two vCPUs on two threads: the kernel's PSCI starts and stops the second.
pub fn pair(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let (mut vcpus, parts) = parts(engine, 2)?;
    parts.ram.write(RAM_BASE, program::pair())?;
    let [first, second] = &mut vcpus[..] else { return Err("two vCPUs".into()) };
    first.store(kvm::PC, &Value::u64(RAM_BASE.0))?;
    expect("the second starts off", second.power(), second.power() == PowerState::Off)?;
    let results = Mutex::new(Results::new());
    let bus = Devices(|gpa: Gpa, _, write: Option<u64>| match (gpa.0, write) {
        (0x0900_1000..=0x0900_1fff, Some(value)) => {
            results.lock().ok()?.insert((gpa.0 & 0xfff) / 8, value);
            Some(0)
        }
        _ => None,
    });
    let kick = second.kicker();
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| second.run(0, &bus));
        let one = first.run(0, &bus);
        kick.kick();
        (one, other.join())
    });
    let one = one?;
    let other = other.map_err(|_| "the second vCPU's thread panicked")??;
    expect("end of the first", one, one == Stop::System(SystemEvent::Off))?;
    expect("end of the second", other, other == Stop::Kicked)?;
    let results = results.into_inner()?;
    let wanted = Results::from([(0, 0), (1, 0x77), (2, 0x8000_0001)]);
    expect("what both reported", &results, results == wanted)?;
    Ok(())
}

/// A machine with the guest in it, its CPU cut to what the software engine knows as far as KVM
/// lets anyone.
fn born(engine: &KvmEngine) -> Result<Machine, Box<dyn Error>> {
    let mut machine = Machine::new(engine)?;
    machine.ram.write(RAM_BASE, program::program())?;
    machine.vcpu.store(kvm::PC, &Value::u64(RAM_BASE.0))?;
    println!("     portable CPU: {}", fields::set_portable(&mut *machine.vcpu));
    machine.ram.dirty().start();
    machine.vm.sync_dirty_log()?;
    let first = machine.ram.dirty().harvest().len();
    expect("pages of the first dirty log", first, first == machine.ram.size() / 4096)?;
    Ok(machine)
}

/// Every way to stop the guest from outside; it spins at the end.
fn check_kicks(machine: &mut Machine, bus: &dyn Bus) -> Result<(), Box<dyn Error>> {
    let kick: Arc<dyn Kick> = machine.vcpu.kicker();
    kick.kick();
    let stop = machine.vcpu.run(0, bus)?;
    let at = place(machine)?;
    expect("kick before the run", (stop, at), stop == Stop::Kicked && at == 0)?;

    let stop = machine.vcpu.run(0, bus)?;
    let at = place(machine)?;
    let read = machine.vcpu.load(kvm::x(0))?.to_u64();
    let finished = at == program::after_read() && read == Some(0x55);
    expect("kick inside a device read", (stop, at, read), stop == Stop::Kicked && finished)?;

    let stop = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            kick.kick();
        });
        machine.vcpu.run(0, bus)
    })?;
    let at = place(machine)?;
    let spinning = at == program::spin();
    expect("kick from another thread", (stop, at), stop == Stop::Kicked && spinning)?;
    Ok(())
}

/// The guest in a new VM: every register of the vCPU is carried over and read back.
fn moved(engine: &KvmEngine, from: &Machine) -> Result<Machine, Box<dyn Error>> {
    let mut to = Machine::new(engine)?;
    let mut page = [0; 4096];
    for offset in (0..from.ram.size()).step_by(page.len()) {
        from.ram.read(Gpa(RAM_BASE.0 + offset), &mut page)?;
        to.ram.write(Gpa(RAM_BASE.0 + offset), &page)?;
    }
    let ids = from.vcpu.reg_ids();
    let saved: Vec<(RegId, Value)> = ids
        .iter()
        .map(|&id| Ok((id, from.vcpu.load(id)?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let mut refused = Vec::new();
    for (id, value) in &saved {
        if let Err(error) = to.vcpu.store(*id, value) {
            refused.push(error.to_string());
        }
    }
    expect("registers refused", &refused, refused.is_empty())?;
    println!("     {} registers written", saved.len());
    let mut changed = Vec::new();
    for (id, value) in &saved {
        let read = to.vcpu.load(*id)?;
        if read != *value && ![kvm::TIMER_CNT, kvm::PTIMER_CNT].contains(id) {
            changed.push(format!("{id} {}: {value} became {read}", name(*id)));
        }
    }
    expect("registers read back otherwise, counts aside", &changed, changed.is_empty())?;
    Ok(to)
}

fn check_results(text: &str, results: &Results, promised: &Promised) -> Result<(), Box<dyn Error>> {
    expect("console", text, text == "guest runs\n")?;
    for (place, name) in (0..).zip(RESULTS) {
        println!("     {name}: {:x?}", results.get(&place));
    }
    let seen: Vec<_> = promised
        .iter()
        .map(|(encoding, value)| (encoding, value.to_u64(), results.get(&result_of(*encoding))))
        .filter(|(_, promised, seen)| promised.as_ref() != *seen)
        .collect();
    // A fact about the host, not a fault of the engine: Linux 6.1 reports CTR_EL0.IDC as it uses it
    // itself and lets the guest read the CPU's own register.
    println!("     ID registers that the guest sees otherwise: {seen:x?}");
    for ((place, wanted), name) in ABORTS.into_iter().zip(&RESULTS[9..]) {
        let found = results.get(&place);
        expect(name, found, found == Some(&wanted))?;
    }
    Ok(())
}

/// The place of an ID register among the results.
fn result_of(encoding: u64) -> u64 {
    match encoding {
        0xc801 => ID_REGISTERS + 56,
        0xd801 => ID_REGISTERS + 57,
        encoding => ID_REGISTERS + (encoding - 0xc008),
    }
}
