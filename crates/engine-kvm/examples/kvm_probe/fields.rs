//! Which values ID registers take, found by writing them before the first run.

use crate::machine::{Machine, parts};
use crate::report::name;
use abide_arm64::kvm;
use abide_engine::Vcpu;
use abide_engine_kvm::KvmEngine;
use abide_reg::{RegId, Value};
use std::error::Error;
use std::fmt::Write as _;

/// Whether `value` is taken, and what is read back then.
fn attempt(vcpu: &mut dyn Vcpu, id: RegId, value: u64) -> Option<u64> {
    let width = vcpu.load(id).ok()?.width();
    let bytes = &value.to_le_bytes()[..width];
    vcpu.store(id, &Value::bytes(bytes)).ok()?;
    number(&vcpu.load(id).ok()?)
}

fn number(value: &Value) -> Option<u64> {
    value.to_u64().or(value.to_u32().map(u64::from))
}

fn is_identity(id: RegId) -> bool {
    let RegId::Kvm(id) = id else { return false };
    let encoding = id & 0xffff;
    match id >> 16 & 0xfff {
        0x11 | 0x14 | 0x16 => true,
        0x13 => matches!(encoding >> 11, 0x18 | 0x19 | 0x1b) && encoding & 0x780 == 0,
        _ => false,
    }
}

/// Every 4-bit field of every ID register: the values that are taken and kept.
pub fn all(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let ids = Machine::new(engine)?.vcpu.reg_ids();
    for id in ids.into_iter().filter(|&id| is_identity(id)) {
        let mut machine = Machine::new(engine)?;
        let value = machine.vcpu.load(id)?;
        let Some(reset) = number(&value) else { continue };
        let mut line = format!("{:18} {reset:#018x}", name(id));
        for shift in (0..8 * value.width()).step_by(4) {
            let (mut taken, mut changed) = (Vec::new(), Vec::new());
            for field in (0..16).filter(|field| *field != reset >> shift & 15) {
                let wanted = reset & !(15 << shift) | field << shift;
                match attempt(&mut *machine.vcpu, id, wanted) {
                    Some(read) if read == wanted => taken.push(field),
                    Some(_) => changed.push(field),
                    None => continue,
                }
                if attempt(&mut *machine.vcpu, id, reset) != Some(reset) {
                    machine = Machine::new(engine)?;
                }
            }
            for (fields, how) in [(taken, ""), (changed, " not kept")] {
                if !fields.is_empty() {
                    write!(line, " [{}:{shift}]{how} {}", shift + 3, ranges(&fields))?;
                }
            }
        }
        println!("{line}");
    }
    Ok(())
}

/// Ascending numbers, runs joined: `0-2,4`.
fn ranges(numbers: &[u64]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|&(&found, due)| found == due).count();
        let separator = if text.is_empty() { "" } else { "," };
        let last = rest[run - 1];
        text += &match run {
            1 => format!("{separator}{first:x}"),
            _ => format!("{separator}{first:x}-{last:x}"),
        };
        rest = &rest[run..];
    }
    text
}

/// Whose each register is: written through one vCPU, read through another.
pub fn scope(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let (vcpus, _parts) = parts(engine, 2)?;
    for id in vcpus[0].reg_ids() {
        let (mut vcpus, _parts) = parts(engine, 2)?;
        let [one, other] = &mut vcpus[..] else { return Err("two vCPUs".into()) };
        let Some(before) = number(&other.load(id)?) else { continue };
        let bits = [0, 1, 4, 8, 16, 20, 24, 28, 32].map(|bit| 1 << bit);
        let changes = bits.into_iter().flat_map(|bit| [before & !bit, before ^ bit]);
        let taken = changes
            .filter(|&value| value != before)
            .find(|&value| attempt(&mut **one, id, value).is_some_and(|read| read == value));
        let after = number(&other.load(id)?).ok_or("a register changed its width")?;
        let scope = match taken {
            None => "cannot be changed",
            Some(_) if after == before => "vCPU",
            Some(_) => "VM",
        };
        let declared = if kvm::is_vm_scoped(id) { "VM" } else { "vCPU" };
        let differs = taken.is_some() && scope != declared;
        println!("{:28} {scope}{}", name(id), if differs { " (declared otherwise)" } else { "" });
    }
    Ok(())
}

/// A field that the software engine wants, and where.
struct Wish {
    what: &'static str,
    encoding: u64,
    shift: u32,
    width: u32,
    values: &'static [u64],
}

const fn wish(
    what: &'static str,
    encoding: u64,
    (high, low): (u32, u32),
    values: &'static [u64],
) -> Wish {
    Wish { what, encoding, shift: low, width: high - low + 1, values }
}

const WISHES: [Wish; 40] = [
    wish("PFR0.EL0 A64 only", 0xc020, (3, 0), &[1]),
    wish("PFR0.EL1 A64 only", 0xc020, (7, 4), &[1]),
    wish("PFR0.EL2 none", 0xc020, (11, 8), &[0]),
    wish("PFR0.EL3 none", 0xc020, (15, 12), &[0]),
    wish("PFR0.FP none / plain / half", 0xc020, (19, 16), &[15, 0, 1]),
    wish("PFR0.AdvSIMD none / plain / half", 0xc020, (23, 20), &[15, 0, 1]),
    wish("PFR0.GIC", 0xc020, (27, 24), &[0, 1]),
    wish("PFR0.RAS none", 0xc020, (31, 28), &[0]),
    wish("PFR0.SVE none", 0xc020, (35, 32), &[0]),
    wish("PFR0.CSV2", 0xc020, (59, 56), &[0, 1, 2]),
    wish("PFR0.CSV3", 0xc020, (63, 60), &[0, 1]),
    wish("PFR1 all", 0xc021, (63, 0), &[0]),
    wish("ISAR0 all", 0xc030, (63, 0), &[0]),
    wish("ISAR0.AES", 0xc030, (7, 4), &[0]),
    wish("ISAR0.SHA1", 0xc030, (11, 8), &[0]),
    wish("ISAR0.SHA2", 0xc030, (15, 12), &[0]),
    wish("ISAR0.CRC32", 0xc030, (19, 16), &[0, 1]),
    wish("ISAR0.Atomic", 0xc030, (23, 20), &[0]),
    wish("ISAR1 all", 0xc031, (63, 0), &[0]),
    wish("ISAR2 all", 0xc032, (63, 0), &[0]),
    wish("MMFR0.PARange", 0xc038, (3, 0), &[0, 1, 2, 3, 4]),
    wish("MMFR0.ASIDBits", 0xc038, (7, 4), &[0, 2]),
    wish("MMFR0.BigEnd", 0xc038, (11, 8), &[0, 1]),
    wish("MMFR0.SNSMem", 0xc038, (15, 12), &[0, 1]),
    wish("MMFR0.TGran16 none", 0xc038, (23, 20), &[0]),
    wish("MMFR0.TGran64 none", 0xc038, (27, 24), &[15]),
    wish("MMFR0.TGran4 kept", 0xc038, (31, 28), &[0]),
    wish("MMFR1 all", 0xc039, (63, 0), &[0]),
    wish("MMFR2 all", 0xc03a, (63, 0), &[0]),
    wish("DFR0.DebugVer", 0xc028, (3, 0), &[0, 6, 7, 8]),
    wish("DFR0.TraceVer", 0xc028, (7, 4), &[0]),
    wish("DFR0.PMUVer", 0xc028, (11, 8), &[0]),
    wish("DFR0.BRPs", 0xc028, (15, 12), &[0, 1, 2, 3, 4, 5]),
    wish("DFR0.WRPs", 0xc028, (23, 20), &[0, 1, 2, 3]),
    wish("DFR0.CTX_CMPs", 0xc028, (31, 28), &[0, 1]),
    wish("DFR0 0x6", 0xc028, (63, 0), &[0x6]),
    wish("MIDR 0x000f0510", 0xc000, (63, 0), &[0x000f_0510]),
    wish("CTR", 0xd801, (63, 0), &[0x9444_c004, 0x8444_c004]),
    wish("CLIDR", 0xc801, (63, 0), &[0, 0x0920_0003]),
    wish("ID_DFR0 none", 0xc00a, (63, 0), &[0]),
];

/// ID registers that KVM on this CPU takes all at once and that need nothing the software engine
/// lacks; the sysreg encoding and the value.
pub const PORTABLE: [(u64, u64); 33] = [
    (0xc020, 0x1000_0000_0100_0011),
    (0xc021, 0),
    (0xc028, 0x1030_5006),
    (0xc030, 0),
    (0xc031, 0),
    (0xc032, 0),
    (0xc038, 0x0f00_0022),
    (0xc039, 0),
    (0xc03a, 0),
    (0xc03b, 0),
    (0xc801, 0x0920_0003),
    (0xd801, 0x8444_c004),
    (0xc008, 0),
    // Linux 7.2 sets the GIC field at the first run, whatever was written.
    (0xc009, 0x1000_0000),
    (0xc00a, 6),
    (0xc00b, 0),
    (0xc00c, 0),
    (0xc00d, 0),
    (0xc00e, 0),
    (0xc00f, 0),
    (0xc010, 0),
    (0xc011, 0),
    (0xc012, 0),
    (0xc013, 0),
    (0xc014, 0),
    (0xc015, 0),
    (0xc016, 0),
    (0xc017, 0),
    (0xc018, 0),
    (0xc019, 0),
    (0xc01a, 0),
    (0xc01c, 0),
    (0xc01e, 0),
];

/// The ONE_REG id of a system register.
pub fn sysreg(encoding: u64) -> RegId {
    RegId::Kvm(0x6030_0000_0013_0000 | encoding)
}

/// Writes [`PORTABLE`] to one vCPU; true if all were taken and kept.
pub fn set_portable(vcpu: &mut dyn Vcpu) -> bool {
    let mut all = true;
    for (encoding, value) in PORTABLE {
        let id = sysreg(encoding);
        let read = attempt(vcpu, id, value);
        if read != Some(value) {
            all = false;
            println!("{} {value:#x}: {read:x?}", name(id));
        }
    }
    all
}

/// The values that a guest of the software engine would like to find, each tried alone, and the
/// whole registers that come of all that is taken.
pub fn portable(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    for wish in &WISHES {
        let id = sysreg(wish.encoding);
        for &value in wish.values {
            let mut machine = Machine::new(engine)?;
            let reset = number(&machine.vcpu.load(id)?).ok_or("an ID register of odd width")?;
            let mask = u64::MAX >> (64 - wish.width) << wish.shift;
            let wanted = reset & !mask | value << wish.shift;
            let said = match attempt(&mut *machine.vcpu, id, wanted) {
                _ if wanted == reset => "is so".to_owned(),
                Some(read) if read == wanted => "taken".to_owned(),
                Some(read) => format!("taken, reads {read:#x}"),
                None => "refused".to_owned(),
            };
            println!("{:34} {value:#x}: {said} (reset {reset:#x})", wish.what);
        }
    }
    let mut machine = Machine::new(engine)?;
    println!("all at once: {}", set_portable(&mut *machine.vcpu));
    Ok(())
}
