//! The crate used alone: no VMM, no engine, no guest.
//!
//! A few accesses stand in for a guest's driver. In the middle of an interrupt the controller is
//! saved to bytes, restored from them, and ends the interrupt as if nothing had happened.
//!
//! ```text
//! cargo run -p abide-gic --example alone
//! ```
#![expect(clippy::print_stdout, reason = "the example's output")]

use abide_gic::{Affinity, GicConfig, GicState, GicV3, IntId, Sections, restore_plan, spec};
use abide_reg::{Scope, VcpuId, codec};
use std::error::Error;

const CPU: VcpuId = VcpuId(0);
const TIMER: IntId = IntId(27);
const UART: IntId = IntId(33);

fn main() -> Result<(), Box<dyn Error>> {
    let mut gic = GicV3::new(GicConfig::new([Affinity(0)], 288))?;
    guest_sets_up(&mut gic);

    gic.set_ppi(CPU, TIMER, true);
    gic.set_spi(UART, true);
    println!("timer and UART assert their lines: {:?}", gic.outputs(CPU));
    println!("guest acknowledges: {:?}", gic.sysreg_read(CPU, spec::ICC_IAR1_EL1));

    let bytes = encode(&gic.state().to_entries()?)?;
    let len: usize = bytes.iter().map(|(_, list)| list.len()).sum();
    println!("saved in the middle of it: {len} bytes");
    drop(gic);

    let taken = GicState::from_entries(decode(&bytes)?)?;
    println!("another engine would be given it in {} steps", restore_plan(&taken.state)?.len());
    let mut gic = GicV3::from_state(&taken.state)?;
    gic.set_ppi(CPU, TIMER, false);
    gic.sysreg_write(CPU, spec::ICC_EOIR1_EL1, TIMER.0.into());
    println!("restored guest ends it; next: {:?}", gic.sysreg_read(CPU, spec::ICC_IAR1_EL1));
    Ok(())
}

/// What Linux does at boot, in short.
fn guest_sets_up(gic: &mut GicV3) {
    let sgi_frame = |offset: u32| u64::from(spec::GICR_SGI_FRAME + offset);
    gic.dist_write(spec::GICD_CTLR.into(), 4, spec::GICD_CTLR_ENABLE_GRP1.into());
    // The UART: level-triggered, priority 0xa0, to CPU 0, enabled.
    gic.dist_write((spec::GICD_ICFGR + 8).into(), 4, 0);
    gic.dist_write((spec::GICD_IPRIORITYR + UART.0).into(), 1, 0xa0);
    gic.dist_write((spec::GICD_IROUTER + 8 * UART.0).into(), 8, 0);
    gic.dist_write((spec::GICD_ISENABLER + 4).into(), 4, 1 << (UART.0 - 32));
    // The timer, ahead of it.
    gic.redist_write(CPU, sgi_frame(spec::GICD_IPRIORITYR + TIMER.0), 1, 0x90);
    gic.redist_write(CPU, sgi_frame(spec::GICD_ISENABLER), 4, 1 << TIMER.0);
    for (encoding, value) in [(spec::ICC_PMR_EL1, 0xf0), (spec::ICC_IGRPEN1_EL1, 1)] {
        gic.sysreg_write(CPU, encoding, value);
    }
}

type Encoded = Vec<(Scope, Vec<u8>)>;

fn encode(sections: &Sections) -> Result<Encoded, codec::CodecError> {
    sections.iter().map(|(scope, entries)| Ok((*scope, codec::encode(entries)?))).collect()
}

fn decode(sections: &Encoded) -> Result<Sections, codec::CodecError> {
    sections.iter().map(|(scope, bytes)| Ok((*scope, codec::decode(bytes)?))).collect()
}
