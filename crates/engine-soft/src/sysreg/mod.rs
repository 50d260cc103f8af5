//! System registers: what the guest finds behind MRS and MSR.
//!
//! One table says everything about a register but its side effects, which are in `access`. What is
//! not in the table is UNDEFINED to the guest and named once in the log.

mod access;
mod table;

pub(crate) use access::trap_syndrome;
pub(crate) use table::{DAIF, Kind, SP_EL0, Slot, TABLE, find, plain};
