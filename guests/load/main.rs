//! The first and only program of a Linux guest under load: static, without a library, integers
//! only. Four processes rewrite and check memory, one a disk, one talks to a network that echoes,
//! until something is typed; each knows what it must find, so that a move that loses, doubles or
//! changes anything is seen. Meanwhile the first one counts lines on the console, each with how far
//! the others are. Then it says what is on the disk, and switches the machine off.
#![no_std]
#![no_main]

#[path = "../disk/blocks.rs"]
mod blocks;
#[path = "../net/echo.rs"]
mod echo;

use blocks::{Blocks, Random};
use core::sync::atomic::{AtomicU64, Ordering};
use echo::{Echo, GUEST, MASK};
use linux::file::{self, File};
use linux::{Failure, of, program, say, socket, sys};

program!("abide-load", work);

/// How many processes work in memory.
const IN_MEMORY: usize = 4;
/// How much memory each has, in pages, and how much of that it goes on writing: what it wrote once
/// must be there at the end too.
const PAGES: usize = 2048;
const REWRITTEN: usize = 256;
/// Pages written, and pages checked, between two steps.
const PAGES_PER_STEP: usize = 32;
const PAGE_WORDS: usize = 512;
/// Blocks written, and blocks checked, between two steps.
const BLOCKS_PER_STEP: u64 = 4;
/// Blocks discarded at the end.
const DISCARDED: usize = 8;
/// Between two lines, in milliseconds.
const LINE_MS: u64 = 50;

/// What all processes see: how many steps each has done, and in the last place whether to end.
type Shared = &'static [AtomicU64];
const DISK: usize = IN_MEMORY;
const NETWORK: usize = DISK + 1;
const WORKERS: usize = NETWORK + 1;
const END: usize = WORKERS;

fn work() -> Result<(), Failure> {
    file::load_modules().map_err(of("finit_module"))?;
    file::mount(c"dev", c"/dev", c"devtmpfs").map_err(of("mount devtmpfs"))?;
    socket::bring_up(GUEST, MASK).map_err(of("bring eth0 up"))?;
    let shared = sys::share(END + 1).map_err(of("mmap"))?;
    let mut children = [0; WORKERS + 1];
    for (number, child) in children.iter_mut().enumerate() {
        match sys::fork().map_err(of("clone"))? {
            Some(id) => *child = id,
            None => {
                worker(number, shared)?;
                sys::exit(0)
            }
        }
    }
    let mut line = 0_u64;
    while !is_over(shared) {
        line += 1;
        let [a, b, c, d, disk, network] =
            core::array::from_fn(|at| shared[at].load(Ordering::Relaxed));
        say(format_args!("{line}: memory {a} {b} {c} {d}, disk {disk}, network {network}"));
        sys::sleep_ms(LINE_MS).map_err(of("nanosleep"))?;
    }
    for child in children {
        if sys::wait(child).map_err(of("wait4"))? != Some(0) {
            return Err(Failure::Wrong("a worker did not end as it should"));
        }
    }
    say(format_args!("{line} lines"));
    Ok(())
}

fn is_over(shared: Shared) -> bool {
    shared[END].load(Ordering::Relaxed) != 0
}

fn worker(number: usize, shared: Shared) -> Result<(), Failure> {
    match number {
        DISK => on_disk(shared),
        NETWORK => on_network(shared),
        WORKERS => until_typed(shared),
        _ => in_memory(number, shared),
    }
}

/// Waits until a line is typed.
fn until_typed(shared: Shared) -> Result<(), Failure> {
    let console = File::open(c"/dev/console", file::O_RDONLY).map_err(of("open console"))?;
    console.read_some(&mut [0; 16]).map_err(of("read console"))?;
    shared[END].store(1, Ordering::Relaxed);
    Ok(())
}

fn step(shared: Shared, worker: usize) {
    shared[worker].fetch_add(1, Ordering::Relaxed);
}

/// Memory of a worker, and what each page was written with, which is elsewhere.
struct Memory {
    words: &'static mut [u64],
    seeds: &'static mut [u64],
}

impl Memory {
    fn new() -> Result<Self, Failure> {
        let words = sys::map(PAGES * PAGE_WORDS).map_err(of("mmap"))?;
        let seeds = sys::map(PAGES).map_err(of("mmap"))?;
        Ok(Self { words, seeds })
    }

    fn write(&mut self, page: usize, seed: u64) {
        self.seeds[page] = seed;
        let mut value = seed;
        for word in &mut self.words[page * PAGE_WORDS..][..PAGE_WORDS] {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
            *word = value;
        }
    }

    fn check(&self, page: usize) -> Result<(), Failure> {
        let seed = self.seeds[page];
        let mut value = seed;
        for word in &self.words[page * PAGE_WORDS..][..PAGE_WORDS] {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
            if *word != value {
                say(format_args!("page {page} is not what was written"));
                return Err(Failure::Wrong("memory changed"));
            }
        }
        Ok(())
    }
}

fn in_memory(number: usize, shared: Shared) -> Result<(), Failure> {
    let mut random = Random(number as u64 + 0x5eed);
    let mut memory = Memory::new()?;
    for page in 0..PAGES {
        memory.write(page, random.below(u64::MAX) | 1);
    }
    while !is_over(shared) {
        for _ in 0..PAGES_PER_STEP {
            memory.check(random.below(PAGES as u64) as usize)?;
            let page = random.below(REWRITTEN as u64) as usize;
            memory.check(page)?;
            memory.write(page, random.below(u64::MAX) | 1);
        }
        step(shared, number);
    }
    for page in 0..PAGES {
        memory.check(page)?;
    }
    say(format_args!("memory {number}: {PAGES} pages are as written"));
    Ok(())
}

fn on_disk(shared: Shared) -> Result<(), Failure> {
    let mut blocks = Blocks::open()?;
    while !is_over(shared) {
        blocks.write(BLOCKS_PER_STEP)?;
        blocks.check(BLOCKS_PER_STEP)?;
        step(shared, DISK);
    }
    blocks.clear(DISCARDED)?;
    say(format_args!("disk checksum {:016x}", blocks.check_all()?));
    Ok(())
}

fn on_network(shared: Shared) -> Result<(), Failure> {
    let mut echo = Echo::open()?;
    let mut round = 0;
    while !is_over(shared) {
        echo.round(round)?;
        round += 1;
        step(shared, NETWORK);
    }
    say(format_args!("network: {round} rounds came back, hash {:016x}", echo.sum()));
    Ok(())
}
