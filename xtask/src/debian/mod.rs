//! Debian packages, fetched with apt in a private root: nothing on the machine is changed, no root
//! rights are needed, and the archive's address is the one that this machine's apt already uses.
//! apt checks what it fetches: the signature of the suite, and by it every package's checksum.

pub mod apt;
pub mod driver;
pub mod kernel;
pub mod modules;
pub mod programs;
pub mod root;
pub mod sources;
