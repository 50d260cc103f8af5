//! From the loader's jump to the guest's `main`.

use crate::cpu;
use crate::fdt::Fdt;
use crate::mmu::{self, BLOCK_BYTES, PAGE_BYTES, Use};
use crate::{console, exception, gic, mrs};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

// The header of an arm64 Image, then: relocate, clear, call Rust. x0 holds the address of the
// device tree [linux Documentation/arch/arm64/booting.rst].
core::arch::global_asm!(
    ".section .head, \"ax\"",
    ".global _start",
    "_start:",
    "b 1f",
    ".long 0",
    ".quad 0",            // text_offset
    ".quad __image_size", // with all memory the guest takes for granted
    ".quad 0xa",          // little-endian, 4 KiB pages, anywhere in memory
    ".quad 0, 0, 0",
    ".ascii \"ARM\\x64\"",
    ".long 0",
    // Relocations: the linker left R_AARCH64_RELATIVE entries only (offset, type, addend).
    "1:",
    "mov x19, x0",
    "adrp x20, _start",
    "adrp x0, __rela_start",
    "add x0, x0, :lo12:__rela_start",
    "adrp x1, __rela_end",
    "add x1, x1, :lo12:__rela_end",
    "2:",
    "cmp x0, x1",
    "b.hs 3f",
    "ldp x2, x3, [x0], #16",
    "ldr x4, [x0], #8",
    "add x4, x4, x20",
    "str x4, [x20, x2]",
    "b 2b",
    "3:",
    "adrp x0, __bss_start",
    "adrp x1, __bss_end",
    "4:",
    "cmp x0, x1",
    "b.hs 5f",
    "stp xzr, xzr, [x0], #16",
    "b 4b",
    // What was written so far went past the cache; drop what the cache may hold of it.
    "5:",
    "dsb sy",
    "adrp x0, __user_end",
    "adrp x1, __stack_top",
    "6:",
    "dc ivac, x0",
    "add x0, x0, #64",
    "cmp x0, x1",
    "b.lo 6b",
    "dsb sy",
    "msr spsel, #1",
    "adrp x0, __stack_top",
    "mov sp, x0",
    "mov x0, x19",
    "mov x29, xzr",
    "mov x30, xzr",
    "b kit_start",
);

unsafe extern "C" {
    static _start: u8;
    static __user_start: u8;
    static __user_end: u8;
    static __data_start: u8;
    static __stack_top: u8;
    static __arena_start: u8;
    static __arena_end: u8;
}

unsafe extern "Rust" {
    safe fn guest_main(fdt: Option<Fdt>) -> !;
}

/// The address of a symbol that the linker script defines.
macro_rules! address_of {
    ($symbol:ident) => {
        (&raw const $symbol) as usize
    };
}

/// The memory that follows the image, for the guest's own use.
pub struct Arena(&'static mut [u64]);

impl Arena {
    /// Takes the first `words` of what is left.
    ///
    /// # Panics
    /// If that is more than there is.
    pub fn take(&mut self, words: usize) -> &'static mut [u64] {
        let rest = core::mem::take(&mut self.0);
        if words > rest.len() {
            panic!("arena used up");
        }
        let (taken, rest) = rest.split_at_mut(words);
        self.0 = rest;
        taken
    }
}

/// The arena, the first time it is asked for. Its content is whatever the loader left there.
pub fn arena() -> Option<Arena> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Relaxed) {
        return None;
    }
    let (start, end) = (address_of!(__arena_start), address_of!(__arena_end));
    let words = (end - start) / size_of::<u64>();
    // SAFETY: the linker script keeps this range free of anything else, it is mapped as data, and
    // it is given away once.
    Some(Arena(unsafe { core::slice::from_raw_parts_mut(start as *mut u64, words) }))
}

// SAFETY: the assembly above is the only one who knows the name.
#[unsafe(no_mangle)]
extern "C" fn kit_start(fdt_address: usize) -> ! {
    console::start();
    if mrs!("currentel") >> 2 & 3 != 1 {
        println!("this guest starts at EL1 and was started elsewhere");
        loop {
            cpu::wait_for_interrupt();
        }
    }
    exception::install();
    let fdt_blocks = (fdt_address != 0).then_some([fdt_address, fdt_address + BLOCK_BYTES - 1]);
    map_image();
    for address in fdt_blocks.into_iter().flatten() {
        mmu::map_block(address, Use::ReadOnly);
    }
    // GIC, UART and RTC, and what lies between.
    for address in (0x0800_0000..0x0a00_0000).step_by(BLOCK_BYTES) {
        mmu::map_block(address, Use::Device);
    }
    mmu::start();
    gic::start();
    // SAFETY: where the loader says there is a tree, up to two blocks are mapped.
    let fdt = fdt_blocks.and_then(|_| unsafe { Fdt::at(fdt_address) });
    cpu::unmask_interrupts();
    guest_main(fdt)
}

/// Code, constants and data each with their own rights; the arena in blocks.
fn map_image() {
    let start = address_of!(_start);
    let user = address_of!(__user_start)..address_of!(__user_end);
    let data = address_of!(__data_start);
    for page in (start..address_of!(__stack_top)).step_by(PAGE_BYTES) {
        let purpose = if page >= data {
            Use::Data
        } else if user.contains(&page) {
            Use::UserCode
        } else if page < user.start {
            Use::Code
        } else {
            Use::ReadOnly
        };
        mmu::map_page(page, page, purpose);
    }
    for block in (address_of!(__arena_start)..address_of!(__arena_end)).step_by(BLOCK_BYTES) {
        mmu::map_block(block, Use::Data);
    }
}
