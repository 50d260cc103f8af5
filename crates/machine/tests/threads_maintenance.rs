//! Several vCPUs at the same time: what one does to translations and code, seen by the others.

mod support;

use abide_machine::runner::Outcome;
use abide_machine::{Machine, TimeSource};
use abide_reg::Gpa;
use abide_testkit::guest::{Label, Program, RAM, asm, sysreg, x};
use support::smp::{
    DATA, DSB_ISH, OWN, SEV, WFE, add_atomically, image, machine, run, wait_until_at_least,
};

/// Translation tables: level 1, and below it levels 2 and 3 for what is remapped.
const TABLES: Gpa = Gpa(RAM.0 + (10 << 20));
/// Two physical pages for each page that is remapped.
const PAGES: Gpa = Gpa(RAM.0 + (12 << 20));
/// Where the pages that are remapped are seen.
const WINDOW_VA: u64 = 2 << 30;

/// TLBI VAAE1IS, x0; TLBI VMALLE1IS; DC CVAU, x0; IC IVAU, x0 `[DDI0487 C5.5]`.
const TLBI_VAAE1IS: u32 = 0xd508_8360;
const TLBI_VMALLE1IS: u32 = 0xd508_831f;
const DC_CVAU: u32 = 0xd50b_7b20;
const IC_IVAU: u32 = 0xd50b_7520;

/// Descriptor: a page of normal memory that was accessed.
const PAGE: u64 = 1 << 10 | 3;

/// RAM and devices flat in blocks of 1 GiB, and a window of pages, which are not mapped yet.
fn write_tables(machine: &Machine) {
    let write = |gpa: u64, descriptor: u64| {
        machine.ram().write(Gpa(gpa), &descriptor.to_le_bytes()).expect("inside RAM");
    };
    let (level_1, level_2, level_3) = (TABLES.0, TABLES.0 + 0x1000, TABLES.0 + 0x2000);
    // Index 1 of MAIR is device memory.
    write(level_1, 1 << 10 | 1 << 2 | 1);
    write(level_1 + 8, RAM.0 | 1 << 10 | 1);
    write(level_1 + 16, level_2 | 3);
    write(level_2, level_3 | 3);
}

/// MMU on, and data aborts tried again.
fn translate(program: &mut Program) {
    let (again, begin) = (program.label(), program.label());
    program.branch(begin);
    program.bind(again);
    program.word(WFE);
    asm!(program.assembler(); eret);
    program.bind(begin);
    let handlers = std::array::from_fn(|vector| (vector == 4).then_some(again));
    let vectors = program.vectors(handlers);
    program.address_of(x(0), vectors);
    program.msr(sysreg::VBAR_EL1, x(0));
    program.set(sysreg::TTBR0_EL1, TABLES.0);
    // T0SZ and T1SZ 25, TG1 4 KiB, IPS 40 bits.
    program.set(sysreg::TCR_EL1, 25 | 25 << 16 | 2 << 30 | 2 << 32);
    program.set(sysreg::MAIR_EL1, 0x00ff);
    program.set(sysreg::SCTLR_EL1, 0x00c5_0078 | 1);
}

/// How often a page is looked at before it moves on.
const LOOKS: u32 = 40;

/// Each vCPU looks at its neighbour's page all the time, and moves a page of its own between two
/// places whenever it was looked at often enough. In x26 the round, in x25 the vCPU's number times
/// 8, in x27 and x28 the old place and the new one; x21 is where it is told how often its page was
/// looked at, x22 how often that was at the last move, x23 how often it looked itself.
fn shootdown(vcpus: u32, rounds: u64) -> Vec<u8> {
    image(vcpus, |program, fail| {
        translate(program);
        let [again, last, ready, end] = [(); 4].map(|()| program.label());
        asm!(program.assembler()
            ; lsl x25, x19, 3
            ; mov x26, 0
            ; mov x22, 0
            ; mov x23, 0
            ; mov x24, 0
            ; mov x0, vcpus as u64 - 1
            ; sub x1, x19, 1
            ; cmp x19, 0
            ; csel x1, x0, x1, eq
            ; add x21, x20, OWN
            ; add x21, x21, 1024
            ; add x21, x21, x1, lsl 6
        );
        move_page(program, fail);
        program.bind(again);
        look_at_neighbour(program, vcpus, fail);
        program.mov64(x(0), rounds);
        asm!(program.assembler()
            ; cmp x26, x0
            ; b.eq =>last
            ; ldr x0, [x21]
            ; sub x1, x0, x22
            ; cmp x1, LOOKS
            ; b.lo =>again
            ; mov x22, x0
        );
        move_page(program, fail);
        program.branch(again);
        // Who is ready looks on, for others wait for it.
        program.bind(last);
        program.branch_if_not_zero(x(24), ready);
        asm!(program.assembler(); mov x24, 1);
        add_atomically(program, 8);
        program.bind(ready);
        asm!(program.assembler(); ldr x0, [x20, 8]; cmp x0, vcpus; b.eq =>end);
        program.branch(again);
        program.bind(end);
    })
}

/// The page goes from x27 to x28, with the round in its first word; then the round is published.
fn move_page(program: &mut Program, fail: Label) {
    let not_whole = program.label();
    program.mov64(x(0), PAGES.0);
    asm!(program.assembler()
        ; add x26, x26, 1
        ; add x0, x0, x19, lsl 13
        ; and x1, x26, 1
        ; add x28, x0, x1, lsl 12
        ; eor x1, x1, 1
        ; add x27, x0, x1, lsl 12
    );
    // Nobody wrote to the new place since it was left: its second word is still 0.
    asm!(program.assembler(); ldr x0, [x28, 8]; cbnz x0, =>fail; str x26, [x28]);
    program.mov64(x(1), TABLES.0 + 0x2000);
    asm!(program.assembler(); add x1, x1, x25; str xzr, [x1]);
    program.word(DSB_ISH);
    program.mov64(x(0), WINDOW_VA >> 12);
    asm!(program.assembler(); add x0, x0, x19; tst x26, 7; b.ne =>not_whole);
    program.word(TLBI_VMALLE1IS);
    program.bind(not_whole);
    program.word(TLBI_VAAE1IS);
    program.word(DSB_ISH);
    // From here on nobody reaches the old place.
    asm!(program.assembler(); str xzr, [x27, 8]);
    program.mov64(x(0), PAGE);
    asm!(program.assembler(); orr x0, x0, x28; str x0, [x1]);
    program.word(DSB_ISH);
    asm!(program.assembler(); add x0, x20, OWN; add x0, x0, x25, lsl 3; stlr x26, [x0]);
}

/// What is seen through the neighbour's page is no older than what it published; and writes to it.
/// Counts in x23 and tells.
fn look_at_neighbour(program: &mut Program, vcpus: u32, fail: Label) {
    let (wrapped, nothing) = (program.label(), program.label());
    asm!(program.assembler()
        ; add x2, x19, 1
        ; cmp x2, vcpus
        ; b.ne =>wrapped
        ; mov x2, 0
    );
    program.bind(wrapped);
    program.mov64(x(3), WINDOW_VA);
    asm!(program.assembler()
        ; add x3, x3, x2, lsl 12
        ; add x0, x20, OWN
        ; add x0, x0, x2, lsl 6
        ; add x4, x20, OWN
        ; add x4, x4, 1024
        ; ldar x1, [x0]
        ; cbz x1, =>nothing
        ; ldr x2, [x3]
        ; cmp x2, x1
        ; b.lo =>fail
        ; str x26, [x3, 8]
        ; add x23, x23, 1
        ; str x23, [x4, x25, lsl 3]
    );
    program.bind(nothing);
}

#[test]
fn no_stale_translation_is_used_after_dsb() {
    // More vCPUs than the host has CPUs wait for each other's turns.
    for (vcpus, rounds) in [(2, 300), (4, 80), (8, 20)] {
        for time in [TimeSource::Host, TimeSource::Virtual] {
            let mut machine = machine(vcpus, &shootdown(vcpus, rounds), time);
            write_tables(&machine);
            let outcome = run(&mut machine);
            assert_eq!(outcome, Outcome::PoweredOff, "{vcpus} vCPUs, {time:?}: a stale page");
        }
    }
}

/// A function of two instructions that returns a number.
const FUNCTION: Gpa = Gpa(DATA.0 + 0x1_0000);
const MOVZ_X0: u32 = 0xd280_0000;
const RET: u32 = 0xd65f_03c0;

/// The first vCPU lets the function return the round, again and again; the others call it. In x26
/// where the round is published, and behind it how often each vCPU called.
fn patching(vcpus: u32, rounds: u64) -> Vec<u8> {
    image(vcpus, |program, fail| {
        let [others, call, end] = [(); 3].map(|()| program.label());
        program.mov64(x(25), FUNCTION.0);
        asm!(program.assembler(); add x26, x20, OWN; mov x24, 1);
        program.branch_if_not_zero(x(19), others);
        let again = program.label();
        program.bind(again);
        // Others called what there was before a few times; the second vCPU tells.
        asm!(program.assembler(); add x0, x26, 64; add x3, x24, x24, lsl 6);
        wait_until_at_least(program);
        program.mov64(x(1), MOVZ_X0.into());
        asm!(program.assembler(); orr x1, x1, x24, lsl 5; str w1, [x25]; mov x0, x25);
        program.word(DC_CVAU);
        program.word(DSB_ISH);
        program.word(IC_IVAU);
        program.word(DSB_ISH);
        asm!(program.assembler(); isb; stlr x24, [x26]; add x24, x24, 1);
        program.word(SEV);
        program.mov64(x(0), rounds);
        asm!(program.assembler(); cmp x24, x0; b.ls =>again);
        program.branch(end);
        program.bind(others);
        asm!(program.assembler(); mov x28, 0);
        program.bind(call);
        asm!(program.assembler()
            ; ldar x27, [x26]
            ; isb
            ; blr x25
            ; cmp x0, x27
            ; b.lo =>fail
            ; add x28, x28, 1
            ; add x1, x26, x19, lsl 6
            ; str x28, [x1]
        );
        program.mov64(x(1), rounds);
        asm!(program.assembler(); cmp x27, x1; b.lo =>call);
        program.bind(end);
    })
}

#[test]
fn no_stale_instruction_is_executed_after_dsb() {
    for (vcpus, rounds) in [(2, 400), (4, 150)] {
        for time in [TimeSource::Host, TimeSource::Virtual] {
            let mut machine = machine(vcpus, &patching(vcpus, rounds), time);
            let first = [MOVZ_X0, RET].map(u32::to_le_bytes);
            machine.ram().write(FUNCTION, first.as_flattened()).expect("inside RAM");
            let outcome = run(&mut machine);
            assert_eq!(outcome, Outcome::PoweredOff, "{vcpus} vCPUs, {time:?}: stale code");
        }
    }
}
