//! The report of a run.

use abide_machine::Machine;
use abide_machine::restore::Written;
use abide_machine::runner::Outcome;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a run was, for machines to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The guest's name.
    pub name: String,
    /// How it ended: `powered_off`, `reset`, `panicked`, `saved_away` or `stopped`.
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
    /// BLAKE3 over every register and all of RAM at the end.
    pub state_hash: String,
    /// Registers and their bytes besides RAM.
    pub state_bytes: u64,
    /// After a restore, how RAM came: `lazy: …` or `eager…`, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_ram: Option<String>,
    /// After a restore, how many registers were written to the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_registers: Option<RestoredRegisters>,
}

/// How many registers a restore wrote to the engine: `total = vm + own + Σ vcpus`.
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
        let outcome = match outcome {
            Outcome::PoweredOff => "powered_off",
            Outcome::Reset => "reset",
            Outcome::Panicked => "panicked",
            Outcome::SavedAway => "saved_away",
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
            state_hash: machine.state_hash()?.to_string(),
            state_bytes: machine.state_len()?,
            restored_ram: None,
            restored_registers: None,
        })
    }
}
