//! The host: a board with an interrupt controller and a device for each vCPU, and who counts what
//! the vCPUs execute, a few instructions at a time.

use super::feed::{Feed, Fresh};
use super::guest::{self, ACKNOWLEDGE, COUNTS, PPI, ROUND, TAKEN, VCPUS, marker_in_use};
use super::{Scene, Way};
use abide_arm64::SysReg;
use abide_arm64::features::CpuFeatures;
use abide_arm64::kvm::{self, affinity};
use abide_engine::{
    AfterCall, Bus, Clock, Engine, InterruptLines, Irqchip, SMCCC_REGISTERS, Vcpu, Vm, VmConfig,
};
use abide_engine_soft::SoftEngine;
use abide_gic::{Affinity, GicConfig, GicV3, IntId};
use abide_machine::board::{
    GIC_INTIDS, GICD_BASE, GICD_LEN, GICR_BASE, GICR_STRIDE, RAM_BASE, VIRTIO_BASE, VIRTIO_INTID,
    VIRTIO_STRIDE, VMCLOCK_BASE, VMCLOCK_INTID,
};
use abide_machine::irqchip::SoftIrqchip;
use abide_memory::{AbiPages, GuestRam, Order, PageAccess, RamOffset};
use abide_reg::{Gpa, RegId, VcpuId};
use abide_virtio::Mmio;
use abide_vmclock::seqlock::{AtomicPage, Cells};
use abide_vmclock::{Constants, Intent, Vmclock, spec, to_bytes};
use std::ops::Range;
use std::sync::atomic::{self, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many instructions each vCPU executes before it is the next one's turn, at least.
const TURN: u64 = 100;
/// How often the guest is told.
const UPDATES: u64 = 16;
/// An update that takes longer never comes to its end.
const TURNS_MAX: u64 = 100_000;
/// Rounds of a busy vCPU's kernel, of three instructions each.
const BUSY_ROUNDS: u64 = 2_000;

/// What the vCPUs executed.
#[derive(Default)]
struct Executed(AtomicU64);

impl Clock for Executed {
    fn now_ticks(&self) -> u64 {
        0
    }

    fn retire(&self, instructions: u64) {
        self.0.fetch_add(instructions, Ordering::Relaxed);
    }

    fn instructions_until(&self, _: u64) -> Option<u64> {
        None
    }
}

type Device = (Mmio<Feed>, Fresh);

/// What is outside the vCPUs.
struct Board {
    chip: SoftIrqchip,
    devices: Vec<Mutex<Device>>,
    ram: Arc<GuestRam>,
}

impl Board {
    /// The device at `gpa`, and the register within.
    fn device(&self, gpa: Gpa) -> Option<(usize, u64)> {
        let offset = gpa.offset_from(VIRTIO_BASE)?;
        let number = usize::try_from(offset / VIRTIO_STRIDE).ok()?;
        (number < self.devices.len()).then_some((number, offset % VIRTIO_STRIDE))
    }

    fn with_device<T>(&self, number: usize, access: impl FnOnce(&mut Device) -> T) -> T {
        let mut device = self.devices[number].lock().unwrap_or_else(PoisonError::into_inner);
        let result = access(&mut device);
        let intid = VIRTIO_INTID + u32::try_from(number).expect("four of them");
        self.chip.set_line(intid, device.0.irq_level()).expect("the board has this line");
        result
    }
}

fn redistributor(gpa: Gpa) -> Option<(VcpuId, u64)> {
    let offset = gpa.offset_from(GICR_BASE)?;
    let vcpu = u32::try_from(offset / GICR_STRIDE).ok().filter(|&vcpu| vcpu < VCPUS)?;
    Some((VcpuId(vcpu), offset % GICR_STRIDE))
}

fn distributor(gpa: Gpa) -> Option<u64> {
    gpa.offset_from(GICD_BASE).filter(|&offset| offset < GICD_LEN)
}

impl Bus for Board {
    fn mmio_read(&self, _: VcpuId, gpa: Gpa, size: usize) -> Option<u64> {
        if let Some((number, at)) = self.device(gpa) {
            return Some(self.with_device(number, |(device, _)| device.read(at, size)));
        }
        if let Some(at) = distributor(gpa) {
            return Some(self.chip.with(|gic| gic.dist_read(at, size)));
        }
        let (vcpu, at) = redistributor(gpa)?;
        Some(self.chip.with(|gic| gic.redist_read(vcpu, at, size)))
    }

    fn mmio_write(&self, caller: VcpuId, gpa: Gpa, size: usize, value: u64) -> Option<()> {
        if let Some((number, at)) = self.device(gpa) {
            self.with_device(number, |(device, fresh)| {
                device.write(at, size, value, &self.ram, fresh);
            });
        } else if let Some(at) = distributor(gpa) {
            self.chip.with(|gic| gic.dist_write(at, size, value));
        } else if gpa == ACKNOWLEDGE {
            self.chip.with(|gic| gic.set_ppi(caller, IntId(PPI), false));
        } else {
            let (vcpu, at) = redistributor(gpa)?;
            self.chip.with(|gic| gic.redist_write(vcpu, at, size, value));
        }
        Some(())
    }

    fn sysreg_read(&self, vcpu: VcpuId, reg: SysReg) -> Option<u64> {
        self.chip.with(|gic| gic.sysreg_read(vcpu, reg.0))
    }

    fn sysreg_write(&self, vcpu: VcpuId, reg: SysReg, value: u64) -> Option<()> {
        self.chip.with(|gic| gic.sysreg_write(vcpu, reg.0, value)).then_some(())
    }

    fn smccc(&self, vcpu: VcpuId, _: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        panic!("{vcpu}: the guest failed: it took an exception that it has no handler for");
    }

    fn set_ppi(&self, _: VcpuId, _: u32, _: bool) {}
}

/// The one page, and how many bytes were written there.
struct Page<'a> {
    host: &'a GuestRam,
    written: &'a AtomicU64,
}

impl Page<'_> {
    fn place(index: usize) -> RamOffset {
        RamOffset((spec::BODY + 8 * index) as u64)
    }
}

impl Cells for Page<'_> {
    fn seq(&self) -> u32 {
        u32::from_le(self.host.load(RamOffset(spec::OFFSET_SEQ_COUNT as u64), Order::Relaxed))
    }

    fn set_seq(&self, seq: u32) {
        self.written.fetch_add(4, Ordering::Relaxed);
        let at = RamOffset(spec::OFFSET_SEQ_COUNT as u64);
        self.host.store(at, seq.to_le(), Order::Relaxed);
    }

    fn word(&self, index: usize) -> u64 {
        u64::from_le(self.host.load(Self::place(index), Order::Relaxed))
    }

    fn set_word(&self, index: usize, word: u64) {
        self.written.fetch_add(8, Ordering::Relaxed);
        self.host.store(Self::place(index), word.to_le(), Order::Relaxed);
    }

    fn fence(&self, order: Ordering) {
        atomic::fence(order);
    }
}

/// One thing that the host does; vCPUs may execute between two of them.
#[derive(Clone, Copy)]
enum Step {
    /// Warns who reads: the page is being written.
    Close,
    /// Writes the page.
    Write,
    /// Raises the interrupt of the page, which goes to one vCPU.
    Interrupt,
    /// Raises a vCPU's own.
    InterruptOf(u32),
    /// Fills a vCPU's buffer, if there is one, and raises its device's interrupt.
    Feed(u32),
}

fn steps(way: Way) -> Vec<Step> {
    let all = || (0..VCPUS).map(Step::InterruptOf);
    match way {
        Way::Page => vec![Step::Write],
        Way::One => vec![Step::Write, Step::Interrupt],
        Way::Each | Way::All => [Step::Write].into_iter().chain(all()).collect(),
        Way::Closed => [Step::Close].into_iter().chain(all()).chain([Step::Write]).collect(),
        Way::Queues => (0..VCPUS).map(Step::Feed).collect(),
    }
}

/// What was counted, over all updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions that programs executed with the old structure after the host had begun.
    pub old: u64,
    /// Those of them executed after another vCPU's program had worked with the new one.
    pub beside: u64,
    /// Interrupts taken.
    pub interrupts: u64,
    /// Bytes that the host wrote for the guest.
    pub written: u64,
    /// Instructions of kernels, from an interrupt until their programs went on.
    pub telling: u64,
    /// Instructions that each vCPU had the time for until all programs worked with the new one.
    pub time: u64,
}

impl Counts {
    /// Of one update, rounded.
    pub fn of_one(count: u64) -> u64 {
        (count + UPDATES / 2) / UPDATES
    }

    /// How many updates a second, of which every program sees each, were a second as long as
    /// 10⁹ instructions.
    pub fn updates_per_second(&self) -> u64 {
        1_000_000_000 * UPDATES / self.time
    }
}

/// One vCPU, and what is known of it.
struct Seat {
    vcpu: Box<dyn Vcpu>,
    lines: Arc<InterruptLines>,
    /// Where its kernel handles interrupts.
    handler: Range<Gpa>,
    vector: Gpa,
    /// Its program has worked with the structure that there is.
    has_seen: bool,
}

impl Seat {
    fn number(&self, id: RegId) -> u64 {
        self.vcpu.load(id).expect("every vCPU has it").to_u64().expect("a number")
    }

    /// Whether it executes at EL0 `[DDI0487 C5.2]`.
    fn is_in_program(&self) -> bool {
        self.number(kvm::PSTATE) & 0xf == 0
    }
}

/// A guest that is told in one way, and its host.
struct Trial {
    way: Way,
    scene: Scene,
    board: Board,
    executed: Arc<Executed>,
    /// Keeps the vCPUs company.
    _vm: Box<dyn Vm>,
    seats: Vec<Seat>,
    page: Arc<AbiPages>,
    written: AtomicU64,
    clock: Vmclock,
    /// Where the sequence count goes that no page holds.
    elsewhere: AtomicPage,
    counts: Counts,
}

/// Tells a guest so often, and counts.
pub fn measure(way: Way, scene: Scene) -> Counts {
    let mut trial = Trial::new(way, scene);
    trial.boot();
    for number in 0..UPDATES {
        // So that the programs are somewhere else in their work each time.
        for _ in 0..5 + 3 * number {
            trial.turn(false);
        }
        trial.update();
    }
    trial.counts
}

impl Trial {
    fn new(way: Way, scene: Scene) -> Self {
        let page = Arc::new(AbiPages::new(VMCLOCK_BASE, PageAccess::ReadOnly).expect("memory"));
        let ram = GuestRam::new(RAM_BASE, 4 << 20).expect("memory");
        let ram = Arc::new(ram.with_pages(vec![Arc::clone(&page)]).expect("outside RAM"));
        let executed = Arc::new(Executed::default());
        let mut vm = SoftEngine::new()
            .create_vm(VmConfig {
                vcpu_count: VCPUS,
                cntfrq_hz: 62_500_000,
                ram: Arc::clone(&ram),
                clock: Arc::clone(&executed) as Arc<dyn Clock>,
                gicd: GICD_BASE,
                gicr: GICR_BASE,
                gic_intids: GIC_INTIDS,
                features: CpuFeatures::NONE,
            })
            .expect("a VM");
        let seats: Vec<Seat> = (0..VCPUS).map(|n| seat(&mut *vm, &ram, way, n)).collect();
        let cpus = (0..VCPUS).map(|n| Affinity::from_mpidr(affinity(n)));
        let gic = GicV3::new(GicConfig::new(cpus, GIC_INTIDS)).expect("a controller");
        let lines = seats.iter().map(|seat| Arc::clone(&seat.lines)).collect();
        let constants = Constants {
            size_bytes: 4096,
            counter_id: spec::COUNTER_ARM_VCNT,
            time_type: spec::TIME_TAI,
            notifies: way != Way::Page,
        };
        let mut clock = Vmclock::new(constants, 0);
        let written = AtomicU64::new(0);
        clock.write(&Page { host: page.host(), written: &written });
        let bytes = to_bytes(&constants, clock.seq_count(), &clock.body());
        let device = || (Mmio::new(Feed::default()), Fresh { bytes, is_due: true, written: 0 });
        let devices = (0..VCPUS).map(|_| Mutex::new(device())).collect();
        Self {
            way,
            scene,
            board: Board { chip: SoftIrqchip::new(gic, lines), devices, ram },
            executed,
            _vm: vm,
            seats,
            page,
            written,
            clock,
            elsewhere: AtomicPage::default(),
            counts: Counts::default(),
        }
    }

    fn marker(&self) -> u64 {
        self.clock.body().disruption_marker
    }

    /// Until every program works with the first structure. The first vCPU sets the distributor up.
    fn boot(&mut self) {
        while !self.seats[0].is_in_program() {
            self.execute(0, false);
        }
        self.until_all_have_seen(false);
        if self.scene == Scene::Busy {
            let last = guest::block(VCPUS - 1).0 + guest::BUSY;
            self.board.ram.write(Gpa(last), &BUSY_ROUNDS.to_le_bytes()).expect("in RAM");
        }
    }

    fn until_all_have_seen(&mut self, is_update: bool) {
        let mut turns = 0;
        while !self.seats.iter().all(|seat| seat.has_seen) {
            self.turn(is_update);
            turns += 1;
            assert!(turns < TURNS_MAX, "{:?}, {:?}: it takes for ever", self.way, self.scene);
        }
    }

    /// Each vCPU in turn.
    fn turn(&mut self, is_update: bool) {
        for number in 0..self.seats.len() {
            let mut executed = 0;
            while executed < TURN {
                executed += self.execute(number, is_update);
            }
        }
        if is_update {
            self.counts.time += TURN;
        }
    }

    /// Up to the next branch that a vCPU takes; returns how many instructions that were.
    fn execute(&mut self, number: usize, is_update: bool) -> u64 {
        let current = self.marker();
        let another_has = self.seats.iter().enumerate().any(|(n, it)| n != number && it.has_seen);
        let seat = &mut self.seats[number];
        let is_interrupted = seat.is_in_program() && seat.lines.irq();
        let is_program = seat.is_in_program() && !is_interrupted;
        let pc = Gpa(seat.number(kvm::PC));
        let is_told = is_interrupted || pc == seat.vector || seat.handler.contains(&pc);
        let before = (self.executed.0.load(Ordering::Relaxed), seat.number(marker_in_use()));
        seat.vcpu.run(1, &self.board).expect("it runs");
        let executed = self.executed.0.load(Ordering::Relaxed) - before.0;
        assert!(executed > 0, "a vCPU stands still");
        if !is_program {
            if is_update && is_told {
                self.counts.telling += executed;
            }
            return executed;
        }
        let after = seat.number(marker_in_use());
        let works_with = |marker| before.1 == marker || after == marker;
        seat.has_seen |= works_with(current);
        // Markers count on; 0 is none.
        let is_old = (1..current).any(works_with);
        if is_update && is_old {
            self.counts.old += executed;
            self.counts.beside += if another_has { executed } else { 0 };
        }
        executed
    }

    /// Tells the guest, and goes on until all programs work with the new structure.
    fn update(&mut self) {
        let before = (self.interrupts(), self.written(), self.counts.old);
        let old_marker = self.marker();
        let rounds_before = self.rounds(old_marker);
        self.clock.arrive(Intent::Move);
        if self.way == Way::Queues {
            self.clock.write(&self.elsewhere);
        }
        self.seats.iter_mut().for_each(|seat| seat.has_seen = false);
        for step in steps(self.way) {
            self.take(step);
            if self.scene == Scene::Halting {
                self.turn(true);
            }
        }
        self.until_all_have_seen(true);
        if self.way == Way::Queues {
            self.all_was_taken();
        }
        self.counts.interrupts += self.interrupts() - before.0;
        self.counts.written += self.written() - before.1;
        // The guest has counted too: each round of work that its programs did with the old one.
        let rounds = ROUND * (self.rounds(old_marker) - rounds_before);
        let old = self.counts.old - before.2;
        let may_be_more = rounds / 10 + 32 * u64::from(VCPUS);
        assert!((rounds..=rounds + may_be_more).contains(&old), "{old} here, {rounds} there");
    }

    fn take(&mut self, step: Step) {
        let page = Page { host: self.page.host(), written: &self.written };
        match step {
            Step::Close => page.set_seq(self.clock.seq_count() | 1),
            Step::Write => self.clock.write(&page),
            // Taken by its edge.
            Step::Interrupt => self.board.chip.with(|gic| {
                gic.set_spi(IntId(VMCLOCK_INTID), true);
                gic.set_spi(IntId(VMCLOCK_INTID), false);
            }),
            // Until the vCPU lowers it.
            Step::InterruptOf(vcpu) => {
                self.board.chip.with(|gic| gic.set_ppi(VcpuId(vcpu), IntId(PPI), true));
            }
            Step::Feed(vcpu) => {
                let clock = &self.clock;
                let bytes = to_bytes(clock.constants(), clock.seq_count(), &clock.body());
                self.board.with_device(vcpu as usize, |(device, fresh)| {
                    (fresh.bytes, fresh.is_due) = (bytes, true);
                    device.poll(&self.board.ram, fresh);
                });
            }
        }
    }

    /// What the guest's vCPUs tell of themselves, at this place of their blocks, added up.
    fn told(&self, at: u64) -> u64 {
        let of_vcpu = |vcpu| {
            let mut bytes = [0; 8];
            self.board.ram.read(Gpa(guest::block(vcpu).0 + at), &mut bytes).expect("in RAM");
            u64::from_le_bytes(bytes)
        };
        (0..VCPUS).map(of_vcpu).sum()
    }

    fn interrupts(&self) -> u64 {
        self.told(TAKEN)
    }

    fn rounds(&self, marker: u64) -> u64 {
        self.told(COUNTS + 8 * marker)
    }

    /// Each device knows that its driver took what there is: the first structure, and each since.
    fn all_was_taken(&self) {
        for number in 0..self.board.devices.len() {
            let counted = |(device, _): &mut Device| (device.device().sent, device.device().taken);
            let (sent, taken) = self.board.with_device(number, counted);
            assert_eq!((sent, taken), (self.marker(), self.marker()), "device {number}");
        }
    }

    fn written(&self) -> u64 {
        let devices = 0..self.board.devices.len();
        let of_queues = devices.map(|n| self.board.with_device(n, |(_, fresh)| fresh.written));
        of_queues.sum::<u64>() + self.written.load(Ordering::Relaxed)
    }
}

fn seat(vm: &mut dyn Vm, ram: &GuestRam, way: Way, number: u32) -> Seat {
    let entry = guest::entry(number);
    let (program, handler) = guest::program(way, number);
    ram.write(entry, &program).expect("in RAM");
    let lines = Arc::new(InterruptLines::default());
    let mut vcpu = vm.create_vcpu(VcpuId(number), Arc::clone(&lines)).expect("a vCPU");
    vcpu.power_on(entry, 0).expect("it was off");
    Seat { vcpu, lines, handler, vector: guest::vector(number), has_seen: false }
}
