//! The board: what stands at which address.
//!
//! Addresses and interrupts are those of QEMU's `virt` machine, so that guests built for it, and
//! state that came from it, fit.

use crate::devices::vmclock::VmclockConfig;
use crate::error::ConfigError;
use abide_arm64::features::CpuFeatures;
use abide_reg::Gpa;
use abide_virtio::DeviceId;

/// GICv3 distributor.
pub const GICD_BASE: Gpa = Gpa(0x0800_0000);
/// Its length, in bytes.
pub const GICD_LEN: u64 = 0x1_0000;
/// GICv3 redistributors, one after another.
pub const GICR_BASE: Gpa = Gpa(0x080a_0000);
/// Length of each redistributor, in bytes: two frames of 64 KiB.
pub const GICR_STRIDE: u64 = 0x2_0000;
/// Room for all redistributors, in bytes.
pub const GICR_LEN: u64 = 0x00f6_0000;
/// PL011 UART, the console.
pub const UART_BASE: Gpa = Gpa(0x0900_0000);
/// PL031 real-time clock.
pub const RTC_BASE: Gpa = Gpa(0x0901_0000);
/// The vCPUs' records of stolen time: a page of [`abide_memory::AbiPages::LEN`] bytes.
pub const PVTIME_BASE: Gpa = Gpa(0x090a_0000);
/// The page with the time, 64 KiB of its own. QEMU's board has nothing from here to the virtio
/// devices; below it are secure GPIO and PCI hotplug.
pub const VMCLOCK_BASE: Gpa = Gpa(0x0910_0000);
/// The page with the generation, another 64 KiB.
pub const VMGENID_BASE: Gpa = Gpa(0x0911_0000);
/// Virtio devices, one slot after another.
pub const VIRTIO_BASE: Gpa = Gpa(0x0a00_0000);
/// Length of a slot's registers, in bytes.
pub const VIRTIO_STRIDE: u64 = 0x200;
/// How many slots there are.
pub const VIRTIO_SLOTS: usize = 32;
/// Length of the UART's and the clock's register frames, in bytes.
pub const DEVICE_LEN: u64 = 0x1000;
/// Where RAM begins.
pub const RAM_BASE: Gpa = Gpa(0x4000_0000);

/// INTID of shared peripheral interrupt 0.
pub const SPI_BASE: u32 = 32;
/// The console's interrupt: SPI 1.
pub const UART_INTID: u32 = SPI_BASE + 1;
/// The real-time clock's interrupt: SPI 2.
pub const RTC_INTID: u32 = SPI_BASE + 2;
/// The interrupt of the page with the time: SPI 10. QEMU's board has nothing at 10 to 15.
pub const VMCLOCK_INTID: u32 = SPI_BASE + 10;
/// The interrupt of the page with the generation: SPI 11.
pub const VMGENID_INTID: u32 = SPI_BASE + 11;
/// The interrupt of the first virtio slot, SPI 16; those of the others follow.
pub const VIRTIO_INTID: u32 = SPI_BASE + 16;
/// INTIDs that the interrupt controller has: 32 private ones and 256 shared ones.
pub const GIC_INTIDS: u32 = 288;
/// The least INTIDs that the board's devices can do with: the last virtio slot has number 79.
pub const GIC_INTIDS_MIN: u32 = 96;
/// The most `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`.
pub const GIC_INTIDS_MAX: u32 = abide_gic::NR_IRQS_MAX;
/// PPI of the virtual timer.
pub const VIRTUAL_TIMER_INTID: u32 = 27;
/// PPI of the physical timer of EL1.
pub const PHYSICAL_TIMER_INTID: u32 = 30;
/// PPI of the performance monitors, where vCPUs have them.
pub const PMU_INTID: u32 = abide_engine::PMU_INTID;

/// Clock of the UART and the real-time clock, in Hz, as the device tree tells it.
pub const APB_CLOCK_HZ: u32 = 24_000_000;

/// The least RAM with which the board can be made, in bytes.
pub const RAM_MIN_LEN: u64 = 4 << 20;
/// The most, in bytes: what 40-bit physical addresses can reach, rounded down.
pub const RAM_MAX_LEN: u64 = 255 << 30;
/// The most vCPUs: one redistributor each, at most this many by design.
pub const VCPU_MAX: u32 = 64;

/// What can be chosen about a board. All of it is guest ABI and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardConfig {
    /// RAM, in bytes.
    pub ram_len: u64,
    /// vCPUs.
    pub vcpu_count: u32,
    /// Frequency of the system counter, in Hz.
    pub cntfrq_hz: u64,
    /// The virtio device in each slot, from the first on without a gap.
    pub virtio: Vec<DeviceId>,
    /// The features with which its vCPUs are made. Saved as what ID registers show.
    pub features: CpuFeatures,
    /// The page with the time and the one with the generation, if it has them. Saved as these.
    pub vmclock: Option<VmclockConfig>,
}

impl BoardConfig {
    /// 512 MiB, one vCPU, 62.5 MHz.
    pub const DEFAULT: Self = Self {
        ram_len: 512 << 20,
        vcpu_count: 1,
        cntfrq_hz: 62_500_000,
        virtio: Vec::new(),
        features: CpuFeatures::NONE,
        vmclock: None,
    };

    /// Checks every choice.
    ///
    /// # Errors
    /// [`ConfigError`], naming the first that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let out_of = |what, found, least, most| ConfigError::Range { what, found, least, most };
        if !(RAM_MIN_LEN..=RAM_MAX_LEN).contains(&self.ram_len) {
            return Err(out_of("bytes of memory", self.ram_len, RAM_MIN_LEN, RAM_MAX_LEN));
        }
        if !self.ram_len.is_multiple_of(1 << 20) {
            return Err(ConfigError::MemoryGranule { found: self.ram_len });
        }
        if !(1..=VCPU_MAX).contains(&self.vcpu_count) {
            return Err(out_of("vcpus", self.vcpu_count.into(), 1, VCPU_MAX.into()));
        }
        if self.virtio.len() > VIRTIO_SLOTS {
            let (found, most) = (self.virtio.len() as u64, VIRTIO_SLOTS as u64);
            return Err(out_of("virtio devices", found, 0, most));
        }
        if let Some(config) = self.vmclock.filter(|config| !config.is_possible()) {
            return Err(ConfigError::VmclockSize { found: config.size_bytes });
        }
        // Below 1 MHz Linux keeps no time, above 1 GHz the architecture allows none.
        if !(1_000_000..=1_000_000_000).contains(&self.cntfrq_hz) {
            return Err(out_of(
                "Hz of counter frequency",
                self.cntfrq_hz,
                1_000_000,
                1_000_000_000,
            ));
        }
        Ok(())
    }
}

/// Whether an interrupt controller of so many INTIDs serves the board's devices.
#[must_use]
pub const fn fits_devices(intids: u32) -> bool {
    intids >= GIC_INTIDS_MIN && intids <= GIC_INTIDS_MAX && intids.is_multiple_of(32)
}

/// The affinity of vCPU `n` as MPIDR_EL1 shows it: the engines number their vCPUs in the same way.
#[must_use]
pub fn mpidr(n: u32) -> u64 {
    abide_arm64::kvm::affinity(n)
}
