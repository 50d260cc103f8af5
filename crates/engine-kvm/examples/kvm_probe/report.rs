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

/// The register's name, if it has one.
pub fn name(id: RegId) -> String {
    abide_arm64::names::register_name(id).unwrap_or_default()
}
