//! Each register as a guest sees it, with the values that kernels were seen to give.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_gic::{Affinity, GicConfig, GicV3, IntId, Revision, spec};
use abide_reg::VcpuId;

const CPU0: VcpuId = VcpuId(0);
const CPU1: VcpuId = VcpuId(1);

fn gic() -> GicV3 {
    GicV3::new(GicConfig::new([Affinity(0), Affinity(1)], 96)).unwrap()
}

fn dist(gic: &GicV3, offset: u32) -> u64 {
    gic.dist_read(offset.into(), 4)
}

fn sgi(offset: u32) -> u64 {
    (spec::GICR_SGI_FRAME + offset).into()
}

#[test]
fn distributor_identifies_itself_as_kvms() {
    let gic = gic();
    assert_eq!(dist(&gic, spec::GICD_IIDR), 0x4b00_343b);
    assert_eq!(dist(&gic, spec::GICD_TYPER), 0x0048_0002);
    assert_eq!(dist(&gic, spec::GICD_TYPER2), 0);
    assert_eq!(dist(&gic, spec::GICD_STATUSR), 0xffff_ffff);
    assert_eq!(dist(&gic, spec::GICD_PIDR2), 0x3b);
    assert_eq!(dist(&gic, 0xffd0), 0);
}

#[test]
fn redistributors_identify_themselves_as_kvms() {
    let gic = gic();
    let read = |cpu, offset: u32, size| gic.redist_read(cpu, offset.into(), size);
    assert_eq!(read(CPU0, spec::GICR_IIDR, 4), 0x4b00_043b);
    assert_eq!(read(CPU0, spec::GICR_TYPER, 8), 0);
    assert_eq!(read(CPU1, spec::GICR_TYPER, 8), 0x1_0000_0110);
    assert_eq!(read(CPU1, spec::GICR_TYPER, 4), 0x110);
    assert_eq!(read(CPU1, spec::GICR_TYPER + 4, 4), 1);
    assert_eq!(read(CPU0, spec::GICR_PIDR2, 4), 0x3b);
    assert_eq!(read(CPU0, spec::GICR_CTLR, 4), 6);
    assert_eq!(read(CPU0, spec::GICR_STATUSR, 4), 0);
}

#[test]
fn revision_2_does_not_show_lpi_controls() {
    let config = GicConfig { revision: Revision::R2, ..GicConfig::new([Affinity(0)], 96) };
    let gic = GicV3::new(config).unwrap();
    assert_eq!(dist(&gic, spec::GICD_IIDR), 0x4b00_243b);
    assert_eq!(gic.redist_read(CPU0, spec::GICR_CTLR.into(), 4), 0);
}

#[test]
fn gicd_ctlr_keeps_one_enable() {
    let mut gic = gic();
    assert_eq!(dist(&gic, spec::GICD_CTLR), 0x50);
    gic.dist_write(spec::GICD_CTLR.into(), 4, u64::MAX);
    assert_eq!(dist(&gic, spec::GICD_CTLR), 0x52);
    gic.dist_write(spec::GICD_CTLR.into(), 4, 1);
    assert_eq!(dist(&gic, spec::GICD_CTLR), 0x50);
}

#[test]
fn reset_values_are_those_of_kvm() {
    let mut gic = gic();
    assert_eq!(dist(&gic, spec::GICD_IGROUPR + 4), 0xffff_ffff);
    assert_eq!(dist(&gic, spec::GICD_ICFGR + 8), 0xaaaa_aaaa);
    assert_eq!(dist(&gic, spec::GICD_ISENABLER + 4), 0);
    for (offset, value) in [
        (spec::GICD_IGROUPR, 0xffff_ffff_u64),
        (spec::GICD_ISENABLER, 0xffff),
        (spec::GICD_IPRIORITYR, 0),
        (spec::GICD_ICFGR, 0xaaaa_aaaa),
        (spec::GICD_ICFGR + 4, 0),
    ] {
        assert_eq!(gic.redist_read(CPU1, sgi(offset), 4), value, "{offset:#x}");
    }
    for (encoding, value) in [
        (spec::ICC_PMR_EL1, 0),
        (spec::ICC_BPR0_EL1, 2),
        (spec::ICC_BPR1_EL1, 3),
        (spec::ICC_CTLR_EL1, 0x8400),
        (spec::ICC_SRE_EL1, 7),
        (spec::ICC_IGRPEN0_EL1, 0),
        (spec::ICC_IGRPEN1_EL1, 0),
        (spec::ICC_RPR_EL1, 0xff),
        (spec::ICC_AP0R0_EL1, 0),
        (spec::ICC_AP1R0_EL1, 0),
    ] {
        assert_eq!(gic.sysreg_read(CPU0, encoding), Some(value), "{encoding:#x}");
    }
}

#[test]
fn words_of_private_intids_are_razwi_in_the_distributor() {
    let mut gic = gic();
    for offset in (0x80..0xd00).step_by(4) {
        let spi = match offset {
            0x80..0x400 => offset % 0x80 >= 4,
            0x400..0xc00 => offset % 0x400 >= 32,
            _ => offset >= 0xc08,
        };
        if !spi {
            gic.dist_write(offset.into(), 4, u64::MAX);
            assert_eq!(dist(&gic, offset), 0, "{offset:#x}");
        }
    }
    gic.dist_write((spec::GICD_IROUTER + 8 * 31).into(), 8, 1);
    assert_eq!(gic.dist_read((spec::GICD_IROUTER + 8 * 31).into(), 8), 0);
    assert_eq!(gic, self::gic(), "nothing has changed");
}

#[test]
fn registers_past_the_last_intid_are_razwi() {
    let mut gic = gic();
    for offset in [
        spec::GICD_IGROUPR + 12,
        spec::GICD_ISENABLER + 12,
        spec::GICD_ISPENDR + 0x7c,
        spec::GICD_ICFGR + 24,
        spec::GICD_IPRIORITYR + 96,
        spec::GICD_IPRIORITYR + 0x3fc,
        spec::GICD_IROUTER + 8 * 96,
        spec::GICD_IROUTER + 8 * 1023,
        spec::GICD_IGRPMODR + 4,
        spec::GICD_ITARGETSR + 32,
    ] {
        gic.dist_write(offset.into(), 4, u64::MAX);
        assert_eq!(dist(&gic, offset), 0, "{offset:#x}");
    }
    assert_eq!(gic, self::gic());
}

#[test]
fn set_and_clear_registers_read_alike_and_write_opposite() {
    let mut gic = gic();
    let rows = [(0x100, 0x180), (0x200, 0x280), (0x300, 0x380)];
    for (set, clear) in rows {
        gic.dist_write(set + 4, 4, 0x00ff_00ff);
        gic.dist_write(clear + 4, 4, 0x0f0f_0f0f);
        for row in [set, clear] {
            assert_eq!(gic.dist_read(row + 4, 4), 0x00f0_00f0, "{row:#x}");
        }
        gic.dist_write(set + 4, 4, 0);
        gic.dist_write(clear + 4, 4, 0);
        assert_eq!(gic.dist_read(set + 4, 4), 0x00f0_00f0);
    }
}

#[test]
fn priorities_are_written_by_byte_and_word_and_keep_five_bits() {
    let mut gic = gic();
    let base = u64::from(spec::GICD_IPRIORITYR);
    gic.dist_write(base + 32, 4, 0xffa7_0e01);
    assert_eq!(gic.dist_read(base + 32, 4), 0xf8a0_0800);
    gic.dist_write(base + 33, 1, 0xffff_ff5f);
    assert_eq!(gic.dist_read(base + 32, 4), 0xf8a0_5800);
    assert_eq!(gic.dist_read(base + 34, 1), 0xa0);
    gic.redist_write(CPU1, sgi(spec::GICD_IPRIORITYR + 27), 1, 0xa5);
    assert_eq!(gic.redist_read(CPU1, sgi(spec::GICD_IPRIORITYR + 24), 4), 0xa000_0000);
    assert_eq!(gic.redist_read(CPU0, sgi(spec::GICD_IPRIORITYR + 24), 4), 0);
}

#[test]
fn routes_keep_three_affinity_levels_and_no_mode() {
    let mut gic = gic();
    let router = u64::from(spec::GICD_IROUTER) + 8 * 42;
    gic.dist_write(router, 8, 0xff_8102_0304);
    assert_eq!(gic.dist_read(router, 8), 0x0002_0304);
    gic.dist_write(router, 4, 1);
    assert_eq!(gic.dist_read(router, 4), 1);
    gic.dist_write(router + 4, 4, 0xff);
    assert_eq!((gic.dist_read(router + 4, 4), gic.dist_read(router, 8)), (0, 1));
}

#[test]
fn triggering_of_private_interrupts_is_fixed() {
    let mut gic = gic();
    gic.redist_write(CPU0, sgi(spec::GICD_ICFGR), 4, 0);
    gic.redist_write(CPU0, sgi(spec::GICD_ICFGR + 4), 4, u64::MAX);
    assert_eq!(gic.redist_read(CPU0, sgi(spec::GICD_ICFGR), 4), 0xaaaa_aaaa);
    assert_eq!(gic.redist_read(CPU0, sgi(spec::GICD_ICFGR + 4), 4), 0);
}

#[test]
fn redistributors_never_sleep() {
    let mut gic = gic();
    gic.redist_write(CPU0, spec::GICR_WAKER.into(), 4, 2);
    assert_eq!(gic.redist_read(CPU0, spec::GICR_WAKER.into(), 4), 0);
}

#[test]
fn lpi_tables_are_memory_without_meaning() {
    let mut gic = gic();
    // What Linux writes; the outer shareability is rewritten, as KVM does.
    gic.redist_write(CPU0, spec::GICR_PROPBASER.into(), 8, 0x4010_0b8f);
    assert_eq!(gic.redist_read(CPU1, spec::GICR_PROPBASER.into(), 8), 0x4010_078f);
    gic.redist_write(CPU1, spec::GICR_PENDBASER.into(), 8, 1 << 62 | 0x4012_0180);
    assert_eq!(gic.redist_read(CPU1, spec::GICR_PENDBASER.into(), 8), 0x4012_0180);
    assert_eq!(gic.redist_read(CPU0, spec::GICR_PENDBASER.into(), 8), 0x580);
    gic.redist_write(CPU1, (spec::GICR_PENDBASER + 4).into(), 4, 5);
    assert_eq!(gic.redist_read(CPU1, spec::GICR_PENDBASER.into(), 8), 0x5_4012_0180);
    gic.redist_write(CPU0, spec::GICR_CTLR.into(), 4, 1);
    assert_eq!(gic.redist_read(CPU0, spec::GICR_CTLR.into(), 4), 6);
}

#[test]
fn cpu_interface_registers_of_other_direction_or_number_are_undefined() {
    let mut gic = gic();
    let write_only = [
        spec::ICC_EOIR0_EL1,
        spec::ICC_EOIR1_EL1,
        spec::ICC_DIR_EL1,
        spec::ICC_SGI1R_EL1,
        spec::ICC_SGI0R_EL1,
        spec::ICC_ASGI1R_EL1,
    ];
    let read_only = [
        spec::ICC_IAR0_EL1,
        spec::ICC_IAR1_EL1,
        spec::ICC_HPPIR0_EL1,
        spec::ICC_HPPIR1_EL1,
        spec::ICC_RPR_EL1,
    ];
    let neither = [
        spec::ICC_AP0R0_EL1 + 1,
        spec::ICC_AP1R0_EL1 + 3,
        spec::sysreg(3, 4, 12, 9, 5),
        0,
        u16::MAX,
    ];
    for encoding in write_only.into_iter().chain(neither) {
        assert_eq!(gic.sysreg_read(CPU0, encoding), None, "{encoding:#x}");
    }
    for encoding in read_only.into_iter().chain(neither) {
        assert!(!gic.sysreg_write(CPU0, encoding, 0), "{encoding:#x}");
    }
    assert_eq!(gic.sysreg_read(VcpuId(2), spec::ICC_PMR_EL1), None);
    assert!(!gic.sysreg_write(VcpuId(2), spec::ICC_PMR_EL1, 0));
}

#[test]
fn cpu_interface_registers_keep_what_exists() {
    let mut gic = gic();
    for (encoding, written, read) in [
        (spec::ICC_PMR_EL1, 0xfff, 0xf8),
        (spec::ICC_BPR0_EL1, 0, 2),
        (spec::ICC_BPR0_EL1, 5, 5),
        (spec::ICC_BPR1_EL1, 0, 3),
        (spec::ICC_BPR1_EL1, 7, 7),
        (spec::ICC_CTLR_EL1, u64::MAX, 0x8403),
        (spec::ICC_CTLR_EL1, 0, 0x8400),
        (spec::ICC_SRE_EL1, 0, 7),
        (spec::ICC_IGRPEN0_EL1, 3, 1),
        (spec::ICC_IGRPEN1_EL1, 2, 0),
        (spec::ICC_AP0R0_EL1, 0x5_0000_0001, 1),
        (spec::ICC_AP1R0_EL1, 0xffff_ffff, 0xffff_ffff),
    ] {
        assert!(gic.sysreg_write(CPU0, encoding, written));
        assert_eq!(gic.sysreg_read(CPU0, encoding), Some(read), "{encoding:#x} = {written:#x}");
    }
}

#[test]
fn nothing_outside_the_frames_answers() {
    let mut gic = gic();
    for (offset, size) in [(0x1_0000, 4), (u64::MAX, 8), (0, 0), (0, 3), (4, 16), (0, usize::MAX)] {
        gic.dist_write(offset, size, u64::MAX);
        assert_eq!(gic.dist_read(offset, size), 0);
    }
    for (offset, size) in [(0x2_0000, 4), (u64::MAX, 1), (0x1_0100, 8), (0x1_0c01, 1)] {
        gic.redist_write(CPU0, offset, size, u64::MAX);
        assert_eq!(gic.redist_read(CPU0, offset, size), 0);
    }
    gic.redist_write(VcpuId(u32::MAX), sgi(0x100), 4, u64::MAX);
    assert_eq!(gic.redist_read(VcpuId(2), sgi(0x100), 4), 0);
    for intid in [0, 15, 16, 31, 96, 1023, u32::MAX] {
        gic.set_spi(IntId(intid), true);
    }
    for intid in [0, 15, 32, u32::MAX] {
        gic.set_ppi(CPU0, IntId(intid), true);
    }
    gic.set_ppi(VcpuId(2), IntId(27), true);
    assert_eq!(gic, self::gic());
}
