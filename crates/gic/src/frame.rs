//! Where registers lie in the distributor's frame, and alike in a redistributor's frame for SGIs
//! and PPIs.

use crate::irq::BitRegister;
use crate::spec::{
    GICD_ICFGR, GICD_IGROUPR, GICD_IGRPMODR, GICD_IPRIORITYR, GICD_IROUTER, GICD_ITARGETSR,
    GICD_LEN, WORD_INTIDS,
};

/// What lies at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A word with a bit for each of the 32 INTIDs from 32 times `word`.
    Bits { register: BitRegister, word: u32 },
    /// The byte for this INTID.
    Priority { intid: u32 },
    /// The word for the 16 INTIDs from 16 times `word`.
    Config { word: u32 },
    /// `IROUTER` of this INTID, or its upper half.
    Route { intid: u32, upper: bool },
    /// Another register, at its offset.
    Other(u32),
}

/// Bytes that the row of `ICFGR` takes.
const ICFGR_LEN: u32 = GICD_IGRPMODR - GICD_ICFGR;
/// Bytes that the row of `IROUTER` takes.
const IROUTER_LEN: u32 = 8 * 1024;

/// What lies at `offset` in a frame, for an access of `size` bytes; `None` where no access of that
/// size and alignment exists.
pub(crate) fn place(offset: u64, size: usize) -> Option<Place> {
    let offset = u32::try_from(offset).ok().filter(|&offset| offset < GICD_LEN)?;
    if !matches!(size, 1 | 4 | 8) || !(offset as usize).is_multiple_of(size) {
        return None;
    }
    let place = match offset {
        _ if (GICD_IGROUPR..GICD_IPRIORITYR).contains(&offset) => {
            Place::Bits { register: BitRegister::at(offset)?, word: offset % 0x80 / 4 }
        }
        _ if (GICD_IPRIORITYR..GICD_ITARGETSR).contains(&offset) => {
            Place::Priority { intid: offset - GICD_IPRIORITYR }
        }
        _ if (GICD_ICFGR..GICD_ICFGR + ICFGR_LEN).contains(&offset) => {
            Place::Config { word: (offset - GICD_ICFGR) / 4 }
        }
        _ if (GICD_IROUTER..GICD_IROUTER + IROUTER_LEN).contains(&offset) => {
            Place::Route { intid: (offset - GICD_IROUTER) / 8, upper: offset & 4 != 0 }
        }
        _ => Place::Other(offset),
    };
    let fits = match place {
        Place::Bits { .. } | Place::Config { .. } => size == 4,
        Place::Priority { .. } => size != 8,
        Place::Route { .. } => size != 1,
        Place::Other(_) => true,
    };
    fits.then_some(place)
}

impl Place {
    /// The first INTID that it concerns, or `None` for other registers.
    pub(crate) fn first_intid(self) -> Option<u32> {
        match self {
            Self::Bits { word, .. } => Some(word * WORD_INTIDS),
            Self::Priority { intid } | Self::Route { intid, .. } => Some(intid),
            Self::Config { word } => Some(word * WORD_INTIDS / 2),
            Self::Other(_) => None,
        }
    }
}

/// The lower half of a 64-bit value: what a 32-bit register takes of it.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is to go")]
pub(crate) const fn low_word(value: u64) -> u32 {
    value as u32
}

/// `size` bytes of `register` from byte `offset % 8` on.
pub(crate) fn extract(register: u64, offset: u32, size: usize) -> u64 {
    let part = register >> (8 * (offset & 7));
    if size >= 8 { part } else { part & ((1 << (8 * size)) - 1) }
}

/// `register` with `size` bytes from byte `offset % 8` on replaced.
pub(crate) fn insert(register: u64, offset: u32, size: usize, value: u64) -> u64 {
    let shift = 8 * (offset & 7);
    let mask = if size >= 8 { u64::MAX } else { ((1 << (8 * size)) - 1) << shift };
    register & !mask | (value << shift) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_of_other_sizes_or_alignment_find_nothing() {
        assert_eq!(
            place(0x104, 4),
            Some(Place::Bits { register: BitRegister::SetEnable, word: 1 })
        );
        assert_eq!(place(0x421, 1), Some(Place::Priority { intid: 33 }));
        assert_eq!(place(0x6100, 8), Some(Place::Route { intid: 32, upper: false }));
        assert_eq!(place(0x6104, 4), Some(Place::Route { intid: 32, upper: true }));
        assert_eq!(place(0xc08, 4), Some(Place::Config { word: 2 }));
        for (offset, size) in [
            (0x104, 1),
            (0x104, 8),
            (0x106, 4),
            (0x420, 8),
            (0x420, 2),
            (0x6104, 8),
            (0x6100, 1),
            (0x100, 0),
            (0x100, 3),
            (0x100, usize::MAX),
            (0x1_0000, 4),
            (u64::MAX, 1),
        ] {
            assert_eq!(place(offset, size), None, "{offset:#x}, {size}");
        }
    }

    #[test]
    fn parts_of_wide_registers_stand_in_their_place() {
        let register = 0x0123_4567_89ab_cdef;
        assert_eq!(extract(register, 0x0c, 4), 0x0123_4567);
        assert_eq!(extract(register, 0x08, 8), register);
        assert_eq!(insert(register, 0x74, 4, u64::MAX), 0xffff_ffff_89ab_cdef);
        assert_eq!(insert(register, 0x70, 8, 5), 5);
    }
}
