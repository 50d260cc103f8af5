//! The guest with a prompt: something to talk to, with all that a save must keep in it. It runs
//! with interrupts, translation and a tick, and sleeps when nobody types.
#![no_std]
#![no_main]

mod commands;
mod line;

use kit::fdt::Fdt;
use kit::{Deactivate, Frame, Verdict, console, println, timer};

/// Slow, so that an idle guest costs its host nothing to speak of.
const TICKS_PER_SECOND: u64 = 20;

kit::guest!(main, interrupt, fault);

fn main(fdt: Option<Fdt>) -> ! {
    console::enable_input();
    timer::start(TICKS_PER_SECOND);
    println!("\nabide shell: a small guest, to be saved and restored");
    println!("type help for its commands");
    let mut session = commands::Session::new(fdt);
    let mut line = line::Line::new();
    loop {
        session.execute(line.read("abide> "));
    }
}

fn interrupt(_intid: u32) -> Deactivate {
    Deactivate::Now
}

fn fault(_frame: &mut Frame) -> Verdict {
    Verdict::Fatal
}
