//! Registers by the names of their specifications.

use crate::board::VCPU_MAX;
use crate::devices::virtio::{DISK_PATH, SOCKETS_PATH};
use abide_gic::NR_IRQS_MAX;
use abide_reg::{RegDef, RegId, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static GIC_NAMES: LazyLock<BTreeMap<RegId, &'static str>> = LazyLock::new(|| {
    let defs = crate::gic::definitions(VCPU_MAX, NR_IRQS_MAX);
    defs.into_iter().map(|RegDef { id, name, .. }| (id, name)).collect()
});

/// The register's name, or its id where it has none here.
#[must_use]
pub fn register_name(id: RegId) -> String {
    let gic = || GIC_NAMES.get(&id).map(|&name| name.to_owned());
    abide_arm64::names::register_name(id).or_else(gic).unwrap_or_else(|| id.to_string())
}

/// What a register holds, for people: a path as text, everything else as a number.
#[must_use]
pub fn register_value(id: RegId, value: &Value) -> String {
    if id != DISK_PATH && id != SOCKETS_PATH {
        return value.to_string();
    }
    // The file may come from anybody, and a terminal obeys control characters.
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_text_without_control_characters() {
        let path = Value::bytes(b"/disks/a\x1b[2J.img");
        assert_eq!(register_value(RegId::named("disk.path"), &path), "/disks/a\u{fffd}[2J.img");
        assert_eq!(register_value(RegId::named("uart.cr"), &Value::u8(7)), "0x07");
    }

    #[test]
    fn registers_of_every_kind_have_names() {
        assert_eq!(register_name(RegId::Kvm(0x6030_0000_0013_c080)), "SCTLR_EL1");
        assert_eq!(register_name(RegId::gic(1, 0x104)), "GICD_ISENABLER1");
        assert_eq!(register_name(RegId::named("uart.cr")), "uart.cr");
    }
}
