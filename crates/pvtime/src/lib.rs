//! # abide-pvtime: the time that a host took from a vCPU
//!
//! A vCPU that could run and did not, because its host had something else to do, does not notice.
//! A guest that charges such time to whatever program it believed to run schedules and reports
//! wrongly. So its host keeps a record for each vCPU, in memory that the guest reads: how many
//! nanoseconds were *stolen* from it `[DEN0057A 3]`
//! `[linux Documentation/virt/kvm/arm/pvtime.rst]`.
//!
//! This crate has the record's layout ([`Record`]), what versions of it a host offers
//! ([`Revisions`]), the state of one vCPU's record ([`StolenTime`]) and the rule by which a host's
//! count becomes the guest's ([`Tally`]). It reads no clock and maps no memory: it is given numbers
//! and returns bytes.
//!
//! What a guest finds of it, and what becomes of that when the guest moves:
//!
//! | what | where | on migration |
//! |---|---|---|
//! | that there is stolen time | `ARCH_FEATURES`, `PV_TIME_FEATURES` | carried: a guest looks once. One without stays without |
//! | where its record is | `PV_TIME_ST` | carried: `table_gpa`, one for each vCPU |
//! | revision | record + 0, 4 bytes | carried: refused where a host does not keep this one |
//! | attributes | record + 4, 4 bytes | carried: 0 |
//! | stolen time, in ns | record + 8, 8 bytes | carried, and goes on from there: it never falls |
//!
//! The time between save and restore is not stolen: no vCPU could run. What the thread of a vCPU
//! waited for its host's CPU before the vCPU ran on it is not, either. `PV_TIME_ST` sets the record
//! to 0: a guest calls it when it switches a CPU on.
//!
//! ```
//! use abide_pvtime::{Record, Revisions, StolenTime, Tally, REVISION_1_0};
//! use abide_reg::Gpa;
//!
//! let host = Revisions::of([REVISION_1_0]);
//! let mut vcpu = StolenTime::new(Gpa(0x90a_0040), host.choose().expect("it offers one"))?;
//! let mut tally = Tally::begin(70_000); // what its thread waited for before
//! vcpu.steal(tally.advance(75_000));
//! assert_eq!(vcpu.record.to_bytes()[8..16], 5_000u64.to_le_bytes());
//!
//! // Elsewhere.
//! let (vcpu, _) = StolenTime::restore(vcpu.save())?;
//! assert!(host.offers(vcpu.record.revision));
//! assert_eq!(vcpu.record.stolen_ns, 5_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod record;
mod revisions;
mod state;
mod tally;

pub use record::{RECORD_ALIGN, RECORD_LEN, Record, STOLEN_NS_OFFSET};
pub use revisions::{NO_VERSION, REVISION_1_0, Revision, Revisions, VERSION_1_0};
pub use state::{
    DEF_ATTRIBUTES, DEF_REVISION, DEF_STOLEN_NS, DEF_TABLE_GPA, DEFS, Misplaced, StolenTime,
};
pub use tally::Tally;
