//! One file for each command, or family of commands.

pub mod baseline;
pub mod clock;
mod devices;
pub mod files;
pub mod fleet;
pub mod guests;
pub mod keygen;
pub mod migrate;
mod moves;
pub mod plan;
pub mod probe;
pub mod receive;
mod resolve;
pub mod restore;
pub mod run;
mod session;
