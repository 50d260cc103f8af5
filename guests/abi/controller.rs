//! What the interrupt controller, the UART and the clock say of themselves, and the state that
//! [`crate::held`] leaves in the controller `[IHI0069 12]`.

use kit::mmio::read32;

const GICD: usize = 0x0800_0000;
const GICR: usize = 0x080a_0000;
const GICR_STRIDE: usize = 0x2_0000;
const GICR_TYPER_LAST: u32 = 1 << 4;
/// The board has no more.
const CPUS_MAX: usize = 64;

/// Registers of the distributor: name, offset, and the bits that hold still.
const GICD_REGISTERS: [(&str, usize, u32); 27] = [
    ("GICD_CTLR", 0x0, u32::MAX),
    ("GICD_TYPER", 0x4, u32::MAX),
    ("GICD_IIDR", 0x8, u32::MAX),
    ("GICD_TYPER2", 0xc, u32::MAX),
    ("GICD_PIDR4", 0xffd0, u32::MAX),
    ("GICD_PIDR0", 0xffe0, u32::MAX),
    ("GICD_PIDR1", 0xffe4, u32::MAX),
    ("GICD_PIDR2", 0xffe8, u32::MAX),
    ("GICD_PIDR3", 0xffec, u32::MAX),
    ("GICD_CIDR0", 0xfff0, u32::MAX),
    ("GICD_CIDR1", 0xfff4, u32::MAX),
    ("GICD_CIDR2", 0xfff8, u32::MAX),
    ("GICD_CIDR3", 0xfffc, u32::MAX),
    ("GICD_IGROUPR1", 0x84, u32::MAX),
    ("GICD_ISENABLER1", 0x104, u32::MAX),
    ("GICD_ISPENDR1", 0x204, !UART),
    ("GICD_ISACTIVER1", 0x304, u32::MAX),
    ("GICD_IPRIORITYR8", 0x420, u32::MAX),
    ("GICD_IPRIORITYR10", 0x428, u32::MAX),
    ("GICD_IPRIORITYR11", 0x42c, u32::MAX),
    ("GICD_ICFGR2", 0xc08, u32::MAX),
    ("GICD_IROUTER34", 0x6110, u32::MAX),
    ("GICD_IROUTER40", 0x6140, u32::MAX),
    ("GICD_IROUTER40_HIGH", 0x6144, u32::MAX),
    ("GICD_IROUTER44", 0x6160, u32::MAX),
    ("GICD_IROUTER287", 0x68f8, u32::MAX),
    ("GICD_STATUSR", 0x10, u32::MAX),
];
/// Somebody may type meanwhile.
const UART: u32 = 1 << 1;

/// Registers of a redistributor, as above.
const GICR_REGISTERS: [(&str, usize, u32); 12] = [
    ("GICR_CTLR", 0x0, u32::MAX),
    ("GICR_IIDR", 0x4, u32::MAX),
    ("GICR_TYPER", 0x8, u32::MAX),
    ("GICR_TYPER_HIGH", 0xc, u32::MAX),
    ("GICR_WAKER", 0x14, u32::MAX),
    ("GICR_PIDR2", 0xffe8, u32::MAX),
    ("GICR_ISENABLER0", 0x1_0100, u32::MAX),
    ("GICR_ISPENDR0", 0x1_0200, !TIMER),
    ("GICR_ISACTIVER0", 0x1_0300, !TIMER),
    ("GICR_IPRIORITYR0", 0x1_0400, u32::MAX),
    ("GICR_IPRIORITYR1", 0x1_0404, u32::MAX),
    ("GICR_ICFGR1", 0x1_0c04, u32::MAX),
];
/// The next tick may be due.
const TIMER: u32 = 1 << 27;

/// The UART and the clock: `PeriphID0` and `PeriphID1`.
const OTHERS: [(&str, usize, u32); 4] = [
    ("UARTPeriphID0", 0x0900_0fe0, u32::MAX),
    ("UARTPeriphID1", 0x0900_0fe4, u32::MAX),
    ("RTCPeriphID0", 0x0901_0fe0, u32::MAX),
    ("RTCPeriphID1", 0x0901_0fe4, u32::MAX),
];

/// How many CPUs there are: redistributors, up to the last.
pub fn cpu_count() -> usize {
    let last = |cpu: &usize| read32(redistributor(*cpu) + 0x8) & GICR_TYPER_LAST != 0;
    (0..CPUS_MAX).find(last).unwrap_or(0) + 1
}

/// The affinity of a CPU, as MPIDR_EL1 has it.
pub fn affinity(cpu: usize) -> u64 {
    let packed = u64::from(read32(redistributor(cpu) + 0xc));
    packed & 0xff_ffff | (packed >> 24) << 32
}

/// Where a CPU's redistributor is.
pub const fn redistributor(cpu: usize) -> usize {
    GICR + GICR_STRIDE * cpu
}

/// Reads all registers that belong to no CPU, or to `cpu` alone, in the same order each time.
pub fn each(cpu: usize, mut show: impl FnMut(&'static str, u64)) {
    let mut read = |(name, address, mask): (&'static str, usize, u32)| {
        show(name, u64::from(read32(address) & mask));
    };
    if cpu == 0 {
        GICD_REGISTERS.into_iter().for_each(|(name, at, mask)| read((name, GICD + at, mask)));
        OTHERS.into_iter().for_each(&mut read);
    }
    let base = redistributor(cpu);
    GICR_REGISTERS.into_iter().for_each(|(name, at, mask)| read((name, base + at, mask)));
    if cpu == 0 {
        show("CPUs", cpu_count() as u64);
    }
}
