//! How interrupts flow: pending, choice, preemption, ending, SGIs, routes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_gic::{Affinity, GicConfig, GicV3, IntId, Outputs, spec};
use abide_reg::VcpuId;

const CPU0: VcpuId = VcpuId(0);
const CPU1: VcpuId = VcpuId(1);
const CPU2: VcpuId = VcpuId(2);
const NOTHING: Outputs = Outputs { irq: false, fiq: false };
const IRQ: Outputs = Outputs { irq: true, fiq: false };
const FIQ: Outputs = Outputs { irq: false, fiq: true };

/// A controller as a guest has set it up: everything enabled, of priority 0xa0, SPIs level.
fn ready() -> GicV3 {
    let cpus = [Affinity(0), Affinity(1), Affinity(0x0002_0101)];
    let mut gic = GicV3::new(GicConfig::new(cpus, 96)).unwrap();
    gic.dist_write(spec::GICD_CTLR.into(), 4, 2);
    for word in 1..3 {
        gic.dist_write(u64::from(spec::GICD_ISENABLER) + 4 * word, 4, u64::MAX);
    }
    for intid in 32..96 {
        gic.dist_write(u64::from(spec::GICD_IPRIORITYR) + intid, 1, 0xa0);
    }
    for word in 2..6 {
        gic.dist_write(u64::from(spec::GICD_ICFGR) + 4 * word, 4, 0);
    }
    for cpu in [CPU0, CPU1, CPU2] {
        private(&mut gic, cpu, spec::GICD_ISENABLER, u64::MAX);
        for intid in 0..32 {
            let offset = u64::from(spec::GICR_SGI_FRAME + spec::GICD_IPRIORITYR) + intid;
            gic.redist_write(cpu, offset, 1, 0xa0);
        }
        for encoding in [spec::ICC_IGRPEN0_EL1, spec::ICC_IGRPEN1_EL1] {
            write(&mut gic, cpu, encoding, 1);
        }
        write(&mut gic, cpu, spec::ICC_PMR_EL1, 0xf0);
    }
    gic
}

fn private(gic: &mut GicV3, cpu: VcpuId, row: u32, value: u64) {
    gic.redist_write(cpu, (spec::GICR_SGI_FRAME + row).into(), 4, value);
}

fn shared(gic: &mut GicV3, row: u32, intid: u32) {
    gic.dist_write((row + 4 * (intid / 32)).into(), 4, 1 << (intid % 32));
}

fn is_set(gic: &GicV3, row: u32, intid: u32) -> bool {
    gic.dist_read((row + 4 * (intid / 32)).into(), 4) >> (intid % 32) & 1 != 0
}

fn set_priority(gic: &mut GicV3, intid: u32, priority: u8) {
    gic.dist_write((spec::GICD_IPRIORITYR + intid).into(), 1, priority.into());
}

fn set_edge(gic: &mut GicV3) {
    gic.dist_write((spec::GICD_ICFGR + 8).into(), 4, u64::MAX);
}

fn to_group0(gic: &mut GicV3, intid: u32) {
    let row = u64::from(spec::GICD_IGROUPR + 4 * (intid / 32));
    let groups = gic.dist_read(row, 4);
    gic.dist_write(row, 4, groups & !(1 << (intid % 32)));
}

fn write(gic: &mut GicV3, cpu: VcpuId, encoding: u16, value: u64) {
    assert!(gic.sysreg_write(cpu, encoding, value));
}

fn read(gic: &mut GicV3, cpu: VcpuId, encoding: u16) -> u64 {
    gic.sysreg_read(cpu, encoding).unwrap()
}

fn iar1(gic: &mut GicV3, cpu: VcpuId) -> u64 {
    read(gic, cpu, spec::ICC_IAR1_EL1)
}

fn eoir1(gic: &mut GicV3, intid: u64) {
    write(gic, CPU0, spec::ICC_EOIR1_EL1, intid);
}

// Rule: pending is the latch, or a level-triggered line.

#[test]
fn level_stays_pending_until_its_line_falls() {
    let mut gic = ready();
    gic.set_spi(IntId(33), true);
    assert_eq!(gic.outputs(CPU0), IRQ);
    assert_eq!(iar1(&mut gic, CPU0), 33);
    assert_eq!(gic.outputs(CPU0), NOTHING, "active interrupts wait");
    assert!(is_set(&gic, spec::GICD_ISPENDR, 33), "acknowledging does not lower a line");
    eoir1(&mut gic, 33);
    assert_eq!(gic.outputs(CPU0), IRQ);
    gic.set_spi(IntId(33), false);
    assert_eq!(gic.outputs(CPU0), NOTHING);
    assert_eq!(iar1(&mut gic, CPU0), 1023);
}

#[test]
fn edge_is_delivered_once_and_again_while_active() {
    let mut gic = ready();
    set_edge(&mut gic);
    gic.set_spi(IntId(33), true);
    gic.set_spi(IntId(33), false);
    assert_eq!(iar1(&mut gic, CPU0), 33);
    assert!(!is_set(&gic, spec::GICD_ISPENDR, 33));
    gic.set_spi(IntId(33), true);
    assert!(is_set(&gic, spec::GICD_ISPENDR, 33), "active and pending");
    assert_eq!(iar1(&mut gic, CPU0), 1023);
    eoir1(&mut gic, 33);
    assert_eq!(iar1(&mut gic, CPU0), 33);
    eoir1(&mut gic, 33);
    assert_eq!(gic.outputs(CPU0), NOTHING, "the line is high, but did not rise again");
}

#[test]
fn written_latch_is_served_once_whatever_the_line() {
    let mut gic = ready();
    shared(&mut gic, spec::GICD_ISPENDR, 40);
    assert_eq!(iar1(&mut gic, CPU0), 40);
    eoir1(&mut gic, 40);
    assert_eq!(gic.outputs(CPU0), NOTHING);
    gic.set_spi(IntId(40), true);
    shared(&mut gic, spec::GICD_ISPENDR, 40);
    shared(&mut gic, spec::GICD_ICPENDR, 40);
    assert_eq!(gic.outputs(CPU0), IRQ, "the line is still high");
    gic.set_spi(IntId(40), false);
    assert_eq!(gic.outputs(CPU0), NOTHING);
}

#[test]
fn line_raised_while_edge_triggered_counts_once_level_triggered() {
    let mut gic = ready();
    set_edge(&mut gic);
    gic.set_spi(IntId(33), true);
    shared(&mut gic, spec::GICD_ICPENDR, 33);
    assert_eq!(gic.outputs(CPU0), NOTHING);
    gic.dist_write((spec::GICD_ICFGR + 8).into(), 4, 0);
    assert_eq!(gic.outputs(CPU0), IRQ);
}

#[test]
fn disabled_active_or_closed_interrupts_are_not_signalled() {
    let mut gic = ready();
    gic.set_spi(IntId(33), true);
    type Change = fn(&mut GicV3);
    let closings: [(Change, Change); 5] = [
        (|gic| shared(gic, spec::GICD_ICENABLER, 33), |gic| shared(gic, spec::GICD_ISENABLER, 33)),
        (|gic| shared(gic, spec::GICD_ISACTIVER, 33), |gic| shared(gic, spec::GICD_ICACTIVER, 33)),
        (
            |gic| gic.dist_write(spec::GICD_CTLR.into(), 4, 0),
            |gic| gic.dist_write(spec::GICD_CTLR.into(), 4, 2),
        ),
        (
            |gic| write(gic, CPU0, spec::ICC_IGRPEN1_EL1, 0),
            |gic| write(gic, CPU0, spec::ICC_IGRPEN1_EL1, 1),
        ),
        (
            |gic| write(gic, CPU0, spec::ICC_PMR_EL1, 0xa0),
            |gic| write(gic, CPU0, spec::ICC_PMR_EL1, 0xa8),
        ),
    ];
    for (close, open) in closings {
        close(&mut gic);
        assert_eq!((gic.outputs(CPU0), iar1(&mut gic, CPU0)), (NOTHING, 1023));
        open(&mut gic);
        assert_eq!(gic.outputs(CPU0), IRQ);
    }
}

#[test]
fn ppis_are_each_cpus_own() {
    let mut gic = ready();
    gic.take_changed();
    gic.set_ppi(CPU1, IntId(27), true);
    assert_eq!(gic.take_changed(), 0b010);
    assert_eq!((gic.outputs(CPU0), gic.outputs(CPU1)), (NOTHING, IRQ));
    assert_eq!(iar1(&mut gic, CPU1), 27);
    assert_eq!(gic.take_changed(), 0b010);
    assert_eq!(gic.take_changed(), 0);
}

// Rule: the lowest priority value, then the lowest INTID.

#[test]
fn choice_is_by_priority_then_by_intid() {
    let mut gic = ready();
    for intid in [70, 41, 60] {
        gic.set_spi(IntId(intid), true);
    }
    gic.set_ppi(CPU0, IntId(30), true);
    set_priority(&mut gic, 60, 0x80);
    let mut order = Vec::new();
    for _ in 0..4 {
        let intid = iar1(&mut gic, CPU0);
        order.push(intid);
        gic.set_spi(IntId(u32::try_from(intid).unwrap()), false);
        gic.set_ppi(CPU0, IntId(u32::try_from(intid).unwrap()), false);
        eoir1(&mut gic, intid);
    }
    assert_eq!(order, [60, 30, 41, 70]);
}

#[test]
fn priority_changed_while_pending_counts() {
    let mut gic = ready();
    gic.set_spi(IntId(40), true);
    gic.set_spi(IntId(50), true);
    set_priority(&mut gic, 50, 0x98);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_HPPIR1_EL1), 50);
    set_priority(&mut gic, 50, 0xf8);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_HPPIR1_EL1), 40);
}

#[test]
fn hppir_looks_past_mask_and_running_priority() {
    let mut gic = ready();
    gic.set_spi(IntId(40), true);
    write(&mut gic, CPU0, spec::ICC_PMR_EL1, 0);
    assert_eq!(iar1(&mut gic, CPU0), 1023);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_HPPIR1_EL1), 40);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_HPPIR0_EL1), 1023);
}

// Rule: signal below PMR and above what runs; groups have their own registers.

#[test]
fn higher_preemption_level_preempts_and_equal_does_not() {
    let mut gic = ready();
    gic.set_spi(IntId(40), true);
    assert_eq!(iar1(&mut gic, CPU0), 40);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xa0);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_AP1R0_EL1), 1 << 20);
    gic.set_spi(IntId(41), true);
    assert_eq!(gic.outputs(CPU0), NOTHING);
    set_priority(&mut gic, 41, 0x98);
    assert_eq!(gic.outputs(CPU0), IRQ);
    assert_eq!(iar1(&mut gic, CPU0), 41);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_AP1R0_EL1), 1 << 20 | 1 << 19);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0x98);
    eoir1(&mut gic, 41);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xa0);
}

#[test]
fn binary_point_sets_what_preempts() {
    let mut gic = ready();
    write(&mut gic, CPU0, spec::ICC_BPR1_EL1, 5);
    gic.set_spi(IntId(40), true);
    iar1(&mut gic, CPU0);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xa0);
    gic.set_spi(IntId(41), true);
    for (priority, outputs) in [(0xa0, NOTHING), (0x98, IRQ), (0x80, IRQ)] {
        set_priority(&mut gic, 41, priority);
        assert_eq!(gic.outputs(CPU0), outputs, "{priority:#x}");
    }
    write(&mut gic, CPU0, spec::ICC_BPR1_EL1, 7);
    set_priority(&mut gic, 41, 0x98);
    assert_eq!(gic.outputs(CPU0), IRQ, "0x98 is level 0x80 now, 0xa0 runs");
    write(&mut gic, CPU0, spec::ICC_AP1R0_EL1, 1 << 16);
    assert_eq!(gic.outputs(CPU0), NOTHING, "0x80 runs");
}

#[test]
fn cbpr_lets_bpr0_decide_for_both_groups() {
    let mut gic = ready();
    gic.set_spi(IntId(40), true);
    iar1(&mut gic, CPU0);
    gic.set_spi(IntId(41), true);
    set_priority(&mut gic, 41, 0x80);
    assert_eq!(gic.outputs(CPU0), IRQ);
    write(&mut gic, CPU0, spec::ICC_BPR0_EL1, 7);
    assert_eq!(gic.outputs(CPU0), IRQ);
    write(&mut gic, CPU0, spec::ICC_CTLR_EL1, 1);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_BPR1_EL1), 7);
    write(&mut gic, CPU0, spec::ICC_AP1R0_EL1, 1);
    assert_eq!(gic.outputs(CPU0), NOTHING, "all priorities are one level");
}

#[test]
fn groups_have_their_own_signal_and_registers() {
    let mut gic = ready();
    to_group0(&mut gic, 40);
    gic.set_spi(IntId(40), true);
    assert_eq!(gic.outputs(CPU0), FIQ);
    assert_eq!(iar1(&mut gic, CPU0), 1023);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_HPPIR0_EL1), 40);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_IAR0_EL1), 40);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_AP0R0_EL1), 1 << 20);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_AP1R0_EL1), 0);
    write(&mut gic, CPU0, spec::ICC_EOIR1_EL1, 40);
    assert!(is_set(&gic, spec::GICD_ISACTIVER, 40), "the other group's register deactivates not");
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xff, "but the priority is dropped");
}

#[test]
fn active_group0_holds_back_group1_of_lower_priority() {
    let mut gic = ready();
    to_group0(&mut gic, 40);
    gic.set_spi(IntId(40), true);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_IAR0_EL1), 40);
    gic.set_spi(IntId(41), true);
    assert_eq!(gic.outputs(CPU0), NOTHING);
    write(&mut gic, CPU0, spec::ICC_EOIR0_EL1, 40);
    gic.set_spi(IntId(40), false);
    assert_eq!(gic.outputs(CPU0), IRQ);
}

#[test]
fn closed_group_lets_the_other_through() {
    let mut gic = ready();
    to_group0(&mut gic, 40);
    set_priority(&mut gic, 40, 0);
    gic.set_spi(IntId(40), true);
    gic.set_spi(IntId(41), true);
    assert_eq!(gic.outputs(CPU0), FIQ);
    write(&mut gic, CPU0, spec::ICC_IGRPEN0_EL1, 0);
    assert_eq!((gic.outputs(CPU0), iar1(&mut gic, CPU0)), (IRQ, 41));
}

// Rule: EOIR drops the priority; EOImode decides who deactivates.

#[test]
fn eoimode_0_deactivates_with_the_drop() {
    let mut gic = ready();
    shared(&mut gic, spec::GICD_ISPENDR, 40);
    iar1(&mut gic, CPU0);
    write(&mut gic, CPU0, spec::ICC_DIR_EL1, 40);
    assert!(is_set(&gic, spec::GICD_ISACTIVER, 40), "DIR is for EOImode 1");
    eoir1(&mut gic, 40);
    assert!(!is_set(&gic, spec::GICD_ISACTIVER, 40));
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xff);
}

#[test]
fn eoimode_1_splits_drop_and_deactivation() {
    let mut gic = ready();
    write(&mut gic, CPU0, spec::ICC_CTLR_EL1, 2);
    for intid in [40, 41] {
        shared(&mut gic, spec::GICD_ISPENDR, intid);
        assert_eq!(iar1(&mut gic, CPU0), u64::from(intid));
        eoir1(&mut gic, intid.into());
        assert!(is_set(&gic, spec::GICD_ISACTIVER, intid));
        assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xff);
    }
    // In any order, and from any CPU.
    write(&mut gic, CPU0, spec::ICC_DIR_EL1, 40);
    write(&mut gic, CPU1, spec::ICC_CTLR_EL1, 2);
    write(&mut gic, CPU1, spec::ICC_DIR_EL1, 41);
    for intid in [40, 41] {
        assert!(!is_set(&gic, spec::GICD_ISACTIVER, intid));
    }
}

#[test]
fn ending_special_intids_does_nothing() {
    let mut gic = ready();
    shared(&mut gic, spec::GICD_ISPENDR, 40);
    iar1(&mut gic, CPU0);
    for intid in [1020, 1023, 8192, 0x00ff_ffff] {
        eoir1(&mut gic, intid);
        assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xa0, "{intid}");
    }
    eoir1(&mut gic, 1019);
    assert_eq!(read(&mut gic, CPU0, spec::ICC_RPR_EL1), 0xff, "an INTID that could be");
    eoir1(&mut gic, 1019);
    assert!(is_set(&gic, spec::GICD_ISACTIVER, 40));
}

#[test]
fn intid_registers_hold_24_bits() {
    let mut gic = ready();
    shared(&mut gic, spec::GICD_ISPENDR, 40);
    iar1(&mut gic, CPU0);
    eoir1(&mut gic, 0xff00_0000_ff00_0028);
    assert!(!is_set(&gic, spec::GICD_ISACTIVER, 40));
}

// Rule: SGIs.

fn sgi_bits(intid: u64, list: u64, aff1: u64, aff2: u64) -> u64 {
    intid << 24 | list | aff1 << 16 | aff2 << 32
}

fn raised(gic: &GicV3) -> [u64; 3] {
    let row = u64::from(spec::GICR_SGI_FRAME + spec::GICD_ISPENDR);
    [CPU0, CPU1, CPU2].map(|cpu| gic.redist_read(cpu, row, 4))
}

#[test]
fn target_list_reaches_cpus_of_one_cluster() {
    let mut gic = ready();
    write(&mut gic, CPU0, spec::ICC_SGI1R_EL1, sgi_bits(5, 0b11, 0, 0));
    assert_eq!(raised(&gic), [1 << 5, 1 << 5, 0]);
    write(&mut gic, CPU0, spec::ICC_SGI1R_EL1, sgi_bits(6, 0b10, 1, 2));
    assert_eq!(raised(&gic), [1 << 5, 1 << 5, 1 << 6]);
    write(&mut gic, CPU0, spec::ICC_SGI1R_EL1, sgi_bits(7, 0xffff, 1, 0));
    write(&mut gic, CPU0, spec::ICC_SGI1R_EL1, sgi_bits(7, 0xffff, 0, 0) | 1 << 48);
    assert_eq!(raised(&gic), [1 << 5, 1 << 5, 1 << 6], "no such CPU");
    assert_eq!(iar1(&mut gic, CPU1), 5);
    assert_eq!(raised(&gic), [1 << 5, 0, 1 << 6], "each CPU's own");
}

#[test]
fn broadcast_reaches_all_but_the_sender() {
    let mut gic = ready();
    write(&mut gic, CPU1, spec::ICC_SGI1R_EL1, sgi_bits(3, 0b11, 0, 0) | spec::ICC_SGIR_IRM);
    assert_eq!(raised(&gic), [1 << 3, 0, 1 << 3]);
}

#[test]
fn group0_registers_do_not_raise_group1() {
    let mut gic = ready();
    private(&mut gic, CPU1, spec::GICD_IGROUPR, !(1 << 4));
    for encoding in [spec::ICC_SGI0R_EL1, spec::ICC_ASGI1R_EL1] {
        write(&mut gic, CPU0, encoding, sgi_bits(4, 0b11, 0, 0));
        assert_eq!(raised(&gic), [0, 1 << 4, 0]);
        private(&mut gic, CPU1, spec::GICD_ICPENDR, u64::MAX);
    }
    write(&mut gic, CPU0, spec::ICC_SGI1R_EL1, sgi_bits(4, 0b11, 0, 0));
    assert_eq!(raised(&gic), [1 << 4, 1 << 4, 0], "SGI1R raises either");
    assert_eq!((gic.outputs(CPU0), gic.outputs(CPU1)), (IRQ, FIQ));
}

// Rule: routes.

#[test]
fn spi_follows_its_route_even_while_pending() {
    let mut gic = ready();
    gic.set_spi(IntId(42), true);
    gic.take_changed();
    gic.dist_write(u64::from(spec::GICD_IROUTER) + 8 * 42, 8, 0x0002_0101);
    assert_eq!(gic.take_changed(), 0b101);
    assert_eq!([CPU0, CPU1, CPU2].map(|cpu| gic.outputs(cpu)), [NOTHING, NOTHING, IRQ]);
    assert_eq!(iar1(&mut gic, CPU0), 1023);
    assert_eq!(iar1(&mut gic, CPU2), 42);
}

#[test]
fn spi_without_a_target_stays_pending() {
    let mut gic = ready();
    gic.dist_write(u64::from(spec::GICD_IROUTER) + 8 * 42, 8, 0x77);
    gic.set_spi(IntId(42), true);
    assert_eq!([CPU0, CPU1, CPU2].map(|cpu| gic.outputs(cpu)), [NOTHING; 3]);
    assert!(is_set(&gic, spec::GICD_ISPENDR, 42));
    gic.dist_write(u64::from(spec::GICD_IROUTER) + 8 * 42, 8, 1);
    assert_eq!(gic.outputs(CPU1), IRQ);
}

#[test]
fn spi_is_delivered_to_one_cpu_at_a_time() {
    let mut gic = ready();
    gic.set_spi(IntId(42), true);
    assert_eq!(iar1(&mut gic, CPU0), 42);
    gic.dist_write(u64::from(spec::GICD_IROUTER) + 8 * 42, 8, 1);
    assert_eq!(gic.outputs(CPU1), NOTHING, "active on CPU 0");
    eoir1(&mut gic, 42);
    assert_eq!(gic.outputs(CPU1), IRQ);
}

#[test]
fn all_64_cpus_and_992_intids_work() {
    let cpus = (0..64).map(|n| Affinity((n % 16) | ((n / 16) << 8)));
    let mut gic = GicV3::new(GicConfig::new(cpus, 992)).unwrap();
    assert_eq!(gic.take_changed(), u64::MAX);
    gic.dist_write(spec::GICD_CTLR.into(), 4, 2);
    shared(&mut gic, spec::GICD_ISENABLER, 991);
    gic.dist_write(u64::from(spec::GICD_IROUTER) + 8 * 991, 8, 0x30f);
    let last = VcpuId(63);
    write(&mut gic, last, spec::ICC_PMR_EL1, 0xf0);
    write(&mut gic, last, spec::ICC_IGRPEN1_EL1, 1);
    gic.set_spi(IntId(991), true);
    assert_eq!(gic.take_changed(), 1 << 63);
    assert_eq!(iar1(&mut gic, last), 991);
    assert_eq!(gic.redist_read(last, spec::GICR_TYPER.into(), 8), 0x0000_030f_0000_3f10);
    assert_eq!(gic.redist_read(VcpuId(62), spec::GICR_TYPER.into(), 8) & 0x10, 0);
}
