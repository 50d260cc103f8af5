//! The smallest VMM around [`Firmware`]: one vCPU asks what its firmware is, switches its sibling
//! on and the machine off, with a save and a restore in between.
//!
//! `cargo run -p abide-firmware --example guest_calls`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use abide_firmware::{Caller, Effect, Environment, Firmware, PtpCounter, PtpSample, Reply, spec};
use abide_reg::{IntakeError, VcpuId};

/// Two vCPUs, a counter as entropy, no clock.
struct Vmm {
    on: [bool; 2],
    entropy: u64,
}

impl Environment for Vmm {
    fn vcpu_count(&self) -> u32 {
        2
    }
    fn mpidr(&self, vcpu: VcpuId) -> u64 {
        u64::from(vcpu.0)
    }
    fn is_on(&self, vcpu: VcpuId) -> bool {
        self.on[vcpu.index()]
    }
    fn entropy(&mut self) -> Option<u64> {
        self.entropy += 1;
        Some(self.entropy)
    }
    fn ptp(&self, _: PtpCounter) -> Option<PtpSample> {
        None
    }
}

impl Vmm {
    /// What a vCPU loop does at `HVC #0`.
    fn hvc(&mut self, firmware: &Firmware, name: &str, args: [u64; 4]) -> Reply {
        let nobody = [spec::SMCCC_NOT_SUPPORTED.cast_unsigned(), 0, 0, 0];
        let reply = firmware
            .call(Caller::aarch64(VcpuId(0)), &args, self)
            .unwrap_or(Reply { regs: nobody, effect: None });
        if let Some(Effect::CpuOn { target, .. }) = reply.effect {
            self.on[target.index()] = true;
        }
        println!("{name:<14} x0 = {:#x}, effect: {:?}", reply.regs[0], reply.effect);
        reply
    }
}

fn main() -> Result<(), IntakeError> {
    let mut vmm = Vmm { on: [true, false], entropy: 0 };
    let firmware = Firmware::default();
    vmm.hvc(&firmware, "SMCCC_VERSION", [spec::SMCCC_VERSION.into(), 0, 0, 0]);
    vmm.hvc(&firmware, "PSCI_VERSION", [spec::PSCI_VERSION.into(), 0, 0, 0]);
    vmm.hvc(&firmware, "TRNG_RND64", [spec::TRNG_RND64.into(), 64, 0, 0]);

    let (firmware, leftover) = Firmware::restore(firmware.save())?;
    println!("restored, {} unknown registers carried along", leftover.carried.len());

    let entry = 0x4008_0000;
    vmm.hvc(&firmware, "CPU_ON", [spec::PSCI_CPU_ON_64.into(), 1, entry, 0]);
    vmm.hvc(&firmware, "CPU_ON again", [spec::PSCI_CPU_ON_64.into(), 1, entry, 0]);
    vmm.hvc(&firmware, "SYSTEM_OFF", [spec::PSCI_SYSTEM_OFF.into(), 0, 0, 0]);
    Ok(())
}
