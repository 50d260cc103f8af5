//! A fuzz body: arbitrary accesses to a controller, as a hostile guest and clumsy devices make
//! them.

use crate::spec::{GICD_LEN, GICR_LEN, ICC_PMR_EL1, sysreg};
use crate::{Affinity, GicConfig, GicState, GicV3, IntId};
use abide_reg::VcpuId;

/// Steps between two checks that the state can be saved and taken back.
const CHECK_INTERVAL: usize = 64;

/// Reads `data` as a list of accesses and line changes, makes them, and checks now and then that
/// the controller equals one made from its saved state. Bytes past the last whole step are left.
///
/// # Panics
/// Where the controller's promises do not hold: that is what a fuzzer looks for.
pub fn fuzz_mmio(data: &[u8]) {
    let Some((&first, steps)) = data.split_first() else { return };
    let cpus = (0..u32::from(first % 4) + 1).map(Affinity);
    let nr_irqs = if first & 0x80 == 0 { 64 } else { 288 };
    let Ok(mut gic) = GicV3::new(GicConfig::new(cpus, nr_irqs)) else { return };
    for (n, step) in steps.chunks_exact(STEP_LEN).enumerate() {
        let step = step.first_chunk().copied().unwrap_or([0; STEP_LEN]);
        access(&mut gic, step);
        if n % CHECK_INTERVAL == 0 {
            check(&gic);
        }
    }
    check(&gic);
}

/// Kind and CPU, size, offset (3 bytes), value (8 bytes).
const STEP_LEN: usize = 13;

fn access(gic: &mut GicV3, step: [u8; STEP_LEN]) {
    let [kind, size, o0, o1, o2, value @ ..] = step;
    let value = u64::from_le_bytes(value);
    let vcpu = VcpuId(u32::from(kind >> 4 & 7));
    let size = usize::from(size % 10);
    let offset = u32::from_le_bytes([o0, o1, o2, 0]);
    let low = u16::from_le_bytes([o0, o1]);
    // Bit 3 aims at what exists; otherwise anything goes.
    let aimed = kind & 8 != 0;
    let size = if aimed { 4 } else { size };
    let within = |len: u32| u64::from(if aimed { (offset % len) & !3 } else { offset });
    match kind & 7 {
        0 => gic.dist_write(within(GICD_LEN), size, value),
        1 => drop_read(gic.dist_read(within(GICD_LEN), size)),
        2 => gic.redist_write(vcpu, within(GICR_LEN), size, value),
        3 => drop_read(gic.redist_read(vcpu, within(GICR_LEN), size)),
        4 => {
            gic.sysreg_write(vcpu, encoding(aimed, low), value);
        }
        5 => drop_read(gic.sysreg_read(vcpu, encoding(aimed, low)).unwrap_or(0)),
        6 => gic.set_spi(IntId(u32::from(low)), value & 1 != 0),
        _ => gic.set_ppi(vcpu, IntId(u32::from(low)), value & 1 != 0),
    }
    assert!(gic.take_changed() >> gic.affinities().count().min(63) <= 1, "an unknown CPU changed");
}

/// What is read matters to the guest alone.
fn drop_read(_value: u64) {}

fn encoding(aimed: bool, low: u16) -> u16 {
    match low {
        _ if !aimed => low,
        _ if low & 0x3f == 0x3f => ICC_PMR_EL1,
        // CRm 8 to 15 of op0 3, op1 0, CRn 12 hold all the others.
        _ => sysreg(3, 0, 12, 8 | low >> 3 & 7, low & 7),
    }
}

fn check(gic: &GicV3) {
    let state = gic.state();
    let sections = state.to_entries().expect("every state the controller reaches can be saved");
    let taken = GicState::from_entries(sections).expect("what is saved can be taken back");
    assert_eq!(taken.state, state);
    let copy = GicV3::from_state(&taken.state).expect("and makes a controller");
    for index in 0..u32::try_from(gic.affinities().count()).unwrap_or(0) {
        assert_eq!(copy.outputs(VcpuId(index)), gic.outputs(VcpuId(index)), "vcpu{index}");
    }
}
