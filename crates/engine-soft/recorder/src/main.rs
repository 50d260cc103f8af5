//! Records what single instructions and short programs do on an AArch64 processor, for the test
//! `vectors` of the software engine. `cargo xtask vectors` builds it and calls it, on QEMU's
//! user mode; `tests/vectors.rs` tells how.
//!
//! ```text
//! abide-vector-recorder groups                   # prints each group and the CPU it is of
//! abide-vector-recorder group-of 8b000000        # prints the group of a line
//! abide-vector-recorder record GROUP FOLDER      # writes results.txt and digests.txt there
//! abide-vector-recorder show 8b000000/ff200000 3072 32 inputs    # prints cases of a line
//! abide-vector-recorder image faults.bin         # writes the program of the test `faults`
//! ```
//!
//! It is a Linux program and does not know what executes it: QEMU's user mode or real hardware. It
//! maps memory at the addresses that the cases expect and raises a signal; the signal handler
//! replaces the interrupted state by that of the case, and takes it back at the signal with which
//! every case ends. So no register is lost to the recorder itself.

// The engine's decode table without the rest of it. The cases know it by the engine's name.
extern crate self as abide_engine_soft;

#[path = "../../tests/vectors/cases.rs"]
pub mod cases;
#[path = "../../src/decode/mod.rs"]
pub mod decode;
#[path = "../../tests/vectors/groups.rs"]
mod groups;
#[path = "../../tests/vectors/half.rs"]
mod half;
mod machine;
#[path = "../../tests/faults/monitor.rs"]
mod monitor;
#[path = "../../tests/vectors/operands.rs"]
mod operands;
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
use groups::Group;
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
    if let ["groups"] = arguments[..] {
        Group::ALL.iter().for_each(|group| println!("{} {}", group.name(), cpu(*group)));
        return Ok(());
    }
    if let ["group-of", line] = arguments[..] {
        println!("{}", find(line)?.group.name());
        return Ok(());
    }
    let mut machine = Machine::new()?;
    match arguments[..] {
        ["record", group, folder] => {
            let known = Group::ALL.into_iter().find(|known| known.name() == group);
            record(&mut machine, known.ok_or("there is no such group")?, Path::new(folder))
        }
        ["show", line, first, count, ref more @ ..] => {
            let line = &find(line)?;
            let first: u64 = first.parse()?;
            for index in first..first + count.parse::<u64>()? {
                let case = line.case(index);
                println!("{}", text::row(&case, &checked(&mut machine, line, &case)));
                if more == ["inputs"] {
                    println!(" {}", text::inputs(&case));
                }
            }
            Ok(())
        }
        _ => Err("usage: groups | group-of VALUE/MASK | record GROUP FOLDER | \
                  show VALUE/MASK FIRST COUNT [inputs] | image FILE"
            .into()),
    }
}

/// The line whose heading begins with `text`.
fn find(text: &str) -> Result<Line, Box<dyn Error>> {
    let mut known = Group::ALL.into_iter().flat_map(cases::lines);
    let line = known.find(|known| text::heading(known).starts_with(text));
    Ok(line.ok_or("there is no such line")?)
}

/// What a group is recorded on: a Neoverse-N1 has every extension that the groups need.
const fn cpu(group: Group) -> &'static str {
    match group {
        Group::Base => "cortex-a57",
        _ => "neoverse-n1",
    }
}

fn record(machine: &mut Machine, group: Group, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut results = String::new();
    let mut digests = String::new();
    for line in cases::lines(group) {
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
