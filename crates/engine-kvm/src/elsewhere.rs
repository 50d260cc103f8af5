//! The engine on hosts that cannot have it.

use crate::{ENGINE_NAME, HostFacts};
use abide_engine::{Engine, EngineError, Vm, VmConfig};
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
            reason: "the KVM engine drives arm64 guests on arm64 hosts, and this is none"
                .to_owned(),
            next: "use --engine soft",
        })
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
        assert!(text.contains("--engine soft"), "{text}");
    }
}
