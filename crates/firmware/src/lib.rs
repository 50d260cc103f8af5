//! # abide-firmware: PSCI and SMCCC as a guest finds them
//!
//! A guest reaches its firmware by `HVC #0` with a function id in `w0` and arguments in `x1`–`x3`.
//! It asks for the power of its CPUs (PSCI `[DEN0022 5]`), for mitigations of speculative
//! execution (SMCCC `[DEN0028 7]`), for random numbers (TRNG `[DEN0098]`), for where it is told of
//! stolen time (`[DEN0057A 4]`; the record itself is `abide-pvtime`'s), and for the services KVM
//! adds `[linux Documentation/virt/kvm/arm/hypercalls.rst]`. Which of these exist, and what
//! they answer, follows from a few registers that have KVM's own ids
//! `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`. A contract pins them, and so the
//! guest finds the same firmware on every host.
//!
//! [`Firmware::call`] is pure: it reads the registers and an [`Environment`], and returns what to
//! put into `x0`–`x3` and what the machine has to do ([`Effect`]). For equal registers the answers
//! are KVM's, with the limits below.
//!
//! | register | rule | on migration |
//! |---|---|---|
//! | `PSCI_VERSION` | at most the host's | carried; refused where the host offers less |
//! | `ARCH_WORKAROUND_1`, `_2` | at most the host's | carried; refused where it protects less |
//! | `ARCH_WORKAROUND_3` | at most the host's | the same; dropped while 0 where the host has none |
//! | `STD_BMAP`, `STD_HYP_BMAP` | subset of the host's | carried; refused where a bit is missing |
//! | `VENDOR_HYP_BMAP` | subset of the host's | carried; refused where a bit is missing |
//! | `VENDOR_HYP_BMAP_2` | subset of the host's | the same; dropped while 0 where the host has none |
//! | `firmware.impl-count` | any | carried: the VMM answers, not KVM |
//! | `firmware.impl-cpu-NN` | any | carried, as many as `firmware.impl-count` says |
//! | power states, entropy, clocks, stolen time | none | they belong to vCPUs and machine |
//!
//! Nothing is bumped: the firmware has no state that could tell a guest of a move. A KVM host that
//! protects better than the saved workaround level takes the write and keeps its own level; the
//! saved one, not what is read back, goes on to the next host.
//!
//! Differences from KVM, all on purpose: PSCI 0.1 is refused (KVM takes it only for vCPUs made
//! without `KVM_ARM_VCPU_PSCI_0_2`); a workaround's level is stored, not only checked; the list of
//! implementations is answered, which KVM leaves to the VMM; `SYSTEM_SUSPEND`, which KVM offers
//! after an opt-in, is not supported; a source of entropy may run dry, which KVM's never does.
//!
//! ```
//! use abide_firmware::{spec, Caller, Effect, Environment, Firmware, PtpCounter, PtpSample};
//! use abide_reg::VcpuId;
//!
//! struct OneCpu;
//! impl Environment for OneCpu {
//!     fn vcpu_count(&self) -> u32 { 1 }
//!     fn mpidr(&self, _: VcpuId) -> u64 { 0x8000_0000 }
//!     fn is_on(&self, _: VcpuId) -> bool { true }
//!     fn entropy(&mut self) -> Option<u64> { None }
//!     fn ptp(&self, _: PtpCounter) -> Option<PtpSample> { None }
//! }
//!
//! let firmware = Firmware::default();
//! let args = [u64::from(spec::PSCI_SYSTEM_OFF), 0, 0, 0];
//! let reply = firmware.call(Caller::aarch64(VcpuId(0)), &args, &mut OneCpu).expect("ours");
//! assert_eq!(reply.effect, Some(Effect::SystemOff));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod call;
mod fuzz;
mod psci;
mod pv_time;
mod registers;
mod smccc;
pub mod spec;
mod trng;

pub use call::{Caller, Effect, Environment, PtpCounter, PtpSample, Reply};
pub use fuzz::fuzz_call;
pub use registers::{Firmware, ImplementationCpu};
