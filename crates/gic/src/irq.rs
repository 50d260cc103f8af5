//! 32 interrupts at a time: what one word of the distributor's or a redistributor's registers
//! shows.

use crate::spec::{PRIORITY_MASK, WORD_INTIDS};

/// INTIDs in a block.
pub(crate) const BLOCK_LEN: usize = WORD_INTIDS as usize;

/// Registers with one bit for each interrupt, in the order of their offsets from 0x080 on, 0x80
/// bytes each `[IHI0069 12.9]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitRegister {
    Group,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
}

impl BitRegister {
    /// The register whose row holds this offset.
    pub(crate) fn at(offset: u32) -> Option<Self> {
        match offset >> 7 {
            1 => Some(Self::Group),
            2 => Some(Self::SetEnable),
            3 => Some(Self::ClearEnable),
            4 => Some(Self::SetPending),
            5 => Some(Self::ClearPending),
            6 => Some(Self::SetActive),
            7 => Some(Self::ClearActive),
            _ => None,
        }
    }
}

/// 32 interrupts; bit n of each word is the n-th.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IrqBlock {
    pub(crate) group1: u32,
    pub(crate) enabled: u32,
    /// Pending by an edge or a write, until acknowledged.
    pub(crate) latch: u32,
    /// The inputs as they are.
    pub(crate) line: u32,
    pub(crate) active: u32,
    pub(crate) edge: u32,
    pub(crate) priority: [u8; BLOCK_LEN],
}

impl IrqBlock {
    /// What a guest reads as pending: the latch, and lines that are level-triggered.
    pub(crate) fn pending(&self) -> u32 {
        self.latch | (self.line & !self.edge)
    }

    /// What may be signalled to a CPU that lets the interrupt's group through. An active interrupt
    /// waits for its deactivation.
    pub(crate) fn eligible(&self) -> u32 {
        self.pending() & self.enabled & !self.active
    }

    /// Drives inputs: `mask` says which, `levels` how. A rising edge is latched.
    pub(crate) fn drive(&mut self, mask: u32, levels: u32) {
        let levels = (self.line & !mask) | (levels & mask);
        self.latch |= levels & !self.line & self.edge;
        self.line = levels;
    }

    /// Acknowledges: the latch is served, whatever set it; a line that is still high stays pending.
    pub(crate) fn acknowledge(&mut self, bit: u32) {
        self.latch &= !bit;
        self.active |= bit;
    }

    /// A guest's read.
    pub(crate) fn read(&self, register: BitRegister) -> u32 {
        match register {
            BitRegister::Group => self.group1,
            BitRegister::SetEnable | BitRegister::ClearEnable => self.enabled,
            BitRegister::SetPending | BitRegister::ClearPending => self.pending(),
            BitRegister::SetActive | BitRegister::ClearActive => self.active,
        }
    }

    /// A guest's write. `ClearPending` ends what was latched; it cannot lower a line.
    pub(crate) fn write(&mut self, register: BitRegister, value: u32) {
        match register {
            BitRegister::Group => self.group1 = value,
            BitRegister::SetEnable => self.enabled |= value,
            BitRegister::ClearEnable => self.enabled &= !value,
            BitRegister::SetPending => self.latch |= value,
            BitRegister::ClearPending => self.latch &= !value,
            BitRegister::SetActive => self.active |= value,
            BitRegister::ClearActive => self.active &= !value,
        }
    }

    /// `ICFGR` of the lower or upper 16 interrupts.
    pub(crate) fn read_config(&self, upper: bool) -> u32 {
        let edge = if upper { self.edge >> 16 } else { self.edge };
        (0..16).fold(0, |word, place| word | (edge >> place & 1) << (2 * place + 1))
    }

    /// Writes `ICFGR` of the lower or upper 16 interrupts.
    pub(crate) fn write_config(&mut self, upper: bool, value: u32) {
        let edge = (0..16).fold(0, |edge, place| edge | (value >> (2 * place + 1) & 1) << place);
        let shift = if upper { 16 } else { 0 };
        self.edge = self.edge & !(0xffff << shift) | edge << shift;
    }

    /// Priorities of `size` interrupts from the `first`; those past the end of the block read 0.
    pub(crate) fn read_priority(&self, first: usize, size: usize) -> u64 {
        let bytes = self.priority.get(first..).unwrap_or_default().iter().take(size);
        bytes.rev().fold(0, |word, &priority| word << 8 | u64::from(priority))
    }

    /// Writes priorities of `size` interrupts from the `first`. Bits that do not exist are lost.
    pub(crate) fn write_priority(&mut self, first: usize, size: usize, value: u64) {
        let bytes = self.priority.get_mut(first..).unwrap_or_default().iter_mut();
        for (priority, byte) in bytes.take(size.min(8)).zip(value.to_le_bytes()) {
            *priority = byte & PRIORITY_MASK;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(edge: u32) -> IrqBlock {
        let (group1, enabled, latch, line, active) = (0, 0, 0, 0, 0);
        IrqBlock { group1, enabled, latch, line, active, edge, priority: [0; BLOCK_LEN] }
    }

    #[test]
    fn edge_is_latched_once_for_each_rise() {
        let mut irqs = block(0b1);
        irqs.drive(0b1, 0b1);
        irqs.acknowledge(0b1);
        irqs.drive(0b1, 0b1);
        assert_eq!(irqs.pending(), 0);
        irqs.drive(0b1, 0);
        irqs.drive(0b1, 0b1);
        assert_eq!(irqs.pending(), 0b1);
        irqs.drive(0b1, 0);
        assert_eq!(irqs.pending(), 0b1, "the edge was there");
    }

    #[test]
    fn level_follows_its_line_and_keeps_its_latch_apart() {
        let mut irqs = block(0);
        irqs.drive(0b11, 0b11);
        irqs.write(BitRegister::SetPending, 0b01);
        irqs.acknowledge(0b01);
        assert_eq!((irqs.pending(), irqs.latch), (0b11, 0));
        irqs.write(BitRegister::SetPending, 0b10);
        irqs.drive(0b11, 0);
        assert_eq!(irqs.pending(), 0b10);
        irqs.write(BitRegister::ClearPending, 0b11);
        assert_eq!(irqs.pending(), 0);
    }

    #[test]
    fn config_words_hold_the_upper_bit_of_each_pair() {
        let mut irqs = block(0);
        irqs.write_config(true, 0xffff_ffff);
        assert_eq!((irqs.edge, irqs.read_config(true)), (0xffff_0000, 0xaaaa_aaaa));
        irqs.write_config(false, 0b1000_0110);
        assert_eq!((irqs.edge, irqs.read_config(false)), (0xffff_0009, 0b1000_0010));
    }

    #[test]
    fn priorities_keep_five_bits_and_end_with_the_block() {
        let mut irqs = block(0);
        irqs.write_priority(30, 4, 0x1234_56ff);
        assert_eq!(irqs.read_priority(30, 4), 0x50f8);
        assert_eq!(irqs.read_priority(40, 4), 0);
        irqs.write_priority(40, 4, 1);
    }
}
