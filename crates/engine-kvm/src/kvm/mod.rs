//! The engine itself, on arm64 hosts.

mod counter;
mod engine;
mod forward;
mod irqchip;
mod kick;
mod pmu;
mod rings;
mod stolen;
mod vcpu;
mod vm;

pub use engine::KvmEngine;
