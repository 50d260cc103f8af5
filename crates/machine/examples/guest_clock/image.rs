//! An image of a guest that runs with translation on, so that pages are memory to it and the UART
//! is a device: what it reads comes from caches, as with every real guest.

use crate::Failure;
use abide_machine::board::{UART_BASE, VMCLOCK_BASE};
use abide_reg::Gpa;
use abide_testkit::guest::{Program, RAM, asm, sysreg};

/// RAM, in bytes.
pub const RAM_LEN: u64 = 16 << 20;
/// Where programs have their data.
pub const DATA: Gpa = Gpa(RAM.0 + (8 << 20));
/// Where programs find the page: it is not where the board has it, among devices.
pub const PAGE_VA: u64 = (2 << 30) + (VMCLOCK_BASE.0 & (BLOCK - 1));
/// Where programs find the UART, as the board has it.
pub const UART_VA: u64 = UART_BASE.0;

/// Before the program: an Image's header, and what aligns tables and vectors.
const HEADER_LEN: usize = 4096;
/// A block of the second level of translation, in bytes `[DDI0487 D8.3]`.
const BLOCK: u64 = 2 << 20;
const TABLE: usize = 4096;

/// A table, or a block, with the access flag, inner shareable, memory or device of EL1's
/// `[DDI0487 D8.3]`; nothing is executed from devices.
const NEXT_TABLE: u64 = 0b11;
const MEMORY: u64 = 0b01 | 3 << 8 | 1 << 10;
const DEVICE: u64 = 0b01 | 1 << 2 | 1 << 10 | 3 << 53;
/// Attributes: 0 is write-back memory, 1 a device `[DDI0487 D24.2.109]`.
const MAIR: u64 = 0x04ff;
/// 39 bits by TTBR0_EL1, write-back inner shareable walks, none by TTBR1_EL1, 40 physical bits
/// `[DDI0487 D24.2.206]`.
const TCR: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 25 << 16 | 2 << 32;
/// Translation and caches on, beside the bits that are always set `[DDI0487 D24.2.175]`.
const SCTLR: u64 = 0x30d0_0800 | 1 | 1 << 2 | 1 << 12;
/// Floating point and vectors are not trapped `[DDI0487 D24.2.38]`.
const CPACR: u64 = 3 << 20;

/// The image of `body`, which begins at EL1 with translation on; behind its end the machine is
/// switched off.
///
/// # Errors
/// If it cannot be assembled.
pub fn of(body: impl FnOnce(&mut Program)) -> Result<Vec<u8>, Failure> {
    let first = RAM.0 + HEADER_LEN as u64;
    let second = first + TABLE as u64;
    let mut program = Program::new(Gpa(second + TABLE as u64));
    for (register, value) in [
        (sysreg::MAIR_EL1, MAIR),
        (sysreg::TCR_EL1, TCR),
        (sysreg::TTBR0_EL1, first),
        (sysreg::CPACR_EL1, CPACR),
    ] {
        program.set(register, value);
    }
    // TLBI VMALLE1, and everything before it done [DDI0487 C6.2].
    program.word(0xd508_871f);
    program.word(0xd503_3f9f);
    asm!(program.assembler(); isb);
    program.set(sysreg::SCTLR_EL1, SCTLR);
    body(&mut program);
    program.system_off();
    let mut image = header();
    let page_block = VMCLOCK_BASE.0 & !(BLOCK - 1);
    // 1 GiB each: devices, RAM, and what leads to the page.
    image.extend(table(&[DEVICE, RAM.0 | MEMORY, second | NEXT_TABLE]));
    image.extend(table(&[page_block | MEMORY]));
    image.extend(program.finish()?);
    Ok(image)
}

/// b to behind both tables, the length in memory, little-endian with 4 KiB pages, the magic number
/// `[linux Documentation/arch/arm64/booting.rst]`.
fn header() -> Vec<u8> {
    let mut header = vec![0; HEADER_LEN];
    let words = u32::try_from((HEADER_LEN + 2 * TABLE) / 4).unwrap_or(0);
    header[..4].copy_from_slice(&(0x1400_0000 | words).to_le_bytes());
    header[16..24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    header[24] = 0xa;
    header[56..60].copy_from_slice(b"ARM\x64");
    header
}

fn table(entries: &[u64]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    bytes.resize(TABLE, 0);
    bytes
}
