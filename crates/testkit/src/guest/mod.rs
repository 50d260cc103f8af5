//! Guest programs for tests, assembled on any host.
//!
//! [`Program`] writes what most of them need; everything else goes through [`asm!`], which is
//! `dynasm!` for AArch64. A crate that uses `asm!` needs `dynasmrt` among its dev-dependencies.
//!
//! ```
//! use abide_reg::Gpa;
//! use abide_testkit::guest::{PSCI_VERSION, Program, asm, x};
//!
//! let mut program = Program::new(Gpa(0x4000_0000));
//! let again = program.label();
//! program.print("three times\n");
//! program.mov64(x(20), 3);
//! program.bind(again);
//! program.call(PSCI_VERSION, &[]);
//! asm!(program.assembler(); sub x20, x20, 1);
//! program.branch_if_not_zero(x(20), again);
//! program.system_off();
//! let bytes = program.finish()?;
//! assert!(bytes.len() % 4 == 0);
//! # Ok::<(), abide_testkit::guest::ProgramError>(())
//! ```

pub mod sysreg;

use abide_arm64::SysReg;
use abide_reg::Gpa;
use dynasmrt::aarch64::Aarch64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmError, DynasmLabelApi, VecAssembler, dynasm};
use std::fmt;
use thiserror::Error;

/// Where the board has its PL011.
pub const UART: Gpa = Gpa(0x0900_0000);
/// Where the board has RAM.
pub const RAM: Gpa = Gpa(0x4000_0000);

/// PSCI_VERSION `[DEN0022 5.1]`.
pub const PSCI_VERSION: u32 = 0x8400_0000;
/// SYSTEM_OFF `[DEN0022 5.1]`.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// SYSTEM_RESET `[DEN0022 5.1]`.
pub const SYSTEM_RESET: u32 = 0x8400_0009;

/// The length of an Image's header, in bytes `[linux Documentation/arch/arm64/booting.rst]`.
pub const IMAGE_HEADER_BYTES: usize = 64;

/// What [`asm!`] writes into.
pub type Assembler = VecAssembler<Aarch64Relocation>;
/// A place in a program that may be named before it is reached.
pub type Label = DynamicLabel;

/// Assembles A64 instructions, as `dynasm!` does: `asm!(program.assembler(); add x0, x0, 1)`.
#[macro_export]
macro_rules! __asm {
    ($assembler:expr ; $($instructions:tt)*) => {{
        use $crate::guest::assembling::*;
        let assembler: &mut $crate::guest::Assembler = $assembler;
        dynasmrt::dynasm!(assembler ; .arch aarch64 ; $($instructions)*);
    }};
}
pub use crate::__asm as asm;

/// The traits that [`asm!`] expands to calls of.
pub mod assembling {
    pub use dynasmrt::{DynasmApi, DynasmLabelApi};
}

/// A general register, x0…x30.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X(u8);

impl From<X> for u8 {
    fn from(register: X) -> Self {
        register.0
    }
}

/// General register `number`.
///
/// # Panics
/// If there is none of this number; in a constant, that stops the build.
#[must_use]
pub const fn x(number: u8) -> X {
    assert!(number <= 30, "general registers are x0 to x30");
    X(number)
}

/// Registers that [`Program`]'s own sequences change; all others they leave alone.
pub const SCRATCH: [X; 2] = [X(16), X(17)];

/// The width of a device access, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 1.
    Byte,
    /// 2.
    Half,
    /// 4.
    Word,
    /// 8.
    Double,
}

/// Why a program could not be finished.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// A label was used and never bound, or a branch does not reach.
    #[error("guest program: {0}")]
    Assemble(DynasmError),
    /// The program needs more memory than its header says.
    #[error("guest program: {len} bytes do not fit into an image of {memory_bytes} bytes")]
    TooLarge {
        /// The program's length with its header, in bytes.
        len: usize,
        /// The memory asked for, in bytes.
        memory_bytes: u64,
    },
}

/// A guest program being written.
pub struct Program {
    assembler: Assembler,
    base: Gpa,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("base", &self.base).field("here", &self.here()).finish()
    }
}

impl Program {
    /// A program whose first instruction will lie at `base`.
    #[must_use]
    pub fn new(base: Gpa) -> Self {
        // Branches are relative; addresses come from `here`, so the assembler need not know them.
        Self { assembler: VecAssembler::new(0), base }
    }

    /// For [`asm!`].
    pub fn assembler(&mut self) -> &mut Assembler {
        &mut self.assembler
    }

    /// Where the next instruction will lie.
    #[must_use]
    pub fn here(&self) -> Gpa {
        Gpa(self.base.0 + self.assembler.offset().0 as u64)
    }

    /// A new label, to be bound once.
    pub fn label(&mut self) -> Label {
        self.assembler.new_dynamic_label()
    }

    /// Makes `label` this place.
    pub fn bind(&mut self, label: Label) {
        self.assembler.dynamic_label(label);
    }

    /// One instruction, by its word.
    pub fn word(&mut self, word: u32) {
        self.assembler.push_u32(word);
    }

    /// Bytes of data, padded with zeros to whole instructions.
    pub fn data(&mut self, bytes: &[u8]) {
        self.assembler.extend(bytes);
        self.align(4);
    }

    /// Goes on at an address that is a multiple of `bytes`; zeros in between.
    pub fn align(&mut self, bytes: usize) {
        let beyond = self.here().0 % bytes as u64;
        if beyond > 0 {
            let zeros = usize::try_from(bytes as u64 - beyond).unwrap_or(0);
            self.assembler.extend(std::iter::repeat_n(0_u8, zeros));
        }
    }

    /// `register` = `value`, in one to four instructions.
    pub fn mov64(&mut self, register: X, value: u64) {
        let mut first = true;
        for (n, half) in (0..).zip(value.to_le_bytes().chunks_exact(2)) {
            let half = u32::from(half[0]) | u32::from(half[1]) << 8;
            if half != 0 || (first && n == 3) {
                // MOVZ first, MOVK after it [DDI0487 C6.2].
                let opcode = if first { 0xd280_0000 } else { 0xf280_0000 };
                self.word(opcode | n << 21 | half << 5 | u32::from(register.0));
                first = false;
            }
        }
    }

    /// `register` = the address of `label`, within 1 MiB.
    pub fn address_of(&mut self, register: X, label: Label) {
        dynasm!(self.assembler ; .arch aarch64 ; adr X(register), =>label);
    }

    /// Goes on at `label`.
    pub fn branch(&mut self, label: Label) {
        dynasm!(self.assembler ; .arch aarch64 ; b =>label);
    }

    /// Goes on at `label` if `register` is 0.
    pub fn branch_if_zero(&mut self, register: X, label: Label) {
        dynasm!(self.assembler ; .arch aarch64 ; cbz X(register), =>label);
    }

    /// Goes on at `label` if `register` is not 0.
    pub fn branch_if_not_zero(&mut self, register: X, label: Label) {
        dynasm!(self.assembler ; .arch aarch64 ; cbnz X(register), =>label);
    }

    /// `register` = a system register.
    pub fn mrs(&mut self, register: X, source: SysReg) {
        self.word(0xd520_0000 | u32::from(source.0) << 5 | u32::from(register.0));
    }

    /// A system register = `register`.
    pub fn msr(&mut self, target: SysReg, register: X) {
        self.word(0xd500_0000 | u32::from(target.0) << 5 | u32::from(register.0));
    }

    /// A system register = `value`, then ISB. Changes [`SCRATCH`].
    pub fn set(&mut self, target: SysReg, value: u64) {
        self.mov64(SCRATCH[0], value);
        self.msr(target, SCRATCH[0]);
        dynasm!(self.assembler ; .arch aarch64 ; isb);
    }

    /// `register` = what is read at `gpa`. Changes [`SCRATCH`].
    pub fn load(&mut self, register: X, gpa: Gpa, width: Width) {
        self.mov64(SCRATCH[1], gpa.0);
        self.access(register, width, true);
    }

    /// Writes `value` at `gpa`. Changes [`SCRATCH`].
    pub fn store(&mut self, gpa: Gpa, value: u64, width: Width) {
        self.mov64(SCRATCH[0], value);
        self.store_register(gpa, SCRATCH[0], width);
    }

    /// Writes `register` at `gpa`. Changes the second of [`SCRATCH`].
    pub fn store_register(&mut self, gpa: Gpa, register: X, width: Width) {
        self.mov64(SCRATCH[1], gpa.0);
        self.access(register, width, false);
    }

    /// Load or store of `register` at the address in the second of [`SCRATCH`]; unsigned offset 0
    /// `[DDI0487 C4.1]`.
    fn access(&mut self, register: X, width: Width, is_load: bool) {
        let size = match width {
            Width::Byte => 0,
            Width::Half => 1,
            Width::Word => 2,
            Width::Double => 3,
        };
        let opcode = 0x3900_0000 | size << 30 | u32::from(is_load) << 22;
        self.word(opcode | u32::from(SCRATCH[1].0) << 5 | u32::from(register.0));
    }

    /// Writes one byte to the UART. Changes [`SCRATCH`].
    pub fn print_byte(&mut self, byte: u8) {
        self.store(UART, u64::from(byte), Width::Byte);
    }

    /// Writes `text` to the UART, without waiting for room: three instructions a byte, and no data
    /// to be read. Changes [`SCRATCH`].
    pub fn print(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.print_byte(byte));
    }

    /// Writes `register`, none of [`SCRATCH`], to the UART as 16 hexadecimal digits. Changes
    /// [`SCRATCH`] and the flags.
    pub fn print_hex(&mut self, register: X) {
        let [digit, other] = SCRATCH;
        for shift in (0..64).step_by(4).rev() {
            dynasm!(self.assembler
                ; .arch aarch64
                ; ubfx X(digit), X(register), shift, 4
                ; cmp XSP(digit), 9
                ; add XSP(other), XSP(digit), u32::from(b'0')
                ; add XSP(digit), XSP(digit), u32::from(b'a' - 10)
                ; csel X(digit), X(digit), X(other), hi
            );
            self.store_register(UART, digit, Width::Byte);
        }
    }

    /// Calls the firmware by HVC with up to seven arguments in x1…; the answer is in x0…x3, and
    /// x4…x17 are lost `[DEN0028 2.6]`.
    ///
    /// # Panics
    /// For more than seven arguments.
    pub fn call(&mut self, function: u32, arguments: &[u64]) {
        assert!(arguments.len() <= 7, "a call takes at most seven arguments");
        self.mov64(x(0), u64::from(function));
        for (register, &argument) in (1..).zip(arguments) {
            self.mov64(x(register), argument);
        }
        dynasm!(self.assembler ; .arch aarch64 ; hvc 0);
    }

    /// Switches the machine off. If that returns, the program spins at this place.
    pub fn system_off(&mut self) {
        self.call(SYSTEM_OFF, &[]);
        self.spin();
    }

    /// Resets the machine. If that returns, the program spins at this place.
    pub fn system_reset(&mut self) {
        self.call(SYSTEM_RESET, &[]);
        self.spin();
    }

    /// Goes nowhere.
    pub fn spin(&mut self) {
        dynasm!(self.assembler ; .arch aarch64 ; b 0);
    }

    /// A vector table `[DDI0487 D1.4]`: each of its sixteen entries goes to its handler, or resets
    /// the machine where it has none. Returns its label, for VBAR_EL1; nothing runs into it.
    pub fn vectors(&mut self, handlers: [Option<Label>; 16]) -> Label {
        let (table, after, unexpected) = (self.label(), self.label(), self.label());
        self.branch(after);
        self.align(2048);
        self.bind(table);
        for handler in handlers {
            self.align(128);
            self.branch(handler.unwrap_or(unexpected));
        }
        self.align(128);
        self.bind(unexpected);
        self.system_reset();
        self.bind(after);
        table
    }

    /// The program's bytes, as they lie in memory from its base on.
    ///
    /// # Errors
    /// [`ProgramError::Assemble`].
    pub fn finish(self) -> Result<Vec<u8>, ProgramError> {
        self.assembler.finalize().map_err(ProgramError::Assemble)
    }

    /// The program with the header of an arm64 Image in front: `text_offset` 0, and `memory_bytes`
    /// from the header on that the loader must find. The header takes the first
    /// [`IMAGE_HEADER_BYTES`] of where the image is loaded, the program's base comes after it.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn finish_image(self, memory_bytes: u64) -> Result<Vec<u8>, ProgramError> {
        let program = self.finish()?;
        let len = IMAGE_HEADER_BYTES + program.len();
        if len as u64 > memory_bytes {
            return Err(ProgramError::TooLarge { len, memory_bytes });
        }
        // Branch over the header; little-endian, 4 KiB pages, anywhere in memory.
        let mut image = Vec::with_capacity(len);
        image.extend_from_slice(&0x1400_0010_u64.to_le_bytes());
        for field in [0, memory_bytes, 0xa, 0, 0, 0] {
            image.extend_from_slice(&field.to_le_bytes());
        }
        image.extend_from_slice(b"ARM\x64\0\0\0\0");
        image.extend_from_slice(&program);
        Ok(image)
    }
}

#[cfg(test)]
mod tests;
