//! The fuzz target's body, a library function so that ordinary tests replay its corpus.

use crate::{Caller, Effect, Environment, Firmware, PtpCounter, PtpSample, spec};
use abide_reg::{Gpa, Registers, Value, VcpuId};

/// Bytes taken one after another; zeros once they have run out.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u8(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.u8()))
    }
}

/// Up to four vCPUs, of which bit n of `on` says whether number n runs.
struct Machine {
    count: u32,
    on: u8,
    seed: u64,
}

impl Environment for Machine {
    fn vcpu_count(&self) -> u32 {
        self.count
    }

    fn mpidr(&self, vcpu: VcpuId) -> u64 {
        0x8000_0000 | u64::from(vcpu.0 & 1) | u64::from(vcpu.0 >> 1) << 8
    }

    fn is_on(&self, vcpu: VcpuId) -> bool {
        self.on >> vcpu.0 & 1 != 0
    }

    fn entropy(&mut self) -> Option<u64> {
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.seed >> 60 != 0).then_some(self.seed)
    }

    fn ptp(&self, _: PtpCounter) -> Option<PtpSample> {
        (self.seed & 1 != 0)
            .then_some(PtpSample { realtime_ns: self.seed, counter_ticks: !self.seed })
    }

    fn stolen_time_record(&self, vcpu: VcpuId) -> Option<Gpa> {
        (self.seed & 2 != 0).then_some(Gpa(u64::from(vcpu.0) << 6))
    }
}

/// Writes registers and makes calls as `data` says.
///
/// # Panics
/// If an answer breaks a rule that holds for every call: only off vCPUs are switched on, effects
/// of later PSCI versions do not come from earlier ones, entropy stays within what was asked for,
/// and what was saved restores to the same.
pub fn fuzz_call(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut firmware = Firmware::default();
    for def in &spec::DEFS {
        let number = match bytes.u8() {
            0xff => bytes.u64(),
            small if def.id == spec::REG_PSCI_VERSION => 0x1_0000 | u64::from(small),
            small => u64::from(small),
        };
        let before = firmware.clone();
        if firmware.store(def.id, &Value::u64(number)).is_err() {
            assert_eq!(firmware, before, "a refused value changed something");
        }
    }
    let on = bytes.u8();
    let mut machine = Machine { count: u32::from(on >> 4) % 5, on, seed: bytes.u64() };
    while !bytes.0.is_empty() {
        let flags = bytes.u8();
        let caller =
            Caller { vcpu: VcpuId(0), is_aarch32: flags & 1 != 0, is_big_endian: flags & 2 != 0 };
        // Half of the calls are near functions that exist.
        let function = match flags >> 2 & 3 {
            0 => 0x8400_0000 | u64::from(bytes.u8()),
            1 => 0xc400_0000 | u64::from(bytes.u8()),
            2 => 0x8600_0000 | u64::from(bytes.u8()),
            _ => bytes.u64(),
        };
        let mut args = [function, 0, 0, 0];
        for arg in &mut args[1..] {
            *arg = if flags & 0x10 != 0 { bytes.u64() } else { u64::from(bytes.u8()) };
        }
        check_call(&firmware, caller, &args, &mut machine);
    }
    let restored = Firmware::restore(firmware.save()).map(|(restored, _)| restored);
    assert_eq!(restored.as_ref(), Ok(&firmware));
}

fn check_call(firmware: &Firmware, caller: Caller, args: &[u64; 4], machine: &mut Machine) {
    let version = firmware.psci_version();
    let Some(reply) = firmware.call(caller, args, machine) else {
        return;
    };
    match reply.effect {
        Some(Effect::CpuOn { target, .. }) => {
            assert!(target.0 < machine.count && !machine.is_on(target), "{target} was on");
            machine.on |= 1 << target.0;
        }
        Some(Effect::SystemReset2 { .. }) => assert!(version >= spec::PSCI_1_1),
        Some(Effect::SystemOff2) => assert!(version >= spec::PSCI_1_3),
        _ => {}
    }
    let is_rnd32 = args[0] & u64::from(u32::MAX) == u64::from(spec::TRNG_RND32);
    if is_rnd32 && reply.regs[0] == 0 {
        assert!(reply.regs.iter().all(|&reg| reg <= u64::from(u32::MAX)));
    }
}
