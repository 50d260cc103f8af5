//! Registers as they are after a reset.

use crate::machine::Machine;
use abide_engine_kvm::KvmEngine;
use abide_reg::RegId;
use std::error::Error;

pub fn registers(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let machine = Machine::new(engine)?;
    println!("CNTFRQ_EL0 {}", engine.cntfrq_hz());
    for id in machine.vcpu.reg_ids() {
        match machine.vcpu.load(id) {
            Ok(value) => println!("{id} {:28} {value}", name(id)),
            Err(error) => println!("{id} {:28} {error}", name(id)),
        }
    }
    Ok(())
}

/// The name of a system register, or what kind of register it is.
pub fn name(id: RegId) -> String {
    let RegId::Kvm(number) = id else { return String::new() };
    let Some(reg) = abide_arm64::kvm::to_sysreg(id) else {
        return match number >> 16 & 0xfff {
            0x10 => format!("core+{:#x}", (number & 0xffff) * 4),
            0x11 => format!("CCSIDR[{}]", number & 0xff),
            0x14 => format!("FW[{}]", number & 0xffff),
            0x16 => format!("BITMAP[{}]", number & 0xffff),
            _ => String::from("?"),
        };
    };
    let known = IDS.iter().find(|(encoding, _)| *encoding == reg.0);
    known.map_or_else(|| reg.to_string(), |(_, name)| (*name).to_owned())
}

/// ID registers by encoding `[DDI0487 D24.2]`.
const IDS: [(u16, &str); 44] = [
    (0xc000, "MIDR_EL1"),
    (0xc005, "MPIDR_EL1"),
    (0xc006, "REVIDR_EL1"),
    (0xc008, "ID_PFR0_EL1"),
    (0xc009, "ID_PFR1_EL1"),
    (0xc00a, "ID_DFR0_EL1"),
    (0xc00b, "ID_AFR0_EL1"),
    (0xc00c, "ID_MMFR0_EL1"),
    (0xc00d, "ID_MMFR1_EL1"),
    (0xc00e, "ID_MMFR2_EL1"),
    (0xc00f, "ID_MMFR3_EL1"),
    (0xc010, "ID_ISAR0_EL1"),
    (0xc011, "ID_ISAR1_EL1"),
    (0xc012, "ID_ISAR2_EL1"),
    (0xc013, "ID_ISAR3_EL1"),
    (0xc014, "ID_ISAR4_EL1"),
    (0xc015, "ID_ISAR5_EL1"),
    (0xc016, "ID_MMFR4_EL1"),
    (0xc017, "ID_ISAR6_EL1"),
    (0xc018, "MVFR0_EL1"),
    (0xc019, "MVFR1_EL1"),
    (0xc01a, "MVFR2_EL1"),
    (0xc01c, "ID_PFR2_EL1"),
    (0xc01d, "ID_DFR1_EL1"),
    (0xc01e, "ID_MMFR5_EL1"),
    (0xc020, "ID_AA64PFR0_EL1"),
    (0xc021, "ID_AA64PFR1_EL1"),
    (0xc022, "ID_AA64PFR2_EL1"),
    (0xc024, "ID_AA64ZFR0_EL1"),
    (0xc025, "ID_AA64SMFR0_EL1"),
    (0xc027, "ID_AA64FPFR0_EL1"),
    (0xc028, "ID_AA64DFR0_EL1"),
    (0xc029, "ID_AA64DFR1_EL1"),
    (0xc02c, "ID_AA64AFR0_EL1"),
    (0xc030, "ID_AA64ISAR0_EL1"),
    (0xc031, "ID_AA64ISAR1_EL1"),
    (0xc032, "ID_AA64ISAR2_EL1"),
    (0xc038, "ID_AA64MMFR0_EL1"),
    (0xc039, "ID_AA64MMFR1_EL1"),
    (0xc03a, "ID_AA64MMFR2_EL1"),
    (0xc03b, "ID_AA64MMFR3_EL1"),
    (0xc801, "CLIDR_EL1"),
    (0xc807, "AIDR_EL1"),
    (0xd801, "CTR_EL0"),
];
