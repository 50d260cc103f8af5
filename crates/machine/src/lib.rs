//! # abide-machine: the virtual machine
//!
//! Puts an engine, guest RAM, an interrupt controller, firmware and devices together to one board,
//! runs it, saves it and restores it.
//!
//! * [`board`]: what stands at which address; [`fdt`] tells the guest, [`loader`] puts its kernel
//!   into RAM.
//! * [`Machine`]: made by [`Machine::create`] for a guest that is born, or by [`restore::restore`]
//!   from a snapshot. There is no third way to get one, and no half-restored one.
//! * [`units`]: the list of everything that has state, in the one order in which it is restored,
//!   with the reason for each place.
//! * [`lifecycle`]: the steps of a save and a restore, and what may not happen in each.
//! * [`handoff`]: what a running guest gives to the process that takes it over.
//! * [`runner`]: lets it run, and carries out what is asked of it meanwhile.

pub mod acpi;
pub mod board;
mod bus;
pub mod clock;
pub mod console;
mod contract;
pub mod counter;
mod create;
pub mod departure;
pub mod devices;
mod doorbell;
pub mod entropy;
pub mod error;
pub mod fdt;
mod gic;
pub mod handoff;
mod host;
pub mod host_time;
pub mod irqchip;
pub mod lifecycle;
pub mod loader;
mod machine;
pub mod names;
#[cfg(feature = "next-version")]
mod next_version;
mod originals;
pub mod restore;
pub mod runner;
mod save;
mod stolen_time;
pub mod time_of_day;
pub mod units;

pub use contract::{GuestContract, Kept};
pub use create::{BirthConfig, TimeSource};
pub use machine::Machine;
