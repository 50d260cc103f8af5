//! The canonical state: what an interrupt controller holds, whatever made it.
//!
//! It is the superset that the controllers of KVM, QEMU and this crate fit into. Unknown is not
//! false: what a source did not save is `None`. Latch and line are never merged. What has a place
//! here but no registers yet is refused by name ([`GicError::NotOffered`]), never dropped.
//!
//! | part | place | offered |
//! |---|---|---|
//! | GICv3 distributor, redistributors, CPU interfaces | [`DistState`], [`CpuState`] | yes |
//! | GICv2 | [`GicKind::V2`], [`CpuState::v2`], [`Route::Targets`] | not yet |
//! | ITS | [`GicState::its`] | not yet |
//! | LPIs | [`CpuState::enable_lpis`], [`CpuState::pending_lpis`] | not yet |
//! | Aff3, 1 of N, `IGRPMODR`, `NSACR`, NMIs, other priority widths | fields | no: nor by KVM |

use crate::config::{GicConfig, Revision, gicd_typer, gicr_typer};
use crate::error::GicError;
use crate::spec::{
    BPR0_MIN, BPR1_MIN, GICR_PENDBASER_RES0, GICR_PENDBASER_RESET, GICR_PROPBASER_RES0, KVM_IIDR,
    PPI_FIRST, PRI_BITS, PRIORITY_MASK, PRIVATE_COUNT,
};
use crate::{Affinity, IntId};

/// Architecture of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GicKind {
    /// GICv2. Not yet offered.
    V2,
    /// GICv3.
    V3,
}

/// A whole interrupt controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GicState {
    /// Its architecture.
    pub kind: GicKind,
    /// Number of INTIDs, SGIs and PPIs included.
    pub nr_irqs: u32,
    /// `GICD_IIDR`.
    pub iidr: u32,
    /// `GICD_TYPER`.
    pub typer: u32,
    /// `GICD_TYPER2`.
    pub typer2: u32,
    /// The distributor.
    pub dist: DistState,
    /// `GICR_PROPBASER`: one for all redistributors.
    pub propbaser: u64,
    /// The CPUs in the order of their redistributors.
    pub cpus: Vec<CpuState>,
    /// Interrupt translation services. Not yet offered.
    pub its: Vec<ItsState>,
}

/// What belongs to no CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistState {
    /// `GICD_CTLR.EnableGrp0`. KVM's controller has one enable for both groups, `EnableGrp1`.
    pub enable_grp0: bool,
    /// `GICD_CTLR.EnableGrp1`.
    pub enable_grp1: bool,
    /// `GICD_CTLR.ARE`.
    pub are: bool,
    /// `GICD_CTLR.DS`.
    pub ds: bool,
    /// `GICD_CTLR.nASSGIreq`.
    pub nassgireq: bool,
    /// SPIs, from INTID 32 on.
    pub spis: Vec<IrqState>,
}

/// Which CPU gets an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The one it belongs to: SGIs and PPIs.
    Private,
    /// The one with this affinity; pending for ever where there is none.
    Affinity(Affinity),
    /// Any that takes part (`GICD_IROUTER.IRM`). Not yet offered.
    OneOfN(Affinity),
    /// GICv2's set of CPUs. Not yet offered.
    Targets(u8),
}

/// One interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqState {
    /// May become pending at a CPU.
    pub enabled: bool,
    /// Pending by an edge, a message or a write, until acknowledged.
    pub latch: bool,
    /// Acknowledged and not yet deactivated.
    pub active: bool,
    /// Its input, or `None` where the source did not save it. It makes a level-triggered interrupt
    /// pending, and shows an edge-triggered one what is no new edge.
    pub line: Option<bool>,
    /// Edge-triggered.
    pub edge: bool,
    /// In group 1.
    pub group1: bool,
    /// `IGRPMODR`.
    pub grpmod: bool,
    /// `NSACR`, 2 bits.
    pub nsacr: u8,
    /// Not maskable.
    pub nmi: bool,
    /// Its priority in 8 bits, 0 the highest.
    pub priority: u8,
    /// Who gets it.
    pub route: Route,
}

/// What belongs to one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuState {
    /// Its affinity.
    pub affinity: Affinity,
    /// `GICR_TYPER.Processor_Number`.
    pub processor_number: u16,
    /// `GICR_TYPER.Last`.
    pub last: bool,
    /// `GICR_IIDR`.
    pub iidr: u32,
    /// `GICR_CTLR.EnableLPIs`. Not yet offered.
    pub enable_lpis: bool,
    /// `GICR_WAKER.ProcessorSleep`. KVM's redistributors never sleep.
    pub asleep: bool,
    /// `GICR_PENDBASER`.
    pub pendbaser: u64,
    /// Pending LPIs. Not yet offered.
    pub pending_lpis: Vec<IntId>,
    /// SGIs and PPIs.
    pub private: [IrqState; PRIVATE_COUNT as usize],
    /// The CPU interface.
    pub icc: IccState,
    /// What a GICv2 CPU interface has besides. Not yet offered.
    pub v2: Option<V2State>,
}

/// A CPU interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IccState {
    /// Implemented priority bits.
    pub pri_bits: u8,
    /// `ICC_CTLR_EL1.IDbits`.
    pub id_bits: u8,
    /// `ICC_CTLR_EL1.SEIS`.
    pub seis: bool,
    /// `ICC_CTLR_EL1.A3V`.
    pub a3v: bool,
    /// `ICC_CTLR_EL1.CBPR`.
    pub cbpr: bool,
    /// `ICC_CTLR_EL1.EOImode`.
    pub eoi_mode: bool,
    /// `ICC_PMR_EL1`, in 8 bits.
    pub pmr: u8,
    /// `ICC_BPR0_EL1`.
    pub bpr0: u8,
    /// `ICC_BPR1_EL1`, as it is without CBPR.
    pub bpr1: u8,
    /// `ICC_AP0R<n>_EL1`.
    pub ap0r: [u32; 4],
    /// `ICC_AP1R<n>_EL1`.
    pub ap1r: [u32; 4],
    /// `ICC_IGRPEN0_EL1`.
    pub igrpen0: bool,
    /// `ICC_IGRPEN1_EL1`.
    pub igrpen1: bool,
}

/// What a GICv2 CPU interface has besides. Not yet offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2State {
    /// For each SGI the CPUs that raised it.
    pub sgi_sources: [u8; PPI_FIRST as usize],
    /// For each active SGI the CPU that raised it, where known.
    pub active_sources: [Option<u8>; PPI_FIRST as usize],
    /// `GICC_CTLR`.
    pub gicc_ctlr: u32,
    /// `GICC_NSAPR<n>`.
    pub nsapr: [u32; 4],
}

/// An interrupt translation service. Not yet offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItsState {
    /// `GITS_IIDR`.
    pub iidr: u32,
    /// `GITS_TYPER`: holds the length of a table entry, which the guest builds on.
    pub typer: u64,
    /// `GITS_CTLR.Enabled`.
    pub enabled: bool,
    /// `GITS_CBASER`.
    pub cbaser: u64,
    /// `GITS_CREADR`.
    pub creadr: u64,
    /// `GITS_CWRITER`.
    pub cwriter: u64,
    /// `GITS_BASER<n>`.
    pub baser: [u64; 8],
}

impl IrqState {
    /// An SGI of a CPU that was never touched: enabled, as KVM has it.
    const SGI: Self = Self { enabled: true, edge: true, ..Self::PPI };
    /// A PPI of a CPU that was never touched.
    pub(crate) const PPI: Self = Self {
        enabled: false,
        latch: false,
        active: false,
        line: Some(false),
        edge: false,
        group1: true,
        grpmod: false,
        nsacr: 0,
        nmi: false,
        priority: 0,
        route: Route::Private,
    };
    /// An SPI that was never touched: edge-triggered, as KVM has it.
    const SPI: Self = Self { edge: true, route: Route::Affinity(Affinity(0)), ..Self::PPI };

    /// Whether a CPU that takes this interrupt would see it.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.latch || (!self.edge && self.line == Some(true))
    }
}

impl GicState {
    /// The state of a new controller: that of KVM's after `KVM_DEV_ARM_VGIC_CTRL_INIT`, with
    /// registers in the form they have once a vCPU has run, and `GICR_PROPBASER` in the form that
    /// any write gives it (a kernel shows 0 until the first).
    ///
    /// # Errors
    /// As [`GicConfig::check`].
    pub fn at_reset(config: &GicConfig) -> Result<Self, GicError> {
        config.check()?;
        let count = config.cpus.len();
        let cpus = config.cpus.iter().enumerate();
        Ok(Self {
            kind: GicKind::V3,
            nr_irqs: config.nr_irqs,
            iidr: config.revision.gicd_iidr(),
            typer: gicd_typer(config.nr_irqs),
            typer2: 0,
            dist: DistState {
                enable_grp0: false,
                enable_grp1: false,
                are: true,
                ds: true,
                nassgireq: false,
                spis: vec![IrqState::SPI; (config.nr_irqs - PRIVATE_COUNT) as usize],
            },
            propbaser: sanitise_propbaser(0),
            cpus: cpus.map(|(index, &cpu)| CpuState::at_reset(config, cpu, index, count)).collect(),
            its: Vec::new(),
        })
    }

    /// Takes every line of which nothing is known as low. Right only where every device asserts
    /// its line again before the guest runs: a source without line levels (GICv2, Firecracker,
    /// Cloud Hypervisor) leaves no other choice.
    pub fn lower_unknown_lines(&mut self) {
        let private = self.cpus.iter_mut().flat_map(|cpu| &mut cpu.private);
        for irq in self.dist.spis.iter_mut().chain(private) {
            irq.line.get_or_insert(false);
        }
    }

    /// Registers that a CPU interface of fewer bits would hold differently are brought into the
    /// form they have once a vCPU has run: PMR without bits that do not exist, BPRs not below
    /// their minimum, tables with the memory attributes KVM makes of them.
    pub(crate) fn normalise(&mut self) {
        self.propbaser = sanitise_propbaser(self.propbaser);
        for cpu in &mut self.cpus {
            cpu.pendbaser = sanitise_pendbaser(cpu.pendbaser);
            cpu.icc.pmr &= PRIORITY_MASK;
            cpu.icc.bpr0 = cpu.icc.bpr0.max(BPR0_MIN);
            cpu.icc.bpr1 = cpu.icc.bpr1.max(BPR1_MIN);
        }
    }

    /// The configuration of a controller that can hold this state.
    pub(crate) fn revision(&self) -> Option<Revision> {
        Revision::from_gicd_iidr(self.iidr)
    }

    /// The interrupt, and the CPU it belongs to where it belongs to one.
    #[must_use]
    pub fn irq(&self, cpu: usize, intid: IntId) -> Option<&IrqState> {
        if intid.0 < PRIVATE_COUNT {
            return self.cpus.get(cpu)?.private.get(intid.0 as usize);
        }
        self.dist.spis.get((intid.0 - PRIVATE_COUNT) as usize)
    }
}

impl CpuState {
    fn at_reset(config: &GicConfig, affinity: Affinity, index: usize, count: usize) -> Self {
        let mut private = [IrqState::PPI; PRIVATE_COUNT as usize];
        private[..PPI_FIRST as usize].fill(IrqState::SGI);
        let typer = TyperFields::of(gicr_typer(affinity, index, count));
        Self {
            affinity,
            processor_number: typer.processor_number,
            last: typer.last,
            iidr: KVM_IIDR,
            enable_lpis: false,
            asleep: false,
            pendbaser: GICR_PENDBASER_RESET,
            pending_lpis: Vec::new(),
            private,
            icc: IccState {
                pri_bits: PRI_BITS,
                id_bits: config.icc_ids.id_bits,
                seis: config.icc_ids.seis,
                a3v: config.icc_ids.a3v,
                cbpr: false,
                eoi_mode: false,
                pmr: 0,
                bpr0: BPR0_MIN,
                bpr1: BPR1_MIN,
                ap0r: [0; 4],
                ap1r: [0; 4],
                igrpen0: false,
                igrpen1: false,
            },
            v2: None,
        }
    }
}

/// The fields of `GICR_TYPER` that differ between redistributors, affinity aside.
pub(crate) struct TyperFields {
    pub(crate) processor_number: u16,
    pub(crate) last: bool,
}

impl TyperFields {
    pub(crate) fn of(typer: u64) -> Self {
        let bytes = typer.to_le_bytes();
        Self {
            processor_number: u16::from_le_bytes([bytes[1], bytes[2]]),
            last: bytes[0] & 1 << 4 != 0,
        }
    }
}

/// What KVM keeps of a value written to `GICR_PROPBASER`: no outer shareability, no non-cacheable
/// inner attribute `[linux arch/arm64/kvm/vgic/vgic-mmio-v3.c]`.
pub(crate) fn sanitise_propbaser(value: u64) -> u64 {
    sanitise_attributes(value) & !GICR_PROPBASER_RES0
}

/// As [`sanitise_propbaser`], for `GICR_PENDBASER`.
pub(crate) fn sanitise_pendbaser(value: u64) -> u64 {
    sanitise_attributes(value) & !GICR_PENDBASER_RES0
}

/// Shareability stands in bits 11:10, inner cacheability in 9:7, outer in 58:56
/// `[IHI0069 12.11]`.
fn sanitise_attributes(value: u64) -> u64 {
    const OUTER_SHAREABLE: u64 = 2;
    const INNER_SHAREABLE: u64 = 1;
    const INNER_READ_ALLOCATE_WRITE_BACK: u64 = 3;
    let field = |shift: u32, mask: u64| value >> shift & mask;
    let shareability = match field(10, 3) {
        OUTER_SHAREABLE => INNER_SHAREABLE,
        other => other,
    };
    let inner = match field(7, 7) {
        // Device and non-cacheable.
        0 | 1 => INNER_READ_ALLOCATE_WRITE_BACK,
        other => other,
    };
    let outer = match field(56, 7) {
        // As inner, and non-cacheable.
        kept @ (0 | 1) => kept,
        _ => 0,
    };
    let cleared = value & !(3 << 10 | 7 << 7 | 7 << 56);
    cleared | shareability << 10 | inner << 7 | outer << 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_attributes_become_those_kvm_keeps() {
        assert_eq!(sanitise_propbaser(0), 0x180);
        assert_eq!(sanitise_pendbaser(GICR_PENDBASER_RESET), GICR_PENDBASER_RESET);
        // Linux: outer shareable, write-back, 16 ID bits.
        assert_eq!(sanitise_propbaser(0x4010_0b8f), 0x4010_078f);
        assert_eq!(sanitise_pendbaser(u64::MAX), 0x000f_ffff_ffff_0f80);
        for value in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
            let once = sanitise_pendbaser(value);
            assert_eq!(sanitise_pendbaser(once), once);
        }
    }

    #[test]
    fn reset_is_that_of_kvm_and_not_zero() {
        let state = GicState::at_reset(&GicConfig::new([Affinity(0)], 64)).unwrap();
        assert!(state.dist.spis.iter().all(|spi| spi.edge && spi.group1 && !spi.enabled));
        let (sgis, ppis) = state.cpus[0].private.split_at(16);
        assert!(sgis.iter().all(|sgi| sgi.enabled && sgi.edge && sgi.group1));
        assert!(ppis.iter().all(|ppi| !ppi.enabled && !ppi.edge && ppi.group1));
        assert_eq!((state.cpus[0].icc.bpr0, state.cpus[0].icc.bpr1), (2, 3));
    }
}
