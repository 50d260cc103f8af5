//! Translation: 39-bit addresses, 4 KiB granule, three levels `[DDI0487 D8]`.
//!
//! Memory the guest uses is mapped to itself. What else is mapped is up to the guest.

use crate::cpu;
use crate::{mrs, msr};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The size of a page, in bytes.
pub const PAGE_BYTES: usize = 4096;
/// The size of a block of the second level, in bytes.
pub const BLOCK_BYTES: usize = 2 << 20;

const ENTRIES: usize = 512;
const TABLES: usize = 16;

const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 2;
const ACCESS_FLAG: u64 = 1 << 10;
const INNER_SHAREABLE: u64 = 3 << 8;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
const USER_EXECUTE_NEVER: u64 = 1 << 54;
const ADDRESS: u64 = 0xffff_ffff_f000;

/// MAIR_EL1: attribute 0 is normal write-back memory, 1 is Device-nGnRE.
const MAIR: u64 = 0x04ff;
const DEVICE: u64 = 1 << 2;
/// T0SZ 25, write-back walks in inner shareable memory, TTBR1 off.
const TCR: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23;
/// SCTLR_EL1: its RES1 bits, MMU, data cache, stack alignment checks, instruction cache.
const SCTLR: u64 = 0x30d0_0800 | 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 12;

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Executed and read at EL1.
    Code,
    /// Read at EL1.
    ReadOnly,
    /// Read and written at EL1.
    Data,
    /// A device.
    Device,
    /// Executed and read at EL0.
    UserCode,
    /// Read and written at EL0 and EL1.
    UserData,
}

impl Use {
    fn attributes(self) -> u64 {
        let never = PRIVILEGED_EXECUTE_NEVER | USER_EXECUTE_NEVER;
        let normal = ACCESS_FLAG | INNER_SHAREABLE;
        match self {
            Self::Code => normal | READ_ONLY | USER_EXECUTE_NEVER,
            Self::ReadOnly => normal | READ_ONLY | never,
            Self::Data => normal | never,
            Self::Device => ACCESS_FLAG | DEVICE | never,
            Self::UserCode => normal | READ_ONLY | USER | NOT_GLOBAL | PRIVILEGED_EXECUTE_NEVER,
            Self::UserData => normal | USER | NOT_GLOBAL | never,
        }
    }
}

#[repr(C, align(4096))]
struct Table([AtomicU64; ENTRIES]);

/// The first is the root; the others are handed out in order.
static POOL: [Table; TABLES] = [const { Table([const { AtomicU64::new(0) }; ENTRIES]) }; TABLES];
static POOL_USED: AtomicUsize = AtomicUsize::new(1);

fn address_of(table: &Table) -> u64 {
    core::ptr::from_ref(table) as u64
}

/// The table that `entry` points to; makes one where there is none.
fn next_table(entry: &AtomicU64) -> &'static Table {
    let descriptor = entry.load(Relaxed);
    if descriptor & VALID == 0 {
        let used = POOL_USED.load(Relaxed);
        let Some(table) = POOL.get(used) else { panic!("translation tables used up") };
        POOL_USED.store(used + 1, Relaxed);
        entry.store(address_of(table) | VALID | TABLE_OR_PAGE, Relaxed);
        return table;
    }
    let wanted = descriptor & ADDRESS;
    match POOL.iter().find(|table| address_of(table) == wanted) {
        Some(table) => table,
        None => panic!("address is mapped as a block"),
    }
}

fn second_level(address: usize) -> &'static AtomicU64 {
    let first = &POOL[0].0[address >> 30 & (ENTRIES - 1)];
    &next_table(first).0[address >> 21 & (ENTRIES - 1)]
}

fn third_level(address: usize) -> &'static AtomicU64 {
    &next_table(second_level(address)).0[address >> 12 & (ENTRIES - 1)]
}

/// Maps the 2 MiB block that holds `address` to itself, unless something is mapped there.
pub fn map_block(address: usize, purpose: Use) {
    let entry = second_level(address);
    if entry.load(Relaxed) & VALID == 0 {
        let base = (address & !(BLOCK_BYTES - 1)) as u64;
        entry.store(base | purpose.attributes() | VALID, Relaxed);
    }
}

/// Maps the page at `address` to `physical`.
pub fn map_page(address: usize, physical: usize, purpose: Use) {
    let descriptor = physical as u64 & ADDRESS | purpose.attributes();
    third_level(address).store(descriptor | VALID | TABLE_OR_PAGE, Relaxed);
    cpu::barrier();
}

/// Takes the page at `address` away; its physical address, if there was one.
pub fn unmap_page(address: usize) -> Option<usize> {
    let descriptor = third_level(address).swap(0, Relaxed);
    // SAFETY: forgetting translations is sound; they are read again from the tables.
    unsafe {
        core::arch::asm!("dsb ishst", "tlbi vaae1is, {0}", "dsb ish", "isb",
            in(reg) address as u64 >> 12 & 0xfff_ffff_ffff, options(nostack));
    }
    (descriptor & VALID != 0).then_some((descriptor & ADDRESS) as usize)
}

/// Switches to another address-space number; translations of user pages belong to one.
pub fn set_address_space(asid: u16) {
    msr!("ttbr0_el1", address_of(&POOL[0]) | u64::from(asid) << 48);
    cpu::barrier();
}

/// Switches translation on.
pub(crate) fn start() {
    let physical_range = (mrs!("id_aa64mmfr0_el1") & 0xf).min(5);
    msr!("mair_el1", MAIR);
    // 16-bit ASIDs where there are any, chosen by TTBR0.
    let asid_size = u64::from(mrs!("id_aa64mmfr0_el1") >> 4 & 0xf == 2) << 36;
    msr!("tcr_el1", TCR | physical_range << 32 | asid_size);
    msr!("ttbr0_el1", address_of(&POOL[0]));
    msr!("ttbr1_el1", 0);
    cpu::barrier();
    // SAFETY: everything the program uses is mapped to itself, so nothing moves.
    unsafe {
        core::arch::asm!("tlbi vmalle1", "dsb nsh", "ic iallu", "dsb nsh", "isb",
            "msr sctlr_el1, {0}", "isb", in(reg) SCTLR, options(nostack));
    }
}
