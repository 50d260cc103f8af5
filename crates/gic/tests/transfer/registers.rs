//! The registers without side effects, one by one.

use crate::{CPU0, CPU1, CPUS, busy, config, id_of};
use abide_gic::{GicV3, IntId, spec};
use abide_reg::{RegError, RegId, Value, VcpuId};

fn dist(offset: u32) -> RegId {
    RegId::gic(spec::GRP_DIST_REGS, offset.into())
}

fn redist(cpu: u64, offset: u32) -> RegId {
    RegId::gic(spec::GRP_REDIST_REGS, cpu << 32 | u64::from(offset))
}

fn icc(cpu: u64, encoding: u16) -> RegId {
    RegId::gic(spec::GRP_CPU_SYSREGS, cpu << 32 | u64::from(encoding))
}

fn load(gic: &GicV3, id: RegId) -> u64 {
    crate::number(&gic.load(id).unwrap())
}

#[test]
fn ispendr_is_the_latch_and_sets_and_clears_it() {
    let mut gic = GicV3::new(config()).unwrap();
    gic.dist_write(u64::from(spec::GICD_ICFGR) + 8, 4, 0);
    gic.set_spi(IntId(42), true);
    gic.set_spi(IntId(43), true);
    gic.dist_write(u64::from(spec::GICD_ISPENDR) + 4, 4, 0x1800);
    assert_eq!(gic.dist_read(u64::from(spec::GICD_ISPENDR) + 4, 4), 0x1c00);
    assert_eq!(load(&gic, dist(spec::GICD_ISPENDR + 4)), 0x1800);
    assert_eq!(load(&gic, RegId::gic(7, 32)), 0x0c00);
    gic.store(dist(spec::GICD_ISPENDR + 4), &Value::u32(1)).unwrap();
    assert_eq!(load(&gic, dist(spec::GICD_ISPENDR + 4)), 1);
    gic.store(dist(spec::GICD_ICPENDR + 4), &Value::u32(u32::MAX)).unwrap();
    assert_eq!(load(&gic, dist(spec::GICD_ICPENDR + 4)), 0);
    assert_eq!(load(&gic, dist(spec::GICD_ISPENDR + 4)), 1, "ICPENDR is RAZ/WI");

    gic.store(redist(1, 0x1_0200), &Value::u32(0x22)).unwrap();
    gic.store(redist(1, 0x1_0280), &Value::u32(u32::MAX)).unwrap();
    assert_eq!((load(&gic, redist(1, 0x1_0200)), load(&gic, redist(0, 0x1_0200))), (0x22, 0));
}

#[test]
fn enable_and_active_only_set_and_only_clear() {
    let mut gic = GicV3::new(config()).unwrap();
    for base in [spec::GICD_ISENABLER, spec::GICD_ISACTIVER] {
        for (set, clear) in [
            (dist(base + 4), dist(base + 0x84)),
            (redist(1, 0x1_0000 + base), redist(1, 0x1_0080 + base)),
        ] {
            gic.store(clear, &Value::u32(u32::MAX)).unwrap();
            gic.store(set, &Value::u32(0xf0)).unwrap();
            gic.store(set, &Value::u32(0x0f)).unwrap();
            gic.store(clear, &Value::u32(0x3c)).unwrap();
            assert_eq!((load(&gic, set), load(&gic, clear)), (0xc3, 0xc3));
        }
    }
}

#[test]
fn lines_are_stored_without_being_edges() {
    let mut gic = GicV3::new(config()).unwrap();
    gic.store(RegId::gic(7, 32), &Value::u32(u32::MAX)).unwrap();
    assert_eq!(load(&gic, dist(spec::GICD_ISPENDR + 4)), 0);
    gic.set_spi(IntId(33), true);
    assert_eq!(load(&gic, dist(spec::GICD_ISPENDR + 4)), 0, "it was high");
    gic.store(RegId::gic(7, 1 << 32), &Value::u32(u32::MAX)).unwrap();
    assert_eq!(load(&gic, RegId::gic(7, 1 << 32)), 0xffff_0000, "SGIs have no inputs");
    assert_eq!(load(&gic, RegId::gic(7, 1 << 32 | 32)), 0xffff_ffff, "SPIs are the VM's");
}

#[test]
fn stores_reach_the_vcpus() {
    let mut gic = GicV3::new(config()).unwrap();
    gic.take_changed();
    let values = [
        (dist(spec::GICD_CTLR), Value::u32(0x52)),
        (dist(spec::GICD_ISENABLER + 4), Value::u32(2)),
        (dist(spec::GICD_IROUTER + 8 * 33), Value::u32(1)),
        (dist(spec::GICD_ISPENDR + 4), Value::u32(2)),
        (icc(1, spec::ICC_PMR_EL1), Value::u64(0xf0)),
        (icc(1, spec::ICC_IGRPEN1_EL1), Value::u64(1)),
    ];
    for (id, value) in values {
        assert!(!gic.outputs(VcpuId(1)).irq);
        gic.store(id, &value).unwrap();
    }
    assert!(gic.outputs(VcpuId(1)).irq);
    assert_eq!(gic.take_changed(), 0b10);
}

#[test]
fn bpr1_hides_behind_cbpr_on_read_and_write() {
    let mut gic = busy();
    let bpr1 = id_of(CPU1, "ICC_BPR1_EL1");
    assert_eq!(load(&gic, bpr1), 5);
    gic.store(bpr1, &Value::u64(7)).unwrap();
    gic.store(id_of(CPU1, "ICC_CTLR_EL1"), &Value::u64(0x8400)).unwrap();
    assert_eq!(load(&gic, bpr1), 6);
}

#[test]
fn identities_take_their_own_value_alone() {
    let mut gic = busy();
    for id in [
        RegId::gic(spec::GRP_NR_IRQS, 0),
        dist(spec::GICD_TYPER),
        dist(spec::GICD_TYPER2),
        dist(spec::GICD_IIDR),
        redist(1, spec::GICR_TYPER),
        redist(1, spec::GICR_TYPER + 4),
        redist(1, spec::GICR_IIDR),
        redist(1, spec::GICR_CTLR),
        redist(1, 0x1_0c04),
    ] {
        let before = gic.clone();
        let own = gic.load(id).unwrap();
        assert_eq!(gic.store(id, &own), Ok(()));
        let other = Value::u32(own.to_u32().unwrap() ^ 0x40);
        let refused = gic.store(id, &other);
        assert!(
            matches!(&refused, Err(RegError::Refused { found, .. }) if *found == other),
            "{id}"
        );
        assert_eq!(gic, before);
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let mut gic = busy();
    let before = gic.clone();
    for (id, value) in [
        (dist(spec::GICD_CTLR), Value::u32(0x53)),
        (dist(spec::GICD_IROUTER + 8 * 33), Value::u32(1 << 31)),
        (dist(spec::GICD_IROUTER + 8 * 33 + 4), Value::u32(1)),
        (redist(0, spec::GICR_CTLR), Value::u32(7)),
        (redist(0, spec::GICR_WAKER), Value::u32(2)),
        (icc(0, spec::ICC_SRE_EL1), Value::u64(6)),
        (icc(0, spec::ICC_CTLR_EL1), Value::u64(0x8600)),
        (icc(0, spec::ICC_CTLR_EL1), Value::u64(0x9400)),
        (icc(0, spec::ICC_CTLR_EL1), Value::u64(0x8440)),
        (icc(0, spec::ICC_AP1R0_EL1), Value::u64(1 << 32)),
    ] {
        let refused = gic.store(id, &value);
        assert!(matches!(refused, Err(RegError::Refused { .. })), "{id} = {value}: {refused:?}");
    }
    assert_eq!(gic, before);
}

#[test]
fn widths_are_those_of_the_groups() {
    let mut gic = busy();
    for (id, allowed) in [
        (dist(spec::GICD_CTLR), 4),
        (redist(0, spec::GICR_CTLR), 4),
        (RegId::gic(spec::GRP_LEVEL_INFO, 32), 4),
        (RegId::gic(spec::GRP_NR_IRQS, 0), 4),
        (icc(0, spec::ICC_PMR_EL1), 8),
    ] {
        let value = Value::u128(0);
        assert_eq!(gic.store(id, &value), Err(RegError::Width { id, found: 16, allowed }));
        assert_eq!(gic.load(id).unwrap().width(), allowed);
    }
}

#[test]
fn places_that_are_no_register_are_unknown() {
    let mut gic = busy();
    for id in [
        RegId::named("gic.other"),
        RegId::gic(0, 2),
        RegId::gic(2, 0),
        RegId::gic(8, 0),
        RegId::gic(spec::GRP_NR_IRQS, 1),
        dist(2),
        dist(0x14),
        dist(0x10c),
        dist(0x460),
        dist(0x6300),
        dist(0x1_0000),
        RegId::gic(spec::GRP_DIST_REGS, 1 << 32),
        redist(2, 0),
        redist(0, 0x18),
        redist(0, 0x2_0000),
        redist(0, 0x1_0084),
        redist(0, 0x1_0420),
        redist(0, 0x1_6000),
        icc(0, spec::ICC_IAR1_EL1),
        icc(0, spec::ICC_AP1R0_EL1 + 1),
        icc(2, spec::ICC_PMR_EL1),
        RegId::gic(spec::GRP_CPU_SYSREGS, 1 << 16 | u64::from(spec::ICC_PMR_EL1)),
        RegId::gic(spec::GRP_LEVEL_INFO, 33),
        RegId::gic(spec::GRP_LEVEL_INFO, 96),
        RegId::gic(spec::GRP_LEVEL_INFO, 1 << 10),
    ] {
        assert_eq!(gic.load(id), Err(RegError::Unknown { id }));
        assert_eq!(gic.store(id, &Value::u32(0)), Err(RegError::Unknown { id }));
    }
}

#[test]
fn attributes_that_kernels_report_are_all_here() {
    let gic = busy();
    let rows = [0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380];
    let mut dist_offsets = vec![0, 4, 8, 0xc, 0x10, 0xffd0, 0xffe8, 0xfffc];
    let mut redist_offsets = vec![0, 4, 8, 0xc, 0x10, 0x14, 0x70, 0x7c, 0xa0, 0xb0, 0xc0, 0xffe8];
    for row in rows {
        dist_offsets.extend([row, row + 4, row + 8]);
        redist_offsets.push(0x1_0000 + row);
    }
    dist_offsets.extend([0x400, 0x45c, 0x800, 0x85c, 0xc00, 0xc14, 0xd00, 0x6000, 0x62fc]);
    redist_offsets.extend([0x1_0400, 0x1_041c, 0x1_0c00, 0x1_0c04, 0x1_0d00, 0x1_0e00]);
    for offset in dist_offsets {
        assert!(gic.load(dist(offset)).is_ok(), "{offset:#x}");
    }
    for cpu in CPUS {
        for &offset in &redist_offsets {
            assert!(gic.load(redist(cpu.0.into(), offset)).is_ok(), "{offset:#x}");
        }
    }
}

#[test]
fn loading_changes_nothing() {
    let gic = busy();
    let before = gic.clone();
    for offset in (0..0x1_0000).step_by(4) {
        let _ = gic.load(dist(offset));
        let _ = gic.load(redist(0, offset));
        let _ = gic.load(redist(0, 0x1_0000 + offset));
    }
    assert_eq!(gic, before);
    assert_eq!(load(&gic, id_of(CPU0, "ICC_PMR_EL1")), 0);
}
