//! What instructions cost, as multiples of an `add`, beside QEMU's TCG where `qemu-aarch64` is
//! there: both run the same words, in turns, and the least of several user CPU times counts.
//!
//! ```text
//! cargo bench -p abide-engine-soft --bench instructions [-- [alone] [PART OF A NAME]]
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

#[path = "instructions/loops.rs"]
mod loops;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "instructions/tcg.rs"]
mod tcg;

use abide_engine::Stop;
use abide_engine_soft::cpu_model::N1_LIKE;
use abide_testkit::guest::{Program, asm, x};
use loops::{Loop, R, all};
use rustix::time::{ClockId, clock_gettime};
use support::{CODE, DATA, Guest, HVC};
use tcg::Tcg;

/// How often each is measured.
const ROUNDS: usize = 7;
/// Instructions of one measurement on the engine.
const INSTRUCTIONS: u64 = 4_000_000;
/// The same on TCG, whose time is told in hundredths of a second.
const INSTRUCTIONS_TCG: u64 = 200_000_000;
/// How often TCG is measured.
const ROUNDS_TCG: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let alone = arguments.iter().any(|argument| argument == "alone");
    let is_name = |argument: &&String| !argument.starts_with('-') && *argument != "alone";
    let wanted = arguments.iter().find(is_name).cloned().unwrap_or_default();
    let loops = all();
    let (add, others) = loops.split_first().expect("the list has `add`");
    let tcg = if alone { None } else { Tcg::found() };
    println!("least of {ROUNDS} times per instruction, as multiples of the engine's own `add`");
    println!("{:<34} {:>8} {:>9} {:>12}", "", "engine", "TCG", "engine / TCG");
    for other in others.iter().filter(|other| other.name.contains(&wanted)) {
        let [mut unit, mut own, mut theirs] = [f64::INFINITY; 3];
        for round in 0..ROUNDS {
            unit = unit.min(on_engine(add));
            own = own.min(on_engine(other));
            if let Some(tcg) = tcg.as_ref().filter(|_| round < ROUNDS_TCG) {
                theirs = theirs.min(on_tcg(tcg, other));
            }
        }
        let (own, theirs) = (own / unit, theirs / unit);
        let ratio = own / theirs;
        if tcg.is_some() {
            println!("{:<34} {own:>8.2} {theirs:>9.2} {ratio:>12.2}", other.name);
        } else {
            println!("{:<34} {own:>8.2} {:>9} {:>12}", other.name, "-", "-");
        }
    }
}

/// Writes the loop, `rounds` times over, with its data at `data`.
fn program(code: u64, data: u64, what: &Loop, rounds: u64) -> Program {
    let mut program = Program::new(abide_reg::Gpa(code));
    let again = program.label();
    program.mov64(x(20), data + 0x8000);
    program.mov64(x(21), data + 0x1_8000);
    program.mov64(x(19), rounds);
    // Numbers to compute with: 1.5 in each half of all vectors, 32 in each general register.
    asm!(program.assembler(); fmov v0.d2, 1.5);
    for number in 1..32 {
        asm!(program.assembler(); orr V(R(number)).b16, v0.b16, v0.b16);
    }
    // Inexact, as after most computations.
    asm!(program.assembler(); fmov d16, 1.0; fmov d17, 3.0; fdiv d16, d16, d17);
    for number in 0..16 {
        asm!(program.assembler(); mov X(R(number)), 32);
    }
    program.bind(again);
    for copy in 0..what.copies() {
        (what.write)(&mut program, copy);
    }
    asm!(program.assembler(); sub x19, x19, 1);
    program.branch_if_not_zero(x(19), again);
    program
}

/// How often the loop runs for about this many instructions, and how many that are.
fn rounds(what: &Loop, instructions: u64) -> (u64, u64) {
    let length = what.copies() * what.length + 2;
    let rounds = instructions / length;
    (rounds, rounds * length)
}

/// Nanoseconds of user CPU time per instruction.
fn on_engine(what: &Loop) -> f64 {
    let (mut guest, _) = Guest::with_mmu_and_model(&N1_LIKE);
    let (rounds, instructions) = rounds(what, INSTRUCTIONS);
    let mut program = program(CODE, DATA, what, rounds);
    program.word(HVC);
    let bytes = program.finish().expect("the loop can be assembled");
    guest.ram.write(abide_reg::Gpa(CODE), &bytes).expect("the loop fits into RAM");
    let before = cpu_ns();
    let stop = guest.vcpu.run(2 * INSTRUCTIONS, &guest.bus).expect("the engine runs");
    let after = cpu_ns();
    let vector = guest.vector();
    assert!(matches!(stop, Stop::System(_)) && vector > 0x800, "{}: {vector:#x}", what.name);
    (after - before) / instructions as f64
}

fn on_tcg(tcg: &Tcg, what: &Loop) -> f64 {
    let (rounds, instructions) = rounds(what, INSTRUCTIONS_TCG);
    let ns = |rounds| {
        let mut program = program(tcg::CODE, tcg::DATA, what, rounds);
        tcg.user_ns(&mut program)
    };
    (ns(rounds) - ns(1)) / instructions as f64
}

/// CPU time of this process, which the engine's one vCPU takes all of.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
