//! Registers by the names of their specifications.

use crate::board::VCPU_MAX;
use abide_reg::{RegDef, RegId};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static GIC_NAMES: LazyLock<BTreeMap<RegId, &'static str>> = LazyLock::new(|| {
    let defs = crate::gic::definitions(VCPU_MAX);
    defs.into_iter().map(|RegDef { id, name, .. }| (id, name)).collect()
});

/// The register's name, or its id where it has none here.
#[must_use]
pub fn register_name(id: RegId) -> String {
    let gic = || GIC_NAMES.get(&id).map(|&name| name.to_owned());
    abide_arm64::names::register_name(id).or_else(gic).unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_of_every_kind_have_names() {
        assert_eq!(register_name(RegId::Kvm(0x6030_0000_0013_c080)), "SCTLR_EL1");
        assert_eq!(register_name(RegId::gic(1, 0x104)), "GICD_ISENABLER1");
        assert_eq!(register_name(RegId::named("uart.cr")), "uart.cr");
    }
}
