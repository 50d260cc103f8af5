//! The first and only program of a Linux guest: static, without a library, integers only. It makes
//! the kernel work (page faults, copy on write, timers, two processes), prints what must come out
//! the same on every host, and switches the machine off. If something is wrong it says so and
//! resets the machine instead.
#![no_std]
#![no_main]

#[path = "../kit/hash.rs"]
mod hash;
mod sys;

use core::fmt::{self, Write};
use sys::Errno;

/// How many rounds of work there are, each followed by a sleep.
const ROUNDS: u64 = 6;
/// How long each sleep is, in milliseconds: 300 in all.
const SLEEP_MS: u64 = 50;
/// How much memory a round fills, in 64-bit words: 1 MiB.
const WORDS: usize = 1 << 17;

// The kernel leaves the arguments on the stack; none are wanted. The stack is aligned already
// [linux arch/arm64/include/asm/elf.h].
core::arch::global_asm!(".global _start", "_start:", "mov x29, xzr", "mov x30, xzr", "b main");

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

fn say(arguments: fmt::Arguments) {
    let mut line = Line { bytes: [0; 160], len: 0 };
    // A line too long is cut.
    let _ = line.write_str("abide-init: ").and_then(|()| line.write_fmt(arguments));
    if line.len == line.bytes.len() {
        line.len -= 1;
    }
    line.bytes[line.len] = b'\n';
    sys::write(&line.bytes[..=line.len]);
}

/// Why init cannot go on.
enum Failure {
    Call(&'static str, Errno),
    Wrong(&'static str),
}

// SAFETY: the assembly above is the only one who knows the name.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    sys::open_console();
    match work() {
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

fn work() -> Result<(), Failure> {
    let name = sys::Utsname::get().map_err(|errno| Failure::Call("uname", errno))?;
    say(format_args!("hello, {}", name.release()));
    let began = now()?;
    let mut seed = [0; 2];
    sys::random(&mut seed).map_err(|errno| Failure::Call("getrandom", errno))?;
    // What is random may not be printed; that there is some is all that can be said.
    if seed == [0; 2] {
        return Err(Failure::Wrong("getrandom gave zeros"));
    }
    let mut sum = hash::Hash::new();
    for number in 1..=ROUNDS {
        let found = round(number)?;
        sum.word(found);
        say(format_args!("round {number}/{ROUNDS}, hash {found:016x}"));
    }
    let slept_ms = (now()? - began) / 1_000_000;
    if slept_ms < ROUNDS * SLEEP_MS {
        return Err(Failure::Wrong("the clock went slower than the sleeps"));
    }
    say(format_args!("checksum {:016x}", sum.value()));
    Ok(())
}

fn now() -> Result<u64, Failure> {
    sys::monotonic_ns().map_err(|errno| Failure::Call("clock_gettime", errno))
}

/// Fills fresh memory, lets a child change its copy, sleeps, and looks whether the own copy is
/// still what it was.
fn round(number: u64) -> Result<u64, Failure> {
    let words = sys::map(WORDS).map_err(|errno| Failure::Call("mmap", errno))?;
    let mut value = number;
    for word in words.iter_mut() {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
        *word = value;
    }
    let written = hash::of(words);
    let child = sys::fork().map_err(|errno| Failure::Call("clone", errno))?;
    let Some(child) = child else {
        // One word a page: each is copied by the kernel.
        words.iter_mut().step_by(512).for_each(|word| *word = !*word);
        sys::exit(if hash::of(words) == written { 1 } else { number as u8 + 10 })
    };
    let code = sys::wait(child).map_err(|errno| Failure::Call("wait4", errno))?;
    if code != Some(number as u8 + 10) {
        return Err(Failure::Wrong("the child did not end as it should"));
    }
    sys::sleep_ms(SLEEP_MS).map_err(|errno| Failure::Call("nanosleep", errno))?;
    let found = hash::of(words);
    sys::unmap(words).map_err(|errno| Failure::Call("munmap", errno))?;
    if found != written {
        return Err(Failure::Wrong("memory changed"));
    }
    Ok(found)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    say(format_args!("panic"));
    sys::restart()
}
