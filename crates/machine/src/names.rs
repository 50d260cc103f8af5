//! Registers by the names of their specifications.

use abide_reg::RegId;

/// The register's name, or its id where it has none here.
#[must_use]
pub fn register_name(id: RegId) -> String {
    id.to_string()
}
