//! Names of registers that stand in rows: `GICD_ISENABLER1`, `GICD_IROUTER42`.

use std::sync::LazyLock;

/// The longest row: a register for each INTID that is not special.
const ROW_LEN_MAX: usize = 1020;

/// A row of registers whose names end in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    GicdIgroupr,
    GicdIsenabler,
    GicdIspendr,
    GicdIsactiver,
    GicdIpriorityr,
    GicdIcfgr,
    GicdIrouter,
    GicrIgroupr,
    GicrIsenabler,
    GicrIspendr,
    GicrIsactiver,
    GicrIpriorityr,
    GicrIcfgr,
    LevelInfo,
}

const PREFIXES: [&str; 14] = [
    "GICD_IGROUPR",
    "GICD_ISENABLER",
    "GICD_ISPENDR",
    "GICD_ISACTIVER",
    "GICD_IPRIORITYR",
    "GICD_ICFGR",
    "GICD_IROUTER",
    "GICR_IGROUPR",
    "GICR_ISENABLER",
    "GICR_ISPENDR",
    "GICR_ISACTIVER",
    "GICR_IPRIORITYR",
    "GICR_ICFGR",
    "LEVEL_INFO",
];

/// Built once for the process, because definitions hold names for as long as it lives.
static NAMES: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let row = |prefix: &&str| (0..ROW_LEN_MAX).map(|n| format!("{prefix}{n}")).collect();
    PREFIXES.iter().map(row).collect()
});

/// The name of the `n`-th register of a row; past its end, that of the row.
pub(crate) fn name(row: Row, n: u32) -> &'static str {
    let names = NAMES.get(row as usize).and_then(|names| names.get(n as usize));
    names.map_or(PREFIXES[row as usize], String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_prefixes_stand_in_one_order() {
        assert_eq!(name(Row::GicdIgroupr, 0), "GICD_IGROUPR0");
        assert_eq!(name(Row::GicdIrouter, 1019), "GICD_IROUTER1019");
        assert_eq!(name(Row::GicrIcfgr, 1), "GICR_ICFGR1");
        assert_eq!(name(Row::LevelInfo, 3), "LEVEL_INFO3");
        assert_eq!(name(Row::LevelInfo, u32::MAX), "LEVEL_INFO");
    }
}
