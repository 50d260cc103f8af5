//! The first and only program of a Linux guest: static, without a library, integers only. It makes
//! the kernel work (page faults, copy on write, timers, two processes), prints what must come out
//! the same on every host, and switches the machine off. If something is wrong it says so and
//! resets the machine instead.
#![no_std]
#![no_main]

use linux::{Failure, hash, of, program, say, sys};

program!("abide-init", work);

/// How many rounds of work there are, each followed by a sleep.
const ROUNDS: u64 = 6;
/// How long each sleep is, in milliseconds: 300 in all.
const SLEEP_MS: u64 = 50;
/// How much memory a round fills, in 64-bit words: 1 MiB.
const WORDS: usize = 1 << 17;

fn work() -> Result<(), Failure> {
    let name = sys::Utsname::get().map_err(of("uname"))?;
    say(format_args!("hello, {}", name.release()));
    let began = now()?;
    let mut seed = [0; 2];
    sys::random(&mut seed).map_err(of("getrandom"))?;
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
    sys::monotonic_ns().map_err(of("clock_gettime"))
}

/// Fills fresh memory, lets a child change its copy, sleeps, and looks whether the own copy is
/// still what it was.
fn round(number: u64) -> Result<u64, Failure> {
    let words = sys::map(WORDS).map_err(of("mmap"))?;
    let mut value = number;
    for word in words.iter_mut() {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
        *word = value;
    }
    let written = hash::of(words);
    let child = sys::fork().map_err(of("clone"))?;
    let Some(child) = child else {
        // One word a page: each is copied by the kernel.
        words.iter_mut().step_by(512).for_each(|word| *word = !*word);
        sys::exit(if hash::of(words) == written { 1 } else { number as u8 + 10 })
    };
    let code = sys::wait(child).map_err(of("wait4"))?;
    if code != Some(number as u8 + 10) {
        return Err(Failure::Wrong("the child did not end as it should"));
    }
    sys::sleep_ms(SLEEP_MS).map_err(of("nanosleep"))?;
    let found = hash::of(words);
    sys::unmap(words).map_err(of("munmap"))?;
    if found != written {
        return Err(Failure::Wrong("memory changed"));
    }
    Ok(found)
}
