//! What a guest can reach outside its CPUs.

use abide_arm64::SysReg;
use abide_reg::{Gpa, VcpuId};

/// How many registers an SMCCC call carries: x0…x17 `[DEN0028 3.1]`.
pub const SMCCC_REGISTERS: usize = 18;

/// What the calling vCPU does after a hypercall returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCall {
    /// Goes on with the next instruction.
    Continue,
    /// Goes on as after WFI.
    Wait,
    /// Leaves `run` with [`Stop::System`](crate::Stop::System): the machine knows why.
    Leave,
}

/// The outside as one vCPU sees it. Calls are complete when they return.
///
/// Any address, size and value may come: they are the guest's.
pub trait Bus: Sync {
    /// Reads `size` (1, 2, 4 or 8) bytes at `gpa`, which is not RAM. `None` where nothing answers:
    /// the guest takes a synchronous external abort.
    fn mmio_read(&self, vcpu: VcpuId, gpa: Gpa, size: usize) -> Option<u64>;

    /// Writes the low `size` bytes of `value`. `None` where nothing answers.
    fn mmio_write(&self, vcpu: VcpuId, gpa: Gpa, size: usize, value: u64) -> Option<()>;

    /// Reads a system register that belongs to no CPU, such as the interrupt controller's.
    /// `None` makes the instruction UNDEFINED.
    fn sysreg_read(&self, vcpu: VcpuId, reg: SysReg) -> Option<u64>;

    /// Writes such a register. `None` makes the instruction UNDEFINED.
    fn sysreg_write(&self, vcpu: VcpuId, reg: SysReg, value: u64) -> Option<()>;

    /// A hypercall: x0…x17 in, the results out.
    fn smccc(&self, vcpu: VcpuId, x: &mut [u64; SMCCC_REGISTERS]) -> AfterCall;

    /// A private peripheral interrupt (INTID 16…31) of this vCPU changes its level; the vCPU's own
    /// timers use it.
    fn set_ppi(&self, vcpu: VcpuId, intid: u32, level: bool);
}
