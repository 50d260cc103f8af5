//! # abide-migrate: handing a running guest over
//!
//! For those who move a guest from one process or host to another and must never run it twice, nor
//! lose it. This crate knows no machine and no engine: it knows who may run.
//!
//! | to do | use |
//! |---|---|
//! | speak the protocol | [`Message`], [`frame`] |
//! | know what comes next, without I/O | [`Source`], [`Destination`] |
//! | remember who has the guest | [`Journal`], [`Record`], [`Ownership`] |
//! | decide from two journals who may run | [`resolve()`] |
//! | do all that over a connection | [`driver`] |
//! | make connections, and send guest RAM over them | [`transport`] |
//!
//! `docs/migration.md` describes protocol, records and what becomes of every crash.
//!
//! Three rules make it safe:
//!
//! * **The record comes before the word.** `prepared` and `commit` are sent after the sender's disk
//!   has them.
//! * **After `given away` the source never runs that epoch.** A lost link changes nothing: it asks
//!   until the destination has said that it took the guest, or can never take it.
//! * **Before `commit` the destination runs nothing**, and lets go only when the source or a
//!   resolution says so.
#![forbid(unsafe_code)]

pub mod driver;
#[cfg(test)]
mod explorer;
pub mod frame;
mod fuzz;
pub mod handoff;
mod journal;
pub mod message;
mod ownership;
mod resolve;
mod token;
pub mod transport;
mod wire;

pub use fuzz::{FuzzEnd, fuzz_bytes, fuzz_destination, fuzz_pages, fuzz_source};
pub use handoff::{Destination, DestinationState, Source, SourceState};
pub use journal::{Durability, Journal, JournalError};
pub use message::Message;
pub use ownership::{Ownership, PEER_MAX_LEN, Record};
pub use resolve::{Side, Verdict, View, resolve};
pub use token::{Attempt, Epoch, GuestId, PeerId, RunToken, StateDigest};
pub use wire::Malformed;
