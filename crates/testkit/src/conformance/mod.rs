//! The tests that every unit with saved state must pass.
//!
//! A unit joins by implementing [`Subject`] in its tests and calling [`assert_conforms`]:
//!
//! ```
//! use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
//! use abide_testkit::conformance::{Subject, assert_conforms};
//!
//! const COUNT: RegDef = RegDef::state(RegId::named("counter.count"), "COUNT", 8);
//!
//! struct Counter(u64);
//!
//! impl Subject for Counter {
//!     const NAME: &'static str = "counter";
//!     type Error = IntakeError;
//!
//!     fn table() -> Vec<RegDef> {
//!         vec![COUNT]
//!     }
//!     fn fresh() -> Self {
//!         Self(0)
//!     }
//!     fn drive(&mut self, random: u64) -> Vec<u8> {
//!         self.0 = self.0.wrapping_add(random);
//!         self.0.to_le_bytes().to_vec()
//!     }
//!     fn save(&self) -> Vec<Entry> {
//!         vec![Entry::of(&COUNT, Value::u64(self.0))]
//!     }
//!     fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
//!         let mut intake = Intake::new(entries)?;
//!         let count = intake.u64(&COUNT)?;
//!         Ok((Self(count), intake.finish()?))
//!     }
//!     fn cause(error: &IntakeError) -> Option<&IntakeError> {
//!         Some(error)
//!     }
//! }
//!
//! assert_conforms::<Counter>();
//! ```
//!
//! What is checked:
//!
//! | check | fault |
//! |---|---|
//! | the table names each register once, with a name and a width | [`Fault::Table`] |
//! | each save is exactly the table: ids, widths, classes | [`Fault::SavedUnknown`] … [`Fault::SavedTwice`] |
//! | saving twice gives the same, and changes nothing | [`Fault::SaveUnstable`], [`Fault::SaveDisturbs`] |
//! | save → restore → save is the identity after each step of a random life | [`Fault::OwnStateRefused`], [`Fault::RoundTrip`] |
//! | registers are taken by id, in any order | as above |
//! | the restored unit behaves as the one that was never saved | [`Fault::Behaviour`] |
//! | the random life changes every register that can change | [`Fault::NeverChanged`] |
//! | missing, doubled, misshapen and unknown registers are refused by the right error | [`Fault::Accepted`], [`Fault::WrongError`] |
//! | unknown static registers are handed over, unknown volatile ones reported | [`Fault::Leftover`] |
//! | any other value is refused, or kept exactly, and the unit lives on with it | [`Fault::Altered`], [`Fault::Illegal`], [`Fault::Panicked`] |

mod damage;
mod fault;
mod life;

pub use fault::{Damage, Difference, Failure, Fault};

use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId};
use std::error::Error;

/// A unit under test.
pub trait Subject: Sized {
    /// The unit's name, for failures.
    const NAME: &'static str;

    /// How its restore refuses.
    type Error: Error;

    /// Its registers.
    fn table() -> Vec<RegDef>;

    /// The unit as it is when the machine is made. Always the same.
    fn fresh() -> Self;

    /// Does one thing that the guest or the outside can do, chosen and filled by `random`, and
    /// returns all that could be seen of it: values read, interrupt lines, bytes sent. The same
    /// unit with the same `random` does the same. Over a few hundred steps every register that
    /// can change should have changed.
    fn drive(&mut self, random: u64) -> Vec<u8>;

    /// Its saved form.
    fn save(&self) -> Vec<Entry>;

    /// The unit made from its saved form, and what it did not know.
    ///
    /// # Errors
    /// Whatever the unit refuses with.
    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), Self::Error>;

    /// The refusal of the intake inside an error, if it is that.
    fn cause(error: &Self::Error) -> Option<&IntakeError>;

    /// Registers that never change during a life: identities, sizes.
    fn constant() -> Vec<RegId> {
        Vec::new()
    }

    /// Registers that older versions did not write, and that may be missing.
    fn optional() -> Vec<RegId> {
        Vec::new()
    }
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the random numbers begin.
    pub seed: u64,
    /// How long a life is, in steps; there is a save after each.
    pub steps: usize,
    /// How many steps a restored unit is compared for.
    pub tail: usize,
    /// At how many moments of the life saved state is damaged.
    pub moments: usize,
    /// How many values are tried at each such moment, at most.
    pub values: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, steps: 256, tail: 24, moments: 3, values: 1024 }
    }
}

/// What was tried: so that a test can demand that something was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Restores of state as it was saved.
    pub round_trips: usize,
    /// Damaged states refused.
    pub refused: usize,
    /// Changed states accepted and found legal.
    pub accepted: usize,
}

/// Runs every check.
///
/// # Errors
/// The first [`Failure`], with the seed and the step that show it again.
pub fn check<S: Subject>(plan: &Plan) -> Result<Report, Failure> {
    let mut report = Report::default();
    life::check::<S>(plan, &mut report)?;
    damage::check::<S>(plan, &mut report)?;
    Ok(report)
}

/// Runs every check with the default [`Plan`] and two further seeds.
///
/// # Panics
/// With the [`Failure`]'s text.
pub fn assert_conforms<S: Subject>() {
    for seed in 1..=3 {
        if let Err(failure) = check::<S>(&Plan { seed, ..Plan::default() }) {
            panic!("{failure}");
        }
    }
}
