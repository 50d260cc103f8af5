//! Guests that write garbage to everything they can name, on the software engine: the machine never
//! panics, and a guest that comes to its end powers off.

mod support;

use abide_engine_soft::SoftEngine;
use abide_machine::Machine;
use abide_machine::devices::virtio::{DiskConfig, VirtioConfig};
use abide_machine::runner::{Command, Outcome, RunConfig, SavePoint, control};
use abide_reg::Gpa;
use abide_testkit::guest::{Label, Program, RAM, asm, sysreg, x};
use support::{BOARD, born_with, born_with_virtio, file_with, restored};

/// Values that mean something different in every field.
const GARBAGE: [u64; 5] =
    [0, u64::MAX, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa, 0x0123_4567_89ab_cdef];

/// Before the program: an Image's header, and what aligns vectors.
const HEADER_LEN: usize = 2048;

/// Registers that a garbage guest keeps: what it writes, where it takes exceptions.
const VALUE: u8 = 20;
const VECTORS: u8 = 21;

/// How far a guest may go that has lost its way, in instructions.
const LOST_AFTER: u64 = 300_000;

/// A program that takes every exception and goes on behind the instruction that caused it; an
/// interrupt masks interrupts.
fn surviving() -> Program {
    let mut program = Program::new(Gpa(RAM.0 + HEADER_LEN as u64));
    let (skip, mask, start) = (program.label(), program.label(), program.label());
    program.branch(start);
    program.bind(skip);
    asm!(program.assembler()
        ; mrs x28, sysreg::operand(sysreg::ELR_EL1)
        ; add x28, x28, 4
        ; msr sysreg::operand(sysreg::ELR_EL1), x28
        ; mrs x28, sysreg::operand(sysreg::SPSR_EL1)
        ; orr x28, x28, 0x3c0
        ; msr sysreg::operand(sysreg::SPSR_EL1), x28
        ; eret
    );
    program.bind(mask);
    asm!(program.assembler()
        ; mrs x28, sysreg::operand(sysreg::SPSR_EL1)
        ; orr x28, x28, 0x3c0
        ; msr sysreg::operand(sysreg::SPSR_EL1), x28
        ; eret
    );
    program.bind(start);
    // Synchronous exceptions come first in each group of four.
    let handlers: [Option<Label>; 16] =
        std::array::from_fn(|n| Some(if n % 4 == 0 { skip } else { mask }));
    let vectors = program.vectors(handlers);
    program.address_of(x(VECTORS), vectors);
    program.msr(sysreg::VBAR_EL1, x(VECTORS));
    asm!(program.assembler(); isb);
    program
}

/// An arm64 Image `[linux Documentation/arch/arm64/booting.rst]` whose program begins where a
/// vector table may.
fn image(program: Program) -> Vec<u8> {
    let mut image = vec![0; HEADER_LEN];
    // b #0x800
    image[..4].copy_from_slice(&0x1400_0200_u32.to_le_bytes());
    image[16..24].copy_from_slice(&(2_u64 << 20).to_le_bytes());
    image[24] = 0xa;
    image[56..60].copy_from_slice(b"ARM\x64");
    image.extend(program.finish().expect("a program that assembles"));
    image
}

fn guest(program: Program) -> Machine {
    guest_with(program, &[])
}

fn guest_with(program: Program, virtio: &[VirtioConfig]) -> Machine {
    let time = abide_machine::TimeSource::Virtual;
    born_with_virtio(&SoftEngine::new(), &image(program), BOARD, time, virtio)
}

/// Runs it to its end, or until it is lost; whether it came to power off.
fn survives(machine: &mut Machine) -> bool {
    let folder = tempfile::tempdir().expect("a place for files");
    let path = folder.path().join("lost");
    let save_points = vec![SavePoint { instructions: machine.instructions() + LOST_AFTER, path }];
    let config = RunConfig { save_points, ..RunConfig::default() };
    let (_, queue) = control();
    let result = machine.run(&queue, &config).expect("a guest cannot fail a run");
    // Whatever it did, it can be saved and taken back.
    let again = restored(&SoftEngine::new(), file_with(machine, |_| ()));
    assert_eq!(again.state().expect("readable"), machine.state().expect("readable"));
    result.outcome == Outcome::PoweredOff
}

/// System instructions, which are those from 0xd500_0000 to 0xd53f_ffff, that a guest would not
/// come back from: WFE and WFI, and writes of SCTLR_EL1 and VBAR_EL1.
fn is_last(word: u32) -> bool {
    let without_register = word & !0x1f;
    let hints = [0xd503_2040, 0xd503_2060];
    let writes = [0xd518_1000, 0xd518_c000];
    hints.contains(&without_register) || writes.contains(&without_register)
}

#[test]
fn every_system_instruction_is_executed_or_skipped() {
    const PART: u32 = 0x1000;
    for part in 0..0x2_0000 / PART {
        let value = GARBAGE[part as usize % GARBAGE.len()];
        let mut program = surviving();
        for place in 0..PART {
            // Bits 21:5 are L, op0, op1, CRn, CRm and op2; reads have a register of their own.
            let encoding = part * PART + place;
            let register = if encoding & 0x1_0000 == 0 { u32::from(VALUE) } else { 1 };
            let word = 0xd500_0000 | encoding << 5 | register;
            if is_last(word) {
                continue;
            }
            if place % 64 == 0 {
                program.mov64(x(VALUE), value.rotate_left(place / 64));
            }
            program.word(word);
            // Without an operand: hints, barriers and MSR (immediate) are defined only so.
            if encoding >> 14 & 3 == 0 {
                program.word(word | 0x1f);
            }
        }
        program.system_off();
        let mut machine = guest(program);
        assert!(survives(&mut machine), "encodings from {:#x} on, with {value:#x}", part * PART);
        assert!(machine.instructions() > u64::from(PART) / 2, "they were executed");
    }
}

#[test]
fn garbage_in_what_decides_where_a_guest_goes_on_only_loses_the_guest() {
    let registers = [
        sysreg::SCTLR_EL1,
        sysreg::VBAR_EL1,
        sysreg::TTBR0_EL1,
        sysreg::TTBR1_EL1,
        sysreg::TCR_EL1,
        sysreg::MAIR_EL1,
        sysreg::ELR_EL1,
        sysreg::SPSR_EL1,
        sysreg::CPACR_EL1,
    ];
    for first in registers {
        for value in GARBAGE {
            for other in GARBAGE {
                let mut program = surviving();
                program.set(first, value);
                // Then translation, with tables of garbage, and a return into it.
                program.set(sysreg::TTBR0_EL1, other);
                program.set(sysreg::TCR_EL1, other.rotate_left(7));
                program.set(sysreg::SPSR_EL1, other & !0x10);
                program.set(sysreg::ELR_EL1, value.rotate_left(13));
                program.set(sysreg::SCTLR_EL1, 0x30d0_0801 | value & 0x1005);
                asm!(program.assembler(); eret);
                program.system_off();
                survives(&mut guest(program));
            }
        }
    }
}

#[test]
fn waits_with_garbage_in_the_timers_end() {
    for value in GARBAGE {
        for wait in [0xd503_205f, 0xd503_207f] {
            let mut program = surviving();
            for register in [
                sysreg::CNTP_CVAL_EL0,
                sysreg::CNTV_CVAL_EL0,
                sysreg::CNTP_TVAL_EL0,
                sysreg::CNTP_CTL_EL0,
                sysreg::CNTV_CTL_EL0,
                sysreg::CNTKCTL_EL1,
                sysreg::ICC_PMR_EL1,
                sysreg::ICC_IGRPEN1_EL1,
            ] {
                program.set(register, value);
            }
            for _ in 0..4 {
                program.word(wait);
            }
            program.system_off();
            survives(&mut guest(program));
        }
    }
}

#[test]
fn every_device_register_takes_garbage() {
    let folder = tempfile::tempdir().expect("a place for a disk");
    let path = folder.path().join("disk.img");
    std::fs::write(&path, [0; 512 * 8]).expect("a small disk");
    // Read-only: it is open twice while a guest is taken back.
    let disk = VirtioConfig::Block(DiskConfig { path, readonly: true, direct: false });
    let virtio = [disk, VirtioConfig::Rng, VirtioConfig::Console];
    // Regions, and how far apart accesses are.
    let regions = [
        (0x0800_0000_u64, 0x1_0000_u64, 4_u64),
        (0x080a_0000, 0x4_0000, 4),
        (0x0900_0000, 0x1000, 1),
        (0x0901_0000, 0x1000, 1),
        (0x0a00_0000, 0x800, 1),
        (0x0700_0000, 0x100_0000, 0xfffc),
    ];
    for value in GARBAGE {
        for (base, len, step) in regions {
            let mut program = surviving();
            program.mov64(x(VALUE), value);
            program.mov64(x(22), base);
            program.mov64(x(23), base + len);
            program.mov64(x(24), step);
            let again = program.label();
            program.bind(again);
            asm!(program.assembler()
                ; str x20, [x22]
                ; ldr x1, [x22]
                ; str w20, [x22]
                ; ldr w1, [x22]
                ; strh w20, [x22]
                ; ldrh w1, [x22]
                ; strb w20, [x22]
                ; ldrsb x1, [x22]
                // Pairs, exclusives and vectors too: none of them is for devices.
                ; stp x20, x20, [x22]
                ; ldxr x1, [x22]
                ; stxr w2, x20, [x22]
                ; ror x20, x20, 3
                ; add x22, x22, x24
                ; sub x1, x23, x22
                ; asr x1, x1, 63
            );
            program.branch_if_zero(x(1), again);
            program.system_off();
            let mut machine = guest_with(program, &virtio);
            // It is long, not lost.
            let came_to_its_end = (0..40).any(|_| survives(&mut machine));
            assert!(came_to_its_end, "{value:#x} at {base:#x}");
        }
    }
}

#[test]
fn every_hypercall_number_returns_or_ends_the_guest() {
    for value in GARBAGE {
        let mut program = surviving();
        for function in (0x8400_0000..0x8400_0060)
            .chain(0xc400_0000..0xc400_0060)
            .chain(0x8000_0000..0x8000_0008)
            .chain(0x8600_0000..0x8600_0008)
            .chain([0x8600_ff01, 0xc600_0040, 0xc600_0041, 0x8000_3fff, 0x8000_7fff, 0x8000_8000])
        {
            // CPU_OFF, the two that switch off, the two resets and both suspends are ends.
            let ends = [1, 2, 8, 9, 0xe, 0x12, 0x15];
            if function & 0xbfff_ff00 == 0x8400_0000 && ends.contains(&(function & 0xff)) {
                continue;
            }
            program.call(function, &[value, value.rotate_left(9), value, value]);
        }
        program.system_off();
        assert!(survives(&mut guest(program)), "{value:#x}");
    }
}

#[test]
fn shipped_shell_lives_through_garbage_typed_at_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/bin/shell.img");
    let kernel = std::fs::read(path).expect("a shipped guest");
    let mut machine =
        born_with(&SoftEngine::new(), &kernel, BOARD, abide_machine::TimeSource::Virtual);
    let (control, queue) = control();
    let mut rng = abide_testkit::rng::Rng::new(7);
    std::thread::scope(|scope| {
        let typing = scope.spawn(move || {
            for _ in 0..64 {
                let bytes = (0..97).map(|_| rng.next_u8()).collect();
                if control.ask(Command::Input(bytes)).is_none() {
                    return;
                }
            }
            let _ = control.ask(Command::Input(b"\n\npoweroff\n".to_vec()));
        });
        let result = machine.run(&queue, &RunConfig::default()).expect("runs");
        assert_eq!(result.outcome, Outcome::PoweredOff);
        drop(queue);
        typing.join().expect("typing does not fail");
    });
    assert!(machine.console_bytes() > 0);
}
