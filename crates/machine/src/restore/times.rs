//! How long each share of a restore takes, by the host's clock.

use crate::units::Unit;
use std::time::{Duration, Instant};

/// How long each share of a restore took. Together they are the whole of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Judging the file's records, and making devices from them.
    pub devices: Duration,
    /// Guest RAM; where it comes as it is touched, only making that ready.
    pub memory: Duration,
    /// Making VM, vCPUs and interrupt controller, and looking at what the host shows in them.
    pub vm_made: Duration,
    /// Registers of the VM: identity, firmware and counter.
    pub of_vm: Duration,
    /// Registers of vCPUs, planned and written by as many threads as the host has CPUs for.
    pub of_vcpus: Duration,
    /// The interrupt controller.
    pub gic: Duration,
    /// Reading everything back and comparing it.
    pub readback: Duration,
}

impl Times {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        let Self { devices, memory, vm_made, of_vm, of_vcpus, gic, readback } = *self;
        devices + memory + vm_made + of_vm + of_vcpus + gic + readback
    }

    /// Where a unit's share is counted.
    pub(super) fn of_unit(&mut self, unit: Unit) -> &mut Duration {
        match unit {
            Unit::Identity | Unit::Firmware | Unit::Counter => &mut self.of_vm,
            Unit::Cpu => &mut self.of_vcpus,
            Unit::Gic => &mut self.gic,
            _ => &mut self.devices,
        }
    }
}

/// Tells how long it is since it was last asked.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before)
    }
}
