//! All that a CPU can see, read again and again and compared with the first time.

use crate::{calls, controller, registers};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use kit::{cpu, mrs, msr, println};

/// How many CPUs are looked at.
pub const CPUS: usize = 2;
/// Room for the values of each.
const VALUES_MAX: usize = 512;
/// Levels of caches that CLIDR_EL1 can name `[DDI0487 D24.2.28]`.
const CACHE_LEVELS: u64 = 7;

/// The name of a value.
#[derive(Clone, Copy)]
struct Name(&'static str, Option<u32>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(name, None) => f.write_str(name),
            Self(name, Some(about @ 0..100)) => write!(f, "{name}[{about}]"),
            Self(name, Some(about)) => write!(f, "{name}({about:#x})"),
        }
    }
}

/// One value; none is "UNDEFINED".
struct Place {
    value: AtomicU64,
    undefined: AtomicBool,
}

impl Place {
    const fn new() -> Self {
        Self { value: AtomicU64::new(0), undefined: AtomicBool::new(false) }
    }

    fn put(&self, value: Option<u64>) {
        self.value.store(value.unwrap_or(0), Relaxed);
        self.undefined.store(value.is_none(), Relaxed);
    }

    fn get(&self) -> Value {
        Value((!self.undefined.load(Relaxed)).then(|| self.value.load(Relaxed)))
    }
}

#[derive(PartialEq, Eq)]
struct Value(Option<u64>);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:#x}"),
            None => f.write_str("undef"),
        }
    }
}

/// What a CPU saw at first, and what it sees now.
pub struct View {
    first: [Place; VALUES_MAX],
    now: [Place; VALUES_MAX],
    count: AtomicUsize,
}

/// One for each CPU, written by that CPU alone, and read by the first one while it rests.
pub static VIEWS: [View; CPUS] = [const { View::new() }; CPUS];

impl View {
    const fn new() -> Self {
        Self {
            first: [const { Place::new() }; VALUES_MAX],
            now: [const { Place::new() }; VALUES_MAX],
            count: AtomicUsize::new(0),
        }
    }

    /// Reads everything, on the CPU itself.
    ///
    /// # Panics
    /// If there is more than there is room for.
    pub fn look(&self, cpu: usize) {
        let mut count = 0;
        each(cpu, &mut |_, value| {
            let Some(place) = self.now.get(count) else { panic!("too many values") };
            place.put(value);
            count += 1;
        });
        self.count.store(count, Relaxed);
    }

    /// Makes what was seen last what is compared with.
    pub fn remember(&self) {
        for (first, now) in self.first.iter().zip(&self.now) {
            first.put(now.get().0);
        }
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Prints what differs from the first time, and returns how many values do.
    pub fn print_differences(&self, cpu: usize) -> usize {
        let differs = |index: usize| self.first[index].get() != self.now[index].get();
        let differences = (0..self.count()).filter(|index| differs(*index)).count();
        if differences > 0 {
            self.print(cpu, |index, name| {
                if differs(index) {
                    let (first, now) = (self.first[index].get(), self.now[index].get());
                    println!("abi: cpu{cpu} {name}: {first} -> {now}");
                }
            });
        }
        differences
    }

    /// Prints every value of this CPU that another CPU does not have as well.
    pub fn print_values(&self, cpu: usize) {
        self.print(cpu, |index, name| println!("abi: cpu{cpu} {name}={}", self.now[index].get()));
    }

    /// The names are not kept: they come with reading again.
    fn print(&self, cpu: usize, mut line: impl FnMut(usize, Name)) {
        let mut index = 0;
        each(cpu, &mut |name, _| {
            if index < self.count() {
                line(index, name);
            }
            index += 1;
        });
    }
}

/// Reads everything that `cpu` can see, in the same order each time.
fn each(cpu: usize, show: &mut dyn FnMut(Name, Option<u64>)) {
    for (name, read) in registers::ALL {
        show(Name(name, None), read());
    }
    caches(show);
    calls::each(|name, about, value| show(Name(name, about), Some(value)));
    controller::each(cpu, |name, value| show(Name(name, None), Some(value)));
}

/// CCSIDR_EL1 of each cache that CLIDR_EL1 names; of others it is UNKNOWN `[DDI0487 D24.2.26]`.
fn caches(show: &mut dyn FnMut(Name, Option<u64>)) {
    let clidr = mrs!("clidr_el1");
    let before = mrs!("csselr_el1");
    for level in 0..CACHE_LEVELS {
        let kind = clidr >> (3 * level) & 7;
        for instruction in 0..2 {
            let there = if instruction == 1 { kind & 1 != 0 } else { kind & 6 != 0 };
            let selector = level << 1 | instruction;
            let value = there.then(|| {
                msr!("csselr_el1", selector);
                cpu::barrier();
                mrs!("ccsidr_el1")
            });
            show(Name("CCSIDR_EL1", Some(selector as u32)), value);
        }
    }
    msr!("csselr_el1", before);
    cpu::barrier();
}
