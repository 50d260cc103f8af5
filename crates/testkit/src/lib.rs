//! # abide-testkit: what the tests of other crates are made with
//!
//! A development dependency only; nothing of it is in the product.
//!
//! * [`conformance`]: the checks that every unit with saved state must pass.
//! * [`guest`]: guest programs, assembled on any host.
//! * [`cpio`]: initramfs archives.
//! * [`golden`]: bytes that must come out the same for ever.
//! * [`corpus`]: fuzzers' corpora, replayed by ordinary tests.
//! * [`rng`]: the one source of numbers that look random.
//! * [`outside`]: what a vCPU under test runs against: no devices, no time.
//! * [`virtio`]: the driver's side of a virtio device.
//!
//! Its functions panic where a test should fail, with all that is needed to see it again.

pub mod conformance;
pub mod corpus;
pub mod cpio;
pub mod golden;
pub mod guest;
pub mod outside;
pub mod rng;
pub mod virtio;
