//! What the guest that judges says.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::fmt;

/// What follows `abide run NAME --engine kvm`, for the guest in `/abi.img`. It has no page with the
/// time, whose interrupt tells of each move: this one must not notice any.
pub const RUN: &str = "--kernel /abi.img --memory 8M --vcpus 2 --no-vmclock";
/// It is saved after its third look.
pub const UNTIL: Option<(&str, u32)> = Some((" interrupts ", 3));

/// What came of some looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    /// How many values it looks at each time.
    pub values: usize,
    /// How often it looked.
    pub count: usize,
    /// The known exceptions that it saw.
    pub excepted: BTreeSet<Change>,
}

/// What the interrupt controller was to a guest that went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gic {
    /// `GICD_IIDR` as it read it at birth. Where it went on it looks at it again each time.
    pub iidr: String,
    /// How many interrupts it holds over each look, and takes then.
    pub held: usize,
    /// How many looks there were since it came, all with every interrupt taken as held.
    pub looks: usize,
}

impl Gic {
    /// From the console of a whole life without a difference, and of the part of it since it came.
    pub fn of(life: &str, here: &str) -> Option<Self> {
        let birth = |line: &str| line.strip_prefix("abi: cpu0 GICD_IIDR=").map(str::to_owned);
        let held = |line: &str| {
            look(line)?;
            line.rsplit_once(" differences, ")?.1.split(' ').next()?.parse().ok()
        };
        let held: Vec<usize> = whole_lines(here).filter_map(held).collect();
        Some(Self {
            iidr: whole_lines(life).find_map(birth)?,
            held: *held.iter().min()?,
            looks: held.len(),
        })
    }
}

/// What a guest found changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The CPU that saw it.
    pub cpu: u32,
    /// The name of the value.
    pub name: String,
    pub first: String,
    pub now: String,
}

/// A guest of whose kind some changes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    /// The hosts' CPU, as QEMU's `-cpu` takes it.
    pub cpu: &'a str,
    /// Whether it was promised a contract at birth.
    pub is_promised: bool,
}

/// A value that is known to change, and why that is not abide's to prevent.
struct Exception {
    name: &'static str,
    change: Known,
    /// Whose it is: of a guest of this kind, on its vCPU of this number.
    of: fn(Kind, u32) -> bool,
}

/// What may change.
enum Known {
    /// These bits.
    Bits(u64),
    /// From one of these to the other, as the guest says it.
    Between(&'static str, &'static str),
}

/// docs/lab.md gives the reason of each.
const EXCEPTIONS: [Exception; 3] = [
    Exception { name: "ID_AA64MMFR2_EL1", change: Known::Bits(MMFR2_NV), of: on_max },
    Exception { name: "SMIDR_EL1", change: Known::Between(SMIDR_OF_MAX, "undef"), of: on_max },
    Exception { name: "PMCR_EL0", change: Known::Bits(PMCR_NAME), of: was_not_pinned },
];
/// Nested virtualization.
const MMFR2_NV: u64 = 0xf << 24;
/// SMIDR_EL1 of QEMU's `max`.
const SMIDR_OF_MAX: &str = "0x0";
/// IMP and IDCODE: whose performance monitors they are `[DDI0487 D24.5]`.
const PMCR_NAME: u64 = 0xffff_0000;

fn on_max(guest: Kind, _vcpu: u32) -> bool {
    guest.cpu.split(',').next() == Some("max")
}

/// Under a contract the first vCPU is born with 0. CPU_ON resets the others, and is the kernel's.
fn was_not_pinned(guest: Kind, vcpu: u32) -> bool {
    !guest.is_promised || vcpu != 0
}

impl Looks {
    /// All looks on the console of a guest's life, none of which may have found a difference that
    /// is not a known exception.
    ///
    /// # Errors
    /// If one did, or an interrupt did not come as it was held, or there is none.
    pub fn of(console: &str, guest: Kind) -> Result<Self> {
        let mut looks = Self { values: 0, count: 0, excepted: BTreeSet::new() };
        let mut seen = Vec::new();
        for line in whole_lines(console) {
            seen.extend(change(line));
            let Some((values, differences, right)) = look(line) else { continue };
            let changes = std::mem::take(&mut seen);
            let known = changes.iter().all(|change| change.is_excepted(guest));
            ensure!(
                right && known && changes.len() == differences,
                "the guest saw a difference:\n{}",
                differences_said(console)
            );
            looks.count += 1;
            looks.values = values;
            looks.excepted.extend(changes);
        }
        ensure!(looks.count > 0, "the guest did not look\n{}", super::host::tail(console));
        Ok(looks)
    }
}

impl Change {
    fn is_excepted(&self, guest: Kind) -> bool {
        let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let changed = number(&self.first).zip(number(&self.now)).map(|(a, b)| a ^ b);
        let is_known = |change: &Known| match *change {
            Known::Bits(may) => changed.is_some_and(|bits| bits & !may == 0),
            Known::Between(one, other) => {
                let told = (self.first.as_str(), self.now.as_str());
                told == (one, other) || told == (other, one)
            }
        };
        let mut known = EXCEPTIONS.iter().filter(|known| known.name == self.name);
        known.any(|known| (known.of)(guest, self.cpu) && is_known(&known.change))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, name, first, now } = self;
        write!(f, "cpu{cpu} {name}: {first} -> {now}")
    }
}

/// `abi: N: M values, D differences, I interrupts WORD`: M, D, and whether all came as held.
fn look(line: &str) -> Option<(usize, usize, bool)> {
    let (number, rest) = line.strip_prefix("abi: ")?.split_once(": ")?;
    number.parse::<u64>().ok()?;
    let (values, rest) = rest.split_once(" values, ")?;
    let (differences, rest) = rest.split_once(" differences, ")?;
    Some((values.parse().ok()?, differences.parse().ok()?, rest.ends_with(" taken as held")))
}

/// A guest may be saved in the middle of a line: its end comes later.
pub fn whole_lines(console: &str) -> impl Iterator<Item = &str> {
    console.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim_end)
}

/// Every change that a console tells, once.
pub fn changes(console: &str) -> BTreeSet<Change> {
    whole_lines(console).filter_map(change).collect()
}

/// `abi: cpu0 NAME: FIRST -> NOW`.
fn change(line: &str) -> Option<Change> {
    let (cpu, rest) = line.strip_prefix("abi: cpu")?.split_once(' ')?;
    let (name, values) = rest.split_once(": ")?;
    let (first, now) = values.split_once(" -> ")?;
    Some(Change {
        cpu: cpu.parse().ok()?,
        name: name.to_owned(),
        first: first.to_owned(),
        now: now.trim_end().to_owned(),
    })
}

/// All that the guest said of differences, once.
fn differences_said(console: &str) -> String {
    let mut lines: Vec<&str> = console
        .lines()
        .filter(|line| line.contains(" -> ") || line.starts_with("abi: interrupts"))
        .collect();
    lines.dedup();
    lines.truncate(40);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: &str = "abi: cpu0 MIDR_EL1=0x1\r\nabi: 2 CPUs looked at, 492 values\r\n\
        abi: 1: 492 values, 0 differences, 8 interrupts taken as held\r\n\
        abi: 2: 492 values, 0 differences, 8 interrupts taken as held\r\n";

    /// On another CPU than `max`, promised nothing.
    const FREE: Kind = Kind { cpu: "neoverse-n1", is_promised: false };

    #[test]
    fn looks_without_a_difference_are_counted() {
        let looks = Looks::of(LOOK, FREE).expect("no difference");
        assert_eq!((looks.values, looks.count, looks.excepted.len()), (492, 2, 0));
        assert!(Looks::of("abi: cpu0 MIDR_EL1=0x1\r\n", FREE).is_err());
        for end in LOOK.len() - 40..LOOK.len() {
            assert_eq!(Looks::of(&LOOK[..end], FREE).expect("cut off").count, 1, "{end}");
        }
    }

    #[test]
    fn interrupt_controller_is_told_by_the_guest() {
        let life = format!("abi: cpu0 GICD_IIDR=0x4b00243b\r\n{LOOK}");
        let found = Gic::of(&life, LOOK).expect("it looked");
        assert_eq!((found.iidr.as_str(), found.held, found.looks), ("0x4b00243b", 8, 2));
        assert_eq!(Gic::of(LOOK, LOOK), None);
        assert_eq!(Gic::of(&life, ""), None);
    }

    fn with(change: &str, look: &str) -> Result<Looks> {
        Looks::of(&format!("{LOOK}{change}abi: 3: 492 values, {look}\r\n"), FREE)
    }

    fn is_known(change: &str, cpu: &str, is_promised: bool) -> bool {
        let look = "abi: 3: 492 values, 1 differences, 8 interrupts taken as held\r\n";
        let said = format!("{LOOK}abi: {change}\r\n{look}");
        Looks::of(&said, Kind { cpu, is_promised }).is_ok()
    }

    #[test]
    fn difference_and_lost_interrupt_are_told() {
        let changed = "abi: cpu1 PSCI_VERSION: 0x10001 -> 0x10003\r\n";
        let error = with(changed, "1 differences, 8 interrupts taken as held").expect_err("one");
        assert!(error.to_string().contains("PSCI_VERSION: 0x10001 -> 0x10003"), "{error}");
        assert!(with("", "0 differences, 8 interrupts NOT TAKEN AS HELD").is_err());
        // Not said which.
        assert!(with("", "1 differences, 8 interrupts taken as held").is_err());
    }

    #[test]
    fn known_exception_is_told_apart_by_its_bits() {
        let name = "abi: cpu1 PMCR_EL0: 0x410c3000 -> 0x3000\r\n";
        let looks = with(name, "1 differences, 8 interrupts taken as held").expect("it is known");
        assert_eq!(looks.excepted.len(), 1);
        for other in [
            "abi: cpu1 PMCR_EL0: 0x410c3001 -> 0x3000\r\n",
            "abi: cpu1 PMCR_EL0: undef -> 0x3000\r\n",
            "abi: cpu1 CTR_EL0: 0x410c3000 -> 0x3000\r\n",
            "abi: cpu0 PMCEID0_EL0: 0x20001 -> 0x40020001\r\n",
        ] {
            assert!(with(other, "1 differences, 8 interrupts taken as held").is_err(), "{other}");
        }
    }

    #[test]
    fn exceptions_hold_for_some_guests_alone() {
        const MAX: &str = "max,pauth=off";
        for change in [
            "cpu0 SMIDR_EL1: 0x0 -> undef",
            "cpu1 SMIDR_EL1: undef -> 0x0",
            "cpu0 ID_AA64MMFR2_EL1: 0x2000011 -> 0x11",
        ] {
            assert!(is_known(change, MAX, true) && is_known(change, MAX, false), "{change}");
            assert!(!is_known(change, "neoverse-n1", false), "{change}");
        }
        assert!(!is_known("cpu0 SMIDR_EL1: 0x0 -> 0x1", MAX, false));
        for (change, when_promised) in [
            ("cpu0 PMCR_EL0: 0x410c3000 -> 0x3000", false),
            ("cpu1 PMCR_EL0: 0x3000 -> 0x410c3000", true),
        ] {
            assert!(is_known(change, "neoverse-n1", false), "{change}");
            assert_eq!(is_known(change, "neoverse-n1", true), when_promised, "{change}");
        }
    }
}
