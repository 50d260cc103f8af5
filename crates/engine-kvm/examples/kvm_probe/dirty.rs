//! Which pages a guest wrote, as the kernel tells it by rings and by its bitmap, against what the
//! guest is known to have written.

use crate::guest::expect;
use crate::machine::{Devices, Parts, RAM_BASE, Vcpus, parts_with};
use crate::program;
use abide_arm64::kvm;
use abide_engine::{Kick, Stop, Vcpu};
use abide_engine_kvm::KvmEngine;
use abide_memory::PageSet;
use abide_reg::{Gpa, RegId, Value};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// So many pages that one vCPU's ring is full many times over.
const PAGES: u64 = 16_384;
const PAGE: u64 = 4096;
const VCPUS: u32 = 2;
/// Behind the program.
const FIRST: u64 = 16;

/// What one vCPU is to write: pages, by the first, the distance and how many.
#[derive(Clone, Copy)]
struct Writes {
    first: u64,
    apart: u64,
    count: u64,
}

impl Writes {
    const NONE: Self = Self { first: FIRST, apart: 1, count: 0 };

    fn pages(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |number| self.first + number * self.apart)
    }
}

/// Every way that there is here, each told by its name.
pub fn logs(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let rings = engine.has_dirty_rings();
    println!("     dirty rings: {}", if rings { "yes" } else { "no: this kernel has none" });
    if rings {
        one_log(engine, "rings")?;
    }
    let plain = KvmEngine::open()?.without_dirty_rings();
    one_log(&plain, "bitmap")
}

fn one_log(engine: &KvmEngine, name: &str) -> Result<(), Box<dyn Error>> {
    let mut guest = Guest::new(engine)?;
    let told = |guest: &mut Guest, what: &str, expected: &BTreeSet<u64>| {
        let found: BTreeSet<u64> = guest.harvest()?.iter().collect();
        let (lost, more) = (expected.difference(&found), found.difference(expected));
        let numbers = (found.len(), lost.count(), more.count());
        let is_right = found == *expected;
        expect(&format!("{name}, {what}: pages, lost, too many"), numbers, is_right)?;
        Ok::<(), Box<dyn Error>>(())
    };
    // Nobody knows what was written before it began to log.
    told(&mut guest, "first", &(0..PAGES).collect())?;
    told(&mut guest, "nothing written", &BTreeSet::new())?;
    let scattered = Writes { first: FIRST + 3, apart: 7, count: 600 };
    let half = PAGES / 2;
    // Both on all even pages, from another end of memory.
    let lower = Writes { first: FIRST, apart: 2, count: (PAGES - FIRST) / 2 };
    for (what, writes) in [
        ("one scattered", [scattered, Writes::NONE]),
        ("the same again", [scattered, Writes::NONE]),
        ("many", [Writes { first: FIRST, apart: 1, count: PAGES - FIRST }, Writes::NONE]),
        (
            "each its own",
            [
                Writes { first: FIRST, apart: 1, count: half - FIRST },
                Writes { first: half, apart: 1, count: half },
            ],
        ),
        ("both the same", [lower, lower]),
    ] {
        guest.write(writes)?;
        told(&mut guest, what, &writes.into_iter().flat_map(Writes::pages).collect())?;
    }
    told(&mut guest, "nothing written any more", &BTreeSet::new())?;
    let writes = [lower, scattered];
    let (mut found, rounds) = guest.write_and_harvest(writes)?;
    found.merge(&guest.harvest()?);
    let found: BTreeSet<u64> = found.iter().collect();
    let expected: BTreeSet<u64> = writes.into_iter().flat_map(Writes::pages).collect();
    let numbers = (found.len(), rounds > 0);
    expect(&format!("{name}, harvested meanwhile"), numbers, found == expected && rounds > 0)?;
    // Off: what is written is nobody's business, and does not come up afterwards.
    guest.parts.ram.dirty().stop();
    guest.parts.vm.sync_dirty_log()?;
    let _ = guest.parts.ram.dirty().harvest();
    guest.write([lower, Writes::NONE])?;
    told(&mut guest, "off", &BTreeSet::new())?;
    guest.parts.ram.dirty().start();
    told(&mut guest, "on again", &(0..PAGES).collect())?;
    guest.write([scattered, Writes::NONE])?;
    told(&mut guest, "after that", &scattered.pages().collect())
}

struct Guest {
    vcpus: Vcpus,
    parts: Parts,
}

impl Guest {
    fn new(engine: &KvmEngine) -> Result<Self, Box<dyn Error>> {
        let (mut vcpus, parts) = parts_with(engine, VCPUS, PAGES * PAGE)?;
        parts.ram.write(RAM_BASE, program::writer())?;
        for vcpu in &mut vcpus {
            vcpu.store(kvm::PC, &Value::u64(RAM_BASE.0))?;
            vcpu.store(RegId::named("cpu.mp_state"), &Value::u8(0))?;
        }
        parts.ram.dirty().start();
        Ok(Self { vcpus, parts })
    }

    fn harvest(&mut self) -> Result<PageSet, Box<dyn Error>> {
        self.parts.vm.sync_dirty_log()?;
        Ok(self.parts.ram.dirty().harvest())
    }

    fn tell(&mut self, writes: [Writes; VCPUS as usize]) -> Result<(), Box<dyn Error>> {
        for (vcpu, Writes { first, apart, count }) in self.vcpus.iter_mut().zip(writes) {
            vcpu.store(kvm::x(10), &Value::u64(RAM_BASE.0 + first * PAGE))?;
            vcpu.store(kvm::x(11), &Value::u64(apart * PAGE))?;
            vcpu.store(kvm::x(12), &Value::u64(count))?;
        }
        Ok(())
    }

    /// Lets both write at the same time, to the end.
    fn write(&mut self, writes: [Writes; VCPUS as usize]) -> Result<(), Box<dyn Error>> {
        self.tell(writes)?;
        run(&mut self.vcpus, || ())
    }

    /// The same, with harvests all the while; tells how many there were.
    fn write_and_harvest(
        &mut self,
        writes: [Writes; VCPUS as usize],
    ) -> Result<(PageSet, u32), Box<dyn Error>> {
        self.tell(writes)?;
        let (mut found, mut rounds, mut result) = (PageSet::default(), 0, Ok(()));
        let Parts { vm, ram, .. } = &mut self.parts;
        run(&mut self.vcpus, || {
            result = vm.sync_dirty_log();
            found.merge(&ram.dirty().harvest());
            rounds += 1;
        })?;
        result?;
        Ok((found, rounds))
    }
}

/// Runs each vCPU on a thread of its own until it tells that it is done; meanwhile does `work` over
/// and over.
fn run(vcpus: &mut Vcpus, mut work: impl FnMut()) -> Result<(), Box<dyn Error>> {
    let kicks: Vec<Mutex<Arc<dyn Kick>>> =
        vcpus.iter().map(|vcpu| Mutex::new(vcpu.kicker())).collect();
    let left = AtomicUsize::new(vcpus.len());
    let ended: Vec<Result<Stop, String>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (vcpu, kick) in vcpus.iter_mut().zip(&kicks) {
            let left = &left;
            threads.push(scope.spawn(move || {
                let ended = to_the_end(vcpu.as_mut(), kick);
                left.fetch_sub(1, Ordering::SeqCst);
                ended
            }));
        }
        while left.load(Ordering::SeqCst) > 0 {
            work();
            std::thread::yield_now();
        }
        let panicked = |_| Err("a vCPU's thread panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    for ended in ended {
        let stop = ended?;
        if stop != Stop::Kicked {
            return Err(format!("a vCPU ended by {stop:?}").into());
        }
    }
    Ok(())
}

fn to_the_end(vcpu: &mut dyn Vcpu, kick: &Mutex<Arc<dyn Kick>>) -> Result<Stop, String> {
    let bus = Devices(|gpa: Gpa, _, write: Option<u64>| match (gpa.0, write) {
        (0x0900_1000, Some(_)) => {
            kick.lock().ok()?.kick();
            Some(0_u64)
        }
        _ => None,
    });
    vcpu.run(0, &bus).map_err(|error| error.to_string())
}
