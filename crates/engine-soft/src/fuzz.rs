//! Bodies of fuzz targets: library functions, so that ordinary tests replay what a fuzzer found.

mod exclusives;

pub use crate::exec::fuzz_float;
pub use exclusives::fuzz_exclusives;

use crate::SoftEngine;
use crate::cpu_model::{CpuModel, MODELS};
use abide_arm64::{SysReg, kvm};
use abide_engine::{
    AfterCall, Bus, Clock, Engine, InterruptLines, SMCCC_REGISTERS, Vcpu, Vm, VmConfig,
};
use abide_memory::GuestRam;
use abide_reg::{Gpa, Value, VcpuId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const RAM_BASE: u64 = 0x4000_0000;
const RAM_LEN: u64 = 1 << 20;
const BUDGET: u64 = 20_000;

/// An outside whose answers depend on nothing but the question.
struct Echo(Arc<InterruptLines>);

impl Bus for Echo {
    fn mmio_read(&self, _: VcpuId, gpa: Gpa, size: usize) -> Option<u64> {
        (gpa.0 < RAM_BASE).then_some(gpa.0.wrapping_mul(size as u64))
    }

    fn mmio_write(&self, _: VcpuId, gpa: Gpa, _: usize, value: u64) -> Option<()> {
        self.0.set(value & 1 == 1, value & 2 == 2);
        (gpa.0 < RAM_BASE).then_some(())
    }

    fn sysreg_read(&self, _: VcpuId, reg: SysReg) -> Option<u64> {
        (reg.0 & 1 == 0).then_some(reg.0.into())
    }

    fn sysreg_write(&self, _: VcpuId, reg: SysReg, value: u64) -> Option<()> {
        self.0.set(value & 1 == 1, false);
        (reg.0 & 1 == 0).then_some(())
    }

    fn smccc(&self, _: VcpuId, x: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        match x[0] & 3 {
            0 => AfterCall::Leave,
            1 => AfterCall::Wait,
            _ => AfterCall::Continue,
        }
    }

    fn set_ppi(&self, _: VcpuId, _: u32, level: bool) {
        self.0.set(level, false);
    }
}

/// A tick each 8 instructions.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now_ticks(&self) -> u64 {
        self.0.load(Ordering::Relaxed) / 8
    }

    fn retire(&self, instructions: u64) {
        self.0.fetch_add(instructions, Ordering::Relaxed);
    }

    fn instructions_until(&self, ticks: u64) -> Option<u64> {
        Some(ticks.saturating_mul(8).saturating_sub(self.0.load(Ordering::Relaxed)))
    }
}

/// A VM with its RAM; `None` where the host has no memory left.
fn one_vm(model: &'static CpuModel, vcpu_count: u32) -> Option<(Arc<GuestRam>, Box<dyn Vm>)> {
    let ram = GuestRam::new(Gpa(RAM_BASE), RAM_LEN).map(Arc::new).ok()?;
    let config = VmConfig {
        vcpu_count,
        cntfrq_hz: 62_500_000,
        ram: Arc::clone(&ram),
        clock: Arc::new(Ticks::default()),
        gicd: Gpa(0),
        gicr: Gpa(0),
        gic_intids: 64,
        features: abide_arm64::features::CpuFeatures::NONE,
    };
    let vm = SoftEngine::with_model(model).create_vm(config).ok()?;
    Some((ram, vm))
}

/// Executes whatever `data` is: the first byte chooses the CPU model, the next say how many
/// registers are set from what follows, and the rest is RAM from its start, where execution begins.
pub fn fuzz_exec(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let model = &MODELS[usize::from(choice) % MODELS.len()];
    let Some((ram, mut vm)) = one_vm(model, 1) else { return };
    let lines = Arc::new(InterruptLines::default());
    let Ok(mut vcpu) = vm.create_vcpu(VcpuId(0), Arc::clone(&lines)) else { return };
    let code = set_registers(&mut *vcpu, data);
    let len = code.len().min(1 << 16);
    let _ = ram.write(Gpa(RAM_BASE), &code[..len]);
    let bus = Echo(lines);
    for _ in 0..4 {
        let _ = vcpu.run(BUDGET / 4, &bus);
        let _ = vcpu.deadline_ticks();
    }
}

/// Sets registers from pairs of a 16-bit number and the value's bytes, as long as a leading byte
/// of 1 announces one more; returns what is left.
fn set_registers<'a>(vcpu: &mut dyn Vcpu, mut data: &'a [u8]) -> &'a [u8] {
    let ids = vcpu.reg_ids();
    let _ = vcpu.store(kvm::PC, &Value::u64(RAM_BASE));
    while let [1, low, high, rest @ ..] = data {
        let id = ids[usize::from(u16::from_le_bytes([*low, *high])) % ids.len()];
        let width = vcpu.load(id).map_or(8, |value| value.width());
        let (bytes, rest) = rest.split_at(width.min(rest.len()));
        // What is refused stays as it was.
        let _ = vcpu.store(id, &Value::bytes(bytes));
        data = rest;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat on every run.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
            })
            .collect()
    }

    #[test]
    fn noise_is_executed_without_a_panic() {
        for seed in 1..200u64 {
            let mut data = noise(seed * 7919, 6000);
            for at in 0..40 {
                // Some registers of noise before the code.
                data[1 + at * 11] = u8::from(at as u64 % 4 < seed % 5);
            }
            fuzz_exec(&data);
        }
        for short in [&[][..], &[0], &[1, 1], &[1, 1, 3, 0, 9]] {
            fuzz_exec(short);
        }
    }
}
