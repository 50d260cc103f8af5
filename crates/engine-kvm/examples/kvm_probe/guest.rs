//! A guest of a hundred instructions that touches everything an engine answers for.

use crate::fields;
use crate::machine::{Devices, Machine, RAM_BASE};
use crate::program;
use abide_arm64::kvm;
use abide_engine::{Stop, SystemEvent};
use abide_engine_kvm::KvmEngine;
use abide_reg::{Gpa, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
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

fn expect(what: &str, found: impl PartialEq + std::fmt::Debug, wanted: bool) -> Result<(), String> {
    println!("{} {what}: {found:x?}", if wanted { "ok  " } else { "FAIL" });
    if wanted { Ok(()) } else { Err(format!("{what}: {found:x?}")) }
}

/// Where the guest stands, in bytes from the start of its program.
fn place(machine: &Machine) -> Result<usize, Box<dyn Error>> {
    let pc = machine.vcpu.load(kvm::PC)?.to_u64().ok_or("PC has another width")?;
    Ok(usize::try_from(pc - RAM_BASE.0)?)
}

pub fn run(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let mut machine = Machine::new(engine)?;
    machine.ram.write(RAM_BASE, program::program())?;
    machine.vcpu.store(kvm::PC, &Value::u64(RAM_BASE.0))?;
    let portable = fields::set_portable(&mut *machine.vcpu);
    expect("ID registers of the portable CPU", portable, portable)?;
    machine.ram.dirty().start();
    machine.vm.sync_dirty_log()?;
    let first = machine.ram.dirty().harvest().len();
    expect("pages of the first dirty log", first, first == machine.ram.size() / 4096)?;

    let kick = machine.vcpu.kicker();
    let (text, results) = (Mutex::new(String::new()), Mutex::new(BTreeMap::new()));
    let bus = Devices(|gpa: Gpa, size, write: Option<u64>| match (gpa.0, write) {
        (0x0900_0000, Some(byte)) => {
            let letter = u8::try_from(byte).map_or('?', char::from);
            text.lock().ok()?.push(letter);
            Some(0)
        }
        (0x0900_0018, None) if size == 4 => Some(0x1234_5678),
        (0x0900_001c, None) => {
            kick.kick();
            Some(0x55)
        }
        (0x0900_1000..=0x0900_1fff, Some(value)) => {
            results.lock().ok()?.insert((gpa.0 & 0xfff) / 8, value);
            Some(0)
        }
        _ => None,
    });

    kick.kick();
    let stop = machine.vcpu.run(0, &bus)?;
    let at = place(&machine)?;
    expect("kick before the run", (stop, at), stop == Stop::Kicked && at == 0)?;

    let stop = machine.vcpu.run(0, &bus)?;
    let at = place(&machine)?;
    let read = machine.vcpu.load(kvm::x(0))?.to_u64();
    let finished = at == program::after_read() && read == Some(0x55);
    expect("kick inside a device read", (stop, at, read), stop == Stop::Kicked && finished)?;

    let stop = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            kick.kick();
        });
        machine.vcpu.run(0, &bus)
    })?;
    let at = place(&machine)?;
    let spinning = at == program::spin();
    expect("kick from another thread", (stop, at), stop == Stop::Kicked && spinning)?;

    machine.vcpu.store(kvm::x(20), &Value::u64(1))?;
    let stop = machine.vcpu.run(0, &bus)?;
    expect("end", stop, stop == Stop::System(SystemEvent::Off))?;

    let text = text.into_inner()?;
    expect("console", &text, text == "guest runs\n")?;
    let results = results.into_inner()?;
    for (place, name) in (0..).zip(RESULTS) {
        println!("     {name}: {:x?}", results.get(&place));
    }
    let seen: Vec<_> = fields::PORTABLE
        .iter()
        .map(|&(encoding, value)| {
            let place = match encoding {
                0xc801 => 0x80 + 56,
                0xd801 => 0x80 + 57,
                encoding => 0x80 + (encoding - 0xc008),
            };
            (encoding, value, results.get(&place).copied())
        })
        .filter(|&(_, value, seen)| seen != Some(value))
        .collect();
    expect("ID registers that the guest sees otherwise", &seen, seen.is_empty())?;
    let abort = |place: u64| results.get(&place).map(|esr| (esr >> 26, esr & 0x3f));
    // Data abort from the same level, synchronous external abort [DDI0487 D24.2.40].
    for place in [9, 10, 11] {
        expect(RESULTS[place], abort(place as u64), abort(place as u64) == Some((0x25, 0x10)))?;
    }
    machine.vm.sync_dirty_log()?;
    let pages: Vec<u64> = machine.ram.dirty().harvest().iter().collect();
    expect("pages the guest wrote", &pages, pages == [0x10, 0x100])?;
    Ok(())
}
