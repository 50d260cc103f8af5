//! The tables for guests with ACPI are the same bytes for ever. What is in them, `cargo xtask lint`
//! has ACPICA's own disassembler and compiler judge.

use abide_machine::acpi::{ClockPage, GenerationId, clock_ssdt};
use abide_reg::Gpa;
use abide_testkit::golden::assert_golden;

const PAGE: ClockPage = ClockPage { gpa: Gpa(0x1_feff_0000), len: 0x1_0000, gsi: Some(20) };
const GENERATION: GenerationId = GenerationId { gpa: Gpa(0x1_fefe_0000), gsi: 21 };

#[test]
fn tables_are_the_same_bytes() {
    assert_golden("tests/golden/acpi/both.aml", &clock_ssdt(&PAGE, Some(&GENERATION)));
    assert_golden("tests/golden/acpi/clock.aml", &clock_ssdt(&PAGE, None));
    let silent = ClockPage { gsi: None, ..PAGE };
    assert_golden("tests/golden/acpi/silent.aml", &clock_ssdt(&silent, None));
}

#[test]
fn a_tables_bytes_sum_to_zero() {
    for generation in [None, Some(&GENERATION)] {
        let table = clock_ssdt(&PAGE, generation);
        assert_eq!(table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        assert_eq!(table[4..8], u32::try_from(table.len()).unwrap_or(0).to_le_bytes());
    }
}
