//! The engine itself, on arm64 hosts.

mod engine;
mod irqchip;
mod kick;
mod vcpu;
mod vm;

pub use engine::KvmEngine;
