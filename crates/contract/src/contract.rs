//! The guest ABI that one VM was promised.

use crate::profile::Whose;
use abide_reg::{RegId, Value};
use std::collections::BTreeMap;

/// A register whose value was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Whose it is.
    pub scope: Whose,
    /// What the guest reads, on every host.
    pub value: Value,
}

/// The guest ABI that one VM was promised at birth.
///
/// A guest may rely on what stands here and on nothing else: each pinned register reads as its
/// value, each register of state is there. It never changes while the guest lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Its name in reports.
    pub name: String,
    /// The profiles that it was derived from, by name; for people.
    pub derived_from: Vec<String>,
    /// What is promised to read as it does here.
    pub pinned: BTreeMap<RegId, Pinned>,
    /// What is promised to be there, to read and write.
    pub state: BTreeMap<RegId, Whose>,
}
