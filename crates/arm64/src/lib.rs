//! # abide-arm64: how AArch64 state is named
//!
//! System registers by their encoding ([`SysReg`]), the KVM ONE_REG ids under which all CPU state
//! is saved ([`kvm`]), what the fields of ID registers mean ([`id_fields`]), with which features a
//! vCPU must be made ([`features`]), what may happen to each register between hosts ([`rules`]),
//! and in which order they are written ([`order`]).
//!
//! The crate has no state and does no I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod features;
pub mod id_fields;
pub mod kvm;
pub mod names;
pub mod order;
pub mod rules;
mod sysreg;

pub use sysreg::SysReg;
