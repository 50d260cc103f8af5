//! The bus: where each of a guest's accesses ends.

use crate::board::{
    DEVICE_LEN, GICD_BASE, GICD_LEN, GICR_BASE, GICR_STRIDE, RTC_BASE, RTC_INTID, UART_BASE,
    UART_INTID, VIRTIO_BASE, VIRTIO_INTID, VIRTIO_STRIDE,
};
use crate::clock::MachineClock;
use crate::console::Console;
use crate::devices::virtio::{MachineClocks, Outside, RunEpoch, VirtioDevice};
use crate::devices::vmclock::VmclockDevice;
use crate::devices::{Pl011, Pl031};
use crate::doorbell::Doorbell;
use crate::entropy::Entropy;
use crate::error::MachineError;
use crate::irqchip::SoftIrqchip;
use crate::stolen_time::Records;
use abide_arm64::SysReg;
use abide_engine::{AfterCall, Bus, Irqchip, PowerState, SMCCC_REGISTERS};
use abide_firmware::{Caller, Effect, Firmware};
use abide_gic::IntId;
use abide_memory::GuestRam;
use abide_reg::{Gpa, VcpuId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod firmware_env;
use firmware_env::FirmwareEnv;

/// Everything that a vCPU can reach outside itself.
pub struct MachineBus {
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) console: Mutex<Console>,
    /// What the console knows as well, for those who must not wait while it prints.
    pub(crate) panicked: AtomicBool,
    pub(crate) uart: Mutex<Pl011>,
    pub(crate) rtc: Mutex<Pl031>,
    /// The page with the time and the one with the generation.
    pub(crate) vmclock: Option<Arc<Mutex<VmclockDevice>>>,
    /// What a virtio clock reads.
    pub(crate) clocks: Mutex<MachineClocks>,
    /// The virtio devices, slot by slot.
    pub(crate) virtio: Vec<Mutex<VirtioDevice>>,
    /// Rung for them from outside.
    pub(crate) doorbell: Arc<Doorbell>,
    /// Whether one of them takes what is typed.
    pub(crate) has_virtio_console: bool,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) firmware: Mutex<Firmware>,
    pub(crate) irqchip: Arc<dyn Irqchip>,
    /// The same controller where the machine brings it: then the bus also routes its registers.
    pub(crate) soft_irqchip: Option<Arc<SoftIrqchip>>,
    pub(crate) entropy: Mutex<Entropy>,
    /// The vCPUs' records of stolen time, if the guest has any.
    pub(crate) stolen_time: Option<Records>,
    /// Which vCPUs are on, as PSCI knows it.
    pub(crate) powered: Vec<AtomicBool>,
    /// What guests asked of the machine and the runner has not done yet.
    pub(crate) requests: Mutex<Vec<Request>>,
}

/// A guest's request to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub(crate) caller: VcpuId,
    /// For what.
    pub(crate) effect: Effect,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that died while holding a device would have ended the whole VM.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What answers at an address.
#[derive(Clone, Copy)]
enum Target {
    Distributor { offset: u64 },
    Redistributor { vcpu: VcpuId, offset: u64 },
    Uart { offset: u64 },
    Rtc { offset: u64 },
    Virtio { slot: usize, offset: u64 },
}

impl MachineBus {
    fn target(&self, gpa: Gpa) -> Option<Target> {
        let within = |base: Gpa, len: u64| gpa.offset_from(base).filter(|&offset| offset < len);
        if let Some(offset) = within(GICD_BASE, GICD_LEN) {
            return Some(Target::Distributor { offset });
        }
        if let Some(offset) = within(GICR_BASE, GICR_STRIDE * self.powered.len() as u64) {
            let vcpu = VcpuId(u32::try_from(offset / GICR_STRIDE).ok()?);
            return Some(Target::Redistributor { vcpu, offset: offset % GICR_STRIDE });
        }
        if let Some(offset) = within(UART_BASE, DEVICE_LEN) {
            return Some(Target::Uart { offset });
        }
        if let Some(offset) = within(RTC_BASE, DEVICE_LEN) {
            return Some(Target::Rtc { offset });
        }
        let offset = within(VIRTIO_BASE, VIRTIO_STRIDE * self.virtio.len() as u64)?;
        let slot = usize::try_from(offset / VIRTIO_STRIDE).ok()?;
        Some(Target::Virtio { slot, offset: offset % VIRTIO_STRIDE })
    }

    /// Hands what came from outside to the devices, as much as fits, and lets those that owe
    /// their driver work go on; tells whether there was any.
    pub(crate) fn deliver_input(&self) -> bool {
        let has_moved = self.poll_virtio();
        let mut uart = lock(&self.uart);
        let delivered = self.refill(&mut uart);
        self.drive(UART_INTID, uart.irq_level());
        delivered || has_moved
    }

    /// Lets virtio devices look outside; tells whether an interrupt line rose or there is more.
    fn poll_virtio(&self) -> bool {
        let mut has_risen = false;
        for (slot, device) in self.virtio.iter().enumerate() {
            let mut device = lock(device);
            let before = device.irq_level();
            device.poll(&self.outside());
            has_risen |= device.is_unserved();
            self.see_to(&device);
            if device.irq_level() != before {
                has_risen |= !before;
                self.drive_virtio(slot, &device);
            }
        }
        has_risen
    }

    fn outside(&self) -> Outside<'_> {
        Outside {
            ram: &self.ram,
            entropy: &self.entropy,
            console: &self.console,
            clocks: &self.clocks,
        }
    }

    fn drive_virtio(&self, slot: usize, device: &VirtioDevice) {
        // There are 32 slots at most.
        self.drive(VIRTIO_INTID + u32::try_from(slot).unwrap_or(0), device.irq_level());
    }

    fn virtio_write(&self, slot: usize, offset: u64, size: usize, value: u64) {
        let mut device = lock(&self.virtio[slot]);
        device.write(offset, size, value, &self.outside());
        if matches!(*device, VirtioDevice::Console { .. }) {
            let has_panicked = lock(&self.console).has_panicked();
            self.panicked.store(has_panicked, Ordering::Relaxed);
        }
        self.see_to(&device);
        self.drive_virtio(slot, &device);
    }

    /// A device that took its share goes on soon.
    fn see_to(&self, device: &VirtioDevice) {
        if device.is_unserved() {
            self.doorbell.ring();
        }
    }

    /// Takes what devices need of the host and another process had until now.
    pub(crate) fn claim(&self, epoch: Option<RunEpoch>) -> Result<(), MachineError> {
        self.virtio.iter().try_for_each(|device| lock(device).claim(&self.doorbell, epoch))
    }

    /// Leaves what devices have of the host: the guest does not go on in this machine.
    pub(crate) fn release(&self) -> Result<(), MachineError> {
        self.virtio.iter().try_for_each(|device| lock(device).release())
    }

    /// The guest goes on in this machine.
    pub(crate) fn activate(&self) {
        for (slot, device) in self.virtio.iter().enumerate() {
            let mut device = lock(device);
            device.activate(&self.outside());
            self.drive_virtio(slot, &device);
        }
    }

    /// As [`Self::deliver_input`], for who has the UART. Always the UART is locked first, then the
    /// console.
    fn refill(&self, uart: &mut Pl011) -> bool {
        // What is typed goes to one console only.
        if self.has_virtio_console {
            return false;
        }
        let mut console = lock(&self.console);
        if console.waiting().is_empty() {
            return false;
        }
        let accepted = uart.receive(console.waiting());
        console.accepted(accepted);
        accepted > 0
    }

    /// Whether the guest's kernel said that it ends in panic.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    /// Tells the real-time clock what time it is.
    pub(crate) fn tick_rtc(&self) {
        let mut rtc = lock(&self.rtc);
        rtc.tick(self.clock.wall_s());
        self.drive(RTC_INTID, rtc.irq_level());
    }

    /// An interrupt that the controller takes by its edge.
    pub(crate) fn pulse(&self, intid: u32) {
        self.drive(intid, true);
        self.drive(intid, false);
    }

    fn drive(&self, intid: u32, level: bool) {
        // The software controller takes any line; KVM refuses only a line it does not have, which
        // the board's layout rules out.
        if let Err(error) = self.irqchip.set_line(intid, level) {
            tracing::error!(intid, %error, "interrupt line not driven");
        }
    }

    fn uart_read(&self, offset: u64, size: usize) -> u64 {
        let mut uart = lock(&self.uart);
        let value = uart.read(offset, size);
        // It may have made room for what was typed next.
        self.refill(&mut uart);
        self.drive(UART_INTID, uart.irq_level());
        value
    }

    fn uart_write(&self, offset: u64, size: usize, value: u64) {
        let mut uart = lock(&self.uart);
        let sent = uart.write(offset, size, value);
        if let Some(byte) = sent {
            let mut console = lock(&self.console);
            console.transmit(&[byte]);
            self.panicked.store(console.has_panicked(), Ordering::Relaxed);
        }
        self.drive(UART_INTID, uart.irq_level());
    }

    fn rtc_write(&self, offset: u64, size: usize, value: u64) {
        let mut rtc = lock(&self.rtc);
        rtc.write(offset, size, value, self.clock.wall_s());
        self.drive(RTC_INTID, rtc.irq_level());
    }

    fn request(&self, caller: VcpuId, effect: Effect) -> AfterCall {
        lock(&self.requests).push(Request { caller, effect });
        AfterCall::Leave
    }

    /// Whether a vCPU is on.
    pub(crate) fn power(&self, vcpu: VcpuId) -> PowerState {
        match self.powered.get(vcpu.index()) {
            Some(on) if on.load(Ordering::Acquire) => PowerState::On,
            _ => PowerState::Off,
        }
    }

    /// How many vCPUs are on.
    pub(crate) fn powered_count(&self) -> u32 {
        self.powered.iter().map(|on| u32::from(on.load(Ordering::Acquire))).sum()
    }

    /// Takes note of a vCPU's CPU_OFF.
    pub(crate) fn switch_off(&self, vcpu: VcpuId) {
        self.set_power(vcpu, false);
        if self.powered_count() == 0 {
            tracing::warn!(last = %vcpu, "all vCPUs are off: nothing in the guest can go on");
        }
    }

    pub(crate) fn set_power(&self, vcpu: VcpuId, on: bool) {
        if let Some(powered) = self.powered.get(vcpu.index()) {
            powered.store(on, Ordering::Release);
        }
    }
}

impl Bus for MachineBus {
    fn mmio_read(&self, _vcpu: VcpuId, gpa: Gpa, size: usize) -> Option<u64> {
        Some(match (self.target(gpa)?, &self.soft_irqchip) {
            (Target::Uart { offset }, _) => self.uart_read(offset, size),
            (Target::Rtc { offset }, _) => lock(&self.rtc).read(offset, size, self.clock.wall_s()),
            (Target::Virtio { slot, offset }, _) => lock(&self.virtio[slot]).read(offset, size),
            (Target::Distributor { offset }, Some(chip)) => {
                chip.with(|gic| gic.dist_read(offset, size))
            }
            (Target::Redistributor { vcpu, offset }, Some(chip)) => {
                chip.with(|gic| gic.redist_read(vcpu, offset, size))
            }
            (_, None) => return None,
        })
    }

    fn mmio_write(&self, _vcpu: VcpuId, gpa: Gpa, size: usize, value: u64) -> Option<()> {
        match (self.target(gpa)?, &self.soft_irqchip) {
            (Target::Uart { offset }, _) => self.uart_write(offset, size, value),
            (Target::Rtc { offset }, _) => self.rtc_write(offset, size, value),
            (Target::Virtio { slot, offset }, _) => self.virtio_write(slot, offset, size, value),
            (Target::Distributor { offset }, Some(chip)) => {
                chip.with(|gic| gic.dist_write(offset, size, value));
            }
            (Target::Redistributor { vcpu, offset }, Some(chip)) => {
                chip.with(|gic| gic.redist_write(vcpu, offset, size, value));
            }
            (_, None) => return None,
        }
        Some(())
    }

    fn sysreg_read(&self, vcpu: VcpuId, reg: SysReg) -> Option<u64> {
        self.soft_irqchip.as_ref()?.with(|gic| gic.sysreg_read(vcpu, reg.0))
    }

    fn sysreg_write(&self, vcpu: VcpuId, reg: SysReg, value: u64) -> Option<()> {
        let known = self.soft_irqchip.as_ref()?.with(|gic| gic.sysreg_write(vcpu, reg.0, value));
        known.then_some(())
    }

    fn smccc(&self, vcpu: VcpuId, x: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        let args = [x[0], x[1], x[2], x[3]];
        let firmware = lock(&self.firmware);
        let reply = firmware.call(Caller::aarch64(vcpu), &args, &mut FirmwareEnv { bus: self });
        // A function that nobody has is NOT_SUPPORTED [DEN0028 5.2]; KVM clears x1 to x3 then.
        let Some(reply) = reply else {
            x[..4].copy_from_slice(&[u64::MAX, 0, 0, 0]);
            return AfterCall::Continue;
        };
        x[..4].copy_from_slice(&reply.regs);
        match reply.effect {
            None => AfterCall::Continue,
            Some(Effect::Suspend) => AfterCall::Wait,
            Some(effect) => {
                // PSCI counts a CPU as on from the call, not from when it first executes; under
                // the firmware's lock no second caller can switch it on too.
                if let Effect::CpuOn { target, .. } = effect {
                    self.set_power(target, true);
                }
                self.request(vcpu, effect)
            }
        }
    }

    fn set_ppi(&self, vcpu: VcpuId, intid: u32, level: bool) {
        if let Some(chip) = &self.soft_irqchip {
            chip.with(|gic| gic.set_ppi(vcpu, IntId(intid), level));
        }
    }
}
