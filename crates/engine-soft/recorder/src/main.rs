//! Records what single instructions and short programs do on an AArch64 processor, for the test
//! `vectors` of the software engine.
//!
//! ```text
//! cd crates/engine-soft/recorder
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu cortex-a57"
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
//! run="cargo run --release --target aarch64-unknown-linux-gnu --"
//! $run record ../tests/vectors             # writes results.txt and digests.txt there
//! $run show 8b000000/ff200000 3072 32      # prints the results of some cases of a line
//! $run image faults.bin                    # writes the program of the test `faults`
//! ```
//!
//! It is a Linux program and does not know what executes it: QEMU's user mode, as above, or real
//! hardware. It maps memory at the addresses that the cases expect and raises a signal; the signal
//! handler replaces the interrupted state by that of the case, and takes it back at the signal
//! with which every case ends. So no register is lost to the recorder itself.

// The engine's decode table without the rest of it. The cases know it by the engine's name.
extern crate self as abide_engine_soft;

#[path = "../../tests/vectors/cases.rs"]
pub mod cases;
#[path = "../../src/decode/mod.rs"]
pub mod decode;
mod machine;
#[path = "../../tests/faults/monitor.rs"]
mod monitor;
#[path = "../../tests/vectors/programs.rs"]
mod programs;
#[path = "../../tests/vectors/rng.rs"]
mod rng;
#[path = "../../tests/faults/script.rs"]
mod script;
#[path = "../../tests/vectors/text.rs"]
mod text;

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use cases::{Case, Family, Line, Outcome};
use machine::Machine;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["image", file] = arguments[..] {
        let (image, names) = script::image();
        std::fs::write(file, image)?;
        names.iter().enumerate().for_each(|(number, name)| println!("{number:x} {name}"));
        return Ok(());
    }
    let mut machine = Machine::new()?;
    match arguments[..] {
        ["record", folder] => record(&mut machine, Path::new(folder)),
        ["show", line, first, count] => {
            let known = cases::lines();
            let line = known
                .iter()
                .find(|known| text::heading(known).starts_with(line))
                .ok_or("there is no such line")?;
            let first: u64 = first.parse()?;
            for index in first..first + count.parse::<u64>()? {
                let case = line.case(index);
                println!("{}", text::row(&case, &checked(&mut machine, line, &case)));
            }
            Ok(())
        }
        _ => Err("usage: record FOLDER | show VALUE/MASK FIRST COUNT | image FILE".into()),
    }
}

fn record(machine: &mut Machine, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut results = String::new();
    let mut digests = String::new();
    for line in cases::lines() {
        if line.full_cases() > 0 {
            writeln!(results, "{}", text::heading(&line))?;
        }
        for index in 0..line.full_cases() {
            let case = line.case(index);
            writeln!(results, "{}", text::row(&case, &checked(machine, &line, &case)))?;
        }
        writeln!(digests, "{}", text::heading(&line))?;
        let blocks: Vec<String> = (0..line.blocks())
            .map(|block| text::block_digest(&line, block, |case| checked(machine, &line, case)))
            .collect();
        for row in blocks.chunks(11) {
            writeln!(digests, "{}", row.join(" "))?;
        }
    }
    std::fs::write(folder.join("results.txt"), results)?;
    std::fs::write(folder.join("digests.txt"), digests)?;
    Ok(())
}

/// Runs a case. One that ends with a memory fault was generated wrongly.
fn checked(machine: &mut Machine, line: &Line, case: &Case) -> Outcome {
    let outcome = machine.run(case);
    if let cases::End::Other(signal) = outcome.end
        && line.family != Family::Undefined
    {
        let inputs = text::inputs(case);
        let row = text::row(case, &outcome);
        panic!("signal {signal} in {}\n{row}\n{inputs}", text::heading(line));
    }
    outcome
}
