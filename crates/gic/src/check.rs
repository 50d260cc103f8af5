//! Which canonical states this version can hold: one gate for files, imports and constructors.

use crate::config::{check_cpus, check_id_bits, check_nr_irqs, gicd_typer, gicr_typer};
use crate::error::GicError;
use crate::spec::{KVM_IIDR, PPI_FIRST, PRI_BITS, PRIORITY_MASK, PRIVATE_COUNT};
use crate::state::{
    CpuState, DistState, GicKind, GicState, IccState, IrqState, Route, TyperFields,
};
use crate::{Affinity, IntId};
use abide_reg::{Scope, VcpuId};

impl GicState {
    /// Whether registers and the software controller can hold this state exactly.
    ///
    /// # Errors
    /// [`GicError`], naming the first thing that cannot be held.
    pub fn check(&self) -> Result<(), GicError> {
        let Self { kind, nr_irqs, iidr, typer, typer2, dist, propbaser: _, cpus, its } = self;
        let offered = |absent: bool, what| not_offered(Scope::Vm, absent, what);
        offered(*kind == GicKind::V3, "a GICv2")?;
        offered(its.is_empty(), "an ITS")?;
        check_nr_irqs(*nr_irqs)?;
        let affinities: Vec<Affinity> = cpus.iter().map(|cpu| cpu.affinity).collect();
        check_cpus(&affinities)?;
        if self.revision().is_none() {
            let allowed = "0x4b00343b or 0x4b00243b (KVM's, revision 3 or 2)";
            return Err(vm_field("GICD_IIDR", (*iidr).into(), allowed));
        }
        if *typer != gicd_typer(*nr_irqs) {
            let allowed = "10 bits of INTID, no LPIs, and as many INTIDs as there are";
            return Err(vm_field("GICD_TYPER", (*typer).into(), allowed));
        }
        if *typer2 != 0 {
            return Err(vm_field("GICD_TYPER2", (*typer2).into(), "0"));
        }
        dist.check(*nr_irqs)?;
        let count = cpus.len();
        cpus.iter().enumerate().try_for_each(|(index, cpu)| cpu.check(index, count))
    }
}

fn not_offered(scope: Scope, absent: bool, what: &'static str) -> Result<(), GicError> {
    if absent { Ok(()) } else { Err(GicError::NotOffered { scope, what }) }
}

fn vm_field(field: &'static str, found: u64, allowed: &'static str) -> GicError {
    GicError::Field { scope: Scope::Vm, field, found, allowed }
}

impl DistState {
    fn check(&self, nr_irqs: u32) -> Result<(), GicError> {
        let Self { enable_grp0, enable_grp1: _, are, ds, nassgireq, spis } = self;
        let offered = |absent: bool, what| not_offered(Scope::Vm, absent, what);
        offered(!enable_grp0, "an enable of group 0 of its own (GICD_CTLR.EnableGrp0)")?;
        offered(*are, "no affinity routing (GICD_CTLR.ARE)")?;
        offered(*ds, "two security states (GICD_CTLR.DS)")?;
        offered(!nassgireq, "SGIs without an active state (GICD_CTLR.nASSGIreq)")?;
        let allowed = (nr_irqs - PRIVATE_COUNT) as usize;
        if spis.len() != allowed {
            let (scope, found) = (Scope::Vm, spis.len());
            return Err(GicError::Count { scope, what: "SPIs", found, allowed });
        }
        for (intid, spi) in (PRIVATE_COUNT..).zip(spis) {
            spi.check(Scope::Vm, IntId(intid))?;
        }
        Ok(())
    }
}

impl CpuState {
    fn check(&self, index: usize, count: usize) -> Result<(), GicError> {
        let Self { affinity, processor_number, last, iidr, enable_lpis, asleep, .. } = self;
        let Self { pendbaser: _, pending_lpis, private, icc, v2, .. } = self;
        let scope = scope_of(index);
        let field = |field, found, allowed| GicError::Field { scope, field, found, allowed };
        let typer = TyperFields::of(gicr_typer(*affinity, index, count));
        if *processor_number != typer.processor_number {
            let found = u64::from(*processor_number);
            return Err(field("GICR_TYPER.Processor_Number", found, "the number of the vCPU"));
        }
        if *last != typer.last {
            let allowed = "1 for the redistributor of the last vCPU alone";
            return Err(field("GICR_TYPER.Last", (*last).into(), allowed));
        }
        if *iidr != KVM_IIDR {
            return Err(field("GICR_IIDR", (*iidr).into(), "0x4b00043b (KVM's)"));
        }
        not_offered(scope, !enable_lpis && pending_lpis.is_empty(), "LPIs")?;
        not_offered(scope, !asleep, "a sleeping redistributor (GICR_WAKER)")?;
        not_offered(scope, v2.is_none(), "a GICv2 CPU interface")?;
        for (intid, irq) in (0..).zip(private) {
            irq.check(scope, IntId(intid))?;
        }
        icc.check(scope)
    }
}

pub(crate) fn scope_of(index: usize) -> Scope {
    Scope::Vcpu(VcpuId(u32::try_from(index).unwrap_or(u32::MAX)))
}

impl IrqState {
    fn check(&self, scope: Scope, intid: IntId) -> Result<(), GicError> {
        let Self { enabled: _, latch: _, active: _, line, edge, group1: _, .. } = *self;
        let Self { grpmod, nsacr, nmi, priority, route, .. } = *self;
        let irq = |field, found, allowed| GicError::Irq { scope, intid, field, found, allowed };
        let Some(line) = line else { return Err(GicError::LineUnknown { scope, intid }) };
        if intid.0 < PPI_FIRST && line {
            return Err(irq("line", 1, "0: an SGI has no input"));
        }
        if intid.0 < PRIVATE_COUNT && edge != (intid.0 < PPI_FIRST) {
            return Err(irq("edge", edge.into(), "1 for SGIs, 0 for PPIs"));
        }
        if priority & !PRIORITY_MASK != 0 {
            return Err(irq("priority", priority.into(), "multiples of 8 (5 priority bits)"));
        }
        not_offered(scope, !grpmod, "an interrupt of a third group (IGRPMODR)")?;
        not_offered(scope, nsacr == 0, "an interrupt shared between security states (NSACR)")?;
        not_offered(scope, !nmi, "a non-maskable interrupt")?;
        match route {
            Route::Private if intid.0 < PRIVATE_COUNT => Ok(()),
            Route::Affinity(affinity) if intid.0 >= PRIVATE_COUNT => {
                not_offered(scope, affinity.level(3) == 0, "an interrupt for an Aff3 other than 0")
            }
            Route::OneOfN(_) => not_offered(scope, false, "an interrupt for any CPU (IRM)"),
            Route::Targets(_) => not_offered(scope, false, "a GICv2 interrupt target"),
            Route::Private | Route::Affinity(_) => {
                Err(irq("route", 0, "private for SGIs and PPIs, an affinity for SPIs"))
            }
        }
    }
}

impl IccState {
    fn check(&self, scope: Scope) -> Result<(), GicError> {
        let Self { pri_bits, id_bits, seis: _, a3v: _, cbpr: _, eoi_mode: _, pmr: _, .. } = self;
        let Self { bpr0, bpr1, ap0r, ap1r, igrpen0: _, igrpen1: _, .. } = self;
        let field = |field, found, allowed| GicError::Field { scope, field, found, allowed };
        if *pri_bits != PRI_BITS {
            return Err(field("priority bits", (*pri_bits).into(), "5"));
        }
        check_id_bits(*id_bits)?;
        for (name, bpr) in [("ICC_BPR0_EL1", bpr0), ("ICC_BPR1_EL1", bpr1)] {
            if *bpr > 7 {
                return Err(field(name, (*bpr).into(), "0 to 7"));
            }
        }
        for (name, apr) in [("ICC_AP0R1-3_EL1", ap0r), ("ICC_AP1R1-3_EL1", ap1r)] {
            if let Some(&found) = apr[1..].iter().find(|&&apr| apr != 0) {
                return Err(field(name, found.into(), "0: 5 priority bits need one register"));
            }
        }
        Ok(())
    }
}
