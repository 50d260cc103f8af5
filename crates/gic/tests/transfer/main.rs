//! Saved state: its form, its intake, and its way into controllers that behave as kernels do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod canonical;
mod entries;
mod golden;
mod kernel;
mod measured;
mod order;
mod registers;

use abide_gic::{Affinity, GicConfig, GicV3, IntId, Sections, spec};
use abide_reg::{Entry, RegId, Scope, Value, VcpuId};

const CPUS: [Affinity; 2] = [Affinity(0), Affinity(1)];

fn config() -> GicConfig {
    GicConfig::new(CPUS, 96)
}

/// A controller with something in every register that can hold something.
fn busy() -> GicV3 {
    let mut gic = GicV3::new(config()).unwrap();
    gic.dist_write(spec::GICD_CTLR.into(), 4, 2);
    gic.dist_write((spec::GICD_ICFGR + 8).into(), 4, 0xaa00_55aa);
    for (row, value) in [
        (spec::GICD_IGROUPR, 0xfeed_0ff0_u64),
        (spec::GICD_ISENABLER, 0x0000_ffff),
        (spec::GICD_ISPENDR, 0x0000_1004),
        (spec::GICD_ISACTIVER, 0x0000_0018),
    ] {
        gic.dist_write((row + 4).into(), 4, value);
        let row = u64::from(spec::GICR_SGI_FRAME + row);
        gic.redist_write(VcpuId(0), row, 4, value.rotate_left(4));
    }
    gic.dist_write((spec::GICD_IPRIORITYR + 33).into(), 1, 0x98);
    gic.redist_write(VcpuId(1), u64::from(spec::GICR_SGI_FRAME + 0x41b), 1, 0xa0);
    gic.dist_write((spec::GICD_IROUTER + 8 * 33).into(), 8, 1);
    gic.redist_write(VcpuId(0), spec::GICR_PROPBASER.into(), 8, 0x4010_078f);
    gic.redist_write(VcpuId(1), spec::GICR_PENDBASER.into(), 8, 0x3_4012_0180);
    // 33 edge-triggered, 40 level-triggered.
    gic.set_spi(IntId(33), true);
    gic.set_spi(IntId(40), true);
    gic.set_ppi(VcpuId(1), IntId(27), true);
    for (encoding, value) in [
        (spec::ICC_BPR0_EL1, 4),
        (spec::ICC_BPR1_EL1, 6),
        (spec::ICC_CTLR_EL1, 3),
        (spec::ICC_PMR_EL1, 0xf0),
        (spec::ICC_IGRPEN0_EL1, 1),
        (spec::ICC_IGRPEN1_EL1, 1),
        (spec::ICC_AP0R0_EL1, 0x8000_0001),
        (spec::ICC_AP1R0_EL1, 1 << 20),
    ] {
        assert!(gic.sysreg_write(VcpuId(1), encoding, value));
    }
    gic
}

fn saved() -> Sections {
    busy().state().to_entries().unwrap()
}

fn entry_mut(sections: &mut Sections, scope: Scope, id: RegId) -> &mut Entry {
    let (_, entries) = sections.iter_mut().find(|(at, _)| *at == scope).unwrap();
    entries.iter_mut().find(|entry| entry.id == id).unwrap()
}

fn number(value: &Value) -> u64 {
    value.to_u64().or_else(|| value.to_u32().map(u64::from)).unwrap()
}

/// Names of registers by their ids, as [`abide_gic::reg_defs`] gives them.
fn id_of(scope: Scope, name: &str) -> RegId {
    let sections = abide_gic::reg_defs(96, &CPUS).unwrap();
    let (_, defs) = sections.iter().find(|(at, _)| *at == scope).unwrap();
    defs.iter().find(|def| def.name == name).unwrap_or_else(|| panic!("{name}")).id
}

const VM: Scope = Scope::Vm;
const CPU0: Scope = Scope::Vcpu(VcpuId(0));
const CPU1: Scope = Scope::Vcpu(VcpuId(1));
