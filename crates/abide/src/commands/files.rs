//! `inspect`, `diff`, `verify`: what is in files. They work on any file whose header is intact,
//! also one that a newer version wrote.

use crate::cli::{DiffArgs, InspectArgs, VerifyArgs};
use crate::exit::Exit;
use crate::out::print;
use abide_machine::GuestContract;
use abide_machine::names::{register_name, register_value};
use abide_reg::{Entry, RegId};
use abide_snapshot::{
    Container, Difference, Finding, Inspection, OpenError, ReadError, RecordView, Side, Verdict,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

#[expect(clippy::unnecessary_wraps, reason = "the shape that the snapshot crate asks for")]
fn namer(id: RegId) -> Option<String> {
    Some(register_name(id))
}

fn open(path: &Path) -> Result<Container, ReadError> {
    Ok(Container::open(path)?)
}

/// Which exit code a file that cannot be read means.
pub fn exit_of_read_error(error: &ReadError) -> Exit {
    match error {
        ReadError::Open(OpenError::Host { .. }) => Exit::Refused,
        _ => error.finding().map_or(Exit::Damaged, |finding| exit_of([finding])),
    }
}

/// The gravest of what was found, as an exit code.
pub fn exit_of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Exit {
    match findings.into_iter().map(|finding| finding.problem.verdict()).max() {
        None => Exit::Fine,
        Some(Verdict::Damaged) => Exit::Damaged,
        Some(Verdict::Refused | Verdict::NotJudged) => Exit::Refused,
    }
}

/// Shows what a file holds.
pub fn inspect(args: &InspectArgs) -> Result<Exit> {
    let container = open(&args.file)?;
    let mut seen = abide_snapshot::inspect(&container, &namer);
    if let Some(unit) = &args.unit {
        seen.records.retain(|record| record.unit.as_str() == unit);
    }
    let text = if args.json {
        serde_json::to_string_pretty(&inspection_json(&seen))?
    } else {
        inspection_text(&seen)
    };
    print(text.trim_end())?;
    Ok(exit_of(&seen.findings))
}

fn inspection_json(seen: &Inspection) -> Value {
    let header = &seen.header;
    json!({
        "container": header.version.to_string(),
        "architecture": header.architecture.to_string(),
        "producer": header.producer,
        "kernel": header.kernel,
        "created_unix_ns": header.created_unix_ns,
        "contract": header.contract.to_string(),
        "file_bytes": seen.file_len,
        "digest": seen.digest.map(|digest| digest.to_string()),
        "kept_memory": seen.kept_memory.as_ref().map(|kept| json!({
            "path": kept.path.to_string_lossy(),
            "gpa": kept.range.gpa.to_string(),
            "bytes": kept.range.size,
            "guest": kept.guest.to_string(),
            "save": kept.save.to_string(),
            "hash": kept.hash.map(|hash| hash.to_string()),
        })),
        "right_to_run": seen.right.map(|right| json!({
            "id": right.id.to_string(),
            "taken": right.is_taken,
        })),
        "memory": seen.memory.as_ref().map(|memory| json!({
            "ranges": memory.ranges.iter()
                .map(|range| json!({"gpa": range.gpa.to_string(), "bytes": range.size}))
                .collect::<Vec<_>>(),
            "chunks": memory.chunks,
            "packed_chunks": memory.packed,
            "filled_bytes": memory.filled_len,
            "stored_bytes": memory.stored_len,
        })),
        "records": seen.records.iter().map(record_json).collect::<Vec<_>>(),
        "findings": findings_json(&seen.findings),
    })
}

fn record_json(record: &RecordView) -> Value {
    json!({
        "unit": record.unit.as_str(),
        "scope": record.scope.to_string(),
        "kind": record.kind.to_string(),
        "class": record.class.map(|class| class.to_string()),
        "offset": record.offset,
        "payload_bytes": record.payload_len,
        "known": record.is_known,
        "registers": record.entries.iter().map(|entry| json!({
            "id": entry.id.to_string(),
            "name": entry.name,
            "class": entry.class.to_string(),
            "value": register_value(entry.id, &entry.value),
        })).collect::<Vec<_>>(),
    })
}

fn findings_json(findings: &[Finding]) -> Vec<Value> {
    findings
        .iter()
        .map(|finding| {
            json!({
                "place": finding.place.to_string(),
                "offset": finding.offset,
                "problem": finding.problem.to_string(),
            })
        })
        .collect()
}

fn inspection_text(seen: &Inspection) -> String {
    let header = &seen.header;
    let mut out = format!(
        "container {} of an {} guest, {} bytes\nwritten by {} on Linux {}\n",
        header.version, header.architecture, seen.file_len, header.producer, header.kernel,
    );
    if let Some(digest) = seen.digest {
        out += &format!("digest {digest}\n");
    }
    if let Some(contract) = contract_line(seen) {
        out += &contract;
    }
    if let Some(kept) = &seen.kept_memory {
        let (size, at, path) = (bytes(kept.range.size), kept.range.gpa, kept.path.display());
        out += &format!("memory {size} at {at} is not in the file, but in {path}\n");
        let hash = kept.hash.map_or_else(|| "not told".to_owned(), |hash| hash.to_string());
        out += &format!("       guest {}, save {}, hash {hash}\n", kept.guest, kept.save);
    }
    if let Some(right) = seen.right {
        let state = if right.is_taken { "was taken" } else { "can be taken once" };
        out += &format!("the right to run {state}; it is {}\n", right.id);
    }
    if let Some(memory) = &seen.memory {
        for range in &memory.ranges {
            out += &format!("memory {} at {}\n", bytes(range.size), range.gpa);
        }
        out += &format!(
            "       {} chunks are not zero: {} of RAM in {} of file, {} of them compressed\n",
            memory.chunks,
            bytes(memory.filled_len),
            bytes(memory.stored_len),
            memory.packed
        );
    }
    for record in &seen.records {
        let class = record.class.map_or_else(|| "unknown class".to_owned(), |c| c.to_string());
        let unknown = if record.is_known { "" } else { ", unknown to this version" };
        out += &format!(
            "\n{} {}  {}, {class}, {} bytes at {}{unknown}\n",
            record.unit, record.scope, record.kind, record.payload_len, record.offset
        );
        for entry in &record.entries {
            let name = entry.name.as_deref().unwrap_or("");
            let id = entry.id.to_string();
            let id = if id == name { String::new() } else { id };
            let value = register_value(entry.id, &entry.value);
            out += &format!("  {name:<24} {value:<22} {id}\n");
        }
    }
    for finding in &seen.findings {
        out += &format!("\n{finding}\n");
    }
    out
}

/// The contract by its name, and its digest.
fn contract_line(seen: &Inspection) -> Option<String> {
    let unit = |record: &&RecordView| record.unit.as_str() == "contract";
    let entries = seen.records.iter().find(unit)?.entries.iter();
    let entries = entries.map(|entry| Entry::new(entry.id, entry.class, entry.value.clone()));
    let (contract, _) = GuestContract::restore(entries.collect()).ok()?;
    Some(format!("contract {}, {}\n", contract.contract().name, contract.digest()))
}

fn bytes(count: u64) -> String {
    if count.is_multiple_of(1 << 20) {
        format!("{} MiB", count >> 20)
    } else {
        format!("{} KiB", count.div_ceil(1024))
    }
}

/// Compares two files.
pub fn diff(args: &DiffArgs) -> Result<Exit> {
    let (left, right) = (open(&args.left)?, open(&args.right)?);
    let differences = abide_snapshot::diff(&left, &right, &namer);
    if args.json {
        let list: Vec<String> = differences.iter().map(difference_text).collect();
        print(&serde_json::to_string_pretty(&list)?)?;
    } else if differences.is_empty() {
        print("no difference in guest state")?;
    } else {
        let lines: Vec<String> = differences.iter().map(difference_text).collect();
        print(&format!("{}\n{} differences", lines.join("\n"), lines.len()))?;
    }
    Ok(if differences.is_empty() { Exit::Fine } else { Exit::Refused })
}

fn difference_text(difference: &Difference) -> String {
    let named = |id: &RegId, name: &Option<String>| name.clone().unwrap_or_else(|| id.to_string());
    let side = |side: &Side| match side {
        Side::A => "the first",
        Side::B => "the second",
    };
    match difference {
        Difference::Header { field, a, b } => format!("header: {field}: {a} | {b}"),
        Difference::RecordMissing { missing_in, record } => {
            format!("{} {}: missing in {} file", record.unit, record.scope, side(missing_in))
        }
        Difference::Payload { record } => {
            format!("{} {}: other content", record.unit, record.scope)
        }
        Difference::RecordClass { record, a, b } => {
            format!("{} {}: class {a:?} | {b:?}", record.unit, record.scope)
        }
        Difference::RegisterMissing { missing_in, record, id, name, value } => format!(
            "{} {}: {} missing in {} file, {value} in the other",
            record.unit,
            record.scope,
            named(id, name),
            side(missing_in)
        ),
        Difference::Register { record, id, name, a, b } => {
            let class = if a.0 == b.0 { String::new() } else { format!(" ({} | {})", a.0, b.0) };
            format!(
                "{} {}: {}: {} | {}{class}",
                record.unit,
                record.scope,
                named(id, name),
                a.1,
                b.1
            )
        }
        Difference::RangeMissing { missing_in, range } => format!(
            "memory: {} at {} missing in {} file",
            bytes(range.size),
            range.gpa,
            side(missing_in)
        ),
        Difference::Chunk { gpa, first_page } => match first_page {
            Some(page) => format!("memory: chunk at {gpa} differs, first in the page at {page}"),
            None => format!("memory: chunk at {gpa} differs, or cannot be read"),
        },
    }
}

/// Checks every byte of a file.
pub fn verify(args: &VerifyArgs) -> Result<Exit> {
    let container = match open(&args.file) {
        Ok(container) => container,
        Err(error) if args.json && error.finding().is_some() => {
            let findings: Vec<Finding> = error.finding().cloned().into_iter().collect();
            print(&serde_json::to_string_pretty(&findings_json(&findings))?)?;
            return Ok(exit_of_read_error(&error));
        }
        Err(error) => return Err(error.into()),
    };
    let findings = abide_snapshot::verify(&container);
    if args.json {
        print(&serde_json::to_string_pretty(&findings_json(&findings))?)?;
    } else if findings.is_empty() {
        print(&format!("{}: every byte is as it was written", args.file.display()))?;
    } else {
        for finding in &findings {
            print(&format!("{}: {finding}", args.file.display()))?;
        }
    }
    Ok(exit_of(&findings))
}
