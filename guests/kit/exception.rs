//! Exceptions: the vector table, and who handles what.

use crate::{console, gic, mrs, msr, timer};

/// Whether an interrupt ends with its handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Deactivate {
    /// It does.
    Now,
    /// Under [`gic::split_end_of_interrupt`]: it stays active until [`gic::deactivate`].
    Later,
}

/// What a guest made of a synchronous exception.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, at [`Frame::elr`].
    Handled,
    /// It was nobody's: panic.
    Fatal,
}

/// The interrupted program's registers, as the vectors put them on the stack.
#[repr(C)]
pub struct Frame {
    /// x0…x30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp_el0: u64,
    /// Where it goes on.
    pub elr: u64,
    /// Its PSTATE.
    pub spsr: u64,
    /// What happened; ESR_EL1.
    pub esr: u64,
    /// The address concerned; FAR_EL1.
    pub far: u64,
}

impl Frame {
    /// The class of a synchronous exception; ESR_EL1.EC `[DDI0487 D24.2.40]`.
    #[must_use]
    pub const fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// Whether the program ran at EL0.
    #[must_use]
    pub const fn from_el0(&self) -> bool {
        self.spsr & 0xf == 0
    }
}

const _: () = assert!(size_of::<Frame>() == 36 * 8);

// Sixteen vectors of 128 bytes [DDI0487 D1.4.1]; each says which it is and goes to one place.
core::arch::global_asm!(
    ".section .text.vectors, \"ax\"",
    ".balign 2048",
    "kit_vectors:",
    ".set kind, 0",
    ".rept 16",
    ".balign 128",
    "sub sp, sp, #288",
    "stp x0, x1, [sp]",
    "mov x1, #kind",
    "b kit_enter",
    ".set kind, kind + 1",
    ".endr",
    "kit_enter:",
    "stp x2, x3, [sp, #16]",
    "stp x4, x5, [sp, #32]",
    "stp x6, x7, [sp, #48]",
    "stp x8, x9, [sp, #64]",
    "stp x10, x11, [sp, #80]",
    "stp x12, x13, [sp, #96]",
    "stp x14, x15, [sp, #112]",
    "stp x16, x17, [sp, #128]",
    "stp x18, x19, [sp, #144]",
    "stp x20, x21, [sp, #160]",
    "stp x22, x23, [sp, #176]",
    "stp x24, x25, [sp, #192]",
    "stp x26, x27, [sp, #208]",
    "stp x28, x29, [sp, #224]",
    "mrs x2, sp_el0",
    "stp x30, x2, [sp, #240]",
    "mrs x2, elr_el1",
    "mrs x3, spsr_el1",
    "stp x2, x3, [sp, #256]",
    "mrs x2, esr_el1",
    "mrs x3, far_el1",
    "stp x2, x3, [sp, #272]",
    "mov x0, sp",
    "bl kit_exception",
    // Also the way down to EL0 for a frame made by hand: sp = the frame.
    ".global kit_leave",
    "kit_leave:",
    "msr daifset, #2",
    "ldp x2, x3, [sp, #256]",
    "msr elr_el1, x2",
    "msr spsr_el1, x3",
    "ldp x30, x2, [sp, #240]",
    "msr sp_el0, x2",
    "ldp x2, x3, [sp, #16]",
    "ldp x4, x5, [sp, #32]",
    "ldp x6, x7, [sp, #48]",
    "ldp x8, x9, [sp, #64]",
    "ldp x10, x11, [sp, #80]",
    "ldp x12, x13, [sp, #96]",
    "ldp x14, x15, [sp, #112]",
    "ldp x16, x17, [sp, #128]",
    "ldp x18, x19, [sp, #144]",
    "ldp x20, x21, [sp, #160]",
    "ldp x22, x23, [sp, #176]",
    "ldp x24, x25, [sp, #192]",
    "ldp x26, x27, [sp, #208]",
    "ldp x28, x29, [sp, #224]",
    "ldp x0, x1, [sp], #288",
    "eret",
);

unsafe extern "C" {
    static kit_vectors: u8;
}

unsafe extern "Rust" {
    safe fn guest_interrupt(intid: u32) -> Deactivate;
    safe fn guest_fault(frame: &mut Frame) -> Verdict;
}

const SYNC_CURRENT: u64 = 4;
const IRQ_CURRENT: u64 = 5;
const SYNC_LOWER: u64 = 8;
const IRQ_LOWER: u64 = 9;

pub(crate) fn install() {
    msr!("vbar_el1", &raw const kit_vectors as u64);
    crate::cpu::barrier();
}

// SAFETY: the vectors above are the only ones who know the name.
#[unsafe(no_mangle)]
extern "C" fn kit_exception(frame: &mut Frame, kind: u64) {
    match kind {
        IRQ_CURRENT | IRQ_LOWER => interrupts(),
        SYNC_CURRENT | SYNC_LOWER if guest_fault(frame) == Verdict::Handled => {}
        _ => panic!(
            "unexpected exception {kind}: ESR {:#x}, FAR {:#x}, ELR {:#x}, image at {:#x}",
            frame.esr,
            frame.far,
            frame.elr,
            mrs!("vbar_el1")
        ),
    }
}

/// Serves interrupts until none is left.
fn interrupts() {
    while let Some(intid) = gic::acknowledge() {
        let split = gic::is_split();
        let deactivate = match intid {
            timer::INTID => {
                timer::on_interrupt();
                Deactivate::Now
            }
            console::INTID => {
                console::on_interrupt();
                Deactivate::Now
            }
            other => guest_interrupt(other),
        };
        gic::end(intid);
        if split && deactivate == Deactivate::Now {
            gic::deactivate(intid);
        }
    }
}
