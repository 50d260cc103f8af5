//! abide-engine-kvm
