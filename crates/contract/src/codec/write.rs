//! What both writers share.

use crate::profile::Whose;
use abide_reg::{RegId, Value};

/// A value, two digits for each byte, most significant first.
pub(super) fn value_text(value: &Value) -> String {
    let digits: String = value.as_bytes().iter().rev().map(|byte| format!("{byte:02x}")).collect();
    format!("\"0x{digits}\"")
}

/// Text in quotes, with all that TOML wants escaped.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A register as a key, padded so that values stand below each other.
pub(super) fn key(id: RegId) -> String {
    format!("{:<24}", format!("\"{id}\""))
}

/// The register's name as a comment, unless the key is the name.
pub(super) fn comment(id: RegId) -> String {
    let name = crate::rules::name(id);
    if name == id.to_string() { String::new() } else { format!(" # {name}") }
}

/// The sections in their order.
pub(super) const SECTIONS: [Whose; 2] = [Whose::Vm, Whose::Vcpu];
