//! What a host's KVM is, besides the registers of its vCPUs.

/// Facts about a host, as its kernel tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// How many bits of guest physical address a VM can have at most.
    pub ipa_bits: u8,
    /// The size of a page in bytes.
    pub page_size: u64,
    /// The most vCPUs of a VM.
    pub vcpus_max: u32,
    /// Whether vCPUs can have a record of stolen time.
    pub has_stolen_time: bool,
    /// Every capability that is offered, by number, with what the kernel answers
    /// `[linux include/uapi/linux/kvm.h KVM_CAP_*]`.
    pub capabilities: Vec<(u32, i32)>,
}
