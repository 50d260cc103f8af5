//! The guest: programs at EL0 that work with the structure, and as much of a kernel as each way of
//! telling needs. Each vCPU has its own copy of both, with its own addresses.
//!
//! A program reads the structure, works with it for [`WORK`] rounds, calls its kernel and begins
//! anew. What it works with is the marker in x21, 0 while it has none. A kernel that is told of
//! another structure lets its program begin anew at once, as a restartable sequence does.

use super::Way;
use abide_arm64::kvm::{self, affinity};
use abide_machine::board::{
    GICD_BASE, GICR_BASE, GICR_STRIDE, RAM_BASE, SPI_BASE, VIRTIO_BASE, VIRTIO_INTID,
    VIRTIO_STRIDE, VMCLOCK_BASE, VMCLOCK_INTID,
};
use abide_reg::{Gpa, RegId};
use abide_testkit::guest::{Label, Program, Width, asm, sysreg, x};
use abide_testkit::virtio::{DriverQueue, Port, VERSION_1, bring_up};
use abide_vmclock::spec;
use std::ops::Range;

/// How many vCPUs.
pub const VCPUS: u32 = 4;
/// How often a program counts before it looks again.
pub const WORK: u64 = 200;
/// How many instructions one round of work takes.
pub const ROUND: u64 = 5;
/// The interrupt that each vCPU has of its own. Private ones follow their level here, as on KVM.
pub const PPI: u32 = 20;
/// Where a vCPU writes to lower its own.
pub const ACKNOWLEDGE: Gpa = Gpa(0x090c_0000);

/// Within a vCPU's block: the sequence count up to which it has come.
const COME: u32 = 0;
/// How many interrupts it took.
pub const TAKEN: u64 = 8;
/// How long its kernel works in each call, with interrupts masked: rounds of three instructions.
pub const BUSY: u64 = 16;
/// How often it has used the queue.
const LAST_USED: u32 = 24;
/// How many rounds of work it did with each marker, eight bytes each.
pub const COUNTS: u64 = 0x100;

const DMB_ISH: u32 = 0xd503_3bbf;
const DMB_ISHLD: u32 = 0xd503_39bf;

const fn own(base: u64, vcpu: u32, each: u64) -> Gpa {
    Gpa(RAM_BASE.0 + base + vcpu as u64 * each)
}

/// Where a vCPU's program is, and where it begins.
pub const fn entry(vcpu: u32) -> Gpa {
    own(0, vcpu, 0x1_0000)
}

/// What a vCPU tells of itself.
pub const fn block(vcpu: u32) -> Gpa {
    own(0x10_0000, vcpu, 0x1000)
}

/// A vCPU's queue of one buffer, the buffer, and its kernel's copy for the program.
fn queue(vcpu: u32) -> DriverQueue {
    DriverQueue::new(own(0x20_0000, vcpu, 0x1000), 1)
}
const fn buffer(vcpu: u32) -> Gpa {
    own(0x20_0400, vcpu, 0x1000)
}
const fn copy(vcpu: u32) -> Gpa {
    own(0x20_0800, vcpu, 0x1000)
}

/// Where a vCPU's virtio device has its registers.
const fn device(vcpu: u32) -> Gpa {
    Gpa(VIRTIO_BASE.0 + vcpu as u64 * VIRTIO_STRIDE)
}

/// Writes to a device, as instructions of a program.
struct Written<'a> {
    program: &'a mut Program,
    base: Gpa,
}

impl Port for Written<'_> {
    fn read(&mut self, _: u64, _: usize) -> u64 {
        0
    }

    fn write(&mut self, at: u64, size: usize, value: u64) {
        assert_eq!(size, 4, "registers have 32 bits");
        self.program.store(Gpa(self.base.0 + at), value, Width::Word);
    }
}

/// Where the vector is that an interrupt of a program goes to.
pub const fn vector(vcpu: u32) -> Gpa {
    Gpa(entry(vcpu).0 + 0x800 + 0x480)
}

/// All that `vcpu` executes, and where in it its kernel handles an interrupt, besides [`vector`].
pub fn program(way: Way, vcpu: u32) -> (Vec<u8>, Range<Gpa>) {
    let mut program = Program::new(entry(vcpu));
    let [user, call, interrupt] = [(); 3].map(|()| program.label());
    let mut handlers = [None; 16];
    // From a lower level in AArch64: synchronous, and IRQ [DDI0487 D1.4].
    (handlers[8], handlers[9]) = (Some(call), Some(interrupt));
    let vectors = program.vectors(handlers);
    boot(&mut program, way, vcpu, vectors, user);
    kernel_call(&mut program, vcpu, call);
    program.bind(interrupt);
    let from = program.here();
    program.mrs(x(0), sysreg::ICC_IAR1_EL1);
    program.mov64(x(9), block(vcpu).0);
    asm!(program.assembler(); ldr x1, [x9, 8]; add x1, x1, 1; str x1, [x9, 8]);
    match way {
        Way::Page | Way::One => {}
        Way::Each => program.store(ACKNOWLEDGE, 0, Width::Word),
        Way::All | Way::Closed => rendezvous(&mut program, vcpu),
        Way::Queues => take_copy(&mut program, vcpu),
    }
    program.msr(sysreg::ICC_EOIR1_EL1, x(0));
    program.address_of(x(1), user);
    program.msr(sysreg::ELR_EL1, x(1));
    asm!(program.assembler(); mov x21, xzr; eret);
    let to = program.here();
    let structure = if way == Way::Queues { copy(vcpu) } else { VMCLOCK_BASE };
    user_program(&mut program, vcpu, structure, user);
    (program.finish().expect("a program that assembles"), from..to)
}

fn boot(program: &mut Program, way: Way, vcpu: u32, vectors: Label, user: Label) {
    program.address_of(x(0), vectors);
    program.msr(sysreg::VBAR_EL1, x(0));
    interrupts(program, vcpu);
    if way == Way::Queues {
        let queue = queue(vcpu);
        // One descriptor for good: the buffer, which the device writes.
        program.store(queue.desc(), buffer(vcpu).0, Width::Double);
        let (len, for_device) = (spec::LEN as u64, 2);
        program.store(Gpa(queue.desc().0 + 8), len | for_device << 32, Width::Double);
        bring_up(
            &mut Written { program, base: device(vcpu) },
            VERSION_1,
            std::slice::from_ref(&queue),
        );
        offer(program, vcpu, 1);
    }
    program.set(sysreg::SPSR_EL1, 0);
    program.address_of(x(0), user);
    program.msr(sysreg::ELR_EL1, x(0));
    asm!(program.assembler(); mov x21, xzr; eret);
}

/// Every interrupt is of group 1, and goes where it is told of.
fn interrupts(program: &mut Program, vcpu: u32) {
    if vcpu == 0 {
        // Affinity routing, group 1 [IHI0069 12.9.4].
        program.store(GICD_BASE, 0x12, Width::Word);
        let routed = (0..VCPUS).map(|n| (VIRTIO_INTID + n, n)).chain([(VMCLOCK_INTID, 0)]);
        for (intid, to) in routed {
            let at = |base: u64| Gpa(GICD_BASE.0 + base + u64::from(intid / 32) * 4);
            program.store(at(0x80), u64::from(u32::MAX), Width::Word);
            program.store(at(0x100), 1 << (intid % 32), Width::Word);
            let router = Gpa(GICD_BASE.0 + 0x6000 + 8 * u64::from(intid));
            program.store(router, affinity(to), Width::Double);
        }
        let edge = 2 << (2 * (VMCLOCK_INTID % 16));
        let at = GICD_BASE.0 + 0xc00 + u64::from(VMCLOCK_INTID / 16) * 4;
        program.store(Gpa(at), edge, Width::Word);
        const { assert!(VMCLOCK_INTID >= SPI_BASE) };
    }
    let private = GICR_BASE.0 + u64::from(vcpu) * GICR_STRIDE + 0x1_0000;
    program.store(Gpa(private + 0x80), u64::from(u32::MAX), Width::Word);
    program.store(Gpa(private + 0x100), 1 << PPI, Width::Word);
    program.set(sysreg::ICC_PMR_EL1, 0xff);
    program.set(sysreg::ICC_IGRPEN1_EL1, 1);
}

/// What a program's call of its kernel does.
fn kernel_call(program: &mut Program, vcpu: u32, call: Label) {
    let (again, done) = (program.label(), program.label());
    program.bind(call);
    program.mov64(x(9), block(vcpu).0);
    asm!(program.assembler(); ldr x1, [x9, 16]);
    program.bind(again);
    program.branch_if_zero(x(1), done);
    asm!(program.assembler(); sub x1, x1, 1);
    program.branch(again);
    program.bind(done);
    asm!(program.assembler(); eret);
}

/// Waits until every vCPU has come as far: none goes back to its program before. Goes by what the
/// page says, not by how many interrupts came, as two of them may be one. x9 is the own block.
fn rendezvous(program: &mut Program, vcpu: u32) {
    let look = program.label();
    // First: what comes from here on is another interrupt.
    program.store(ACKNOWLEDGE, 0, Width::Word);
    program.mov64(x(10), VMCLOCK_BASE.0 + spec::OFFSET_SEQ_COUNT as u64);
    program.bind(look);
    asm!(program.assembler(); ldr w1, [x10]; tbnz w1, 0, =>look; str x1, [x9, COME]);
    program.word(DMB_ISH);
    for other in (0..VCPUS).filter(|&other| other != vcpu) {
        let wait = program.label();
        program.mov64(x(11), block(other).0 + u64::from(COME));
        program.bind(wait);
        asm!(program.assembler(); ldr x2, [x11]; cmp x2, x1; b.lo =>wait);
    }
    asm!(program.assembler(); ldr w2, [x10]; cmp w2, w1; b.ne =>look);
}

/// Takes what came by the queue, and offers the buffer again. x9 is the own block.
fn take_copy(program: &mut Program, vcpu: u32) {
    let nothing = program.label();
    program.load(x(1), Gpa(device(vcpu).0 + 0x60), Width::Word);
    program.store_register(Gpa(device(vcpu).0 + 0x64), x(1), Width::Word);
    program.load(x(2), Gpa(queue(vcpu).used().0 + 2), Width::Half);
    asm!(program.assembler(); ldr x3, [x9, LAST_USED]; cmp x2, x3; b.eq =>nothing);
    asm!(program.assembler(); str x2, [x9, LAST_USED]);
    program.word(DMB_ISHLD);
    program.mov64(x(10), buffer(vcpu).0);
    program.mov64(x(11), copy(vcpu).0);
    for at in (0..offset(spec::LEN)).step_by(8) {
        asm!(program.assembler(); ldr x3, [x10, at]; str x3, [x11, at]);
    }
    // The available index is one ahead of the used one.
    asm!(program.assembler(); add w2, w2, 1);
    program.word(DMB_ISH);
    program.store_register(Gpa(queue(vcpu).avail().0 + 2), x(2), Width::Half);
    program.store(Gpa(device(vcpu).0 + 0x50), 0, Width::Word);
    program.bind(nothing);
}

/// Offers the buffer for the first time.
fn offer(program: &mut Program, vcpu: u32, index: u64) {
    program.store(Gpa(queue(vcpu).avail().0 + 2), index, Width::Half);
    program.store(Gpa(device(vcpu).0 + 0x50), 0, Width::Word);
}

/// An offset within the structure, as instructions take it.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the structure is small")
}

/// The program at EL0.
fn user_program(program: &mut Program, vcpu: u32, structure: Gpa, user: Label) {
    let work = program.label();
    let seq = offset(spec::OFFSET_SEQ_COUNT);
    let marker = offset(spec::OFFSET_DISRUPTION_MARKER);
    program.bind(user);
    program.mov64(x(19), block(vcpu).0 + COUNTS);
    program.mov64(x(20), structure.0);
    asm!(program.assembler(); ldr w23, [x20, seq]; tbnz w23, 0, =>user);
    program.word(DMB_ISHLD);
    asm!(program.assembler(); ldr x24, [x20, marker]);
    program.word(DMB_ISHLD);
    asm!(program.assembler()
        ; ldr w26, [x20, seq]
        ; cmp w26, w23
        ; b.ne =>user
        ; add x25, x19, x24, lsl 3
    );
    program.mov64(x(22), WORK);
    asm!(program.assembler(); mov x21, x24);
    program.bind(work);
    asm!(program.assembler()
        ; ldr x24, [x25]
        ; add x24, x24, 1
        ; str x24, [x25]
        ; sub x22, x22, 1
        ; cbnz x22, =>work
        ; mov x21, xzr
        ; svc 0
    );
    program.branch(user);
}

/// The register with the marker that the program works with.
pub fn marker_in_use() -> RegId {
    kvm::x(21)
}
