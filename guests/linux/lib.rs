//! What the first and only program of a Linux guest needs: to start, to speak, to call the kernel,
//! and to stop.
//!
//! Static, without a library, integers only. A program names itself and its work with [`program!`].
//! When the work is done the machine is switched off; when something is wrong the program says so
//! and resets the machine instead.
#![no_std]

pub mod file;
#[path = "../kit/hash.rs"]
pub mod hash;
pub mod socket;
pub mod sys;
pub mod uapi;

use core::fmt::{self, Write};
use sys::Errno;

/// What runs: the name that stands before each line, and the work.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub work: fn() -> Result<(), Failure>,
}

/// Why a program cannot go on.
pub enum Failure {
    /// A system call failed.
    Call(&'static str, Errno),
    /// Something is not what it must be.
    Wrong(&'static str),
}

/// The failure of the system call with this name.
pub fn of(call: &'static str) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure::Call(call, errno)
}

/// Names a program and its `fn() -> Result<(), Failure>`.
#[macro_export]
macro_rules! program {
    ($name:literal, $work:path) => {
        // SAFETY: the library declares this name with the same signature and nobody else has it.
        #[unsafe(no_mangle)]
        fn linux_program() -> $crate::Program {
            $crate::Program { name: $name, work: $work }
        }
    };
}

// SAFETY: `program!` defines it so.
unsafe extern "Rust" {
    safe fn linux_program() -> Program;
}

// The kernel leaves the arguments on the stack; none are wanted. The stack is aligned already
// [linux arch/arm64/include/asm/elf.h].
core::arch::global_asm!(".global _start", "_start:", "mov x29, xzr", "mov x30, xzr", "b main");

// SAFETY: the assembly above is the only one who knows the name.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    sys::open_console();
    match (linux_program().work)() {
        Ok(()) => {
            say(format_args!("done"));
            sys::power_off()
        }
        Err(Failure::Call(name, Errno(number))) => {
            say(format_args!("FAILED: {name}: errno {number}"));
            sys::restart()
        }
        Err(Failure::Wrong(what)) => {
            say(format_args!("FAILED: {what}"));
            sys::restart()
        }
    }
}

/// Text for the console, written a line at a time so that the kernel's own lines do not cut it.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Writes a line to the console, with the program's name before it.
pub fn say(arguments: fmt::Arguments) {
    let mut line = Line { bytes: [0; 160], len: 0 };
    // A line too long is cut.
    let _ = write!(line, "{}: {arguments}", linux_program().name);
    if line.len == line.bytes.len() {
        line.len -= 1;
    }
    line.bytes[line.len] = b'\n';
    sys::write(&line.bytes[..=line.len]);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    say(format_args!("panic"));
    sys::restart()
}
