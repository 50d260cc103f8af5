//! abide-engine-soft

pub mod decode;
