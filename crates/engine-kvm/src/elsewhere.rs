//! The engine on hosts that cannot have it.

use crate::trial::Kind;
use crate::{ENGINE_NAME, HostFacts};
use abide_engine::{Engine, EngineError, Vm, VmConfig};
use abide_pvtime::Revisions;
use std::convert::Infallible;

/// KVM on an arm64 host. This build is for another host, so there is none.
#[derive(Debug)]
pub struct KvmEngine(Infallible);

impl KvmEngine {
    /// Opens `/dev/kvm`.
    ///
    /// # Errors
    /// Always [`EngineError::Unavailable`] in this build.
    pub fn open() -> Result<Self, EngineError> {
        Err(EngineError::Unavailable {
            engine: ENGINE_NAME,
            reason: format!(
                "it drives arm64 guests on arm64 hosts; this host is {0}, and so are the guests of \
                 its /dev/kvm",
                std::env::consts::ARCH,
            ),
            next: "use --engine soft",
        })
    }

    /// The same engine, which offers records of stolen time of no other revisions than these.
    #[must_use]
    pub fn with_stolen_time(self, _revisions: Revisions) -> Self {
        match self.0 {}
    }

    /// Runs a tiny guest, to see whether this KVM runs any.
    ///
    /// # Errors
    /// None in this build, in which there is no engine.
    pub fn try_guest(&self, _kind: Kind) -> Result<(), EngineError> {
        match self.0 {}
    }

    /// Whether guests can be told of fewer events of performance monitors than the host has.
    ///
    /// # Errors
    /// None in this build, in which there is no engine.
    pub fn hides_events(&self) -> Result<bool, EngineError> {
        match self.0 {}
    }

    /// The version of stolen time that guests are told of.
    ///
    /// # Errors
    /// None in this build, in which there is no engine.
    pub fn stolen_time_version(&self) -> Result<u32, EngineError> {
        match self.0 {}
    }

    /// Whether the host's KVM logs a guest's writes by rings.
    #[must_use]
    pub fn has_dirty_rings(&self) -> bool {
        match self.0 {}
    }

    /// The same engine, whose VMs do without dirty rings.
    #[must_use]
    pub fn without_dirty_rings(self) -> Self {
        match self.0 {}
    }

    /// The frequency of the host's system counter, in Hz.
    #[must_use]
    pub fn cntfrq_hz(&self) -> u64 {
        match self.0 {}
    }

    /// What the host's KVM is.
    #[must_use]
    pub fn facts(&self) -> HostFacts {
        match self.0 {}
    }
}

impl Engine for KvmEngine {
    fn name(&self) -> &'static str {
        ENGINE_NAME
    }

    fn create_vm(&self, _config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_says_why_and_what_to_do() {
        let text = KvmEngine::open().unwrap_err().to_string();
        assert!(text.contains("arm64 guests on arm64 hosts"), "{text}");
        assert!(text.contains(std::env::consts::ARCH) && text.contains("--engine soft"), "{text}");
    }
}
