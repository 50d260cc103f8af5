//! The second CPU, if there is one: sleeps until it is told to look, with an interrupt from the
//! first held behind its mask meanwhile.

use crate::view::VIEWS;
use crate::{controller, state};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use kit::mmio::{read32, write8, write32};
use kit::{cpu, mrs, msr, println, smp};

/// Wakes it, and is held by it.
const WAKE: u32 = 6;
const HELD: u32 = 5;
const WAKE_PRIORITY: u8 = 0x40;
const HELD_PRIORITY: u8 = 0xa0;
const MASK: u64 = 0x80;
const MASK_NONE: u64 = 0xf8;

const GICR_WAKER: usize = 0x14;
const GICR_IGROUPR0: usize = 0x1_0080;
const GICR_ISENABLER0: usize = 0x1_0100;
const GICR_ISPENDR0: usize = 0x1_0200;
const GICR_IPRIORITYR: usize = 0x1_0400;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;

const STACK_WORDS: usize = 2048;
const SELF: usize = 1;

/// How often it was told to look, and how often it has.
static ORDERED: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);
/// Whether it held what it should at its last look, and got nothing else.
static RIGHT: AtomicBool = AtomicBool::new(true);

struct Second;

impl smp::Other for Second {
    fn run() -> ! {
        set_up();
        READY.store(true, Release);
        loop {
            // Masked in PSTATE throughout: what is pending ends WFI all the same. So may anything
            // else, a move to another host for one: only the interrupt itself is the order, for it
            // is sent behind ORDERED and could come in the middle of a look.
            while !drain(WAKE) {
                cpu::wait_for_interrupt();
            }
            VIEWS[SELF].look(SELF);
            let pending = read32(controller::redistributor(SELF) + GICR_ISPENDR0) >> HELD & 1 == 1;
            set_mask(MASK_NONE);
            let taken = drain(HELD);
            set_mask(MASK);
            RIGHT.store(pending && taken, Relaxed);
            DONE.store(ORDERED.load(Acquire), Release);
        }
    }
}

/// Its registers, redistributor and CPU interface.
fn set_up() {
    state::set();
    let base = controller::redistributor(SELF);
    write32(base + GICR_WAKER, read32(base + GICR_WAKER) & !WAKER_PROCESSOR_SLEEP);
    for _ in 0..1_000_000 {
        if read32(base + GICR_WAKER) & WAKER_CHILDREN_ASLEEP == 0 {
            break;
        }
    }
    write32(base + GICR_IGROUPR0, u32::MAX);
    write8(base + GICR_IPRIORITYR + WAKE as usize, WAKE_PRIORITY);
    write8(base + GICR_IPRIORITYR + HELD as usize, HELD_PRIORITY);
    write32(base + GICR_ISENABLER0, 1 << WAKE | 1 << HELD);
    msr!("s3_0_c12_c12_5", mrs!("s3_0_c12_c12_5") | 1); // ICC_SRE_EL1
    cpu::barrier();
    msr!("s3_0_c12_c12_3", 0); // ICC_BPR1_EL1
    set_mask(MASK);
    msr!("s3_0_c12_c12_7", 1); // ICC_IGRPEN1_EL1
    cpu::barrier();
}

fn set_mask(urgency: u64) {
    msr!("s3_0_c4_c6_0", urgency); // ICC_PMR_EL1
    cpu::barrier();
}

/// Takes and ends what is let through. Whether that was `wanted` and nothing else.
fn drain(wanted: u32) -> bool {
    const SPECIAL: u64 = 1020;
    let (mut found, mut others) = (0, 0);
    loop {
        let intid = mrs!("s3_0_c12_c12_0") & 0xff_ffff; // ICC_IAR1_EL1
        cpu::barrier();
        if intid >= SPECIAL {
            return (found, others) == (1, 0);
        }
        *(if intid == u64::from(wanted) { &mut found } else { &mut others }) += 1;
        msr!("s3_0_c12_c12_1", intid); // ICC_EOIR1_EL1
        cpu::barrier();
    }
}

/// Starts it. Whether there is one.
///
/// # Panics
/// If there is one and it does not start.
pub fn start() -> bool {
    if controller::cpu_count() <= SELF {
        return false;
    }
    let stack = kit::arena().map(|mut arena| arena.take(STACK_WORDS));
    let Some(stack) = stack else { panic!("no stack for the second CPU") };
    let answer = smp::start::<Second>(controller::affinity(SELF), stack);
    if answer != 0 {
        println!("abi: CPU_ON: {answer:#x}");
        panic!("the second CPU was not started");
    }
    while !READY.load(Acquire) {
        core::hint::spin_loop();
    }
    true
}

/// Lets it look, and waits until it has. Whether what it held came to it.
pub fn look() -> bool {
    ORDERED.store(ORDERED.load(Relaxed) + 1, Release);
    send(WAKE);
    while DONE.load(Acquire) != ORDERED.load(Relaxed) {
        core::hint::spin_loop();
    }
    RIGHT.load(Relaxed)
}

/// Sends it the interrupt that it holds back until it looks again.
pub fn hold() {
    send(HELD);
}

/// ICC_SGI1R_EL1.
fn send(intid: u32) {
    let affinity = controller::affinity(SELF);
    let (aff3, aff2, aff1) = (affinity >> 32 & 0xff, affinity >> 16 & 0xff, affinity >> 8 & 0xff);
    let (range, target) = (affinity >> 4 & 0xf, 1 << (affinity & 0xf));
    let route = aff3 << 48 | range << 44 | aff2 << 32 | aff1 << 16;
    cpu::barrier();
    msr!("s3_0_c12_c11_5", route | u64::from(intid) << 24 | target);
    cpu::barrier();
}
