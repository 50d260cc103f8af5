//! What guests and devices do, one step at a time.

use abide_gic::{Affinity, GicConfig, GicV3, IntId, spec};
use abide_reg::VcpuId;
use proptest::prelude::*;

pub const NR_IRQS: u32 = 96;
/// Affinities that share levels, so that routing and target lists must look at all of them.
pub const CPUS: [Affinity; 3] = [Affinity(0), Affinity(1), Affinity(0x0001_0100)];

/// Registers with a bit for each interrupt, by their offset in a frame.
pub const BIT_ROWS: [u32; 7] = [
    spec::GICD_IGROUPR,
    spec::GICD_ISENABLER,
    spec::GICD_ICENABLER,
    spec::GICD_ISPENDR,
    spec::GICD_ICPENDR,
    spec::GICD_ISACTIVER,
    spec::GICD_ICACTIVER,
];

pub const SYSREGS: [u16; 20] = [
    spec::ICC_PMR_EL1,
    spec::ICC_IAR0_EL1,
    spec::ICC_EOIR0_EL1,
    spec::ICC_HPPIR0_EL1,
    spec::ICC_BPR0_EL1,
    spec::ICC_AP0R0_EL1,
    spec::ICC_AP1R0_EL1,
    spec::ICC_DIR_EL1,
    spec::ICC_RPR_EL1,
    spec::ICC_SGI1R_EL1,
    spec::ICC_ASGI1R_EL1,
    spec::ICC_SGI0R_EL1,
    spec::ICC_IAR1_EL1,
    spec::ICC_EOIR1_EL1,
    spec::ICC_HPPIR1_EL1,
    spec::ICC_BPR1_EL1,
    spec::ICC_CTLR_EL1,
    spec::ICC_SRE_EL1,
    spec::ICC_IGRPEN0_EL1,
    spec::ICC_IGRPEN1_EL1,
];

#[derive(Clone, Debug)]
pub enum Action {
    /// Word 0 is the CPU's own.
    WriteBits {
        cpu: usize,
        row: u32,
        word: u32,
        value: u32,
    },
    ReadBits {
        cpu: usize,
        row: u32,
        word: u32,
    },
    WritePriority {
        cpu: usize,
        intid: u32,
        value: u8,
    },
    ReadPriority {
        cpu: usize,
        intid: u32,
    },
    WriteConfig {
        word: u32,
        value: u32,
    },
    ReadConfig {
        word: u32,
    },
    WriteRoute {
        intid: u32,
        value: u64,
    },
    ReadRoute {
        intid: u32,
    },
    WriteCtlr {
        value: u32,
    },
    ReadSysreg {
        cpu: usize,
        encoding: u16,
    },
    WriteSysreg {
        cpu: usize,
        encoding: u16,
        value: u64,
    },
    /// Ends what was acknowledged last.
    End {
        cpu: usize,
        group1: bool,
    },
    SetSpi {
        intid: u32,
        level: bool,
    },
    SetPpi {
        cpu: usize,
        intid: u32,
        level: bool,
    },
}

fn cpu() -> impl Strategy<Value = usize> {
    0..CPUS.len()
}

/// Mostly few bits: words full of ones would make every interrupt do everything at once.
fn bits() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (0_u32..32).prop_map(|place| 1 << place),
        2 => (any::<u32>(), any::<u32>()).prop_map(|(left, right)| left & right),
        1 => any::<u32>(),
    ]
}

fn sysreg_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..8,
        4 => 0_u64..256,
        2 => (0_u32..64).prop_map(|place| 1 << place),
        1 => any::<u64>(),
    ]
}

/// A value for the SGI registers: INTID, mode, and a list that may hit some CPU.
fn sgi() -> impl Strategy<Value = u64> {
    (0_u64..16, 0_u64..4, 0_u64..4, 0_u64..2, 0_u64..2).prop_map(
        |(intid, irm, list, aff1, aff2)| {
            intid << 24 | u64::from(irm == 0) << 40 | list | aff1 << 16 | aff2 << 32
        },
    )
}

pub fn action() -> impl Strategy<Value = Action> {
    let row = || prop::sample::select(&BIT_ROWS[..]);
    let spi = || 30..NR_IRQS + 2;
    let own = || 0..NR_IRQS;
    prop_oneof![
        8 => (cpu(), row(), 0_u32..4, bits())
            .prop_map(|(cpu, row, word, value)| Action::WriteBits { cpu, row, word, value }),
        2 => (cpu(), row(), 0_u32..4)
            .prop_map(|(cpu, row, word)| Action::ReadBits { cpu, row, word }),
        5 => (cpu(), own(), any::<u8>())
            .prop_map(|(cpu, intid, value)| Action::WritePriority { cpu, intid, value }),
        1 => (cpu(), own()).prop_map(|(cpu, intid)| Action::ReadPriority { cpu, intid }),
        2 => (0_u32..8, any::<u32>())
            .prop_map(|(word, value)| Action::WriteConfig { word, value }),
        1 => (0_u32..8).prop_map(|word| Action::ReadConfig { word }),
        4 => (spi(), prop::sample::select(&[0_u64, 1, 2, 0x0001_0100, 0x8000_0001, 1 << 32][..]))
            .prop_map(|(intid, value)| Action::WriteRoute { intid, value }),
        1 => spi().prop_map(|intid| Action::ReadRoute { intid }),
        1 => prop::sample::select(&[0_u32, 2, 2, 2, 1, 3, u32::MAX][..])
            .prop_map(|value| Action::WriteCtlr { value }),
        6 => (cpu(), prop::sample::select(&SYSREGS[..]))
            .prop_map(|(cpu, encoding)| Action::ReadSysreg { cpu, encoding }),
        10 => (cpu(), prop::sample::select(&[spec::ICC_IAR1_EL1, spec::ICC_IAR0_EL1][..]))
            .prop_map(|(cpu, encoding)| Action::ReadSysreg { cpu, encoding }),
        5 => (cpu(), prop::sample::select(&SYSREGS[..]), sysreg_value())
            .prop_map(|(cpu, encoding, value)| Action::WriteSysreg { cpu, encoding, value }),
        3 => (cpu(), prop::sample::select(&SYSREGS[9..12]), sgi())
            .prop_map(|(cpu, encoding, value)| Action::WriteSysreg { cpu, encoding, value }),
        4 => (cpu(), own()).prop_map(|(cpu, intid)| Action::WriteSysreg {
            cpu,
            encoding: spec::ICC_DIR_EL1,
            value: intid.into(),
        }),
        8 => (cpu(), any::<bool>()).prop_map(|(cpu, group1)| Action::End { cpu, group1 }),
        8 => (spi(), any::<bool>()).prop_map(|(intid, level)| Action::SetSpi { intid, level }),
        4 => (cpu(), 14_u32..34, any::<bool>())
            .prop_map(|(cpu, intid, level)| Action::SetPpi { cpu, intid, level }),
    ]
}

/// What a guest does at boot, so that traces begin where interrupts flow.
pub fn boot() -> Vec<Action> {
    let mut actions = vec![Action::WriteCtlr { value: 2 }];
    for word in 1..3 {
        let row = spec::GICD_ISENABLER;
        actions.push(Action::WriteBits { cpu: 0, row, word, value: u32::MAX });
    }
    for cpu in 0..CPUS.len() {
        let write = |encoding, value| Action::WriteSysreg { cpu, encoding, value };
        let row = spec::GICD_ISENABLER;
        actions.push(Action::WriteBits { cpu, row, word: 0, value: u32::MAX });
        actions.push(write(spec::ICC_PMR_EL1, 0xf0));
        actions.push(write(spec::ICC_IGRPEN0_EL1, 1));
        actions.push(write(spec::ICC_IGRPEN1_EL1, 1));
    }
    actions
}

pub fn controller() -> GicV3 {
    GicV3::new(GicConfig::new(CPUS, NR_IRQS)).unwrap()
}

/// Does `action`, and answers what was read: 0 where nothing was. `last` is the INTID that each
/// CPU acknowledged last.
pub fn apply(gic: &mut GicV3, last: &mut [u64; CPUS.len()], action: &Action) -> u64 {
    let id = |cpu: usize| VcpuId(u32::try_from(cpu).unwrap());
    let frame = |offset: u32| u64::from(spec::GICR_SGI_FRAME + offset);
    match *action {
        Action::WriteBits { cpu, row, word: 0, value } => {
            gic.redist_write(id(cpu), frame(row), 4, value.into());
        }
        Action::WriteBits { row, word, value, .. } => {
            gic.dist_write((row + 4 * word).into(), 4, value.into());
        }
        Action::ReadBits { cpu, row, word: 0 } => return gic.redist_read(id(cpu), frame(row), 4),
        Action::ReadBits { row, word, .. } => return gic.dist_read((row + 4 * word).into(), 4),
        Action::WritePriority { cpu, intid, value } if intid < 32 => {
            gic.redist_write(id(cpu), frame(spec::GICD_IPRIORITYR + intid), 1, value.into());
        }
        Action::WritePriority { intid, value, .. } => {
            gic.dist_write((spec::GICD_IPRIORITYR + intid).into(), 1, value.into());
        }
        Action::ReadPriority { cpu, intid } if intid < 32 => {
            return gic.redist_read(id(cpu), frame(spec::GICD_IPRIORITYR + intid), 1);
        }
        Action::ReadPriority { intid, .. } => {
            return gic.dist_read((spec::GICD_IPRIORITYR + intid).into(), 1);
        }
        Action::WriteConfig { word, value } => {
            gic.dist_write((spec::GICD_ICFGR + 4 * word).into(), 4, value.into());
        }
        Action::ReadConfig { word } => {
            return gic.dist_read((spec::GICD_ICFGR + 4 * word).into(), 4);
        }
        Action::WriteRoute { intid, value } => {
            gic.dist_write((spec::GICD_IROUTER + 8 * intid).into(), 8, value);
        }
        Action::ReadRoute { intid } => {
            return gic.dist_read((spec::GICD_IROUTER + 8 * intid).into(), 8);
        }
        Action::WriteCtlr { value } => gic.dist_write(spec::GICD_CTLR.into(), 4, value.into()),
        Action::ReadSysreg { cpu, encoding } => {
            let Some(value) = gic.sysreg_read(id(cpu), encoding) else { return u64::MAX };
            if matches!(encoding, spec::ICC_IAR0_EL1 | spec::ICC_IAR1_EL1) && value < 1020 {
                last[cpu] = value;
            }
            return value;
        }
        Action::WriteSysreg { cpu, encoding, value } => {
            return u64::from(!gic.sysreg_write(id(cpu), encoding, value));
        }
        Action::End { cpu, group1 } => {
            let encoding = if group1 { spec::ICC_EOIR1_EL1 } else { spec::ICC_EOIR0_EL1 };
            gic.sysreg_write(id(cpu), encoding, last[cpu]);
        }
        Action::SetSpi { intid, level } => gic.set_spi(IntId(intid), level),
        Action::SetPpi { cpu, intid, level } => gic.set_ppi(id(cpu), IntId(intid), level),
    }
    0
}
