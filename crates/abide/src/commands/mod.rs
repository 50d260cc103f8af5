//! One file for each command, or family of commands.

pub mod baseline;
pub mod clock;
mod dead;
mod devices;
mod dry_run;
pub mod files;
pub mod fleet;
pub mod guests;
pub mod keygen;
pub mod migrate;
mod moves;
pub mod plan;
pub mod probe;
mod progress;
pub mod receive;
mod resolve;
pub mod restore;
pub mod run;
mod session;
pub mod upgrade;
