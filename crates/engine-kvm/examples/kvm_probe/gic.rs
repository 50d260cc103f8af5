//! The interrupt controller's registers, and states written to it and read back.

use crate::machine::{Machine, parts};
use abide_engine::Irqchip;
use abide_engine_kvm::KvmEngine;
use abide_gic::{Affinity, GicConfig, GicState, GicV3};
use abide_reg::{RegError, RegId, Registers, Value};
use std::error::Error;

const INTIDS: u32 = 288;
/// States that are tried, each on top of the one before.
const STATES: u64 = 40;

pub fn registers(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
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
    machine.gic.store(RegId::gic(1, 0xc08), &Value::u32(0))?;
    machine.gic.set_line(33, true)?;
    println!("LEVEL_INFO 32.. level, after SPI 33 up {}", machine.gic.load(level)?);
    for intids in [INTIDS, 96] {
        let said = machine.gic.store(RegId::gic(3, 0), &Value::u32(intids));
        println!("NR_IRQS {intids}: {:?}", said.map_err(|error| error.to_string()));
    }
    println!("SPI 31: {:?}", machine.gic.set_line(31, true).map_err(|error| error.to_string()));
    Ok(())
}

/// The controller as a holder of registers, as `abide-gic` writes them.
struct Chip<'a>(&'a dyn Irqchip);

impl Registers for Chip<'_> {
    fn reg_ids(&self) -> Vec<RegId> {
        Vec::new()
    }
    fn load(&self, id: RegId) -> Result<Value, RegError> {
        self.0.load(id)
    }
    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.0.store(id, value)
    }
}

/// Busy states into KVM's controller and out again, one on top of the other, with one and with two
/// vCPUs; what comes out is what the software controller says of the same state.
pub fn states(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    for vcpu_count in [1_u32, 2] {
        let (_vcpus, parts) = parts(engine, vcpu_count)?;
        let cpus: Vec<Affinity> = (0..vcpu_count).map(Affinity).collect();
        let mut chip = Chip(parts.gic.as_ref());
        let mut registers = 0;
        for seed in 1..=STATES {
            let state = busy(&GicConfig::new(cpus.iter().copied(), INTIDS), seed)?;
            abide_gic::restore(&mut chip, &state)?;
            let saved = abide_gic::save(&mut chip, INTIDS, &cpus)?;
            if saved != GicV3::from_state(&state)?.state().to_entries()? {
                return Err(format!("--vcpus {vcpu_count}, state {seed}: saved otherwise").into());
            }
            registers = saved.iter().map(|(_, entries)| entries.len()).sum();
        }
        println!("ok   --vcpus {vcpu_count}: {STATES} states of {registers} registers");
    }
    Ok(())
}

/// A state with something of everything that the controller holds.
fn busy(config: &GicConfig, seed: u64) -> Result<GicState, Box<dyn Error>> {
    let mut state = GicState::at_reset(config)?;
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    state.dist.enable_grp1 = draw(2) == 1;
    let cpus = config.cpus.len() as u64;
    for irq in &mut state.dist.spis {
        irq.edge = draw(2) == 1;
        let to = usize::try_from(draw(cpus))?;
        irq.route = abide_gic::state::Route::Affinity(config.cpus[to]);
    }
    for cpu in &mut state.cpus {
        cpu.icc.cbpr = draw(2) == 1;
        cpu.icc.eoi_mode = draw(2) == 1;
        cpu.icc.pmr = u8::try_from(draw(32) * 8)?;
        cpu.icc.bpr0 = u8::try_from(2 + draw(6))?;
        cpu.icc.bpr1 = u8::try_from(3 + draw(5))?;
        cpu.icc.ap0r[0] = u32::try_from(draw(1 << 32))?;
        cpu.icc.ap1r[0] = u32::try_from(draw(1 << 32))?;
        cpu.icc.igrpen0 = draw(2) == 1;
        cpu.icc.igrpen1 = draw(2) == 1;
    }
    let private = state.cpus.iter_mut().flat_map(|cpu| &mut cpu.private);
    for irq in state.dist.spis.iter_mut().chain(private) {
        irq.enabled = draw(2) == 1;
        irq.latch = draw(2) == 1;
        irq.active = draw(2) == 1;
        irq.group1 = draw(2) == 1;
        irq.priority = u8::try_from(draw(32) * 8)?;
        irq.line = Some(!irq.edge && draw(2) == 1);
    }
    Ok(state)
}
