//! One file for each command, or family of commands.

mod devices;
pub mod files;
pub mod guests;
pub mod restore;
pub mod run;
mod session;
