//! A state read from a kernel: Linux 6.1, KVM, 96 INTIDs, two vCPUs, after a guest's exercise.
//!
//! Vcpu 1 has never run, so that its binary points are not clamped. The VM had an ITS; what that
//! changes (LPIs in `GICD_TYPER`, `GICR_TYPER` and `GICR_CTLR`) is left out here.

use crate::{CPUS, VM, id_of};
use abide_gic::{GicState, GicV3, Sections, spec};
use abide_reg::{Entry, RegId, Value, VcpuId};
use std::collections::BTreeMap;

/// Group and attribute of each register that is not zero.
const READ: [(u32, u64, u64); 50] = [
    (3, 0, 96),
    (1, 0x000, 0x52),
    (1, 0x004, 0x0048_0002),
    (1, 0x008, 0x4b00_343b),
    (1, 0x084, 0xffff_ffff),
    (1, 0x088, 0xffff_ffff),
    (1, 0x104, 0xffff),
    (1, 0x108, 0xffff),
    (1, 0x204, 0x180e),
    (1, 0xc08, 0xaaaa),
    (1, 0xc0c, 0xaaaa_aaaa),
    (1, 0xc10, 0xaaaa_aaaa),
    (1, 0xc14, 0xaaaa_aaaa),
    (1, 0x6108, 1),
    (7, 32, 0xc00),
    (5, 0x00, 6),
    (5, 0x04, 0x4b00_043b),
    (5, 0x70, 0x4010_078f),
    (5, 0x78, 0x4011_0180),
    (5, 0x1_0080, 0xffff_ffff),
    (5, 0x1_0100, 0x0810_ffff),
    (6, spec::ICC_PMR_EL1 as u64, 0xf0),
    (6, spec::ICC_BPR0_EL1 as u64, 2),
    (6, spec::ICC_BPR1_EL1 as u64, 3),
    (6, spec::ICC_CTLR_EL1 as u64, 0x8c00),
    (6, spec::ICC_SRE_EL1 as u64, 7),
    (6, spec::ICC_IGRPEN0_EL1 as u64, 1),
    (6, spec::ICC_IGRPEN1_EL1 as u64, 1),
    (5, 1 << 32, 6),
    (5, 1 << 32 | 0x04, 0x4b00_043b),
    (5, 1 << 32 | 0x08, 0x110),
    (5, 1 << 32 | 0x0c, 1),
    (5, 1 << 32 | 0x78, 0x4012_0180),
    (5, 1 << 32 | 0x1_0080, 0xffff_ffff),
    (5, 1 << 32 | 0x1_0100, 0x0810_ffff),
    (5, 1 << 32 | 0x1_0200, 0x28),
    (6, 1 << 32 | spec::ICC_PMR_EL1 as u64, 0xf0),
    (6, 1 << 32 | spec::ICC_CTLR_EL1 as u64, 0x8c00),
    (6, 1 << 32 | spec::ICC_SRE_EL1 as u64, 7),
    (6, 1 << 32 | spec::ICC_IGRPEN0_EL1 as u64, 1),
    (6, 1 << 32 | spec::ICC_IGRPEN1_EL1 as u64, 1),
    (7, 1 << 32, 0x10_0000),
    (5, 0x1_0400, 0xa0a0_a0a0),
    (5, 0x1_0404, 0xa0a0_a0a0),
    (5, 0x1_0408, 0xa0a0_a0a0),
    (5, 0x1_040c, 0xa0a0_a0a0),
    (5, 0x1_0410, 0xa0a0_a0a0),
    (5, 0x1_0414, 0xa0a0_a0a0),
    (5, 0x1_0418, 0xa0a0_a0a0),
    (5, 0x1_041c, 0xa0a0_a0a0),
];

/// What the kernel gave, register by register of the saved form.
fn read() -> Sections {
    let mut values: BTreeMap<RegId, u64> =
        READ.iter().map(|&(group, attr, value)| (RegId::gic(group, attr), value)).collect();
    for offset in (0x420..0x460).step_by(4) {
        values.insert(RegId::gic(1, offset), 0x8090_9898);
    }
    for offset in (0x1_0400..0x1_0420).step_by(4) {
        values.insert(RegId::gic(5, 1 << 32 | offset), 0xa0a0_a0a0);
    }
    let sections = abide_gic::reg_defs(96, &CPUS).unwrap().into_iter();
    sections
        .map(|(scope, defs)| {
            let entry = |def: &abide_reg::RegDef| {
                let number = values.get(&def.id).copied().unwrap_or(0);
                let narrow = || Value::u32(number.try_into().unwrap());
                Entry::of(def, if def.width == 8 { Value::u64(number) } else { narrow() })
            };
            (scope, defs.iter().map(entry).collect())
        })
        .collect()
}

#[test]
fn what_the_kernel_gave_is_the_saved_form() {
    let state = GicState::from_entries(read()).unwrap().state;
    let mut expected = read();
    for entry in &mut expected[2].1 {
        // As they will read once vCPU 1 has run.
        if entry.id == id_of(crate::CPU1, "ICC_BPR0_EL1") {
            entry.value = Value::u64(2);
        } else if entry.id == id_of(crate::CPU1, "ICC_BPR1_EL1") {
            entry.value = Value::u64(3);
        }
    }
    assert_eq!(state.to_entries().unwrap(), expected);
    assert_eq!(expected[0].0, VM);
}

#[test]
fn what_was_pending_in_the_kernel_is_delivered_here() {
    let state = GicState::from_entries(read()).unwrap().state;
    let mut gic = GicV3::from_state(&state).unwrap();
    let mut drain = |cpu: VcpuId| -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            let intid = gic.sysreg_read(cpu, spec::ICC_IAR1_EL1).unwrap();
            if intid == 1023 {
                return order;
            }
            order.push(intid);
            // Priorities end, interrupts stay active: each comes once, lines high or not.
            gic.sysreg_write(cpu, spec::ICC_CTLR_EL1, spec::ICC_CTLR_EOIMODE);
            gic.sysreg_write(cpu, spec::ICC_EOIR1_EL1, intid);
        }
    };
    // 42 and 43 by their lines, 43 and 44 by their latches; 33 is routed to vCPU 1.
    assert_eq!(drain(VcpuId(0)), [35, 43, 34, 42, 44]);
    assert_eq!(drain(VcpuId(1)), [33, 3, 5, 20]);
}
