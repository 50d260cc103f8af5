//! # abide-engine-soft: an AArch64 interpreter
//!
//! Runs a guest at EL1 and EL0 on any host, without any `unsafe` of its own. Every stop is at an
//! instruction boundary; under a virtual clock a run can be repeated exactly, and a vCPU whose
//! registers were moved into a fresh one goes on as if nothing had happened.
//!
//! | part | what it does |
//! |---|---|
//! | [`decode`] | which instruction a word is |
//! | `lower` | from an instruction to the op that execution wants |
//! | `exec` | the execution loop and its slow paths |
//! | `float` | floating-point arithmetic |
//! | `mmu`, `tlb` | translation tables, and the short cut past them |
//! | `sysreg` | system registers |
//! | `timer` | the generic timers |
//! | [`cpu_model`], `identities` | what ID registers say, and on which vCPU |
//! | [`state`] | the registers that are a vCPU's whole state |
//! | `vcpu` | interrupts, waiting and budgets between slices |
//!
//! **What is not implemented** is UNDEFINED to the guest, hidden in its ID registers and named once
//! in the log: AArch32, EL2 and EL3, big-endian data, the 16 KiB and 64 KiB granules, the
//! performance monitors, and every extension of Armv8.1 and later but LSE, RDM, FP16, DotProd,
//! LRCPC, DPB and SB.
#![forbid(unsafe_code)]

mod code_cache;
mod cpu;
pub mod cpu_model;
pub mod decode;
mod engine;
mod exec;
mod float;
pub mod fuzz;
mod identities;
mod lower;
mod mmu;
mod shared;
pub mod state;
mod sysreg;
mod timer;
mod tlb;
mod vcpu;

pub use engine::SoftEngine;
pub use timer::{PHYSICAL_TIMER_INTID, VIRTUAL_TIMER_INTID};
