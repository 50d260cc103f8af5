//! The software controller to canonical state and back.

use crate::config::{IccIds, gicd_typer, gicr_typer};
use crate::cpu::{Cpu, Icc, Outputs};
use crate::error::GicError;
use crate::gic::{GicV3, NOBODY};
use crate::irq::{BLOCK_LEN, IrqBlock};
use crate::spec::{KVM_IIDR, PRIVATE_COUNT};
use crate::state::{
    CpuState, DistState, GicKind, GicState, IccState, IrqState, Route, TyperFields,
};
use crate::{Affinity, Revision};

impl GicV3 {
    /// The whole state, in a form that knows nothing of this controller.
    #[must_use]
    pub fn state(&self) -> GicState {
        let Self { nr_irqs, revision, enabled, propbaser, blocks, routes, cpus, .. } = self;
        let spis = blocks.iter().flat_map(irqs_of).zip(routes);
        let routed =
            |(irq, &to): (IrqState, &Affinity)| IrqState { route: Route::Affinity(to), ..irq };
        let count = cpus.len();
        GicState {
            kind: GicKind::V3,
            nr_irqs: *nr_irqs,
            iidr: revision.gicd_iidr(),
            typer: gicd_typer(*nr_irqs),
            typer2: 0,
            dist: DistState {
                enable_grp0: false,
                enable_grp1: *enabled,
                are: true,
                ds: true,
                nassgireq: false,
                spis: spis.map(routed).collect(),
            },
            propbaser: *propbaser,
            cpus: cpus.iter().enumerate().map(|(index, cpu)| cpu.state(index, count)).collect(),
            its: Vec::new(),
        }
    }

    /// A controller in this state. Registers that a CPU interface clamps are clamped.
    ///
    /// # Errors
    /// As [`GicState::check`]: a state that cannot be held makes no controller.
    pub fn from_state(state: &GicState) -> Result<Self, GicError> {
        state.check()?;
        let mut state = state.clone();
        state.normalise();
        let blocks: Vec<IrqBlock> = state.dist.spis.chunks(BLOCK_LEN).map(block_of).collect();
        let routes = state.dist.spis.iter().map(|spi| match spi.route {
            Route::Affinity(affinity) | Route::OneOfN(affinity) => affinity,
            Route::Private | Route::Targets(_) => Affinity::default(),
        });
        let routes: Vec<Affinity> = routes.collect();
        let mut gic = Self::assemble(
            state.nr_irqs,
            state.revision().unwrap_or(Revision::R3),
            blocks,
            routes,
            state.cpus.iter().map(Cpu::of_state).collect(),
        );
        gic.enabled = state.dist.enable_grp1;
        gic.propbaser = state.propbaser;
        gic.recompute();
        Ok(gic)
    }

    /// Computes anew all that follows from the state.
    fn recompute(&mut self) {
        self.targets = self.routes.iter().map(|&route| self.target_of(route)).collect();
        debug_assert!(self.targets.iter().all(|&to| to == NOBODY || usize::from(to) < 64));
        self.eligible_blocks = 0;
        for (block, irqs) in self.blocks.iter().enumerate() {
            self.eligible_blocks |= u32::from(irqs.eligible() != 0) << block;
        }
        self.touch_all();
        self.settle();
        self.mark_all_changed();
    }
}

/// The interrupts of a block, without routes.
fn irqs_of(irqs: &IrqBlock) -> impl Iterator<Item = IrqState> {
    let IrqBlock { group1, enabled, latch, line, active, edge, priority } = irqs;
    (0..BLOCK_LEN).map(move |place| {
        let bit = |word: &u32| word >> place & 1 != 0;
        IrqState {
            enabled: bit(enabled),
            latch: bit(latch),
            active: bit(active),
            line: Some(bit(line)),
            edge: bit(edge),
            group1: bit(group1),
            grpmod: false,
            nsacr: 0,
            nmi: false,
            priority: priority[place],
            route: Route::Private,
        }
    })
}

/// At most 32 interrupts as a block.
fn block_of(irqs: &[IrqState]) -> IrqBlock {
    let word = |bit: fn(&IrqState) -> bool| {
        let irqs = irqs.iter().take(BLOCK_LEN).rev();
        irqs.fold(0_u32, |word, irq| word << 1 | u32::from(bit(irq)))
    };
    let mut priority = [0; BLOCK_LEN];
    for (byte, irq) in priority.iter_mut().zip(irqs) {
        *byte = irq.priority;
    }
    IrqBlock {
        group1: word(|irq| irq.group1),
        enabled: word(|irq| irq.enabled),
        latch: word(|irq| irq.latch),
        line: word(|irq| irq.line == Some(true)),
        active: word(|irq| irq.active),
        edge: word(|irq| irq.edge),
        priority,
    }
}

impl Cpu {
    fn state(&self, index: usize, count: usize) -> CpuState {
        // What follows from the state is not saved.
        let Self { affinity, private, icc, pendbaser, best: _, outputs: _ } = self;
        let typer = TyperFields::of(gicr_typer(*affinity, index, count));
        let mut irqs = irqs_of(private);
        CpuState {
            affinity: *affinity,
            processor_number: typer.processor_number,
            last: typer.last,
            iidr: KVM_IIDR,
            enable_lpis: false,
            asleep: false,
            pendbaser: *pendbaser,
            pending_lpis: Vec::new(),
            private: [(); PRIVATE_COUNT as usize].map(|()| irqs.next().unwrap_or(IrqState::PPI)),
            icc: icc.state(),
            v2: None,
        }
    }

    fn of_state(state: &CpuState) -> Self {
        let CpuState { affinity, pendbaser, private, icc, .. } = state;
        Self {
            affinity: *affinity,
            private: block_of(private),
            icc: Icc::of_state(icc),
            pendbaser: *pendbaser,
            best: None,
            outputs: Outputs::default(),
        }
    }
}

impl Icc {
    fn state(&self) -> IccState {
        let Self { ids, pmr, bpr0, bpr1, cbpr, eoi_mode, ap0r, ap1r, igrpen0, igrpen1 } = *self;
        let IccIds { id_bits, seis, a3v } = ids;
        IccState {
            pri_bits: crate::spec::PRI_BITS,
            id_bits,
            seis,
            a3v,
            cbpr,
            eoi_mode,
            pmr,
            bpr0,
            bpr1,
            ap0r: [ap0r, 0, 0, 0],
            ap1r: [ap1r, 0, 0, 0],
            igrpen0,
            igrpen1,
        }
    }

    fn of_state(state: &IccState) -> Self {
        let IccState { pri_bits: _, id_bits, seis, a3v, cbpr, eoi_mode, .. } = *state;
        let IccState { pmr, bpr0, bpr1, ap0r, ap1r, igrpen0, igrpen1, .. } = *state;
        let ids = IccIds { id_bits, seis, a3v };
        let (ap0r, ap1r) = (ap0r[0], ap1r[0]);
        Self { ids, pmr, bpr0, bpr1, cbpr, eoi_mode, ap0r, ap1r, igrpen0, igrpen1 }
    }
}
