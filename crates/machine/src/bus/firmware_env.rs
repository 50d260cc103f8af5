//! What the machine lends to its firmware.

use super::{MachineBus, lock};
use crate::board::mpidr;
use abide_engine::{Clock, PowerState};
use abide_firmware::{Environment, PtpCounter, PtpSample};
use abide_reg::{Gpa, VcpuId};

/// The machine as its firmware sees it during one call.
pub(super) struct FirmwareEnv<'a> {
    pub(super) bus: &'a MachineBus,
}

impl Environment for FirmwareEnv<'_> {
    fn vcpu_count(&self) -> u32 {
        u32::try_from(self.bus.powered.len()).unwrap_or(u32::MAX)
    }

    fn mpidr(&self, vcpu: VcpuId) -> u64 {
        mpidr(vcpu.0)
    }

    fn is_on(&self, vcpu: VcpuId) -> bool {
        self.bus.power(vcpu) == PowerState::On
    }

    fn entropy(&mut self) -> Option<u64> {
        lock(&self.bus.entropy).next_u64()
    }

    fn ptp(&self, _counter: PtpCounter) -> Option<PtpSample> {
        // Both counters run from the machine's clock without an offset.
        let clock = &self.bus.clock;
        Some(PtpSample { realtime_ns: clock.wall_ns(), counter_ticks: clock.now_ticks() })
    }

    fn stolen_time_record(&self, vcpu: VcpuId) -> Option<Gpa> {
        self.bus.stolen_time.as_ref()?.of_vcpu(vcpu).map(|(table_gpa, _)| table_gpa)
    }

    fn begin_stolen_time(&mut self, vcpu: VcpuId) {
        if let Some(records) = &self.bus.stolen_time {
            records.begin(vcpu);
        }
    }
}
