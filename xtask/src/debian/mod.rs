//! Debian packages, fetched with apt in a private root: nothing on the machine is changed, no root
//! rights are needed, and the archive's address is the one that this machine's apt already uses.

pub mod apt;
pub mod kernel;
pub mod sources;
