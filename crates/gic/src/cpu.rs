//! One CPU: its SGIs and PPIs, its interface, and what it sees.

use crate::Affinity;
use crate::config::IccIds;
use crate::irq::IrqBlock;
use crate::spec::{
    BPR0_MIN, BPR1_MIN, ICC_CTLR_CBPR, ICC_CTLR_EOIMODE, IDLE_PRIORITY, PRI_BITS, PRIORITY_MASK,
};

/// The inputs of a vCPU that the controller drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// A group 1 interrupt is to be taken.
    pub irq: bool,
    /// A group 0 interrupt is to be taken.
    pub fiq: bool,
}

/// The group of an interrupt, with the registers named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    G0,
    G1,
}

impl Group {
    pub(crate) fn of_bit(group1: bool) -> Self {
        if group1 { Self::G1 } else { Self::G0 }
    }
}

/// A pending interrupt that its group's enables let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) intid: u32,
    pub(crate) priority: u8,
    pub(crate) group: Group,
}

/// The system registers of a CPU interface `[IHI0069 12.2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Icc {
    pub(crate) ids: IccIds,
    pub(crate) pmr: u8,
    pub(crate) bpr0: u8,
    pub(crate) bpr1: u8,
    pub(crate) cbpr: bool,
    pub(crate) eoi_mode: bool,
    /// Bit n: an interrupt of preemption level n is active.
    pub(crate) ap0r: u32,
    pub(crate) ap1r: u32,
    pub(crate) igrpen0: bool,
    pub(crate) igrpen1: bool,
}

impl Icc {
    /// Bits of a priority below those that a preemption level is told by.
    const LEVEL_SHIFT: u32 = 8 - PRI_BITS as u32;

    pub(crate) fn ctlr(&self) -> u64 {
        self.ids.ctlr_bits()
            | if self.cbpr { ICC_CTLR_CBPR } else { 0 }
            | if self.eoi_mode { ICC_CTLR_EOIMODE } else { 0 }
    }

    pub(crate) fn write_ctlr(&mut self, value: u64) {
        self.cbpr = value & ICC_CTLR_CBPR != 0;
        self.eoi_mode = value & ICC_CTLR_EOIMODE != 0;
    }

    pub(crate) fn write_pmr(&mut self, value: u64) {
        self.pmr = (value & 0xff) as u8 & PRIORITY_MASK;
    }

    pub(crate) fn write_bpr0(&mut self, value: u64) {
        self.bpr0 = ((value & 7) as u8).max(BPR0_MIN);
    }

    /// `ICC_BPR1_EL1` as it reads: with CBPR it is that of group 0, plus one.
    pub(crate) fn read_bpr1(&self) -> u8 {
        if self.cbpr { (self.bpr0 + 1).min(7) } else { self.bpr1 }
    }

    /// Ignored with CBPR.
    pub(crate) fn write_bpr1(&mut self, value: u64) {
        if !self.cbpr {
            self.bpr1 = ((value & 7) as u8).max(BPR1_MIN);
        }
    }

    /// The part of a priority that decides about preemption. The binary point of group 0 stands one
    /// higher than its number; with CBPR it serves both groups `[IHI0069 4.8]`.
    pub(crate) fn preemption(&self, priority: u8, group: Group) -> u8 {
        let shift = match group {
            Group::G1 if !self.cbpr => u32::from(self.bpr1),
            Group::G0 | Group::G1 => u32::from(self.bpr0) + 1,
        };
        let mask = 0xff_u32 << shift;
        priority & (mask & 0xff) as u8
    }

    /// The priority of what is active, [`IDLE_PRIORITY`] where nothing is.
    pub(crate) fn running_priority(&self) -> u8 {
        match (self.ap0r | self.ap1r).trailing_zeros() {
            32 => IDLE_PRIORITY,
            level => u8::try_from(level << Self::LEVEL_SHIFT).unwrap_or(IDLE_PRIORITY),
        }
    }

    /// Whether the CPU is to take `candidate` now.
    pub(crate) fn signals(&self, candidate: Candidate) -> bool {
        candidate.priority < self.pmr
            && self.preemption(candidate.priority, candidate.group) < self.running_priority()
    }

    pub(crate) fn set_active(&mut self, candidate: Candidate) {
        let level = self.preemption(candidate.priority, candidate.group) >> Self::LEVEL_SHIFT;
        match candidate.group {
            Group::G0 => self.ap0r |= 1 << level,
            Group::G1 => self.ap1r |= 1 << level,
        }
    }

    /// Ends the highest active priority, of whichever group; of equal ones that of group 1.
    pub(crate) fn drop_priority(&mut self) {
        let (level0, level1) = (self.ap0r.trailing_zeros(), self.ap1r.trailing_zeros());
        if level0 < level1 {
            self.ap0r &= self.ap0r.wrapping_sub(1);
        } else {
            self.ap1r &= self.ap1r.wrapping_sub(1);
        }
    }

    /// The interrupts of a block that the group enables let through.
    pub(crate) fn through(&self, group1: u32) -> u32 {
        (if self.igrpen1 { group1 } else { 0 }) | (if self.igrpen0 { !group1 } else { 0 })
    }
}

/// One CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    // Wiring.
    pub(crate) affinity: Affinity,
    // State.
    pub(crate) private: IrqBlock,
    pub(crate) icc: Icc,
    pub(crate) pendbaser: u64,
    // Computed from the state.
    pub(crate) best: Option<Candidate>,
    pub(crate) outputs: Outputs,
}

impl Cpu {
    /// What the CPU's inputs are, given `best`.
    pub(crate) fn signalled(&self) -> Outputs {
        match self.best.filter(|&best| self.icc.signals(best)) {
            Some(Candidate { group: Group::G1, .. }) => Outputs { irq: true, fiq: false },
            Some(Candidate { group: Group::G0, .. }) => Outputs { irq: false, fiq: true },
            None => Outputs::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icc() -> Icc {
        Icc {
            ids: IccIds::default(),
            pmr: 0xf8,
            bpr0: BPR0_MIN,
            bpr1: BPR1_MIN,
            cbpr: false,
            eoi_mode: false,
            ap0r: 0,
            ap1r: 0,
            igrpen0: true,
            igrpen1: true,
        }
    }

    #[test]
    fn binary_points_below_the_minimum_are_raised() {
        let mut icc = icc();
        icc.write_bpr0(0);
        icc.write_bpr1(0);
        assert_eq!((icc.bpr0, icc.read_bpr1()), (2, 3));
        icc.write_bpr0(0xf);
        icc.write_bpr1(5);
        assert_eq!((icc.bpr0, icc.read_bpr1()), (7, 5));
    }

    #[test]
    fn cbpr_hides_bpr1_and_serves_both_groups() {
        let mut icc = icc();
        icc.write_bpr0(3);
        icc.write_bpr1(6);
        icc.write_ctlr(ICC_CTLR_CBPR);
        icc.write_bpr1(7);
        assert_eq!(icc.read_bpr1(), 4);
        assert_eq!(icc.preemption(0xff, Group::G1), 0xf0);
        icc.write_bpr0(7);
        assert_eq!((icc.read_bpr1(), icc.preemption(0xff, Group::G1)), (7, 0));
        icc.write_ctlr(0);
        assert_eq!((icc.read_bpr1(), icc.preemption(0xff, Group::G1)), (6, 0xc0));
    }

    #[test]
    fn priorities_are_dropped_from_the_highest_whatever_the_group() {
        let mut icc = icc();
        (icc.ap0r, icc.ap1r) = (1 << 4 | 1 << 9, 1 << 2 | 1 << 9);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(icc.running_priority());
            icc.drop_priority();
        }
        assert_eq!(seen, [0x10, 0x20, 0x48, 0x48, IDLE_PRIORITY]);
        assert_eq!((icc.ap0r, icc.ap1r), (0, 0));
    }
}
