//! Exclusives of two vCPUs on the same few bytes, compared with what the manual promises.

use super::{Echo, RAM_BASE, one_vm};
use crate::cpu_model::N1_LIKE;
use abide_arm64::kvm;
use abide_engine::Vcpu;
use abide_memory::GuestRam;
use abide_reg::{Gpa, Value, VcpuId};
use std::sync::Arc;

/// What is fought for: 64 bytes.
const WINDOW: u64 = RAM_BASE + 0x1000;
const WINDOW_LEN: usize = 64;
/// More steps tell nothing new.
const STEPS_MAX: usize = 200;
/// x1 holds the address, x2 and x3 what is stored, x4 and x5 what is loaded, w6 the status.
const ADDRESS: u32 = 1 << 5;
const STATUS: u32 = 6 << 16;
const BRANCH_TO_SELF: u32 = 0x1400_0000;
const CLREX: u32 = 0xd503_3f5f;

/// What one vCPU does.
#[derive(Clone, Copy, Debug)]
enum Access {
    Load,
    Store,
    LoadExclusive,
    StoreExclusive,
    /// LDADD, which needs no monitor.
    Add,
    Clear,
}

/// One instruction of one vCPU.
#[derive(Clone, Copy, Debug)]
struct Step {
    vcpu: usize,
    access: Access,
    is_pair: bool,
    /// With acquire or release.
    is_ordered: bool,
    /// Of one register, in bytes, as a power of two.
    size_log2: u32,
    /// Where in the window, in bytes.
    at: usize,
    value: u64,
}

impl Step {
    fn from_bytes(bytes: [u8; 3]) -> Self {
        let [what, place, value] = bytes;
        let access = match (what >> 1) % 8 {
            0 | 1 => Access::LoadExclusive,
            2 | 3 => Access::StoreExclusive,
            4 => Access::Store,
            5 => Access::Load,
            6 => Access::Add,
            _ => Access::Clear,
        };
        let is_exclusive = matches!(access, Access::LoadExclusive | Access::StoreExclusive);
        let is_pair = is_exclusive && what >> 4 & 3 == 0;
        let size_log2 = u32::from(place & 3) | if is_pair { 2 } else { 0 };
        let len = 1usize << (size_log2 + u32::from(is_pair));
        Self {
            vcpu: usize::from(what & 1),
            access,
            is_pair,
            is_ordered: what >> 6 & 1 == 1,
            size_log2,
            // Few places, so that the two meet.
            at: (usize::from(place >> 2) % 24) & !(len - 1),
            value: u64::from(value).wrapping_mul(0x0101_0101_0101_0101),
        }
    }

    /// How many bytes are reached.
    fn len(self) -> usize {
        1 << (self.size_log2 + u32::from(self.is_pair))
    }

    /// The instruction `[DDI0487 C4.1]`.
    fn word(self) -> u32 {
        let size = self.size_log2 << 30;
        let ordered = u32::from(self.is_ordered) << 15;
        match (self.access, self.is_pair) {
            (Access::Load, _) => size | 0x3940_0000 | ADDRESS | 4,
            (Access::Store, _) => size | 0x3900_0000 | ADDRESS | 2,
            (Access::LoadExclusive, false) => size | ordered | 0x085f_7c00 | ADDRESS | 4,
            (Access::LoadExclusive, true) => size | ordered | 0x887f_0000 | 5 << 10 | ADDRESS | 4,
            (Access::StoreExclusive, false) => size | ordered | 0x0800_7c00 | STATUS | ADDRESS | 2,
            (Access::StoreExclusive, true) => {
                size | ordered | 0x8820_0000 | STATUS | 3 << 10 | ADDRESS | 2
            }
            (Access::Add, _) => size | 0x3820_0000 | 2 << 16 | ADDRESS | 4,
            (Access::Clear, _) => CLREX,
        }
    }

    /// What is stored, as bytes.
    fn stored(self) -> Vec<u8> {
        let one = &self.value.to_le_bytes()[..1 << self.size_log2];
        let other = &(!self.value).to_le_bytes()[..1 << self.size_log2];
        if self.is_pair { [one, other].concat() } else { one.to_vec() }
    }
}

/// What a vCPU watches since its load-exclusive.
#[derive(Clone, Debug)]
struct Monitor {
    at: usize,
    found: Vec<u8>,
    /// Whether anyone stored there since.
    is_touched: bool,
}

/// What the manual promises.
struct Model {
    window: [u8; WINDOW_LEN],
    monitors: [Option<Monitor>; 2],
}

impl Model {
    fn bytes(&self, step: Step) -> Vec<u8> {
        self.window[step.at..step.at + step.len()].to_vec()
    }

    fn store(&mut self, at: usize, bytes: &[u8]) {
        self.window[at..at + bytes.len()].copy_from_slice(bytes);
        for monitor in self.monitors.iter_mut().flatten() {
            let apart = at + bytes.len() <= monitor.at || monitor.at + monitor.found.len() <= at;
            monitor.is_touched |= !apart;
        }
    }

    /// Takes one step, told whether the engine says that a store-exclusive succeeded.
    fn step(&mut self, step: Step, succeeded: bool) {
        let found = self.bytes(step);
        match step.access {
            Access::Load => {}
            Access::Store => self.store(step.at, &step.stored()),
            Access::Add => {
                let sum = number(&found).wrapping_add(step.value).to_le_bytes();
                self.store(step.at, &sum[..step.len()]);
            }
            Access::LoadExclusive => {
                let monitor = Monitor { at: step.at, found, is_touched: false };
                self.monitors[step.vcpu] = Some(monitor);
            }
            Access::StoreExclusive => {
                let monitor = self.monitors[step.vcpu].take();
                let watched =
                    monitor.filter(|own| own.at == step.at && own.found.len() == step.len());
                let is_same = watched.as_ref().is_some_and(|own| own.found == found);
                let is_untouched = watched.is_some_and(|own| !own.is_touched);
                assert!(is_same || !succeeded, "{step:?} stores over what it never loaded");
                assert!(succeeded || !is_untouched, "{step:?} fails, and nobody was there");
                if succeeded {
                    self.store(step.at, &step.stored());
                }
            }
            Access::Clear => self.monitors[step.vcpu] = None,
        }
    }
}

/// Up to 8 bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

/// Executes a step for each three bytes, and compares memory, what was loaded and what
/// store-exclusives say with a model of the manual's monitors.
///
/// # Panics
/// If the engine does what the manual does not allow.
pub fn fuzz_exclusives(data: &[u8]) {
    let Some((ram, mut vm)) = one_vm(&N1_LIKE, 2) else { return };
    let vcpus = (0..2).map(|number| vm.create_vcpu(VcpuId(number), Arc::default()));
    let Ok(mut vcpus) = vcpus.collect::<Result<Vec<_>, _>>() else { return };
    // All but the first wait for CPU_ON.
    let _ = vcpus[1].power_on(Gpa(RAM_BASE), 0);
    let mut model = Model { window: [0; WINDOW_LEN], monitors: [None, None] };
    for bytes in data.as_chunks::<3>().0.iter().take(STEPS_MAX) {
        let step = Step::from_bytes(*bytes);
        let before = model.bytes(step);
        let vcpu = &mut *vcpus[step.vcpu];
        execute(vcpu, &ram, step);
        model.step(step, x(vcpu, 6) == 0);
        if matches!(step.access, Access::Load | Access::LoadExclusive | Access::Add) {
            let half = 1 << step.size_log2;
            assert_eq!(x(vcpu, 4), number(&before[..half]), "{step:?}");
            if step.is_pair {
                assert_eq!(x(vcpu, 5), number(&before[half..]), "{step:?}");
            }
        }
        let mut window = [0; WINDOW_LEN];
        ram.read(Gpa(WINDOW), &mut window).expect("the window is in RAM");
        assert_eq!(window, model.window, "{step:?}");
    }
}

/// Executes one instruction, and the branch to itself that stands behind it.
fn execute(vcpu: &mut dyn Vcpu, ram: &GuestRam, step: Step) {
    let code = [step.word(), BRANCH_TO_SELF].map(u32::to_le_bytes).concat();
    ram.write(Gpa(RAM_BASE), &code).expect("RAM is longer");
    let registers = [
        (kvm::PC, RAM_BASE),
        (kvm::x(1), WINDOW + step.at as u64),
        (kvm::x(2), step.value),
        (kvm::x(3), !step.value),
        (kvm::x(6), 2),
    ];
    for (id, value) in registers {
        vcpu.store(id, &Value::u64(value)).expect("a general register takes everything");
    }
    vcpu.run(1, &Echo(Arc::default())).expect("the engine runs");
}

fn x(vcpu: &dyn Vcpu, number: u8) -> u64 {
    vcpu.load(kvm::x(number)).ok().and_then(|value| value.to_u64()).expect("a general register")
}
