//! Offsets, encodings and fixed values; no behaviour.
//!
//! Names are those of IHI 0069 (GICv3 and GICv4) and of the kernel's header `asm/kvm.h`. Widths are
//! in bits; `RO`, `WO` and `RW` as for the guest of a GICv3 with one security state.

// ---------------------------------------------------------------------------------------------
// INTIDs [IHI0069 2.2]
// ---------------------------------------------------------------------------------------------

/// SGIs and PPIs: INTIDs that each CPU has for itself.
pub const PRIVATE_COUNT: u32 = 32;
/// The first PPI; INTIDs below are SGIs.
pub const PPI_FIRST: u32 = 16;
/// The first INTID with a special meaning: 1020 to 1023 are no interrupts.
pub const SPECIAL_FIRST: u32 = 1020;
/// What an acknowledge register reads where nothing is to be acknowledged.
pub const SPURIOUS: u32 = 1023;
/// INTIDs in a word of a register with one bit for each.
pub const WORD_INTIDS: u32 = 32;

// ---------------------------------------------------------------------------------------------
// Distributor, a frame of 64 KiB [IHI0069 12.9]
// ---------------------------------------------------------------------------------------------

/// RW 32: control.
pub const GICD_CTLR: u32 = 0x0000;
/// RO 32: number of INTIDs, and what is implemented.
pub const GICD_TYPER: u32 = 0x0004;
/// RO 32: who made it, and its revision.
pub const GICD_IIDR: u32 = 0x0008;
/// RO 32: more of what is implemented.
pub const GICD_TYPER2: u32 = 0x000c;
/// RW 32: error reporting; optional.
pub const GICD_STATUSR: u32 = 0x0010;
/// RW 32, a bit for each INTID: its group.
pub const GICD_IGROUPR: u32 = 0x0080;
/// RW 32, a bit for each INTID: 1 enables.
pub const GICD_ISENABLER: u32 = 0x0100;
/// RW 32, a bit for each INTID: 1 disables.
pub const GICD_ICENABLER: u32 = 0x0180;
/// RW 32, a bit for each INTID: 1 makes pending.
pub const GICD_ISPENDR: u32 = 0x0200;
/// RW 32, a bit for each INTID: 1 ends pending.
pub const GICD_ICPENDR: u32 = 0x0280;
/// RW 32, a bit for each INTID: 1 makes active.
pub const GICD_ISACTIVER: u32 = 0x0300;
/// RW 32, a bit for each INTID: 1 deactivates.
pub const GICD_ICACTIVER: u32 = 0x0380;
/// RW 8 or 32, a byte for each INTID: its priority, 0 the highest.
pub const GICD_IPRIORITYR: u32 = 0x0400;
/// RW 8 or 32, a byte for each INTID: CPUs; RAZ/WI with affinity routing.
pub const GICD_ITARGETSR: u32 = 0x0800;
/// RW 32, two bits for each INTID: bit 1 of each says edge.
pub const GICD_ICFGR: u32 = 0x0c00;
/// RW 32, a bit for each INTID: RAZ/WI with one security state.
pub const GICD_IGRPMODR: u32 = 0x0d00;
/// RW 64 or 32, one for each INTID: the CPU that gets it.
pub const GICD_IROUTER: u32 = 0x6000;
/// RO 32: architecture revision in bits 7:4.
pub const GICD_PIDR2: u32 = 0xffe8;
/// The first identification register.
pub const GICD_ID_FIRST: u32 = 0xffd0;
/// Length of the frame in bytes.
pub const GICD_LEN: u32 = 0x1_0000;

/// `GICD_CTLR.EnableGrp0`.
pub const GICD_CTLR_ENABLE_GRP0: u32 = 1 << 0;
/// `GICD_CTLR.EnableGrp1`.
pub const GICD_CTLR_ENABLE_GRP1: u32 = 1 << 1;
/// `GICD_CTLR.ARE`: affinity routing.
pub const GICD_CTLR_ARE: u32 = 1 << 4;
/// `GICD_CTLR.DS`: one security state.
pub const GICD_CTLR_DS: u32 = 1 << 6;
/// `GICD_CTLR.nASSGIreq`: SGIs without an active state.
pub const GICD_CTLR_NASSGIREQ: u32 = 1 << 8;

/// `GICD_TYPER.IDbits`, bits 23:19, as KVM reports it without an ITS: 10 bits of INTID.
pub const GICD_TYPER_ID_BITS_10: u32 = 9 << 19;

/// `GICD_IIDR` of KVM's controller with revision 0: product `K`, implementer Arm
/// `[linux arch/arm64/kvm/vgic/vgic-mmio-v3.c]`.
pub const KVM_IIDR: u32 = 0x4b00_043b;
/// Position of the revision in `GICD_IIDR`.
pub const GICD_IIDR_REVISION_SHIFT: u32 = 12;
/// `GICD_IIDR.Revision`.
pub const GICD_IIDR_REVISION: u32 = 0xf << GICD_IIDR_REVISION_SHIFT;
/// What `GICD_PIDR2` and `GICR_PIDR2` read: GICv3.
pub const PIDR2_GICV3: u32 = 0x3b;

/// `GICD_IROUTER.IRM`, bit 31: to any CPU that takes part.
pub const GICD_IROUTER_IRM: u32 = 1 << 31;
/// Aff2, Aff1 and Aff0 in `GICD_IROUTER`.
pub const GICD_IROUTER_AFFINITY: u32 = 0x00ff_ffff;

// ---------------------------------------------------------------------------------------------
// Redistributor, two frames of 64 KiB for each CPU [IHI0069 12.11]
// ---------------------------------------------------------------------------------------------

/// RW 32: control.
pub const GICR_CTLR: u32 = 0x0000;
/// RO 32: who made it.
pub const GICR_IIDR: u32 = 0x0004;
/// RO 64 or 32: affinity and number of the CPU, and what is implemented.
pub const GICR_TYPER: u32 = 0x0008;
/// RW 32: error reporting; optional.
pub const GICR_STATUSR: u32 = 0x0010;
/// RW 32: power management.
pub const GICR_WAKER: u32 = 0x0014;
/// RW 64 or 32: where LPIs are configured.
pub const GICR_PROPBASER: u32 = 0x0070;
/// RW 64 or 32: where LPIs are pending.
pub const GICR_PENDBASER: u32 = 0x0078;
/// WO 64 or 32: forget the cached configuration of an LPI.
pub const GICR_INVLPIR: u32 = 0x00a0;
/// WO 64 or 32: forget the cached configuration of all LPIs.
pub const GICR_INVALLR: u32 = 0x00b0;
/// RO 32: whether the redistributor is busy.
pub const GICR_SYNCR: u32 = 0x00c0;
/// RO 32: architecture revision.
pub const GICR_PIDR2: u32 = 0xffe8;
/// Where the frame for SGIs and PPIs begins. Its registers lie as in the distributor.
pub const GICR_SGI_FRAME: u32 = 0x1_0000;
/// Length of both frames in bytes.
pub const GICR_LEN: u32 = 0x2_0000;

/// `GICR_CTLR.EnableLPIs`.
pub const GICR_CTLR_ENABLE_LPIS: u32 = 1 << 0;
/// `GICR_CTLR.CES` and `.IR`: LPIs can be disabled, and invalidated by registers.
pub const GICR_CTLR_CES_IR: u32 = 1 << 1 | 1 << 2;
/// `GICR_TYPER.Last`: no redistributor follows.
pub const GICR_TYPER_LAST: u32 = 1 << 4;
/// Position of the processor number, bits 23:8 of `GICR_TYPER`.
pub const GICR_TYPER_NUMBER_SHIFT: u32 = 8;

/// Bits of `GICR_PROPBASER` that hold nothing.
pub const GICR_PROPBASER_RES0: u64 = 0xf8f0_0000_0000_0060;
/// Bits of `GICR_PENDBASER` that hold nothing, and `PTZ` (bit 62), which reads as zero.
pub const GICR_PENDBASER_RES0: u64 = 0xf8f0_0000_0000_f07f;
/// Inner shareable, inner write-back: `GICR_PENDBASER` before anything is written.
pub const GICR_PENDBASER_RESET: u64 = 0x580;

// ---------------------------------------------------------------------------------------------
// CPU interface: system registers [IHI0069 12.2]
// ---------------------------------------------------------------------------------------------

/// The encoding of a system register as MRS and MSR hold it:
/// `op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2`.
#[must_use]
pub const fn sysreg(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// RW: priorities from this value on are masked.
pub const ICC_PMR_EL1: u16 = sysreg(3, 0, 4, 6, 0);
/// RO: acknowledges the group 0 interrupt that it reads.
pub const ICC_IAR0_EL1: u16 = sysreg(3, 0, 12, 8, 0);
/// WO: ends a group 0 interrupt.
pub const ICC_EOIR0_EL1: u16 = sysreg(3, 0, 12, 8, 1);
/// RO: the highest-priority pending interrupt, if of group 0.
pub const ICC_HPPIR0_EL1: u16 = sysreg(3, 0, 12, 8, 2);
/// RW: which bits of a priority preempt, group 0.
pub const ICC_BPR0_EL1: u16 = sysreg(3, 0, 12, 8, 3);
/// RW: active priorities of group 0, first of four.
pub const ICC_AP0R0_EL1: u16 = sysreg(3, 0, 12, 8, 4);
/// RW: active priorities of group 1, first of four.
pub const ICC_AP1R0_EL1: u16 = sysreg(3, 0, 12, 9, 0);
/// WO: deactivates an interrupt.
pub const ICC_DIR_EL1: u16 = sysreg(3, 0, 12, 11, 1);
/// RO: the running priority.
pub const ICC_RPR_EL1: u16 = sysreg(3, 0, 12, 11, 3);
/// WO: raises an SGI of either group.
pub const ICC_SGI1R_EL1: u16 = sysreg(3, 0, 12, 11, 5);
/// WO: raises an SGI of the other security state's group 1; with one state, of group 0.
pub const ICC_ASGI1R_EL1: u16 = sysreg(3, 0, 12, 11, 6);
/// WO: raises an SGI of group 0.
pub const ICC_SGI0R_EL1: u16 = sysreg(3, 0, 12, 11, 7);
/// RO: acknowledges the group 1 interrupt that it reads.
pub const ICC_IAR1_EL1: u16 = sysreg(3, 0, 12, 12, 0);
/// WO: ends a group 1 interrupt.
pub const ICC_EOIR1_EL1: u16 = sysreg(3, 0, 12, 12, 1);
/// RO: the highest-priority pending interrupt, if of group 1.
pub const ICC_HPPIR1_EL1: u16 = sysreg(3, 0, 12, 12, 2);
/// RW: which bits of a priority preempt, group 1.
pub const ICC_BPR1_EL1: u16 = sysreg(3, 0, 12, 12, 3);
/// RW: control.
pub const ICC_CTLR_EL1: u16 = sysreg(3, 0, 12, 12, 4);
/// RW: system registers instead of memory-mapped ones.
pub const ICC_SRE_EL1: u16 = sysreg(3, 0, 12, 12, 5);
/// RW: bit 0 lets group 0 through.
pub const ICC_IGRPEN0_EL1: u16 = sysreg(3, 0, 12, 12, 6);
/// RW: bit 0 lets group 1 through.
pub const ICC_IGRPEN1_EL1: u16 = sysreg(3, 0, 12, 12, 7);

/// `ICC_CTLR_EL1.CBPR`: BPR0 serves both groups.
pub const ICC_CTLR_CBPR: u64 = 1 << 0;
/// `ICC_CTLR_EL1.EOImode`: ending and deactivating are two writes.
pub const ICC_CTLR_EOIMODE: u64 = 1 << 1;
/// Position of `ICC_CTLR_EL1.PRIbits`, 3 bits: implemented priority bits less one.
pub const ICC_CTLR_PRIBITS_SHIFT: u32 = 8;

/// How many priority bits are implemented, 1 to 8, as a value of `ICC_CTLR_EL1` tells.
#[must_use]
pub const fn priority_bits(icc_ctlr: u64) -> u8 {
    (icc_ctlr >> ICC_CTLR_PRIBITS_SHIFT & 7) as u8 + 1
}

/// Position of `ICC_CTLR_EL1.IDbits`, 3 bits: 0 = 16 bits of INTID, 1 = 24.
pub const ICC_CTLR_IDBITS_SHIFT: u32 = 11;
/// `ICC_CTLR_EL1.SEIS`: system errors can be raised.
pub const ICC_CTLR_SEIS: u64 = 1 << 14;
/// `ICC_CTLR_EL1.A3V`: Aff3 may be used.
pub const ICC_CTLR_A3V: u64 = 1 << 15;
/// `ICC_SRE_EL1`: DIB, DFB and SRE, all set and fixed.
pub const ICC_SRE_FIXED: u64 = 7;
/// `ICC_SRE_EL1.SRE`.
pub const ICC_SRE_SRE: u64 = 1;
/// The running priority of an idle CPU.
pub const IDLE_PRIORITY: u8 = 0xff;
/// The INTID in `ICC_EOIR<n>_EL1` and `ICC_DIR_EL1`.
pub const ICC_INTID: u64 = 0x00ff_ffff;

/// Priority bits of the controllers described here: the top ones of 8.
pub const PRI_BITS: u8 = 5;
/// The priority bits that exist.
pub const PRIORITY_MASK: u8 = 0xff << (8 - PRI_BITS);
/// The least `ICC_BPR0_EL1` `[IHI0069 4.8]`.
pub const BPR0_MIN: u8 = 7 - PRI_BITS;
/// The least `ICC_BPR1_EL1`.
pub const BPR1_MIN: u8 = BPR0_MIN + 1;

/// Position of the INTID, 4 bits, in `ICC_SGI<n>R_EL1`.
pub const ICC_SGIR_INTID_SHIFT: u32 = 24;
/// `ICC_SGI<n>R_EL1.IRM`: all CPUs but the writing one.
pub const ICC_SGIR_IRM: u64 = 1 << 40;

// ---------------------------------------------------------------------------------------------
// KVM's device attributes [linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]
// ---------------------------------------------------------------------------------------------

/// `KVM_DEV_ARM_VGIC_GRP_DIST_REGS`, u32: the attribute is the offset.
pub const GRP_DIST_REGS: u32 = 1;
/// `KVM_DEV_ARM_VGIC_GRP_NR_IRQS`, u32: attribute 0; fixed once the controller is initialised.
pub const GRP_NR_IRQS: u32 = 3;
/// `KVM_DEV_ARM_VGIC_GRP_REDIST_REGS`, u32: affinity in bits 63:32, offset below.
pub const GRP_REDIST_REGS: u32 = 5;
/// `KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS`, u64: affinity in bits 63:32, encoding below.
pub const GRP_CPU_SYSREGS: u32 = 6;
/// `KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO`, u32: affinity in bits 63:32, kind of information in bits
/// 31:10 (0 = the line), first INTID of 32 below.
pub const GRP_LEVEL_INFO: u32 = 7;
/// Position of the affinity in an attribute.
pub const ATTR_AFFINITY_SHIFT: u32 = 32;
/// The first INTID in a [`GRP_LEVEL_INFO`] attribute.
pub const LEVEL_INFO_INTID: u32 = 0x3ff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_those_of_the_instructions() {
        // Bits 20:5 of `mrs x0, icc_iar1_el1`, `msr icc_pmr_el1, x0`, `msr icc_sgi1r_el1, x0`.
        for (word, encoding) in [
            (0xd538_cc00_u32, ICC_IAR1_EL1),
            (0xd518_4600, ICC_PMR_EL1),
            (0xd518_cba0, ICC_SGI1R_EL1),
        ] {
            assert_eq!(word >> 5 & 0xffff, u32::from(encoding));
        }
    }

    #[test]
    fn five_priority_bits_leave_32_levels() {
        assert_eq!((PRIORITY_MASK, BPR0_MIN, BPR1_MIN), (0xf8, 2, 3));
    }
}
