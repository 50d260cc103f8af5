//! The distributor's registers as a guest sees them `[IHI0069 12.9]`.
//!
//! With affinity routing, words for SGIs and PPIs are RAZ/WI here, as is all that lies past the
//! last INTID, has another size or alignment, or does not exist. As in KVM's controller:
//! `GICD_CTLR` keeps `EnableGrp1` alone, which forwards both groups; `GICD_STATUSR` reads as ones;
//! `IROUTER` keeps Aff2, Aff1 and Aff0, not IRM and not Aff3
//! `[linux arch/arm64/kvm/vgic/vgic-mmio-v3.c]`.

use crate::Affinity;
use crate::config::gicd_typer;
use crate::frame::{self, Place};
use crate::gic::GicV3;
use crate::spec::{
    GICD_CTLR, GICD_CTLR_ARE, GICD_CTLR_DS, GICD_CTLR_ENABLE_GRP1, GICD_IIDR,
    GICD_IROUTER_AFFINITY, GICD_PIDR2, GICD_STATUSR, GICD_TYPER, PIDR2_GICV3, PRIVATE_COUNT,
};

impl GicV3 {
    /// A guest's read of `size` bytes at `offset` in the distributor's frame.
    #[must_use]
    pub fn dist_read(&self, offset: u64, size: usize) -> u64 {
        let Some(place) = self.dist_place(offset, size) else { return 0 };
        match place {
            Place::Bits { register, word } => self.blocks[word as usize - 1].read(register).into(),
            Place::Priority { intid } => {
                self.blocks[intid as usize / 32 - 1].read_priority(intid as usize % 32, size)
            }
            Place::Config { word } => {
                self.blocks[word as usize / 2 - 1].read_config(word % 2 == 1).into()
            }
            Place::Route { intid, upper } => {
                let low = self.routes[(intid - PRIVATE_COUNT) as usize].0;
                if upper { 0 } else { low.into() }
            }
            Place::Other(offset) if size == 4 => self.dist_other(offset).into(),
            Place::Other(_) => 0,
        }
    }

    /// A guest's write of the low `size` bytes of `value` at `offset` in the distributor's frame.
    pub fn dist_write(&mut self, offset: u64, size: usize, value: u64) {
        let Some(place) = self.dist_place(offset, size) else { return };
        let word_value = frame::low_word(value);
        match place {
            Place::Bits { register, word } => {
                self.change_block(word as usize - 1, |irqs| irqs.write(register, word_value));
            }
            Place::Priority { intid } => self.change_block(intid as usize / 32 - 1, |irqs| {
                irqs.write_priority(intid as usize % 32, size, value);
            }),
            Place::Config { word } => self.change_block(word as usize / 2 - 1, |irqs| {
                irqs.write_config(word % 2 == 1, word_value);
            }),
            Place::Route { upper: true, .. } => {}
            Place::Route { intid, upper: false } => {
                self.route(intid, Affinity(word_value & GICD_IROUTER_AFFINITY));
            }
            Place::Other(GICD_CTLR) if size == 4 => self.write_gicd_ctlr(word_value),
            Place::Other(_) => {}
        }
        self.settle();
    }

    /// What lies at an offset, where it concerns SPIs that exist or none.
    pub(crate) fn dist_place(&self, offset: u64, size: usize) -> Option<Place> {
        let place = frame::place(offset, size)?;
        let exists = |intid: u32| (PRIVATE_COUNT..self.nr_irqs).contains(&intid);
        place.first_intid().is_none_or(exists).then_some(place)
    }

    fn dist_other(&self, offset: u32) -> u32 {
        match offset {
            GICD_CTLR => {
                let enable = if self.enabled { GICD_CTLR_ENABLE_GRP1 } else { 0 };
                enable | GICD_CTLR_ARE | GICD_CTLR_DS
            }
            GICD_TYPER => gicd_typer(self.nr_irqs),
            GICD_IIDR => self.revision.gicd_iidr(),
            GICD_STATUSR => u32::MAX,
            GICD_PIDR2 => PIDR2_GICV3,
            // TYPER2 too: no SGIs without an active state.
            _ => 0,
        }
    }

    pub(crate) fn write_gicd_ctlr(&mut self, value: u32) {
        self.enabled = value & GICD_CTLR_ENABLE_GRP1 != 0;
        self.touch_all();
    }
}
