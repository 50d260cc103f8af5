//! The report of a run.

use crate::handoff::ArrivalReport;
use abide_contract::{Step, rules};
use abide_machine::Machine;
use abide_machine::restore::{RestoreReport, Times, Written};
use abide_machine::runner::Outcome;
use abide_reg::Name;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a run was, for machines to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The guest's name.
    pub name: String,
    /// How it ended: `powered_off`, `reset`, `panicked`, `saved_away`, `given_away` or
    /// `stopped`.
    pub outcome: String,
    /// What executed it.
    pub engine: String,
    /// Whether its run can be repeated to the last bit.
    pub deterministic: bool,
    /// Instructions executed since the guest was started, over all its processes.
    pub instructions: u64,
    /// Its own time since it was started, in ns.
    pub guest_ns: u64,
    /// Bytes it has printed since it was started.
    pub console_bytes: u64,
    /// BLAKE3 over every register and all of RAM at the end; empty for a guest that was given away,
    /// whose RAM is another process's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state_hash: String,
    /// Registers and their bytes besides RAM.
    pub state_bytes: u64,
    /// After a restore, how RAM came: `lazy: …` or `eager…`, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_ram: Option<String>,
    /// After a restore, how many registers were written to the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_registers: Option<RestoredRegisters>,
    /// After a restore, how long each share of it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_times: Option<RestoreTimes>,
    /// After a restore, what became of registers that this host has not, or has otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_steps: Option<Vec<RestoredStep>>,
    /// Of a guest that was handed over, how it came here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<ArrivalReport>,
}

/// The report of a restore that was refused: nothing ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// The guest's name.
    pub name: String,
    /// `refused`.
    pub outcome: String,
    /// Why, as it is said.
    pub error: String,
    /// Every register that stands in the way.
    pub restored_steps: Vec<RestoredStep>,
}

/// What became of one register, in a plan's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredStep {
    /// The unit.
    pub unit: String,
    /// Whose: `vm`, `vcpu0` and so on.
    pub scope: String,
    /// The register.
    pub id: String,
    /// Its name in the specification.
    pub name: String,
    /// `drop`, `mask`, `original`, `refuse`; `hide` of what only this host has.
    pub verdict: String,
    /// Why, as one line.
    pub reason: String,
}

impl RestoredStep {
    /// What a plan says of a register.
    pub fn of((unit, step): &(Name, Step)) -> Self {
        Self {
            unit: unit.to_string(),
            scope: step.scope.to_string(),
            id: step.id.to_string(),
            name: rules::name(step.id),
            verdict: step.verdict.word().to_owned(),
            reason: step.reason(),
        }
    }

    /// All that a restore did besides writing what was saved.
    pub fn all(report: &RestoreReport) -> Vec<Self> {
        let hidden = report.hidden.iter().map(|extra| Self {
            unit: "host".to_owned(),
            scope: extra.scope.word().to_owned(),
            id: extra.id.to_string(),
            name: rules::name(extra.id),
            verdict: "hide".to_owned(),
            reason: extra.reason(),
        });
        report.steps.iter().map(Self::of).chain(hidden).collect()
    }
}

/// How long each share of a restore took, by the host's clock; `total_ns` is their sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTimes {
    /// Judging the file's records, and making devices from them.
    pub devices_ns: u64,
    /// Guest RAM; where it comes as it is touched, only making that ready.
    pub memory_ns: u64,
    /// Making VM, vCPUs and interrupt controller.
    pub vm_made_ns: u64,
    /// Registers of the VM.
    pub of_vm_ns: u64,
    /// Registers of vCPUs.
    pub of_vcpus_ns: u64,
    /// The interrupt controller.
    pub gic_ns: u64,
    /// Reading everything back and comparing it.
    pub readback_ns: u64,
    /// All of it.
    pub total_ns: u64,
}

impl RestoreTimes {
    /// What a restore reports.
    pub fn of(times: &Times) -> Self {
        let Times { devices, memory, vm_made, of_vm, of_vcpus, gic, readback } = times;
        let ns = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            devices_ns: ns(devices),
            memory_ns: ns(memory),
            vm_made_ns: ns(vm_made),
            of_vm_ns: ns(of_vm),
            of_vcpus_ns: ns(of_vcpus),
            gic_ns: ns(gic),
            readback_ns: ns(readback),
            total_ns: ns(&times.total()),
        }
    }
}

/// How many registers a restore wrote to the engine: `total = vm + own + Σ vcpus`. On KVM each is
/// an ioctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredRegisters {
    /// Of the VM, each once.
    pub vm: usize,
    /// Of vCPUs that do not show the VM's identity.
    pub own: usize,
    /// Of each vCPU.
    pub vcpus: Vec<usize>,
    /// All of them.
    pub total: usize,
}

impl RestoredRegisters {
    /// What a restore reports.
    pub fn of(written: &Written) -> Self {
        let Written { of_vm, of_own, of_vcpus } = written;
        let vcpus = of_vcpus.clone();
        Self { vm: *of_vm, own: *of_own, vcpus, total: written.total() }
    }
}

impl RunReport {
    /// The report of a machine that has just ended.
    pub fn of(machine: &Machine, name: &str, outcome: Outcome) -> Result<Self> {
        let state_hash = match outcome {
            Outcome::GivenAway => String::new(),
            _ => machine.state_hash()?.to_string(),
        };
        let outcome = match outcome {
            Outcome::PoweredOff => "powered_off",
            Outcome::Reset => "reset",
            Outcome::Panicked => "panicked",
            Outcome::SavedAway => "saved_away",
            Outcome::GivenAway => "given_away",
            Outcome::Stopped => "stopped",
        };
        Ok(Self {
            name: name.to_owned(),
            outcome: outcome.to_owned(),
            engine: machine.engine().to_owned(),
            deterministic: machine.is_deterministic(),
            instructions: machine.instructions(),
            guest_ns: machine.guest_ns(),
            console_bytes: machine.console_bytes(),
            state_hash,
            state_bytes: machine.state_len()?,
            restored_ram: None,
            restored_registers: None,
            restore_times: None,
            restored_steps: None,
            arrival: None,
        })
    }
}
