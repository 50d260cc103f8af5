//! A program at EL0: its own address space, pages given on first touch, system calls, and the tick
//! interrupting it.

use crate::Done;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kit::mmu::{self, PAGE_BYTES, Use};
use kit::{Arena, Frame, Verdict, hash};

/// Numbers from 1 up to here are tried.
const LIMIT: usize = 60_000;
/// The most steps that a number below 60,000 needs down to 1: those of 52,527
/// `[OEIS A006877, A006878]`.
const LONGEST: u64 = 339;

const WINDOW: usize = 0x10_0000_0000;
const PAGES: usize = (4 * LIMIT).div_ceil(PAGE_BYTES);
const ASID: u16 = 1;

const CLASS_SVC: u64 = 0x15;
const CLASS_DATA_ABORT_EL0: u64 = 0x24;
/// EL1h, interrupts unmasked.
const PSTATE_EL1: u64 = 5;

static FRAMES: AtomicUsize = AtomicUsize::new(0);
static GIVEN: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// For each n below x0: counts the steps of n → n/2 or 3n+1 down to 1 and stores them at
// x1 + 4·n. Says so by SVC 1 every 1024 numbers and ends by SVC 0.
core::arch::global_asm!(
    ".section .user, \"ax\"",
    ".global demo_user",
    "demo_user:",
    "mov x2, #1",
    "1:",
    "mov x3, x2",
    "mov x4, #0",
    "2:",
    "cmp x3, #1",
    "b.eq 4f",
    "add x4, x4, #1",
    "tbnz x3, #0, 3f",
    "lsr x3, x3, #1",
    "b 2b",
    "3:",
    "add x3, x3, x3, lsl #1",
    "add x3, x3, #1",
    "b 2b",
    "4:",
    "str w4, [x1, x2, lsl #2]",
    "add x2, x2, #1",
    "tst x2, #0x3ff",
    "b.ne 5f",
    "svc #1",
    "5:",
    "cmp x2, x0",
    "b.lo 1b",
    "svc #0",
    // Down to EL0 at x2 with x0 and x1, and back at demo_resume when the program ended.
    ".section .text.demo_enter_user, \"ax\"",
    ".global demo_enter_user",
    "demo_enter_user:",
    "sub sp, sp, #96",
    "stp x19, x20, [sp]",
    "stp x21, x22, [sp, #16]",
    "stp x23, x24, [sp, #32]",
    "stp x25, x26, [sp, #48]",
    "stp x27, x28, [sp, #64]",
    "stp x29, x30, [sp, #80]",
    "msr daifset, #2",
    "msr elr_el1, x2",
    "msr spsr_el1, xzr",
    "msr sp_el0, xzr",
    "eret",
    ".global demo_resume",
    "demo_resume:",
    "ldp x19, x20, [sp]",
    "ldp x21, x22, [sp, #16]",
    "ldp x23, x24, [sp, #32]",
    "ldp x25, x26, [sp, #48]",
    "ldp x27, x28, [sp, #64]",
    "ldp x29, x30, [sp, #80]",
    "add sp, sp, #96",
    "ret",
);

unsafe extern "C" {
    fn demo_enter_user(limit: usize, table: usize, entry: usize);
    static demo_user: u8;
    static demo_resume: u8;
}

pub fn run(arena: &mut Arena) -> Done {
    let memory = arena.take((PAGES + 1) * PAGE_BYTES / 8);
    memory.fill(0);
    // Pages must begin where pages begin.
    let skip = memory.as_ptr().align_offset(PAGE_BYTES);
    let frames = &mut memory[skip..skip + PAGES * PAGE_BYTES / 8];
    FRAMES.store(frames.as_mut_ptr() as usize, Relaxed);
    mmu::set_address_space(ASID);
    // SAFETY: the program reaches nothing but its own page of code and the window.
    unsafe { demo_enter_user(LIMIT, WINDOW, &raw const demo_user as usize) }
    let given = (0..PAGES).filter(|page| mmu::unmap_page(WINDOW + page * PAGE_BYTES).is_some());
    let given = given.count();
    mmu::set_address_space(0);
    // Two 32-bit results a word.
    let longest = frames.iter().map(|&pair| (pair >> 32).max(pair & 0xffff_ffff)).max();
    let longest = longest.unwrap_or(0);
    let calls = CALLS.load(Relaxed);
    Done {
        number: longest,
        unit: "steps, longest of 60000",
        right: longest == LONGEST && given == PAGES && calls == LIMIT / 1024,
        hash: hash::of(frames),
    }
}

/// A system call, or the first touch of a page.
pub fn on_exception(frame: &mut Frame) -> Verdict {
    match (frame.class(), frame.esr & 0xffff) {
        (CLASS_SVC, 1) => {
            CALLS.store(CALLS.load(Relaxed) + 1, Relaxed);
            Verdict::Handled
        }
        (CLASS_SVC, 0) => {
            frame.elr = &raw const demo_resume as u64;
            frame.spsr = PSTATE_EL1;
            Verdict::Handled
        }
        (CLASS_DATA_ABORT_EL0, _) => give_page(frame.far as usize),
        _ => Verdict::Fatal,
    }
}

fn give_page(address: usize) -> Verdict {
    let given = GIVEN.load(Relaxed);
    let inside = (WINDOW..WINDOW + PAGES * PAGE_BYTES).contains(&address);
    if !inside || given >= PAGES {
        return Verdict::Fatal;
    }
    GIVEN.store(given + 1, Relaxed);
    let page = address & !(PAGE_BYTES - 1);
    mmu::map_page(page, FRAMES.load(Relaxed) + given * PAGE_BYTES, Use::UserData);
    Verdict::Handled
}
