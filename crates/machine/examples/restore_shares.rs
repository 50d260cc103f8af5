//! What each share of a restore costs, beside what the registers cost in the order in which VMMs
//! write them that know no better. For `cargo xtask lab --only restore-shares`.
//!
//! ```sh
//! cargo run --release -p abide-machine --example restore_shares -- ENGINE FILE ROUNDS
//! ```
//!
//! Each round restores FILE three times, each time into a new VM, and each way is first as often as
//! the others:
//!
//! | way | what it does |
//! |---|---|
//! | `naive` | only registers of vCPUs: every one, the VM's too, to every vCPU, by ascending id, one vCPU after another |
//! | `serial` | abide's restore, as a host with one CPU does it |
//! | `parallel` | abide's restore, with a thread for each CPU of the host |
//!
//! It prints lines of a key and a number: times are medians over the rounds in ns, ratios medians
//! of the ratios in single rounds. With 0 rounds it restores once and prints the numbers of
//! registers alone.

use abide_engine::{Engine, InterruptLines, Vcpu, VmConfig};
use abide_engine_kvm::KvmEngine;
use abide_engine_kvm::trial::Kind;
use abide_engine_soft::SoftEngine;
use abide_machine::board::{GIC_INTIDS, GICD_BASE, GICR_BASE, RAM_BASE, RAM_MIN_LEN};
use abide_machine::clock::MachineClock;
use abide_machine::restore::{RestoreReport, Times, restore};
use abide_machine::units::Unit;
use abide_memory::GuestRam;
use abide_reg::{Entry, RegId, Scope, VcpuId};
use abide_snapshot::Reader;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error>;

/// The ways, in the order of the first round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Naive,
    Serial,
    Parallel,
}

const WAYS: [Way; 3] = [Way::Naive, Way::Serial, Way::Parallel];

/// What was measured, by name, round by round.
#[derive(Default)]
struct Measured(BTreeMap<String, Vec<f64>>);

impl Measured {
    fn add(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    fn add_ns(&mut self, name: &str, time: Duration) {
        self.add(&format!("{name}_ns"), time.as_secs_f64() * 1e9);
    }

    /// The last round's.
    fn last(&self, name: &str) -> f64 {
        self.0.get(name).and_then(|values| values.last()).copied().unwrap_or(f64::NAN)
    }
}

/// The registers of a saved guest's vCPUs as others restore them: each vCPU has all of them.
struct Naive {
    cntfrq_hz: u64,
    vcpus: Vec<Vec<Entry>>,
}

impl Naive {
    fn of(reader: &Reader) -> Result<Self, Failure> {
        let (mut of_vm, mut of_vcpus) = (Vec::new(), BTreeMap::<VcpuId, Vec<Entry>>::new());
        let of_the_vm = [Unit::Identity, Unit::Firmware, Unit::Counter].map(Unit::name);
        for record in reader.snapshot().clone().into_parts().units {
            match record.scope {
                Scope::Vm if of_the_vm.contains(&record.unit) => of_vm.extend(record.entries),
                Scope::Vcpu(vcpu) if record.unit == Unit::Cpu.name() => {
                    of_vcpus.entry(vcpu).or_default().extend(record.entries);
                }
                _ => {}
            }
        }
        let mut own = of_vcpus.values().flatten();
        let cntfrq = own.find(|entry| entry.id == RegId::named("cpu.cntfrq"));
        let cntfrq_hz = cntfrq.and_then(|entry| entry.value.to_u64());
        let vcpus = of_vcpus.into_values().map(|own| {
            let mut all: Vec<Entry> = own.into_iter().chain(of_vm.iter().cloned()).collect();
            // The kernel's ids ascend; what has none comes by calls of its own, afterwards.
            all.sort_by_key(|entry| match entry.id {
                RegId::Kvm(number) => number,
                _ => u64::MAX,
            });
            all
        });
        Ok(Self { vcpus: vcpus.collect(), cntfrq_hz: cntfrq_hz.ok_or("no cpu.cntfrq")? })
    }

    /// Makes a VM and writes the registers; how many were refused, and how long the writes took.
    fn write(&self, engine: &dyn Engine) -> Result<(usize, Duration), Failure> {
        let vcpu_count = u32::try_from(self.vcpus.len())?;
        let mut vm = engine.create_vm(VmConfig {
            vcpu_count,
            cntfrq_hz: self.cntfrq_hz,
            ram: Arc::new(GuestRam::new(RAM_BASE, RAM_MIN_LEN)?),
            clock: Arc::new(MachineClock::new_host(self.cntfrq_hz)),
            gicd: GICD_BASE,
            gicr: GICR_BASE,
            gic_intids: GIC_INTIDS,
            features: abide_arm64::features::CpuFeatures::NONE,
        })?;
        let lines = || Arc::new(InterruptLines::default());
        let vcpus = (0..vcpu_count).map(|n| vm.create_vcpu(VcpuId(n), lines()));
        let mut vcpus: Vec<Box<dyn Vcpu>> = vcpus.collect::<Result<_, _>>()?;
        let _irqchip = vm.create_irqchip()?;
        let mut refused = 0;
        let began = Instant::now();
        for (vcpu, entries) in vcpus.iter_mut().zip(&self.vcpus) {
            for entry in entries {
                refused += usize::from(vcpu.store(entry.id, &entry.value).is_err());
            }
        }
        Ok((refused, began.elapsed()))
    }

    fn len(&self) -> usize {
        self.vcpus.iter().map(Vec::len).sum()
    }
}

fn restored(engine: &dyn Engine, reader: &Reader) -> Result<RestoreReport, Failure> {
    let prepared = restore(engine, reader, Box::new(std::io::sink()))?;
    Ok(prepared.report().clone())
}

fn note(measured: &mut Measured, way: &str, times: &Times) {
    let Times { devices, memory, vm_made, of_vm, of_vcpus, gic, readback } = *times;
    for (share, time) in [
        ("devices", devices),
        ("memory", memory),
        ("vm_made", vm_made),
        ("of_vm", of_vm),
        ("of_vcpus", of_vcpus),
        ("gic", gic),
        ("readback", readback),
        ("total", times.total()),
    ] {
        measured.add_ns(&format!("{way}.{share}"), time);
    }
}

/// One way, once.
fn go(
    way: Way,
    engine: &dyn Engine,
    reader: &Reader,
    naive: &Naive,
    measured: &mut Measured,
) -> Result<(), Failure> {
    match way {
        Way::Naive => {
            let (refused, time) = naive.write(engine)?;
            measured.add_ns("naive.registers", time);
            measured.add("naive.refused", f64::from(u32::try_from(refused)?));
        }
        Way::Serial => {
            // Threads are as many as the CPUs that this one may run on.
            let all = sched_getaffinity(None)?;
            let mut one = CpuSet::new();
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| all.is_set(cpu))
                .take(1)
                .for_each(|cpu| one.set(cpu));
            sched_setaffinity(None, &one)?;
            let report = restored(engine, reader);
            sched_setaffinity(None, &all)?;
            note(measured, "serial", &report?.times);
        }
        Way::Parallel => note(measured, "parallel", &restored(engine, reader)?.times),
    }
    Ok(())
}

fn ratios(measured: &mut Measured) {
    for (name, over, under) in [
        ("naive_by_serial", "naive.registers_ns", ["serial.of_vm_ns", "serial.of_vcpus_ns"]),
        ("naive_by_parallel", "naive.registers_ns", ["parallel.of_vm_ns", "parallel.of_vcpus_ns"]),
    ] {
        let under: f64 = under.iter().map(|name| measured.last(name)).sum();
        let ratio = measured.last(over) / under;
        measured.add(&format!("ratio.{name}"), ratio);
    }
    for share in ["of_vcpus", "readback", "total"] {
        let [serial, parallel] =
            ["serial", "parallel"].map(|way| measured.last(&format!("{way}.{share}_ns")));
        measured.add(&format!("ratio.{share}_serial_by_parallel"), serial / parallel);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[expect(clippy::print_stdout, reason = "an example's result is what it prints")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, file, rounds] = arguments.as_slice() else {
        return Err("ENGINE FILE ROUNDS are needed".into());
    };
    let engine: Box<dyn Engine> = match engine.as_str() {
        "kvm" => {
            let kvm = KvmEngine::open()?;
            kvm.try_guest(Kind::Restored)?;
            Box::new(kvm)
        }
        "soft" => Box::new(SoftEngine::default()),
        other => return Err(format!("no engine `{other}`: soft or kvm").into()),
    };
    let rounds: usize = rounds.parse()?;
    let reader = Reader::open(Path::new(file))?;
    let report = restored(engine.as_ref(), &reader)?;
    let written = &report.written;
    println!("vcpus {}", written.of_vcpus.len());
    println!("of_vm {}", written.of_vm);
    for (vcpu, count) in written.of_vcpus.iter().enumerate() {
        println!("of_vcpu.{vcpu} {count}");
    }
    if rounds == 0 {
        return Ok(());
    }
    let naive = Naive::of(&reader)?;
    println!("rounds {rounds}\nnaive.stores {}", naive.len());
    println!("cpus {}", std::thread::available_parallelism()?);
    let mut measured = Measured::default();
    for round in 0..rounds {
        for place in 0..WAYS.len() {
            let way = WAYS[(round + place) % WAYS.len()];
            go(way, engine.as_ref(), &reader, &naive, &mut measured)?;
        }
        ratios(&mut measured);
    }
    for (name, values) in measured.0 {
        println!("{name} {:.3}", median(values));
    }
    Ok(())
}
