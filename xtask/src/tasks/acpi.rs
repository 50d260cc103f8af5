//! Tables for guests with ACPI, judged by ACPICA's own disassembler and compiler.

use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the tables are that a test holds to these bytes.
const TABLES: &str = "crates/machine/tests/golden/acpi";

const CLOCK: &[&str] = &[
    "Scope(\\_SB){Device(VCLK){",
    "Name(_HID,\"AMZNC10C\")",
    "Name(_CID,\"VMCLOCK\")",
    "Name(_DDN,\"VMCLOCK\")",
    "QWordMemory(ResourceProducer,PosDecode,MinFixed,MaxFixed,Cacheable,ReadOnly,\
     0x0000000000000000,0x00000001FEFF0000,0x00000001FEFFFFFF,0x0000000000000000,\
     0x0000000000010000,,,,AddressRangeMemory,TypeStatic)",
];
const EVENTS: &[&str] = &[
    "Name(_HID,\"ACPI0013\"",
    "Interrupt(ResourceConsumer,Edge,ActiveHigh,Exclusive,,,){0x00000014,}",
    "If((Arg0==0x14)){Notify(\\_SB.VCLK,0x80)}",
];
const GENERATION: &[&str] = &[
    "Name(_CID,\"VM_Gen_Counter\")",
    "Name(ADDR,Package(0x02){0xFEFE0000,One})",
    "If((Arg0==0x15)){Notify(\\_SB.VGEN,0x80)}",
];

/// Takes every table apart, puts it together again, and looks for what a driver looks for.
///
/// # Errors
/// If a table is wrong, or there is no `iasl`.
pub fn judge() -> Result<()> {
    for (name, there, not_there) in [
        ("both", [CLOCK, EVENTS, GENERATION].concat(), &[][..]),
        ("clock", [CLOCK, EVENTS].concat(), &["VGEN"]),
        ("silent", CLOCK.to_vec(), &["VGEN", "ACPI0013"]),
    ] {
        let table = paths::root().join(TABLES).join(name).with_extension("aml");
        let text = disassembled(&table).with_context(|| format!("{table:?}"))?;
        let has = |part: &&str| text.contains(*part);
        let missing = there.iter().find(|part| !has(part));
        ensure!(missing.is_none(), "{table:?} lacks {missing:?}: {text}");
        let extra = not_there.iter().find(|part| has(part));
        ensure!(extra.is_none(), "{table:?} has {extra:?}: {text}");
    }
    Ok(())
}

/// The table as source, every space gone.
fn disassembled(table: &Path) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("table.aml");
    fs::copy(table, &file)?;
    let iasl = || Command::new("iasl");
    let said = iasl().arg("-d").arg(&file).output();
    let said = said.context("iasl of acpica-tools; `cargo xtask setup` installs it")?;
    // A wrong checksum, for one, is but a warning.
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let is_fine = said.status.success() && !words.contains("rror") && !words.contains("arning");
    ensure!(is_fine, "iasl -d: {}: {words}", said.status);
    let source = folder.path().join("table.dsl");
    let made = process::capture(iasl().args(["-oa", "-vs"]).arg(&source))?;
    ensure!(made.contains("0 Errors"), "iasl: {made}");
    let text = fs::read_to_string(&source)?;
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).collect())
}
