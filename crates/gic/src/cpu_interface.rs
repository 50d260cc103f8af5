//! The CPU interface's system registers as a guest sees them `[IHI0069 12.2]`.
//!
//! Interrupts of group 0 are signalled as FIQ, of group 1 as IRQ. Of registers for active
//! priorities there is one in each group, as 5 priority bits need; the others are UNDEFINED.

use crate::Affinity;
use crate::cpu::Group;
use crate::frame::low_word;
use crate::gic::GicV3;
use crate::spec::{
    ICC_AP0R0_EL1, ICC_AP1R0_EL1, ICC_ASGI1R_EL1, ICC_BPR0_EL1, ICC_BPR1_EL1, ICC_CTLR_EL1,
    ICC_DIR_EL1, ICC_EOIR0_EL1, ICC_EOIR1_EL1, ICC_HPPIR0_EL1, ICC_HPPIR1_EL1, ICC_IAR0_EL1,
    ICC_IAR1_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_INTID, ICC_PMR_EL1, ICC_RPR_EL1,
    ICC_SGI0R_EL1, ICC_SGI1R_EL1, ICC_SGIR_INTID_SHIFT, ICC_SGIR_IRM, ICC_SRE_EL1, ICC_SRE_FIXED,
    PRIVATE_COUNT, SPECIAL_FIRST, SPURIOUS,
};
use abide_reg::VcpuId;

impl GicV3 {
    /// A guest's read of the system register with this encoding
    /// ([`spec::sysreg`](crate::spec::sysreg)); `None` where the read is UNDEFINED.
    pub fn sysreg_read(&mut self, vcpu: VcpuId, encoding: u16) -> Option<u64> {
        let index = vcpu.index();
        let icc = &self.cpus.get(index)?.icc;
        Some(match encoding {
            ICC_IAR1_EL1 => self.acknowledge(index, Group::G1),
            ICC_IAR0_EL1 => self.acknowledge(index, Group::G0),
            ICC_HPPIR1_EL1 => self.highest_pending(index, Group::G1),
            ICC_HPPIR0_EL1 => self.highest_pending(index, Group::G0),
            ICC_PMR_EL1 => icc.pmr.into(),
            ICC_RPR_EL1 => icc.running_priority().into(),
            ICC_CTLR_EL1 => icc.ctlr(),
            ICC_SRE_EL1 => ICC_SRE_FIXED,
            ICC_BPR0_EL1 => icc.bpr0.into(),
            ICC_BPR1_EL1 => icc.read_bpr1().into(),
            ICC_IGRPEN0_EL1 => icc.igrpen0.into(),
            ICC_IGRPEN1_EL1 => icc.igrpen1.into(),
            ICC_AP0R0_EL1 => icc.ap0r.into(),
            ICC_AP1R0_EL1 => icc.ap1r.into(),
            _ => return None,
        })
    }

    /// A guest's write of the system register with this encoding; `false` where the write is
    /// UNDEFINED.
    pub fn sysreg_write(&mut self, vcpu: VcpuId, encoding: u16, value: u64) -> bool {
        let index = vcpu.index();
        let Some(cpu) = self.cpus.get_mut(index) else { return false };
        let icc = &mut cpu.icc;
        match encoding {
            ICC_EOIR1_EL1 => self.end(index, Group::G1, value),
            ICC_EOIR0_EL1 => self.end(index, Group::G0, value),
            ICC_DIR_EL1 => {
                // Without EOImode the write that ends an interrupt has deactivated it.
                if icc.eoi_mode {
                    self.deactivate(index, value, None);
                }
            }
            ICC_SGI1R_EL1 => self.raise_sgi(index, value, true),
            // With one security state there is no other group 1 for ASGI1R to mean.
            ICC_SGI0R_EL1 | ICC_ASGI1R_EL1 => self.raise_sgi(index, value, false),
            ICC_PMR_EL1 => icc.write_pmr(value),
            ICC_CTLR_EL1 => icc.write_ctlr(value),
            ICC_BPR0_EL1 => icc.write_bpr0(value),
            ICC_BPR1_EL1 => icc.write_bpr1(value),
            ICC_IGRPEN0_EL1 => icc.igrpen0 = value & 1 != 0,
            ICC_IGRPEN1_EL1 => icc.igrpen1 = value & 1 != 0,
            ICC_AP0R0_EL1 => icc.ap0r = low_word(value),
            ICC_AP1R0_EL1 => icc.ap1r = low_word(value),
            // All bits are fixed.
            ICC_SRE_EL1 => {}
            _ => return false,
        }
        self.touch(index);
        self.settle();
        true
    }

    fn acknowledge(&mut self, index: usize, group: Group) -> u64 {
        let cpu = &mut self.cpus[index];
        let best = cpu.best.filter(|&best| best.group == group && cpu.icc.signals(best));
        let Some(best) = best else { return SPURIOUS.into() };
        cpu.icc.set_active(best);
        if best.intid < PRIVATE_COUNT {
            cpu.private.acknowledge(1 << best.intid);
        } else if let Some((block, bit)) = self.spi_place(best.intid) {
            self.change_block(block, |irqs| irqs.acknowledge(bit));
        }
        // Its running priority has changed, whatever else has.
        self.touch(index);
        self.settle();
        best.intid.into()
    }

    fn highest_pending(&self, index: usize, group: Group) -> u64 {
        let best = self.cpus[index].best.filter(|best| best.group == group);
        best.map_or(SPURIOUS, |best| best.intid).into()
    }

    /// `ICC_EOIR<n>_EL1`: drops the highest active priority, whatever the INTID; without EOImode
    /// also deactivates the interrupt, if it is of the register's group.
    fn end(&mut self, index: usize, group: Group, value: u64) {
        if value & ICC_INTID >= SPECIAL_FIRST.into() {
            return;
        }
        let icc = &mut self.cpus[index].icc;
        icc.drop_priority();
        if !icc.eoi_mode {
            self.deactivate(index, value, Some(group));
        }
    }

    fn deactivate(&mut self, index: usize, value: u64, group: Option<Group>) {
        let Ok(intid) = u32::try_from(value & ICC_INTID) else { return };
        let ends = |group1: bool| group.is_none_or(|group| group == Group::of_bit(group1));
        if intid < PRIVATE_COUNT {
            let private = &mut self.cpus[index].private;
            if ends(private.group1 >> intid & 1 != 0) {
                private.active &= !(1 << intid);
            }
        } else if let Some((block, bit)) = self.spi_place(intid)
            && ends(self.blocks[block].group1 & bit != 0)
        {
            self.change_block(block, |irqs| irqs.active &= !bit);
        }
    }

    /// `ICC_SGI<n>R_EL1`: raises an SGI at the CPUs of the target list, or at all others. A
    /// register that raises group 0 leaves SGIs that a target has in group 1 alone
    /// `[IHI0069 12.2]`.
    fn raise_sgi(&mut self, from: usize, value: u64, any_group: bool) {
        let bit = 1_u32 << (value >> ICC_SGIR_INTID_SHIFT & 0xf);
        let to_others = value & ICC_SGIR_IRM != 0;
        for index in 0..self.cpus.len() {
            let cpu = &mut self.cpus[index];
            let targeted = if to_others { index != from } else { lists(value, cpu.affinity) };
            if targeted && (any_group || cpu.private.group1 & bit == 0) {
                cpu.private.latch |= bit;
                self.touch(index);
            }
        }
    }
}

/// Whether the target list of an SGI register holds the CPU: Aff3 in bits 55:48, Aff2 in 39:32,
/// Aff1 in 23:16, a bit for each Aff0 below 16 in 15:0. The range selector, bits 47:44, is RES0
/// while `ICC_CTLR_EL1.RSS` is 0.
fn lists(value: u64, cpu: Affinity) -> bool {
    let cluster = |shift: u32| value >> shift & 0xff;
    let same = cluster(48) == cpu.level(3).into()
        && cluster(32) == cpu.level(2).into()
        && cluster(16) == cpu.level(1).into();
    same && cpu.level(0) < 16 && value >> cpu.level(0) & 1 != 0
}
