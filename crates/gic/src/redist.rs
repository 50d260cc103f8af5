//! A redistributor's registers as a guest sees them `[IHI0069 12.11]`.
//!
//! The first 64 KiB hold what concerns the CPU and LPIs, the second SGIs and PPIs. As in KVM's
//! controller: `GICR_WAKER` is RAZ/WI, so that no CPU sleeps; the triggering of SGIs and PPIs
//! cannot be changed; `GICR_PROPBASER` is one register behind all redistributors. Without LPIs
//! `GICR_CTLR` is read-only, and the table registers are memory without meaning
//! `[linux arch/arm64/kvm/vgic/vgic-mmio-v3.c]`.

use crate::config::gicr_typer;
use crate::frame::{self, Place};
use crate::gic::GicV3;
use crate::spec::{
    GICR_CTLR, GICR_IIDR, GICR_PENDBASER, GICR_PIDR2, GICR_PROPBASER, GICR_SGI_FRAME, GICR_TYPER,
    KVM_IIDR, PIDR2_GICV3, PRIVATE_COUNT,
};
use crate::state::{sanitise_pendbaser, sanitise_propbaser};
use abide_reg::VcpuId;

impl GicV3 {
    /// A guest's read of `size` bytes at `offset` in the redistributor of `vcpu`, 0 to 0x1_ffff.
    #[must_use]
    pub fn redist_read(&self, vcpu: VcpuId, offset: u64, size: usize) -> u64 {
        let Some(cpu) = self.cpus.get(vcpu.index()) else { return 0 };
        let Some(sgi_offset) = offset.checked_sub(GICR_SGI_FRAME.into()) else {
            return self.rd_read(vcpu.index(), offset, size);
        };
        match private_place(sgi_offset, size) {
            Some(Place::Bits { register, .. }) => cpu.private.read(register).into(),
            Some(Place::Priority { intid }) => cpu.private.read_priority(intid as usize, size),
            Some(Place::Config { word }) => cpu.private.read_config(word == 1).into(),
            Some(Place::Route { .. } | Place::Other(_)) | None => 0,
        }
    }

    /// A guest's write of the low `size` bytes of `value` at `offset` in the redistributor of
    /// `vcpu`.
    pub fn redist_write(&mut self, vcpu: VcpuId, offset: u64, size: usize, value: u64) {
        let Some(cpu) = self.cpus.get_mut(vcpu.index()) else { return };
        let Some(sgi_offset) = offset.checked_sub(GICR_SGI_FRAME.into()) else {
            return self.rd_write(vcpu.index(), offset, size, value);
        };
        match private_place(sgi_offset, size) {
            Some(Place::Bits { register, .. }) => {
                cpu.private.write(register, frame::low_word(value));
            }
            Some(Place::Priority { intid }) => {
                cpu.private.write_priority(intid as usize, size, value);
            }
            Some(Place::Config { .. } | Place::Route { .. } | Place::Other(_)) | None => return,
        }
        self.touch(vcpu.index());
        self.settle();
    }

    fn rd_read(&self, index: usize, offset: u64, size: usize) -> u64 {
        let Some(Place::Other(offset)) = frame::place(offset, size) else { return 0 };
        let cpu = &self.cpus[index];
        match (offset, size) {
            (GICR_CTLR, 4) => self.revision.gicr_ctlr().into(),
            (GICR_IIDR, 4) => KVM_IIDR.into(),
            (GICR_PIDR2, 4) => PIDR2_GICV3.into(),
            (_, 4 | 8) => {
                let register = match offset & !7 {
                    GICR_TYPER => gicr_typer(cpu.affinity, index, self.cpus.len()),
                    GICR_PROPBASER => self.propbaser,
                    GICR_PENDBASER => cpu.pendbaser,
                    _ => 0,
                };
                frame::extract(register, offset, size)
            }
            _ => 0,
        }
    }

    fn rd_write(&mut self, index: usize, offset: u64, size: usize, value: u64) {
        let Some(Place::Other(offset)) = frame::place(offset, size) else { return };
        if !matches!(size, 4 | 8) {
            return;
        }
        match offset & !7 {
            GICR_PROPBASER => {
                let register = frame::insert(self.propbaser, offset, size, value);
                self.propbaser = sanitise_propbaser(register);
            }
            GICR_PENDBASER => {
                let cpu = &mut self.cpus[index];
                let register = frame::insert(cpu.pendbaser, offset, size, value);
                cpu.pendbaser = sanitise_pendbaser(register);
            }
            _ => {}
        }
    }
}

/// What lies at an offset in the frame for SGIs and PPIs.
pub(crate) fn private_place(offset: u64, size: usize) -> Option<Place> {
    let place = frame::place(offset, size)?;
    place.first_intid().is_none_or(|intid| intid < PRIVATE_COUNT).then_some(place)
}
