//! The guest of `abide demo`: twelve pieces of work whose results are known or can be checked, so
//! that any bit lost on the way from one host to another shows. It asks for no input, ticks a
//! thousand times a second meanwhile, and switches the machine off; with virtual time two runs
//! print the same to the last digit. If a result is wrong it panics, which resets the machine.
#![no_std]
#![no_main]

mod step;

use kit::fdt::Fdt;
use kit::hash::Hash;
use kit::{Arena, Deactivate, Frame, Verdict, print, println, psci, timer};

const TICKS_PER_SECOND: u64 = 1000;

kit::guest!(main, interrupt, fault);

/// What a step reports.
pub struct Done {
    /// The number to print.
    pub number: u64,
    /// What it counts.
    pub unit: &'static str,
    /// Whether the number and all else that the step can check is right.
    pub right: bool,
    /// The hash over the step's memory.
    pub hash: u64,
}

type Step = (&'static str, fn(&mut Arena) -> Done);

const STEPS: [Step; 12] = [
    ("sieve", step::sieve::run),
    ("sort", step::sort::run),
    ("matrix", step::matrix::run),
    ("life", step::life::run),
    ("mersenne", step::mersenne::run),
    ("lz", step::lz::run),
    ("user", step::user::run),
    ("paging", step::paging::run),
    ("atomics", step::atomics::run),
    ("interrupts", step::interrupts::run),
    ("sleep", step::sleep::run),
    ("memory", step::memory::run),
];

fn main(_fdt: Option<Fdt>) -> ! {
    timer::start(TICKS_PER_SECOND);
    println!("abide demo guest: {} steps, {TICKS_PER_SECOND} ticks a second", STEPS.len());
    let Some(mut arena) = kit::arena() else { panic!("no arena") };
    let mut checksum = Hash::new();
    for (index, (name, run)) in STEPS.iter().enumerate() {
        print!("step {:2}/{} {name:10} ", index + 1, STEPS.len());
        let Done { number, unit, right, hash } = run(&mut arena);
        let ticks = timer::ticks();
        println!("{number:8} {unit:28} ticks={ticks:<5} hash={hash:016x}");
        if !right {
            panic!("{name}: the result is wrong");
        }
        checksum.words(&[number, hash, ticks, timer::skipped()]);
    }
    println!(
        "demo: all {} right, {} ticks, {} skipped, checksum {:016x}",
        STEPS.len(),
        timer::ticks(),
        timer::skipped(),
        checksum.value()
    );
    psci::system_off()
}

fn interrupt(intid: u32) -> Deactivate {
    match intid {
        step::atomics::SGI => step::atomics::on_interrupt(),
        _ => step::interrupts::on_interrupt(intid),
    }
}

fn fault(frame: &mut Frame) -> Verdict {
    if frame.from_el0() { step::user::on_exception(frame) } else { step::paging::on_fault(frame) }
}
