//! # abide-engine-kvm: guests on the host's own CPUs
//!
//! The only crate that speaks to `/dev/kvm`. It drives arm64 guests on arm64 hosts, with the
//! interrupt controller (GICv3), the generic timers and PSCI in the host's kernel: for each
//! [`Abi`](abide_engine::Abi) it is [`Provider::Native`](abide_engine::Provider::Native). On other
//! hosts it builds too, and [`KvmEngine::open`] says why it cannot be used.
//!
//! ## How state is written back
//!
//! The kernel checks little and forgets silently, so the order counts. What the kernel demands of
//! a caller that restores a VM, each step before the next:
//!
//! 1. [`Engine::create_vm`](abide_engine::Engine::create_vm): the memory slot, with guest RAM
//!    already in place or filled later; the kernel does not look at it before a vCPU runs.
//! 2. [`Vm::create_vcpu`](abide_engine::Vm::create_vcpu) for every vCPU, in the order of their
//!    numbers: `GICR_TYPER.Processor_Number` and the redistributors follow it.
//!    With SVE its vector lengths are chosen here, and no later: `SVE_VLS` of
//!    [`VmConfig::features`](abide_engine::VmConfig::features).
//! 3. [`Vm::create_irqchip`](abide_engine::Vm::create_irqchip): device, addresses, number of
//!    INTIDs, INIT; then performance monitors are started. The kernel takes no vCPU after this.
//! 4. ID registers, **before any vCPU runs and before firmware registers**: after the first run
//!    they can only be written with the value they have (EBUSY), and `ARCH_WORKAROUND_2` is
//!    checked against `ID_AA64PFR1_EL1.SSBS`
//!    `[linux Documentation/virt/kvm/arm/vcpu-features.rst]`.
//! 5. Firmware registers (PSCI version, workarounds), then the hypercall bitmaps: also fixed by the
//!    first run `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
//! 6. All other registers of each vCPU.
//! 7. The interrupt controller, in the order of `abide-gic`.
//! 8. Timers: the count once for the VM (each write moves the offset of every vCPU), then each
//!    vCPU's comparator, then its control register, so that no timer fires on the way.
//! 9. A pending SError (`cpu.serror`) and the power state (`cpu.mp_state`).
//! 10. Where the vCPU's record of stolen time is
//!     ([`Vcpu::set_stolen_time`](abide_engine::Vcpu::set_stolen_time)): the kernel takes it once
//!     for each vCPU, behind the memory slots `[linux Documentation/virt/kvm/devices/vcpu.rst 3]`.
//!
//! [`Registers::reg_ids`](abide_reg::Registers::reg_ids) of a vCPU lists steps 4, 5, 6, 8 and 9 in
//! that order. Registers that [`is_vm_scoped`](abide_arm64::kvm::is_vm_scoped) names are the VM's:
//! written through one vCPU they are seen by all.
//!
//! ## What is refused
//!
//! MTE, SME, EL2 and protected guests; and a list of CPU implementations (`firmware.impl-count`)
//! where the kernel has no SMCCC filter.
//!
//! ## State that the kernel does not keep
//!
//! The calls DISCOVER_IMPL_VER and DISCOVER_IMPL_CPUS, of which `KVM_REG_ARM_VENDOR_HYP_BMAP_2`
//! tells a guest, are for the VMM to answer. The answers follow from the registers
//! `firmware.impl-count` and `firmware.impl-cpu-NN`, as on the software engine. The SMCCC filter
//! that hands the calls out cannot be read back, and need not be: it follows from the same
//! registers, and is set with the first one that needs it. Where the kernel lets `MIDR_EL1`,
//! `REVIDR_EL1` and `AIDR_EL1` be written (`KVM_CAP_ARM_WRITABLE_IMP_ID_REGS`), every VM is made
//! so that they are.
//!
//! ## A host that takes a guest and never runs it
//!
//! On Cortex-A57 kernels from 2025 on (measured: 7.2, not 6.12 or 6.1) loop for ever on the first
//! page walk of a guest whose tables no guest instruction wrote, as after every restore: their way
//! around erratum 834220 no longer tells a fault of the walk itself from others
//! `[linux arch/arm64/kvm/hyp/include/hyp/fault.h __hpfar_valid]`. Guests born there run.
//! [`trial`] tells in seconds; Cortex-A72 and later cores are not concerned.
//!
//! ## Unsafe code
//!
//! [`kvm-ioctls`](https://docs.rs/kvm-ioctls) wraps nearly all of the interface. What is left, each
//! with its reason: the memory slot, reading a device attribute, dirty rings, what an exit for an
//! instruction without syndrome tells, the signal that ends `KVM_RUN`, the flag that ends it, and
//! reading CNTFRQ_EL0 and CNTVCT_EL0.

#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod encoding;
mod facts;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod host;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod implementations;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod named;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod ring;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod stolen_record;
pub mod trial;
#[cfg(any(test, all(target_arch = "aarch64", target_os = "linux")))]
mod untrapped;

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod kvm;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
pub use kvm::KvmEngine;

#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
mod elsewhere;
#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
pub use elsewhere::KvmEngine;

pub use facts::HostFacts;

/// The engine's name on the command line and in reports.
pub const ENGINE_NAME: &str = "kvm";
