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

pub fn gic(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let machine = Machine::new(engine)?;
    let named: [(&str, u32, u64); 15] = [
        ("NR_IRQS", 3, 0),
        ("GICD_CTLR", 1, 0),
        ("GICD_TYPER", 1, 4),
        ("GICD_IIDR", 1, 8),
        ("GICD_TYPER2", 1, 0xc),
        ("GICD_STATUSR", 1, 0x10),
        ("GICR_CTLR", 5, 0),
        ("GICR_IIDR", 5, 4),
        ("GICR_TYPER lo", 5, 8),
        ("GICR_TYPER hi", 5, 12),
        ("GICR_STATUSR", 5, 0x10),
        ("GICR_WAKER", 5, 0x14),
        ("ICC_CTLR_EL1", 6, 0xc664),
        ("ICC_SRE_EL1", 6, 0xc665),
        ("not a register", 1, 0x20),
    ];
    for (name, group, attr) in named {
        match machine.gic.load(RegId::gic(group, attr)) {
            Ok(value) => println!("{name:16} {value}"),
            Err(error) => println!("{name:16} {error}"),
        }
    }
    let level = RegId::gic(7, 32);
    let before = machine.gic.load(level)?;
    machine.gic.set_line(33, true)?;
    println!("LEVEL_INFO 32.. edge before {before} after SPI 33 up {}", machine.gic.load(level)?);
    machine.gic.set_line(33, false)?;
    // SPIs are edge-triggered after a reset, and the kernel shows only level inputs.
    machine.gic.store(RegId::gic(1, 0xc08), &abide_reg::Value::u32(0))?;
    machine.gic.set_line(33, true)?;
    println!("LEVEL_INFO 32.. level, after SPI 33 up {}", machine.gic.load(level)?);
    for intids in [288, 96] {
        let said = machine.gic.store(RegId::gic(3, 0), &abide_reg::Value::u32(intids));
        println!("NR_IRQS {intids}: {:?}", said.map_err(|error| error.to_string()));
    }
    println!("SPI 31: {:?}", machine.gic.set_line(31, true).map_err(|error| error.to_string()));
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
