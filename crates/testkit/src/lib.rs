//! abide-testkit

pub mod conformance;
pub mod corpus;
pub mod cpio;
pub mod golden;
pub mod rng;
