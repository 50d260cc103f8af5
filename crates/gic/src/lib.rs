//! # abide-gic: the interrupt controller as a guest ABI
//!
//! **What the guest sees**: a GICv3 (Arm IHI 0069, *GIC Architecture Specification, GICv3 and
//! v4*): a distributor, a redistributor for each CPU, and CPU interfaces in system registers; one
//! security state, affinity routing, 5 priority bits, no LPIs. It is the controller that KVM offers
//! (`GICD_IIDR` 0x4b00343b), and stays that when the guest moves between KVM and the software
//! controller here.
//!
//! | field | on migration |
//! |---|---|
//! | enable, latch, active, group, priority, triggering, route of each interrupt | carried |
//! | input lines | carried, apart from the latch; where unknown: [`GicState::lower_unknown_lines`] |
//! | CBPR, EOImode, active priorities, group enables | carried |
//! | PMR, BPR0, BPR1 | carried, in the form they have once a vCPU has run |
//! | `GICD_CTLR`, `GICR_PROPBASER`, `GICR_PENDBASER` | carried |
//! | number of INTIDs, `GICD_IIDR`, `_TYPER`, `_TYPER2` | carried; a host with others: refused |
//! | `GICR_IIDR`, `GICR_TYPER` | carried; a host with others: refused |
//! | PRIbits, SEIS, A3V of `ICC_CTLR_EL1` | carried; a host with others: refused |
//! | IDbits of `ICC_CTLR_EL1` | carried; a host with fewer: refused |
//! | IRQ and FIQ of each vCPU, highest pending interrupt | recomputed |
//! | order among pending interrupts of equal priority | recomputed: lowest INTID first |
//! | GICv2, ITS, LPIs, Aff3, 1-of-N routes, NMIs, SGIs never active | refused by name |
//!
//! Nothing is bumped.
//!
//! * [`GicState`] is the canonical state, independent of any engine; [`GicState::to_entries`] and
//!   [`GicState::from_entries`] are its saved form, keyed as KVM's device attributes are.
//! * [`reg_defs`] lists the registers of that form. [`save`], [`restore_plan`] and [`restore`] hold
//!   the one order in which they are read and written, for KVM's controller and any other.
//! * [`GicV3`] is the controller in software.
//! * [`spec`] has offsets and encodings; [`fuzz`] a fuzz body.
//!
//! ```
//! use abide_gic::{Affinity, GicConfig, GicState, GicV3, IntId};
//!
//! let config = GicConfig::new([Affinity(0), Affinity(1)], 288);
//! let mut gic = GicV3::new(config)?;
//! gic.set_spi(IntId(33), true);
//! let saved = gic.state().to_entries()?;
//!
//! let taken = GicState::from_entries(saved)?;
//! let again = GicV3::from_state(&taken.state)?;
//! assert_eq!(again.state(), gic.state());
//! # Ok::<(), abide_gic::GicError>(())
//! ```
#![forbid(unsafe_code)]

mod check;
mod config;
mod cpu;
mod cpu_interface;
mod dist;
mod entries;
mod error;
mod frame;
pub mod fuzz;
mod gic;
mod intid;
mod irq;
mod layout;
mod names;
mod order;
mod redist;
pub mod spec;
pub mod state;
mod transfer;
mod uaccess;

pub use config::{
    CPU_COUNT_MAX, GicConfig, IccIds, NR_IRQS_MAX, NR_IRQS_MIN, Revision, gicd_typer, gicr_typer,
};
pub use cpu::Outputs;
pub use entries::{Normalised, Sections, Taken};
pub use error::{GicError, TransferError};
pub use gic::GicV3;
pub use intid::{Affinity, IntId};
pub use layout::reg_defs;
pub use order::{Step, restore, restore_plan, save};
pub use state::GicState;
