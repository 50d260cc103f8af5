//! The tables for guests with ACPI, judged by ACPICA's own disassembler.
#![expect(clippy::unwrap_used, reason = "tests")]

use abide_machine::acpi::{ClockPage, GenerationId, clock_ssdt};
use abide_reg::Gpa;
use std::process::Command;

const PAGE: ClockPage = ClockPage { gpa: Gpa(0x1_feff_0000), len: 0x1_0000, gsi: Some(20) };
const GENERATION: GenerationId = GenerationId { gpa: Gpa(0x1_fefe_0000), gsi: 21 };

/// The table as source, every space gone. The disassembler also checks the checksum.
fn disassembled(table: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock.aml");
    std::fs::write(&file, table).unwrap();
    let said = Command::new("iasl").arg("-d").arg(&file).output();
    let said = said.expect("iasl of acpica-tools; `cargo xtask setup` installs it");
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{words}");
    assert!(!words.contains("rror") && !words.contains("arning"), "{words}");
    let source = folder.path().join("clock.dsl");
    let text = std::fs::read_to_string(&source).unwrap();
    // What was taken apart can be put together, and is the same.
    let made = Command::new("iasl").args(["-oa", "-vs"]).arg(&source).output().unwrap();
    let words = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success() && words.contains("0 Errors"), "{words}");
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect()
}

#[test]
fn the_page_is_where_a_driver_looks_for_it() {
    let text = disassembled(&clock_ssdt(&PAGE, None));
    for part in [
        "Scope(\\_SB){Device(VCLK){",
        "Name(_HID,\"AMZNC10C\")",
        "Name(_CID,\"VMCLOCK\")",
        "Name(_DDN,\"VMCLOCK\")",
        "QWordMemory(ResourceProducer,PosDecode,MinFixed,MaxFixed,Cacheable,ReadOnly,\
         0x0000000000000000,0x00000001FEFF0000,0x00000001FEFFFFFF,0x0000000000000000,\
         0x0000000000010000,,,,AddressRangeMemory,TypeStatic)",
        "Name(_HID,\"ACPI0013\"/*GenericEventDevice*/)",
        "Interrupt(ResourceConsumer,Edge,ActiveHigh,Exclusive,,,){0x00000014,}",
        "Method(_EVT,1,Serialized){If((Arg0==0x14)){Notify(\\_SB.VCLK,0x80)}}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("VGEN"));
}

#[test]
fn both_devices_are_told_by_their_own_interrupts() {
    let text = disassembled(&clock_ssdt(&PAGE, Some(&GENERATION)));
    for part in [
        "Name(_CID,\"VM_Gen_Counter\")",
        "Name(ADDR,Package(0x02){0xFEFE0000,One})",
        "If((Arg0==0x14)){Notify(\\_SB.VCLK,0x80)}If((Arg0==0x15)){Notify(\\_SB.VGEN,0x80)}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_page_without_an_interrupt_needs_no_event_device() {
    let text = disassembled(&clock_ssdt(&ClockPage { gsi: None, ..PAGE }, None));
    assert!(text.contains("VCLK") && !text.contains("ACPI0013"), "{text}");
}
