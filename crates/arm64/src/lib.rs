//! # abide-arm64: how AArch64 state is named
//!
//! System registers by their encoding ([`SysReg`]), the KVM ONE_REG ids under which all CPU state
//! is saved ([`kvm`]), and what the fields of ID registers mean.
//!
//! The crate has no state and does no I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod kvm;
pub mod names;
mod sysreg;

pub use sysreg::SysReg;
