//! # abide-contract: what a host offers, what a guest was promised, what a move does
//!
//! Can this guest go to that host, and back? This crate answers from files, before a byte moves.
//!
//! | word | type | meaning |
//! |---|---|---|
//! | profile | [`Profile`] | what a host's engine offers: defaults, and values that it takes |
//! | contract | [`Contract`] | what a guest was promised at birth, and all it may rely on |
//! | baseline | [`baseline()`] | the richest contract that every host of a set can honour, in every direction |
//! | plan | [`plan()`] | for each register of a guest: carry, write once, mask, drop, or refuse, and why |
//!
//! Two things decide, and are kept apart. The **rule** of a register ([`rules`]) says what a
//! guest can stand: it is the same everywhere. A host's **offer** ([`Offer`]) says what that host
//! does with a value, and is measured ([`measure`]), never inferred from a version number.
//! [`FreshVm`] executes an offer, and so predicts what a kernel will answer.
//!
//! Facts about a host (counter frequency, address size, number of INTIDs) are registers like the
//! rest, so that there is one checker.
//!
//! The crate is pure: profiles and contracts come as text ([`codec`]) and go as text.
//!
//! ```
//! use abide_contract::{Accepts, Guest, Offer, Profile, Whose, plan};
//! use abide_reg::{RegId, Value};
//!
//! let psci = RegId::Kvm(0x6030_0000_0014_0000);
//! let host = |name: &str, newest: u64| {
//!     let values = (0x1_0000..=newest).collect();
//!     let offer = Offer::taking(Whose::Vm, Value::u64(newest), Accepts::Values(values));
//!     Profile { name: name.into(), offers: [(psci, offer)].into(), ..Profile::default() }
//! };
//! let (old, new) = (host("old", 0x1_0001), host("new", 0x1_0003));
//!
//! assert!(plan(&Guest::fresh(&old), &new).is_fine());
//! let back = plan(&Guest::fresh(&new), &old);
//! assert_eq!(
//!     back.steps[0].reason(),
//!     "found 0x0000000000010003, the host takes 0x10000, 0x10001"
//! );
//! ```
#![forbid(unsafe_code)]

mod baseline;
pub mod codec;
mod contract;
pub mod fuzz;
mod guest;
mod host;
pub mod measure;
mod plan;
mod profile;
pub mod rules;
mod runs;
pub mod scope;
pub mod shipped;
mod words;

pub use baseline::{Conflict, NoBaseline, baseline, beyond};
pub use contract::{Contract, Pinned};
pub use guest::{Guest, Held};
pub use host::{Answer, FreshVm, Part, Refusal, Why};
pub use plan::{
    Counts, Dropped, Exceptions, Extra, How, Plan, Refused, Step, Verdict, extras, plan,
    plan_accepting, step,
};
pub use profile::{Accepts, FieldValues, Offer, Profile, Whose, Write};
pub use runs::{Run, runs};
