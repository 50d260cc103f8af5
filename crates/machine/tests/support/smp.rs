//! Guest programs for several vCPUs, and machines that run them.

use super::born_with;
use abide_arm64::kvm::affinity;
use abide_engine_soft::SoftEngine;
use abide_machine::board::BoardConfig;
use abide_machine::runner::{Command, Control, Outcome, Reply, RunConfig, Status, control};
use abide_machine::{Machine, TimeSource};
use abide_reg::Gpa;
use abide_testkit::guest::{Label, Program, RAM, asm, x};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Where programs have their data.
pub const DATA: Gpa = Gpa(RAM.0 + (8 << 20));
/// Within data: how many vCPUs came to the end.
pub const DONE: u32 = 0;
/// Within data: where a program's own begin, in bytes.
pub const OWN: u32 = 2048;

/// Before the program: an Image's header, and what aligns vectors.
const HEADER_LEN: usize = 2048;

pub const RAM_LEN: u64 = 16 << 20;
pub const PSCI_CPU_OFF: u32 = 0x8400_0002;
pub const PSCI_CPU_ON: u32 = 0xc400_0003;

// What the assembler has no names for `[DDI0487 C6.2]`.
pub const DMB_ISH: u32 = 0xd503_3bbf;
pub const DMB_ISHST: u32 = 0xd503_3abf;
pub const DMB_ISHLD: u32 = 0xd503_39bf;
pub const DSB_ISH: u32 = 0xd503_3b9f;
pub const WFI: u32 = 0xd503_207f;
pub const WFE: u32 = 0xd503_205f;
pub const SEV: u32 = 0xd503_209f;

/// A program on `vcpus` vCPUs. In the body x19 is the vCPU's number, x20 its data, and x24 to x28
/// are the body's own for good; `fail` ends the machine by a reset. When every vCPU has come to the
/// body's end, the first switches the machine off.
pub fn image(vcpus: u32, body: impl FnOnce(&mut Program, Label)) -> Vec<u8> {
    let mut program = Program::new(Gpa(RAM.0 + HEADER_LEN as u64));
    let [secondary, start, last, fail] = [(); 4].map(|()| program.label());
    for number in 1..vcpus {
        switch_on(&mut program, number, secondary);
    }
    asm!(program.assembler(); mov x0, 0);
    program.bind(secondary);
    asm!(program.assembler(); mov x19, x0);
    program.bind(start);
    program.mov64(x(20), DATA.0);
    body(&mut program, fail);
    add_atomically(&mut program, DONE);
    program.branch_if_zero(x(19), last);
    program.call(PSCI_CPU_OFF, &[]);
    program.spin();
    program.bind(last);
    let not_yet = program.label();
    program.bind(not_yet);
    program.word(WFE);
    asm!(program.assembler(); ldar x1, [x20]; cmp x1, vcpus; b.ne =>not_yet);
    program.system_off();
    program.bind(fail);
    program.system_reset();
    let mut image = vec![0; HEADER_LEN];
    // b #0x800, the length in memory, little-endian with 4 KiB pages, the magic number
    // [linux Documentation/arch/arm64/booting.rst].
    image[..4].copy_from_slice(&0x1400_0200_u32.to_le_bytes());
    image[16..24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    image[24] = 0xa;
    image[56..60].copy_from_slice(b"ARM\x64");
    image.extend(program.finish().expect("a program that assembles"));
    image
}

/// Switches vCPU `number` on at `entry`, with its number in x0.
pub fn switch_on(program: &mut Program, number: u32, entry: Label) {
    program.mov64(x(0), PSCI_CPU_ON.into());
    program.mov64(x(1), affinity(number));
    program.address_of(x(2), entry);
    program.mov64(x(3), number.into());
    asm!(program.assembler(); hvc 0);
}

/// Adds 1 to the number `offset` bytes into the data; x0 to x2 are lost.
pub fn add_atomically(program: &mut Program, offset: u32) {
    let again = program.label();
    asm!(program.assembler(); add x0, x20, offset);
    program.bind(again);
    asm!(program.assembler()
        ; ldaxr x1, [x0]
        ; add x1, x1, 1
        ; stlxr w2, x1, [x0]
        ; cbnz w2, =>again
    );
}

/// Waits until the number at the address in x0 is at least x3; x1 is lost.
pub fn wait_until_at_least(program: &mut Program) {
    let (again, done) = (program.label(), program.label());
    program.bind(again);
    asm!(program.assembler(); ldar x1, [x0]; cmp x1, x3; b.hs =>done);
    program.word(WFE);
    program.branch(again);
    program.bind(done);
}

/// The machine that runs `image` on the software engine.
pub fn machine(vcpu_count: u32, image: &[u8], time: TimeSource) -> Machine {
    let board = BoardConfig { ram_len: RAM_LEN, vcpu_count, ..BoardConfig::DEFAULT };
    born_with(&SoftEngine::new(), image, board, time)
}

/// The number `offset` bytes into the data.
pub fn word(machine: &Machine, offset: u32) -> u64 {
    let mut bytes = [0; 8];
    machine.ram().read(Gpa(DATA.0 + u64::from(offset)), &mut bytes).expect("inside RAM");
    u64::from_le_bytes(bytes)
}

/// Runs it with nobody to ask.
pub fn run(machine: &mut Machine) -> Outcome {
    let (_control, queue) = control();
    machine.run(&queue, &RunConfig::default()).expect("runs").outcome
}

/// Runs it while `ask` talks to it from another thread.
pub fn run_asked(machine: &mut Machine, ask: impl FnOnce(&Control) + Send) -> Outcome {
    let (control, queue) = control();
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let asked = catch_unwind(AssertUnwindSafe(|| ask(&control)));
            if asked.is_err() {
                // Else the machine would run on, and the test would not end with its failure.
                let _ = control.ask(Command::Stop);
            }
            asked
        });
        let result = machine.run(&queue, &RunConfig::default());
        drop(queue);
        match asking.join().expect("its panic was caught") {
            Ok(()) => result.expect("runs").outcome,
            Err(panic) => resume_unwind(panic),
        }
    })
}

pub fn status(control: &Control) -> Option<Status> {
    match control.ask(Command::Status) {
        Some(Reply::Status(status)) => Some(status),
        None => None,
        other => panic!("{other:?}"),
    }
}
