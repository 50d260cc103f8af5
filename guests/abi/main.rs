//! The guest that judges: it reads all that it can see of its machine, and reads it again five
//! times a second, and says what is no longer as it was. Meanwhile it holds interrupts in every
//! state, sets registers and never writes them again, and sleeps.
//!
//! `abi.looks=N` on the command line: it switches the machine off after looking N times.
#![no_std]
#![no_main]

mod calls;
mod controller;
mod held;
mod registers;
mod second;
mod state;
mod view;

use kit::fdt::Fdt;
use kit::{console, println, psci, timer};
use view::VIEWS;

const TICKS_PER_SECOND: u64 = 5;

kit::guest!(main, held::on_interrupt, registers::fault);

fn main(fdt: Option<Fdt>) -> ! {
    let looks_max = fdt.and_then(looks_max).unwrap_or(u64::MAX);
    state::set();
    timer::start(TICKS_PER_SECOND);
    console::enable_input();
    held::start();
    let two = second::start();
    held::hold();
    if two {
        second::hold();
        second::look();
        second::hold();
    }
    VIEWS[0].look(0);
    VIEWS.iter().for_each(view::View::remember);
    for (cpu, view) in VIEWS.iter().enumerate().take(if two { 2 } else { 1 }) {
        view.print_values(cpu);
    }
    println!("abi: {} CPUs looked at, {} values", if two { 2 } else { 1 }, values());
    let mut wrong = 0;
    for look in 1..=looks_max {
        timer::sleep_ticks(1);
        wrong += u64::from(!look_again(look, two));
    }
    println!("abi: {looks_max} looks, {wrong} with differences");
    psci::system_off()
}

/// Looks once more, and takes what was held. Whether all is as it was.
fn look_again(look: u64, two: bool) -> bool {
    VIEWS[0].look(0);
    let mut interrupts = true;
    if two {
        interrupts &= second::look();
        second::hold();
    }
    interrupts &= held::take();
    let mut differences = 0;
    for (cpu, view) in VIEWS.iter().enumerate() {
        differences += view.print_differences(cpu);
    }
    let held = held::COUNT + usize::from(two);
    let word = if interrupts { "taken as held" } else { "NOT TAKEN AS HELD" };
    println!(
        "abi: {look}: {} values, {differences} differences, {held} interrupts {word}",
        values()
    );
    asked();
    held::hold();
    differences == 0 && interrupts
}

fn values() -> usize {
    VIEWS.iter().map(view::View::count).sum()
}

/// Prints all values again if a byte was typed.
fn asked() {
    let mut was = false;
    while console::read_byte().is_some() {
        was = true;
    }
    if was {
        VIEWS.iter().enumerate().for_each(|(cpu, view)| view.print_values(cpu));
    }
}

/// What the command line says.
fn looks_max(fdt: Fdt) -> Option<u64> {
    let words = fdt.text("chosen", "bootargs")?;
    words.split_ascii_whitespace().find_map(|word| word.strip_prefix("abi.looks="))?.parse().ok()
}
