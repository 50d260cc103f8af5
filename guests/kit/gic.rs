//! The interrupt controller: GICv3, one CPU, one security state `[IHI0069 12]`.

use crate::mmio::{read32, write8, write32, write64};
use crate::{cpu, mrs, msr};

const GICD: usize = 0x0800_0000;
const GICD_CTLR: usize = GICD;
const GICD_TYPER: usize = GICD + 0x4;
const GICD_IIDR: usize = GICD + 0x8;
const GICD_IROUTER: usize = GICD + 0x6000;

const GICR: usize = 0x080a_0000;
const GICR_TYPER: usize = GICR + 0x8;
const GICR_WAKER: usize = GICR + 0x14;
/// The frame of SGIs and PPIs; its registers lie where the distributor has them for SPIs.
const GICR_SGI: usize = GICR + 0x1_0000;

// Offsets common to both frames.
const IGROUPR: usize = 0x80;
const ISENABLER: usize = 0x100;
const ISPENDR: usize = 0x200;
const ISACTIVER: usize = 0x300;
const IPRIORITYR: usize = 0x400;
const ICFGR: usize = 0xc00;

const GICD_CTLR_ENABLE_GRP1: u32 = 1 << 1;
const GICD_CTLR_ARE: u32 = 1 << 4;
const GICD_CTLR_RWP: u32 = 1 << 31;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;
const ICC_CTLR_EOIMODE: u64 = 1 << 1;
/// INTIDs from here on are answers like "none" `[IHI0069 2.2.1]`.
const SPECIAL: u32 = 1020;

/// Lower numbers are more urgent. All lie on the 32 levels that any implementation has.
pub mod priority {
    /// The tick.
    pub const TICK: u8 = 0x40;
    /// An interrupt that preempts most.
    pub const URGENT: u8 = 0x80;
    /// All else.
    pub const NORMAL: u8 = 0xa0;
    /// An interrupt that others preempt.
    pub const LOW: u8 = 0xc0;
    /// As a mask: everything is let through.
    pub const MASK_NONE: u8 = 0xf8;
}

/// What makes an interrupt pending.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// As long as its line is high.
    Level,
    /// Each rise of its line.
    Edge,
}

/// Switches distributor, redistributor and CPU interface on, everything masked.
pub(crate) fn start() {
    write32(GICD_CTLR, 0);
    wait_while(GICD_CTLR, GICD_CTLR_RWP);
    // Affinity routing first: with it off, some registers below are not there.
    write32(GICD_CTLR, GICD_CTLR_ARE);
    write32(GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_ENABLE_GRP1);
    wait_while(GICD_CTLR, GICD_CTLR_RWP);
    write32(GICR_WAKER, read32(GICR_WAKER) & !WAKER_PROCESSOR_SLEEP);
    wait_while(GICR_WAKER, WAKER_CHILDREN_ASLEEP);
    write32(GICR_SGI + IGROUPR, u32::MAX);

    msr!("s3_0_c12_c12_5", mrs!("s3_0_c12_c12_5") | 1); // ICC_SRE_EL1
    cpu::barrier();
    set_mask(priority::MASK_NONE);
    msr!("s3_0_c12_c12_3", 0); // ICC_BPR1_EL1: as many preemption levels as there are
    split_end_of_interrupt(false);
    msr!("s3_0_c12_c12_7", 1); // ICC_IGRPEN1_EL1
    cpu::barrier();
}

/// Waits for a bit to fall, but not forever: a controller that never gets ready shows in what
/// fails next, a hang shows nothing.
fn wait_while(register: usize, bit: u32) {
    for _ in 0..1_000_000 {
        if read32(register) & bit == 0 {
            return;
        }
    }
}

fn frame(intid: u32) -> usize {
    if intid < 32 { GICR_SGI } else { GICD }
}

fn bit(intid: u32) -> (usize, u32) {
    (intid as usize / 32 * 4, 1 << (intid % 32))
}

/// Lets an interrupt through to this CPU: group 1, [`priority::TICK`] for the timer and
/// [`priority::NORMAL`] for others.
pub fn enable(intid: u32, trigger: Trigger) {
    let frame = frame(intid);
    let (word, mask) = bit(intid);
    write32(frame + IGROUPR + word, read32(frame + IGROUPR + word) | mask);
    let urgency = if intid == crate::timer::INTID { priority::TICK } else { priority::NORMAL };
    set_priority(intid, urgency);
    // SGIs are always edge-triggered and their field cannot be written.
    if intid >= 16 {
        let config = frame + ICFGR + intid as usize / 16 * 4;
        let field = 2 << (intid % 16 * 2);
        let others = read32(config) & !field;
        write32(config, if trigger == Trigger::Edge { others | field } else { others });
    }
    if intid >= 32 {
        let affinity = mrs!("mpidr_el1") & 0xff_00ff_ffff;
        write64(GICD_IROUTER + 8 * intid as usize, affinity);
    }
    write32(frame + ISENABLER + word, mask);
}

/// Changes how urgent an interrupt is.
pub fn set_priority(intid: u32, urgency: u8) {
    write8(frame(intid) + IPRIORITYR + intid as usize, urgency);
}

/// Lets only interrupts more urgent than `urgency` through; ICC_PMR_EL1.
pub fn set_mask(urgency: u8) {
    msr!("s3_0_c4_c6_0", u64::from(urgency));
    cpu::barrier();
}

/// Makes an interrupt pending, as if its line had risen.
pub fn set_pending(intid: u32) {
    let (word, mask) = bit(intid);
    write32(frame(intid) + ISPENDR + word, mask);
    cpu::barrier();
}

/// Whether an interrupt is pending.
#[must_use]
pub fn is_pending(intid: u32) -> bool {
    let (word, mask) = bit(intid);
    read32(frame(intid) + ISPENDR + word) & mask != 0
}

/// Whether an interrupt is active: taken and not yet deactivated.
#[must_use]
pub fn is_active(intid: u32) -> bool {
    let (word, mask) = bit(intid);
    read32(frame(intid) + ISACTIVER + word) & mask != 0
}

/// Sends this CPU a software-generated interrupt, 0…15; ICC_SGI1R_EL1.
pub fn send_to_self(intid: u32) {
    let mpidr = mrs!("mpidr_el1");
    let (aff3, aff2, aff1) = (mpidr >> 32 & 0xff, mpidr >> 16 & 0xff, mpidr >> 8 & 0xff);
    let target = 1 << (mpidr & 0xf);
    let range = (mpidr >> 4 & 0xf) << 44;
    let route = aff3 << 48 | range | aff2 << 32 | aff1 << 16;
    msr!("s3_0_c12_c11_5", route | u64::from(intid & 0xf) << 24 | target);
    cpu::barrier();
}

/// Whether end of interrupt only drops the priority and [`deactivate`] is separate; ICC_CTLR_EL1.
pub fn split_end_of_interrupt(split: bool) {
    let control = mrs!("s3_0_c12_c12_4") & !ICC_CTLR_EOIMODE;
    msr!("s3_0_c12_c12_4", if split { control | ICC_CTLR_EOIMODE } else { control });
    cpu::barrier();
}

/// Whether [`split_end_of_interrupt`] is on.
pub(crate) fn is_split() -> bool {
    mrs!("s3_0_c12_c12_4") & ICC_CTLR_EOIMODE != 0
}

/// Takes the most urgent pending interrupt, if any; ICC_IAR1_EL1.
pub(crate) fn acknowledge() -> Option<u32> {
    let intid = mrs!("s3_0_c12_c12_0") as u32 & 0xff_ffff;
    cpu::barrier();
    (intid < SPECIAL).then_some(intid)
}

/// Drops the running priority; without the split also deactivates; ICC_EOIR1_EL1.
pub(crate) fn end(intid: u32) {
    msr!("s3_0_c12_c12_1", u64::from(intid));
    cpu::barrier();
}

/// Deactivates an interrupt that was ended under the split; ICC_DIR_EL1.
pub fn deactivate(intid: u32) {
    msr!("s3_0_c12_c11_1", u64::from(intid));
    cpu::barrier();
}

/// GICD_TYPER, GICD_IIDR and the low half of GICR_TYPER: what the controller says of itself.
#[must_use]
pub fn identity() -> [u32; 3] {
    [read32(GICD_TYPER), read32(GICD_IIDR), read32(GICR_TYPER)]
}
