//! The controller's registers without side effects: what KVM's device attributes offer a VMM
//! `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`.
//!
//! Every attribute that `KVM_HAS_DEVICE_ATTR` reports for a GICv3 without ITS is here, and means
//! the same:
//!
//! * `ISPENDR` is the latch; a write sets **and** clears it. `ICPENDR` is RAZ/WI.
//! * `ISENABLER` and `ISACTIVER` only set, `ICENABLER` and `ICACTIVER` only clear.
//! * `LEVEL_INFO` is the inputs. Here it shows those of edge-triggered ones too, which a kernel
//!   does not: it tells a new edge from a line that has been high all along.
//! * `ICC_BPR1_EL1` hides behind CBPR.
//!
//! Stricter than a kernel: an identity register takes only the value it has, and what cannot be
//! kept is refused. Silence would make a restore look right.

use crate::Affinity;
use crate::config::{IccIds, Revision, check_id_bits};
use crate::cpu::Icc;
use crate::frame::{Place, low_word};
use crate::gic::GicV3;
use crate::irq::BitRegister;
use crate::layout;
use crate::redist::private_place;
use crate::spec::{
    ATTR_AFFINITY_SHIFT, GICD_CTLR, GICD_CTLR_ARE, GICD_CTLR_DS, GICD_CTLR_ENABLE_GRP1,
    GICD_ID_FIRST, GICD_IIDR, GICD_LEN, GICD_TYPER, GICD_TYPER2, GICR_CTLR, GICR_IIDR,
    GICR_INVALLR, GICR_INVLPIR, GICR_PENDBASER, GICR_PROPBASER, GICR_SGI_FRAME, GICR_STATUSR,
    GICR_SYNCR, GICR_TYPER, GICR_WAKER, GRP_CPU_SYSREGS, GRP_DIST_REGS, GRP_LEVEL_INFO,
    GRP_NR_IRQS, GRP_REDIST_REGS, ICC_AP0R0_EL1, ICC_AP1R0_EL1, ICC_BPR0_EL1, ICC_BPR1_EL1,
    ICC_CTLR_A3V, ICC_CTLR_CBPR, ICC_CTLR_EL1, ICC_CTLR_EOIMODE, ICC_CTLR_IDBITS_SHIFT,
    ICC_CTLR_SEIS, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1, ICC_SRE_EL1, ICC_SRE_FIXED,
    ICC_SRE_SRE, LEVEL_INFO_INTID, PPI_FIRST, WORD_INTIDS,
};
use abide_reg::{RegError, RegId, Registers, Value, VcpuId};

/// A register that an attribute names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attr {
    NrIrqs,
    Dist {
        offset: u32,
    },
    Redist {
        cpu: usize,
        offset: u32,
    },
    Icc {
        cpu: usize,
        encoding: u16,
    },
    /// The inputs of the 32 INTIDs from 32 times `word`; `cpu`'s own where that is 0.
    Line {
        cpu: usize,
        word: u32,
    },
}

/// The inputs that PPIs have: SGIs have none.
const PPI_LINES: u32 = u32::MAX << PPI_FIRST;

impl GicV3 {
    /// Reads a register without side effects.
    ///
    /// # Errors
    /// [`RegError::Unknown`].
    pub fn load(&self, id: RegId) -> Result<Value, RegError> {
        let value = match self.attr(id).ok_or(RegError::Unknown { id })? {
            Attr::NrIrqs => Value::u32(self.nr_irqs),
            Attr::Dist { offset } => Value::u32(self.dist_load(offset)),
            Attr::Redist { cpu, offset } => Value::u32(self.redist_load(cpu, offset)),
            Attr::Icc { cpu, encoding } => Value::u64(icc_load(&self.cpus[cpu].icc, encoding)),
            Attr::Line { cpu, word: 0 } => Value::u32(self.cpus[cpu].private.line),
            Attr::Line { word, .. } => Value::u32(self.blocks[word as usize - 1].line),
        };
        Ok(value)
    }

    /// Writes a register as KVM's interface defines it.
    ///
    /// # Errors
    /// [`RegError::Unknown`], [`RegError::Width`], or [`RegError::Refused`] for a value that an
    /// identity register does not have or a register cannot hold; nothing has changed then.
    pub fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        let attr = self.attr(id).ok_or(RegError::Unknown { id })?;
        let width = |allowed| RegError::Width { id, found: value.width(), allowed };
        let refused = |allowed| RegError::Refused { id, found: value.clone(), allowed };
        if let Attr::Icc { cpu, encoding } = attr {
            let number = value.to_u64().ok_or(width(8))?;
            icc_store(&mut self.cpus[cpu].icc, encoding, number).map_err(refused)?;
            self.touch(cpu);
        } else {
            let word = value.to_u32().ok_or(width(4))?;
            match attr {
                Attr::NrIrqs if word == self.nr_irqs => {}
                Attr::NrIrqs | Attr::Icc { .. } => {
                    return Err(refused("the number of INTIDs the controller was made with"));
                }
                Attr::Dist { offset } => self.dist_store(offset, word).map_err(refused)?,
                Attr::Redist { cpu, offset } => {
                    self.redist_store(cpu, offset, word).map_err(refused)?;
                }
                Attr::Line { cpu, word: 0 } => {
                    self.cpus[cpu].private.line = word & PPI_LINES;
                    self.touch(cpu);
                }
                Attr::Line { word: n, .. } => {
                    self.change_block(n as usize - 1, |irqs| irqs.line = word);
                }
            }
        }
        self.settle();
        Ok(())
    }

    fn attr(&self, id: RegId) -> Option<Attr> {
        let RegId::Gic { group, attr } = id else { return None };
        let low = low_word(attr);
        let affinity = Affinity(u32::try_from(attr >> ATTR_AFFINITY_SHIFT).ok()?);
        let cpu = || self.cpus.iter().position(|cpu| cpu.affinity == affinity);
        match group {
            GRP_NR_IRQS if attr == 0 => Some(Attr::NrIrqs),
            // A kernel ignores the affinity; one register is to have one name.
            GRP_DIST_REGS if affinity == Affinity(0) => {
                self.dist_exists(low).then_some(Attr::Dist { offset: low })
            }
            GRP_REDIST_REGS => {
                redist_exists(low).then_some(Attr::Redist { cpu: cpu()?, offset: low })
            }
            GRP_CPU_SYSREGS => {
                let encoding = u16::try_from(low).ok().filter(|&low| icc_exists(low))?;
                Some(Attr::Icc { cpu: cpu()?, encoding })
            }
            GRP_LEVEL_INFO => {
                let exists = low & !LEVEL_INFO_INTID == 0
                    && low.is_multiple_of(WORD_INTIDS)
                    && low < self.nr_irqs;
                exists.then_some(Attr::Line { cpu: cpu()?, word: low / WORD_INTIDS })
            }
            _ => None,
        }
    }

    fn dist_exists(&self, offset: u32) -> bool {
        let id_registers = GICD_ID_FIRST..GICD_LEN;
        match crate::frame::place(offset.into(), 4) {
            Some(Place::Other(0..=0x10)) => true,
            // ITARGETSR and IGRPMODR, RAZ/WI; they have a byte and a bit for each INTID.
            Some(Place::Other(offset @ 0x800..=0xbff)) => offset - 0x800 < self.nr_irqs,
            Some(Place::Other(offset @ 0xd00..=0xd7f)) => (offset - 0xd00) * 8 < self.nr_irqs,
            Some(Place::Other(offset)) => id_registers.contains(&offset),
            Some(place) => place.first_intid().is_some_and(|intid| intid < self.nr_irqs),
            None => false,
        }
    }

    fn dist_load(&self, offset: u32) -> u32 {
        if let Some(Place::Bits { register, word }) = self.dist_place(offset.into(), 4) {
            let irqs = &self.blocks[word as usize - 1];
            match register {
                BitRegister::SetPending => return irqs.latch,
                BitRegister::ClearPending => return 0,
                _ => {}
            }
        }
        low_word(self.dist_read(offset.into(), 4))
    }

    fn dist_store(&mut self, offset: u32, word: u32) -> Result<(), &'static str> {
        match offset {
            GICD_IIDR => {
                self.revision = Revision::from_gicd_iidr(word)
                    .ok_or("0x4b00343b or 0x4b00243b (KVM's, revision 3 or 2)")?;
            }
            GICD_TYPER | GICD_TYPER2 if word != self.dist_load(offset) => {
                return Err("what the controller was made with");
            }
            GICD_CTLR => {
                let fixed = GICD_CTLR_ARE | GICD_CTLR_DS;
                if word & !GICD_CTLR_ENABLE_GRP1 != fixed {
                    return Err("0x50 or 0x52 (DS, ARE, EnableGrp1)");
                }
                self.write_gicd_ctlr(word);
            }
            _ => match self.dist_place(offset.into(), 4) {
                Some(Place::Bits { register: BitRegister::SetPending, word: n }) => {
                    self.change_block(n as usize - 1, |irqs| irqs.latch = word);
                }
                Some(Place::Bits { register: BitRegister::ClearPending, .. }) => {}
                Some(Place::Route { upper: true, .. }) if word != 0 => {
                    return Err("0: Aff3 is not offered");
                }
                Some(Place::Route { upper: false, .. }) if word >> 24 != 0 => {
                    return Err("Aff2, Aff1 and Aff0; any of several CPUs (IRM) is not offered");
                }
                _ => self.dist_write(offset.into(), 4, word.into()),
            },
        }
        Ok(())
    }

    fn redist_load(&self, cpu: usize, offset: u32) -> u32 {
        if let Some(sgi_offset) = offset.checked_sub(GICR_SGI_FRAME)
            && let Some(Place::Bits { register, .. }) = private_place(sgi_offset.into(), 4)
        {
            match register {
                BitRegister::SetPending => return self.cpus[cpu].private.latch,
                BitRegister::ClearPending => return 0,
                _ => {}
            }
        }
        low_word(self.redist_read(vcpu_id(cpu), offset.into(), 4))
    }

    fn redist_store(&mut self, cpu: usize, offset: u32, word: u32) -> Result<(), &'static str> {
        const HIGH: u32 = GICR_TYPER + 4;
        if let Some(sgi_offset) = offset.checked_sub(GICR_SGI_FRAME) {
            return self.private_store(cpu, sgi_offset, word);
        }
        match offset {
            GICR_IIDR | GICR_TYPER | HIGH if word != self.redist_load(cpu, offset) => {
                Err("what the controller was made with")
            }
            GICR_CTLR if word != self.revision.gicr_ctlr() => {
                Err("6 with GICD_IIDR revision 3, 0 with revision 2; LPIs are not offered")
            }
            GICR_WAKER if word != 0 => Err("0: redistributors do not sleep"),
            _ => {
                self.redist_write(vcpu_id(cpu), offset.into(), 4, word.into());
                Ok(())
            }
        }
    }

    fn private_store(&mut self, cpu: usize, offset: u32, word: u32) -> Result<(), &'static str> {
        let vcpu = vcpu_id(cpu);
        let private = &mut self.cpus[cpu].private;
        match private_place(offset.into(), 4) {
            Some(Place::Bits { register: BitRegister::SetPending, .. }) => private.latch = word,
            Some(Place::Bits { register: BitRegister::ClearPending, .. }) => {}
            Some(Place::Config { word: upper }) if word != private.read_config(upper == 1) => {
                return Err("edge for SGIs (0xaaaaaaaa), level for PPIs (0)");
            }
            _ => self.redist_write(
                vcpu,
                u64::from(GICR_SGI_FRAME) + u64::from(offset),
                4,
                word.into(),
            ),
        }
        self.touch(cpu);
        Ok(())
    }
}

impl Registers for GicV3 {
    fn reg_ids(&self) -> Vec<RegId> {
        let cpus: Vec<Affinity> = self.affinities().collect();
        let sections = layout::layout(self.nr_irqs, &cpus).into_iter();
        sections.flat_map(|(_, lines)| lines.into_iter().map(|line| line.def.id)).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        Self::load(self, id)
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        Self::store(self, id, value)
    }
}

fn vcpu_id(index: usize) -> VcpuId {
    VcpuId(u32::try_from(index).unwrap_or(u32::MAX))
}

fn redist_exists(offset: u32) -> bool {
    if !offset.is_multiple_of(4) {
        return false;
    }
    if let Some(sgi_offset) = offset.checked_sub(GICR_SGI_FRAME) {
        return match private_place(sgi_offset.into(), 4) {
            // IGRPMODR0 and NSACR, RAZ/WI.
            Some(Place::Other(offset)) => matches!(offset, 0xd00 | 0xe00),
            Some(Place::Route { .. }) | None => false,
            Some(_) => true,
        };
    }
    match offset {
        GICR_CTLR | GICR_IIDR | GICR_STATUSR | GICR_WAKER | GICR_SYNCR => true,
        GICD_ID_FIRST..GICD_LEN => true,
        _ => matches!(
            offset & !7,
            GICR_TYPER | GICR_PROPBASER | GICR_PENDBASER | GICR_INVLPIR | GICR_INVALLR
        ),
    }
}

fn icc_exists(encoding: u16) -> bool {
    matches!(
        encoding,
        ICC_SRE_EL1
            | ICC_CTLR_EL1
            | ICC_PMR_EL1
            | ICC_BPR0_EL1
            | ICC_BPR1_EL1
            | ICC_IGRPEN0_EL1
            | ICC_IGRPEN1_EL1
            | ICC_AP0R0_EL1
            | ICC_AP1R0_EL1
    )
}

fn icc_load(icc: &Icc, encoding: u16) -> u64 {
    match encoding {
        ICC_SRE_EL1 => ICC_SRE_FIXED,
        ICC_CTLR_EL1 => icc.ctlr(),
        ICC_PMR_EL1 => icc.pmr.into(),
        ICC_BPR0_EL1 => icc.bpr0.into(),
        ICC_BPR1_EL1 => icc.read_bpr1().into(),
        ICC_IGRPEN0_EL1 => icc.igrpen0.into(),
        ICC_IGRPEN1_EL1 => icc.igrpen1.into(),
        ICC_AP0R0_EL1 => icc.ap0r.into(),
        ICC_AP1R0_EL1 => icc.ap1r.into(),
        _ => 0,
    }
}

fn icc_store(icc: &mut Icc, encoding: u16, value: u64) -> Result<(), &'static str> {
    match encoding {
        ICC_SRE_EL1 if value & ICC_SRE_SRE == 0 => return Err("SRE (bit 0) set"),
        ICC_CTLR_EL1 => return icc_store_ctlr(icc, value),
        ICC_PMR_EL1 => icc.write_pmr(value),
        ICC_BPR0_EL1 => icc.write_bpr0(value),
        ICC_BPR1_EL1 => icc.write_bpr1(value),
        ICC_IGRPEN0_EL1 => icc.igrpen0 = value & 1 != 0,
        ICC_IGRPEN1_EL1 => icc.igrpen1 = value & 1 != 0,
        ICC_AP0R0_EL1 => icc.ap0r = u32::try_from(value).map_err(|_| "0 to 0xffffffff")?,
        ICC_AP1R0_EL1 => icc.ap1r = u32::try_from(value).map_err(|_| "0 to 0xffffffff")?,
        _ => {}
    }
    Ok(())
}

/// A kernel takes its own hardware's SEIS and A3V only, because the guest reads the hardware. Here
/// they are whatever the guest was born with.
fn icc_store_ctlr(icc: &mut Icc, value: u64) -> Result<(), &'static str> {
    let ids = IccIds {
        id_bits: (value >> ICC_CTLR_IDBITS_SHIFT & 7) as u8,
        seis: value & ICC_CTLR_SEIS != 0,
        a3v: value & ICC_CTLR_A3V != 0,
    };
    let state = value & (ICC_CTLR_CBPR | ICC_CTLR_EOIMODE);
    if ids.ctlr_bits() | state != value || check_id_bits(ids.id_bits).is_err() {
        return Err("CBPR, EOImode, PRIbits 4, IDbits 0 or 1, SEIS and A3V alone");
    }
    icc.ids = ids;
    icc.write_ctlr(value);
    Ok(())
}
