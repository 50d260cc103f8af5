//! The software controller: who holds what, and who sees what.
//!
//! Each access changes blocks of interrupts through [`GicV3::change_block`], which marks the CPUs
//! that may see something else; [`GicV3::settle`] then looks anew for those alone. A CPU's highest
//! pending interrupt is kept, so that acknowledging and ending one costs a few words, not a walk
//! over all INTIDs.

use crate::config::GicConfig;
use crate::cpu::{Candidate, Cpu, Group, Outputs};
use crate::error::GicError;
use crate::irq::IrqBlock;
use crate::spec::{PRIVATE_COUNT, WORD_INTIDS};
use crate::state::GicState;
use crate::{Affinity, IntId, Revision};
use abide_reg::VcpuId;

/// The index of no CPU.
pub(crate) const NOBODY: u8 = u8::MAX;

/// A GICv3 in software: distributor, redistributors and CPU interfaces, without LPIs.
///
/// It has no threads, locks, clock or memory of its own: accesses and line changes are calls, and
/// the calls' effect on the vCPUs is [`Self::outputs`]. What a guest can observe is what KVM's
/// controller of the same `GICD_IIDR` shows `[linux arch/arm64/kvm/vgic]`.
///
/// ```
/// use abide_gic::{Affinity, GicConfig, GicV3, IntId, spec};
/// use abide_reg::VcpuId;
///
/// let mut gic = GicV3::new(GicConfig::new([Affinity(0)], 64))?;
/// let cpu = VcpuId(0);
/// gic.dist_write(spec::GICD_CTLR.into(), 4, spec::GICD_CTLR_ENABLE_GRP1.into());
/// gic.dist_write((spec::GICD_ISENABLER + 4).into(), 4, 1 << 1);
/// assert!(gic.sysreg_write(cpu, spec::ICC_PMR_EL1, 0xf0));
/// assert!(gic.sysreg_write(cpu, spec::ICC_IGRPEN1_EL1, 1));
/// gic.set_spi(IntId(33), true);
/// assert!(gic.outputs(cpu).irq);
/// assert_eq!(gic.sysreg_read(cpu, spec::ICC_IAR1_EL1), Some(33));
/// # Ok::<(), abide_gic::GicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GicV3 {
    // Wiring: fixed when made.
    pub(crate) nr_irqs: u32,
    pub(crate) revision: Revision,
    // State.
    /// `GICD_CTLR.EnableGrp1`: in KVM's controller it forwards both groups.
    pub(crate) enabled: bool,
    pub(crate) propbaser: u64,
    /// SPIs, from INTID 32 on.
    pub(crate) blocks: Vec<IrqBlock>,
    /// The affinity each SPI is routed to.
    pub(crate) routes: Vec<Affinity>,
    pub(crate) cpus: Vec<Cpu>,
    // Computed from the state.
    /// The CPU each SPI is routed to, or [`NOBODY`].
    pub(crate) targets: Vec<u8>,
    /// Bit n: block n has an interrupt that may be signalled.
    pub(crate) eligible_blocks: u32,
    /// CPUs that may see something else.
    pub(crate) touched: u64,
    /// CPUs whose outputs changed.
    changed: u64,
}

impl GicV3 {
    /// A new controller, as KVM's is after `KVM_DEV_ARM_VGIC_CTRL_INIT`.
    ///
    /// # Errors
    /// As [`GicConfig::check`].
    pub fn new(config: GicConfig) -> Result<Self, GicError> {
        Self::from_state(&GicState::at_reset(&config)?)
    }

    /// A controller of these parts; what follows from them is not yet computed.
    pub(crate) fn assemble(
        nr_irqs: u32,
        revision: Revision,
        blocks: Vec<IrqBlock>,
        routes: Vec<Affinity>,
        cpus: Vec<Cpu>,
    ) -> Self {
        let targets = vec![NOBODY; routes.len()];
        let (enabled, propbaser, eligible_blocks, touched, changed) = (false, 0, 0, 0, 0);
        Self {
            nr_irqs,
            revision,
            enabled,
            propbaser,
            blocks,
            routes,
            cpus,
            targets,
            eligible_blocks,
            touched,
            changed,
        }
    }

    /// Drives the input of an SPI. Other INTIDs, and those past the last, have no input here.
    pub fn set_spi(&mut self, intid: IntId, level: bool) {
        if let Some((block, bit)) = self.spi_place(intid.0) {
            let levels = if level { bit } else { 0 };
            if self.blocks[block].line & bit != levels {
                self.change_block(block, |irqs| irqs.drive(bit, levels));
                self.settle();
            }
        }
    }

    /// Drives the input of a PPI of one vCPU. Other INTIDs and unknown vCPUs have no input here.
    pub fn set_ppi(&mut self, vcpu: VcpuId, intid: IntId, level: bool) {
        let Some(cpu) = self.cpus.get_mut(vcpu.index()).filter(|_| intid.is_ppi()) else { return };
        let bit = 1 << intid.0;
        let levels = if level { bit } else { 0 };
        if cpu.private.line & bit != levels {
            cpu.private.drive(bit, levels);
            self.touch(vcpu.index());
            self.settle();
        }
    }

    /// The inputs of a vCPU as they are now.
    #[inline]
    #[must_use]
    pub fn outputs(&self, vcpu: VcpuId) -> Outputs {
        self.cpus.get(vcpu.index()).map_or(Outputs::default(), |cpu| cpu.outputs)
    }

    /// The vCPUs whose inputs changed since the last call: bit n for vCPU n. All of them at first.
    #[inline]
    pub fn take_changed(&mut self) -> u64 {
        std::mem::take(&mut self.changed)
    }

    /// How many INTIDs there are, SGIs and PPIs included.
    #[must_use]
    pub fn nr_irqs(&self) -> u32 {
        self.nr_irqs
    }

    /// The CPUs in the order of their redistributors.
    pub fn affinities(&self) -> impl Iterator<Item = Affinity> + '_ {
        self.cpus.iter().map(|cpu| cpu.affinity)
    }

    /// The block and the bit of an SPI.
    pub(crate) fn spi_place(&self, intid: u32) -> Option<(usize, u32)> {
        if intid < PRIVATE_COUNT || intid >= self.nr_irqs {
            return None;
        }
        Some(((intid / WORD_INTIDS - 1) as usize, 1 << (intid % WORD_INTIDS)))
    }

    /// The CPU with this affinity, or [`NOBODY`].
    pub(crate) fn target_of(&self, affinity: Affinity) -> u8 {
        let place = self.cpus.iter().position(|cpu| cpu.affinity == affinity);
        place.and_then(|index| u8::try_from(index).ok()).unwrap_or(NOBODY)
    }

    /// Changes SPIs, and marks who may see something else: the targets of what is or was eligible.
    pub(crate) fn change_block(&mut self, block: usize, change: impl FnOnce(&mut IrqBlock)) {
        let Some(irqs) = self.blocks.get_mut(block) else { return };
        let before = irqs.eligible();
        change(irqs);
        let after = irqs.eligible();
        if after == 0 {
            self.eligible_blocks &= !(1 << block);
        } else {
            self.eligible_blocks |= 1 << block;
        }
        self.touch_targets(block, before | after);
    }

    fn touch_targets(&mut self, block: usize, mut irqs: u32) {
        while irqs != 0 {
            let place = irqs.trailing_zeros() as usize;
            irqs &= irqs - 1;
            let target = self.targets[block * WORD_INTIDS as usize + place];
            if target != NOBODY {
                self.touch(usize::from(target));
            }
        }
    }

    /// Routes an SPI.
    pub(crate) fn route(&mut self, intid: u32, affinity: Affinity) {
        let Some((block, bit)) = self.spi_place(intid) else { return };
        let spi = (intid - PRIVATE_COUNT) as usize;
        let eligible = self.blocks[block].eligible() & bit;
        self.touch_targets(block, eligible);
        self.routes[spi] = affinity;
        self.targets[spi] = self.target_of(affinity);
        self.touch_targets(block, eligible);
    }

    pub(crate) fn touch(&mut self, cpu: usize) {
        self.touched |= 1 << cpu;
    }

    pub(crate) fn touch_all(&mut self) {
        self.touched = u64::MAX >> (64 - self.cpus.len());
    }

    /// Ends an access: CPUs that were touched look again for what they are to take.
    #[inline]
    pub(crate) fn settle(&mut self) {
        while self.touched != 0 {
            let index = self.touched.trailing_zeros() as usize;
            self.touched &= self.touched - 1;
            let best = self.best_of(index);
            let cpu = &mut self.cpus[index];
            cpu.best = best;
            let outputs = cpu.signalled();
            if outputs != cpu.outputs {
                cpu.outputs = outputs;
                self.changed |= 1 << index;
            }
        }
    }

    pub(crate) fn mark_all_changed(&mut self) {
        self.changed = u64::MAX >> (64 - self.cpus.len());
    }

    /// The lowest priority value among what a CPU may take, and of equal ones the lowest INTID.
    fn best_of(&self, index: usize) -> Option<Candidate> {
        let cpu = self.cpus.get(index).filter(|_| self.enabled)?;
        let mut search = Search { best: None };
        let private = &cpu.private;
        search.block(private, private.eligible() & cpu.icc.through(private.group1), 0);
        let mut blocks = self.eligible_blocks;
        while blocks != 0 {
            let block = blocks.trailing_zeros();
            blocks &= blocks - 1;
            let irqs = &self.blocks[block as usize];
            let through = irqs.eligible() & cpu.icc.through(irqs.group1);
            let mine = self.mine(block as usize, through, index);
            search.block(irqs, mine, (block + 1) * WORD_INTIDS);
        }
        search.best
    }

    /// Those of `irqs` that are routed to the CPU.
    fn mine(&self, block: usize, irqs: u32, cpu: usize) -> u32 {
        let targets = &self.targets[block * WORD_INTIDS as usize..][..WORD_INTIDS as usize];
        let (mut rest, mut mine) = (irqs, 0);
        while rest != 0 {
            let place = rest.trailing_zeros();
            rest &= rest - 1;
            mine |= u32::from(usize::from(targets[place as usize]) == cpu) << place;
        }
        mine
    }
}

struct Search {
    best: Option<Candidate>,
}

impl Search {
    /// Goes through `bits` of a block whose first INTID is `first`.
    fn block(&mut self, irqs: &IrqBlock, mut bits: u32, first: u32) {
        while bits != 0 {
            let place = bits.trailing_zeros();
            bits &= bits - 1;
            let priority = irqs.priority[place as usize];
            if self.best.is_none_or(|best| priority < best.priority) {
                let group = Group::of_bit(irqs.group1 >> place & 1 != 0);
                self.best = Some(Candidate { intid: first + place, priority, group });
            }
        }
    }
}
