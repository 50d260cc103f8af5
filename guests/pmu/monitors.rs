//! The registers of the performance monitors `[DDI0487 D24.5]`.

use kit::{cpu, mrs, msr};

/// The counter of events that the guest makes itself.
pub const OWN: u64 = 0;
/// A counter that holds a number and does not count.
pub const STILL: u64 = 1;
/// The counter that overflows.
pub const HELD: u64 = 2;
/// The bit of the counter of cycles.
const CYCLES: u64 = 31;

/// PMCR_EL0: enable, reset of event counters and of the cycle counter, export, no counting where
/// that is prohibited, 64-bit cycles.
const E: u64 = 1 << 0;
const P: u64 = 1 << 1;
const C: u64 = 1 << 2;
const X: u64 = 1 << 4;
const DP: u64 = 1 << 5;
const LC: u64 = 1 << 6;

/// SW_INCR and CPU_CYCLES, the second not in EL1.
const SW_INCR: u64 = 0;
const CPU_CYCLES_OF_USERS: u64 = 1 << 31 | 0x11;
/// PMCCFILTR_EL0: not in EL0.
const NOT_OF_USERS: u64 = 1 << 30;
const STILL_AT: u64 = 0xdead_beef;
/// Beyond 32 bits.
const CYCLES_AT: u64 = 0x12_0000_0000;

/// A register's name, and how it is read.
type Register = (&'static str, fn() -> u64);

/// What is looked at, all of which stays as it was set.
pub const REGISTERS: [Register; 11] = [
    ("PMCR_EL0", || mrs!("pmcr_el0")),
    ("PMCNTENSET_EL0", || mrs!("pmcntenset_el0")),
    ("PMCNTENCLR_EL0", || mrs!("pmcntenclr_el0")),
    ("PMINTENSET_EL1", || mrs!("pmintenset_el1")),
    ("PMINTENCLR_EL1", || mrs!("pmintenclr_el1")),
    ("PMUSERENR_EL0", || mrs!("pmuserenr_el0")),
    ("PMSELR_EL0", || mrs!("pmselr_el0")),
    ("PMXEVTYPER_EL0", || mrs!("pmxevtyper_el0")),
    ("PMEVTYPER2_EL0", || mrs!("pmevtyper2_el0")),
    ("PMCCFILTR_EL0", || mrs!("pmccfiltr_el0")),
    ("PMEVCNTR1_EL0", || counter(STILL)),
];

/// ID_AA64DFR0_EL1.PMUVer.
pub fn version() -> u64 {
    mrs!("id_aa64dfr0_el1") >> 8 & 0xf
}

/// PMCR_EL0.N.
pub fn counters() -> u64 {
    mrs!("pmcr_el0") >> 11 & 0x1f
}

/// Gives each its value, and lets them count.
pub fn set() {
    msr!("pmcntenclr_el0", u64::from(u32::MAX));
    msr!("pmintenclr_el1", u64::from(u32::MAX));
    msr!("pmovsclr_el0", u64::from(u32::MAX));
    msr!("pmcr_el0", E | P | C | X | DP | LC);
    cpu::barrier();
    msr!("pmevtyper0_el0", SW_INCR);
    msr!("pmevtyper1_el0", CPU_CYCLES_OF_USERS);
    msr!("pmevtyper2_el0", SW_INCR);
    msr!("pmccfiltr_el0", NOT_OF_USERS);
    msr!("pmccntr_el0", CYCLES_AT);
    msr!("pmuserenr_el0", 0x5);
    msr!("pmselr_el0", STILL);
    set_counter(OWN, 0x1000);
    set_counter(STILL, STILL_AT);
    msr!("pmcntenset_el0", 1 << CYCLES | 1 << OWN | 1 << HELD);
    msr!("pmintenset_el1", 1 << CYCLES | 1 << HELD);
    cpu::barrier();
}

/// An event counter.
pub fn counter(number: u64) -> u64 {
    match number {
        OWN => mrs!("pmevcntr0_el0"),
        STILL => mrs!("pmevcntr1_el0"),
        _ => mrs!("pmevcntr2_el0"),
    }
}

/// Gives an event counter a value.
pub fn set_counter(number: u64, value: u64) {
    match number {
        OWN => msr!("pmevcntr0_el0", value),
        STILL => msr!("pmevcntr1_el0", value),
        _ => msr!("pmevcntr2_el0", value),
    }
    cpu::barrier();
}

/// Makes one event for a counter of such.
pub fn count_one(number: u64) {
    msr!("pmswinc_el0", 1 << number);
    cpu::barrier();
}

/// The cycles counted.
pub fn cycles() -> u64 {
    cpu::barrier();
    mrs!("pmccntr_el0")
}

/// Which counters overflowed.
pub fn overflows() -> u64 {
    cpu::barrier();
    mrs!("pmovsset_el0")
}

/// Ends an overflow.
pub fn clear_overflow(number: u64) {
    msr!("pmovsclr_el0", 1 << number);
    cpu::barrier();
}
