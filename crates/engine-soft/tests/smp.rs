//! What vCPUs ask of each other, and what a harvest of the dirty log asks of all.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its guest has failed")]

use abide_arm64::kvm;
use abide_engine::{AfterCall, Engine, InterruptLines, Stop, Vcpu, Vm, VmConfig};
use abide_engine_soft::SoftEngine;
use abide_memory::{GuestRam, PAGE_SIZE};
use abide_reg::{Gpa, Value, VcpuId};
use abide_testkit::guest::{Program, asm, x};
use abide_testkit::outside::{NoDevices, Still};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const RAM: Gpa = Gpa(0x4000_0000);
const DATA: Gpa = Gpa(RAM.0 + (1 << 20));
/// HVC stops the machine; there is nothing else.
const HVC_STOPS: NoDevices = NoDevices(AfterCall::Leave);
const SEV: u32 = 0xd503_209f;
const WFE: u32 = 0xd503_205f;
const YIELD: u32 = 0xd503_203f;

struct Board {
    ram: Arc<GuestRam>,
    vm: Box<dyn Vm>,
    vcpus: Vec<Box<dyn Vcpu>>,
    lines: Vec<Arc<InterruptLines>>,
}

/// vCPUs that begin at the program, each with its number in x0.
fn board(vcpu_count: u32, program: Program) -> Board {
    let ram = Arc::new(GuestRam::new(RAM, 32 << 20).unwrap());
    ram.write(RAM, &program.finish().unwrap()).unwrap();
    let config = VmConfig {
        vcpu_count,
        cntfrq_hz: 1_000_000,
        ram: Arc::clone(&ram),
        clock: Arc::new(Still),
        gicd: Gpa(0),
        gicr: Gpa(0),
        gic_intids: 64,
        features: abide_arm64::features::CpuFeatures::NONE,
    };
    let mut vm = SoftEngine::new().create_vm(config).unwrap();
    let (mut vcpus, mut lines) = (Vec::new(), Vec::new());
    for number in 0..vcpu_count {
        let line = Arc::new(InterruptLines::default());
        let mut vcpu = vm.create_vcpu(VcpuId(number), Arc::clone(&line)).unwrap();
        vcpu.power_on(RAM, number.into()).unwrap();
        lines.push(line);
        vcpus.push(vcpu);
    }
    Board { ram, vm, vcpus, lines }
}

/// Two vCPUs: the first says SEV and stops, the other does what is `waiting` before it stops.
fn first_wakes_the_other(waiting: impl FnOnce(&mut Program)) -> Board {
    let mut program = Program::new(RAM);
    let (first, end) = (program.label(), program.label());
    program.branch_if_zero(x(0), first);
    waiting(&mut program);
    program.branch(end);
    program.bind(first);
    program.word(SEV);
    program.bind(end);
    asm!(program.assembler(); hvc 0);
    board(2, program)
}

#[test]
fn sev_ends_the_wait_of_a_thread_that_is_parked() {
    let mut board = first_wakes_the_other(|program| {
        // The event stream is on, and its next event never comes.
        program.set(abide_testkit::guest::sysreg::CNTKCTL_EL1, 1 << 2 | 15 << 4);
        program.word(WFE);
    });
    assert_eq!(board.vcpus[1].run(1000, &HVC_STOPS).unwrap(), Stop::Idle);
    assert!(matches!(board.vcpus[0].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
    // Not woken, this test would not end.
    board.lines[1].parking().wait(None);
    assert!(matches!(board.vcpus[1].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
}

/// Without an event stream nothing but an event ends the wait of a WFE for sure. It may return
/// before, and does so at first, for the sake of guests that wait for a moment only.
#[test]
fn wfe_without_an_event_stream_leaves_the_cpu_of_the_host() {
    let mut board = first_wakes_the_other(|program| {
        for _ in 0..14 {
            asm!(program.assembler(); add x1, x1, 1);
            program.word(WFE);
        }
    });
    let come = |board: &Board| board.vcpus[1].load(kvm::x(1)).unwrap().to_u64();
    for _ in 0..3 {
        assert_eq!(board.vcpus[1].run(1000, &HVC_STOPS).unwrap(), Stop::Idle);
        assert_eq!(come(&board), Some(9), "it returned eight times, and waits");
        assert!(board.vcpus[1].deadline_ticks().is_some(), "not for ever");
    }
    assert!(matches!(board.vcpus[0].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
    // Not woken, this test would not end.
    board.lines[1].parking().wait(None);
    assert!(matches!(board.vcpus[1].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
    assert_eq!(come(&board), Some(14));
}

#[test]
fn yield_is_of_no_effect_on_the_guest() {
    let mut program = Program::new(RAM);
    for _ in 0..100 {
        asm!(program.assembler(); add x1, x1, 1);
        program.word(YIELD);
    }
    asm!(program.assembler(); hvc 0);
    let mut board = board(1, program);
    let before: Vec<_> = board.vcpus[0].reg_ids();
    let values =
        |vcpu: &dyn Vcpu| before.iter().map(|&id| vcpu.load(id).unwrap()).collect::<Vec<_>>();
    let mut expected = values(&*board.vcpus[0]);
    assert!(matches!(board.vcpus[0].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
    for (id, value) in [(kvm::x(1), 100), (kvm::PC, RAM.0 + 4 * 201)] {
        expected[before.iter().position(|&it| it == id).unwrap()] = Value::u64(value);
    }
    assert_eq!(values(&*board.vcpus[0]), expected);
}

/// Pages that each vCPU writes, one after the other.
const PAGES: u64 = 1000;

/// Each vCPU writes its pages in order, each one many times, and never comes back.
fn sweeping() -> Program {
    let mut program = Program::new(RAM);
    let (next, again) = (program.label(), program.label());
    program.mov64(x(1), DATA.0);
    program.mov64(x(2), PAGES * PAGE_SIZE);
    asm!(program.assembler(); madd x1, x0, x2, x1; add x2, x1, x2);
    program.bind(next);
    asm!(program.assembler(); mov x3, 700);
    program.bind(again);
    asm!(program.assembler()
        ; str x3, [x1, 8]
        ; sub x3, x3, 1
        ; cbnz x3, =>again
        ; add x1, x1, 1, lsl 12
        ; cmp x1, x2
        ; b.lo =>next
        ; hvc 0
    );
    program
}

#[test]
fn no_write_is_lost_between_a_harvest_and_the_copy() {
    for round in 0..4 {
        let Board { ram, vm, vcpus, .. } = board(3, sweeping());
        ram.dirty().start();
        vm.settle_dirty_log();
        let running = AtomicUsize::new(vcpus.len());
        let copy = GuestRam::new(RAM, ram.size()).unwrap();
        let mut page = vec![0; usize::try_from(PAGE_SIZE).unwrap()];
        let mut take = |pages: abide_memory::PageSet| {
            for number in pages.iter() {
                let gpa = Gpa(RAM.0 + number * PAGE_SIZE);
                ram.read(gpa, &mut page).unwrap();
                copy.write(gpa, &page).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for mut vcpu in vcpus {
                let running = &running;
                scope.spawn(move || {
                    while vcpu.run(50_000, &HVC_STOPS).unwrap() == Stop::Budget {}
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
            while running.load(Ordering::SeqCst) > 0 {
                let harvested = ram.dirty().harvest();
                vm.settle_dirty_log();
                take(harvested);
            }
        });
        take(ram.dirty().harvest());
        let number = |from: &GuestRam, at: u64| {
            let mut bytes = [0; 8];
            from.read(Gpa(DATA.0 + at), &mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        };
        for at in (0..3 * PAGES * PAGE_SIZE).step_by(8) {
            let (there, copied) = (number(&ram, at), number(&copy, at));
            assert_eq!(there, copied, "round {round}, at {at:#x}");
        }
    }
}

#[test]
fn dsb_waits_for_nobody_who_executes_nothing() {
    // TLBI VMALLE1IS and DSB ISH, on each in turn, while the others stand still.
    let mut program = Program::new(RAM);
    program.word(0xd508_831f);
    program.word(0xd503_3b9f);
    asm!(program.assembler(); hvc 0);
    let mut board = board(3, program);
    for at in 0..3 {
        let other = (at + 1) % 3;
        board.vcpus[other].store(kvm::x(5), &Value::u64(7)).unwrap();
        assert!(matches!(board.vcpus[at].run(1000, &HVC_STOPS).unwrap(), Stop::System(_)));
    }
}
