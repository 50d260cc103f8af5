//! What stands between this process and KVM, in words.

use crate::ENGINE_NAME;
use abide_arm64::features::Feature;
use abide_engine::EngineError;

/// An error with this reason and this next step.
fn unavailable(reason: String, next: &'static str) -> EngineError {
    EngineError::Unavailable { engine: ENGINE_NAME, reason, next }
}

/// The only API version there has been since Linux 2.6.22
/// `[linux Documentation/virt/kvm/api.rst 4.1]`.
pub(crate) const API_VERSION: i32 = 12;

// Linux error numbers that are the same on every architecture this crate builds for.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EACCES: i32 = 13;
const ENODEV: i32 = 19;

const SOFT: &str = "use --engine soft";

/// Opening `/dev/kvm` gave `errno`.
pub(crate) fn cannot_open(errno: i32) -> EngineError {
    match errno {
        ENOENT => unavailable(
            "there is no /dev/kvm".to_owned(),
            "start the host's kernel in EL2 with KVM built in, or use --engine soft",
        ),
        EACCES | EPERM => unavailable(
            "/dev/kvm may not be opened by this user".to_owned(),
            "join the group that owns /dev/kvm, or use --engine soft",
        ),
        ENXIO | ENODEV => unavailable(
            "/dev/kvm has no driver behind it".to_owned(),
            "start the host's kernel in EL2 with KVM built in, or use --engine soft",
        ),
        errno => unavailable(format!("opening /dev/kvm gave errno {errno}"), SOFT),
    }
}

/// `/dev/kvm` answers with an API version that nobody knows.
pub(crate) fn wrong_version(found: i32) -> EngineError {
    if found < 0 {
        return unavailable(
            "/dev/kvm is not KVM: it does not answer KVM_GET_API_VERSION".to_owned(),
            "see what is at /dev/kvm, or use --engine soft",
        );
    }
    unavailable(
        format!("/dev/kvm has API version {found}, {API_VERSION} is needed"),
        "start the host with a Linux kernel of its own, or use --engine soft",
    )
}

/// The host's KVM lacks something that this engine cannot do without.
pub(crate) fn lacks(what: &'static str) -> EngineError {
    unavailable(format!("the host's KVM has no {what}"), SOFT)
}

/// The host's KVM does not give its guests a feature; `capability` would say that it does.
pub(crate) fn lacks_feature(feature: Feature, capability: &'static str) -> EngineError {
    unavailable(
        format!("the host's KVM has no {} for guests ({capability})", feature.description()),
        "choose a host that has it; a new guest can be started without it (--features)",
    )
}

/// The host's CPUs cannot limit their vectors to the lengths that the guest has.
pub(crate) fn wrong_vector_lengths() -> EngineError {
    unavailable(
        "the host's SVE has other vector lengths than the guest's (SVE_VLS)".to_owned(),
        "choose a host whose profile has the lengths of the guest",
    )
}

/// The guest's counter would run at another speed than it was promised.
pub(crate) fn wrong_frequency(host_hz: u64, guest_hz: u64) -> EngineError {
    unavailable(
        format!(
            "the host's system counter runs at {host_hz} Hz, the guest's at {guest_hz} Hz, and \
             KVM cannot scale it (CNTFRQ_EL0)"
        ),
        "choose a host whose CNTFRQ_EL0 is the guest's, or use --engine soft",
    )
}

/// The host's kernel refused `operation`.
pub(crate) fn refused(operation: &'static str, errno: i32) -> EngineError {
    EngineError::Host { operation, errno }
}

/// This engine has no `what`.
pub(crate) fn unsupported(what: &'static str) -> EngineError {
    EngineError::Unsupported { engine: ENGINE_NAME, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_fail_names_its_remedy_in_one_line() {
        for (errno, reason, next) in [
            (ENOENT, "no /dev/kvm", "EL2"),
            (EACCES, "may not be opened", "group"),
            (EPERM, "may not be opened", "group"),
            (ENODEV, "no driver", "EL2"),
            (24, "errno 24", "--engine soft"),
        ] {
            let text = cannot_open(errno).to_string();
            assert!(text.contains(reason) && text.contains(next), "{errno}: {text}");
            assert!(text.contains("--engine soft") && !text.contains('\n'), "{text}");
        }
        assert!(wrong_version(11).to_string().contains("version 11, 12 is needed"));
        let text = lacks_feature(Feature::Pmu, "KVM_CAP_ARM_PMU_V3").to_string();
        assert!(text.contains("PMUVer") && text.contains("(KVM_CAP_ARM_PMU_V3)"), "{text}");
        assert!(wrong_vector_lengths().to_string().contains("SVE_VLS"));
        assert!(wrong_version(-1).to_string().contains("not KVM"));
        assert!(lacks("GICv3").to_string().contains("no GICv3"));
        let text = wrong_frequency(1_000_000_000, 62_500_000).to_string();
        assert!(text.contains("1000000000 Hz") && text.contains("62500000 Hz"), "{text}");
        assert!(refused("KVM_RUN", 14).to_string().contains("KVM_RUN"));
        assert!(unsupported("ITS").to_string().contains("ITS"));
    }
}
