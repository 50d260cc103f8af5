//! The tasks that are one command each, and `ci`, which runs them all.

pub mod acpi;
pub mod bench;
pub mod beside;
pub mod ci;
pub mod decoder;
pub mod deny;
pub mod fmt;
pub mod golden;
pub mod guests;
pub mod lint;
pub mod setup;
pub mod test;
pub mod vectors;
