//! # abide-reg: the one form of state
//!
//! Everything abide saves, compares, plans or shows is a **register**: a named piece of state that
//! can be read, and written back, without side effects. What this crate cannot name may not be in a
//! snapshot.
//!
//! | word | type | meaning |
//! |---|---|---|
//! | which register | [`RegId`] | a KVM ONE_REG id, a GIC (group, attribute) pair, or a stable name of abide's own |
//! | whose | [`Scope`] | the VM, one vCPU, or one instance of a device |
//! | its content | [`Value`] | bytes, little-endian, of a width that the register's definition fixes |
//! | its definition | [`RegDef`] | id, width, [`Class`] and [`Rule`]; a unit's state is a static table of these |
//! | a saved one | [`Entry`] | id, class, value; [`codec`] writes lists of them byte by byte |
//!
//! [`Intake`] is how a unit takes its registers back: by id, each exactly once, with every missing,
//! misshapen or unknown one reported by name.
//!
//! The crate has no dependencies, does no I/O and needs only `alloc`.
//!
//! ```
//! use abide_reg::{codec, Class, Entry, RegId, Value};
//!
//! const UARTCR: RegId = RegId::named("pl011.uartcr");
//! let saved = [Entry::new(UARTCR, Class::Static, Value::u32(0x300))];
//! let bytes = codec::encode(&saved)?;
//! assert_eq!(codec::decode(&bytes)?, saved);
//! # Ok::<(), codec::CodecError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod codec;
mod entry;
mod error;
mod id;
mod intake;
mod name;
mod rule;
mod units;
mod value;

pub use entry::{Class, Entry, RegDef};
pub use error::{RegError, Registers};
pub use id::RegId;
pub use intake::{Intake, IntakeError, Leftover};
pub use name::Name;
pub use rule::{Absent, Direction, Field, Fit, Readback, Rule, mask};
pub use units::{Gpa, Scope, VcpuId};
pub use value::Value;
