//! A tour of the crate: save a guest's state, look into the file, damage it, and see it named.
//!
//! `cargo run -p abide-snapshot --example tour`
#![expect(clippy::print_stdout, reason = "showing is what the example is for")]

use abide_memory::GuestRam;
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value};
use abide_snapshot::{
    Architecture, Compression, Container, Existing, Header, Reader, Snapshot, UnitRecord, Writer,
    diff, inspect, state_hash, verify,
};

const UARTCR: RegId = RegId::named("pl011.uartcr");

fn guest(uartcr: u32) -> Snapshot {
    let uart = UnitRecord {
        unit: Name::new("pl011"),
        scope: Scope::Device(0),
        class: Class::Mandatory,
        entries: vec![Entry::new(UARTCR, Class::Mandatory, Value::u32(uartcr))],
    };
    let header = Header { producer: "tour 1".into(), ..Header::new(Architecture::AARCH64) };
    Snapshot { header, records: vec![uart.into()] }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let [before, after] = ["before.abide", "after.abide"].map(|name| directory.path().join(name));
    let ram = GuestRam::new(Gpa(0x4000_0000), 64 << 20)?;
    ram.write(Gpa(0x4000_0000), &b"a guest's memory ".repeat(100_000))?;

    let saved =
        Writer::create(&before, Existing::Keep)?.write(&guest(0x301), &[&ram], Compression::Lz4)?;
    println!(
        "saved   64 MiB of RAM in {} bytes, of which {} are metadata",
        saved.file_len, saved.metadata_len
    );

    let namer = |id: RegId| (id == UARTCR).then(|| "UARTCR".to_owned());
    let shown = inspect(&Container::open(&before)?, &namer);
    println!("header  version {} for {}", shown.header.version, shown.header.architecture);
    for record in &shown.records {
        println!("record  {} `{}` ({})", record.kind, record.unit, record.scope);
        for entry in &record.entries {
            println!("        {} = {}", entry.name.as_deref().unwrap_or("?"), entry.value);
        }
    }

    let reader = Reader::open(&before)?;
    let restored = GuestRam::new(Gpa(0x4000_0000), 64 << 20)?;
    reader.restore_memory(&restored)?;
    let hash = state_hash(reader.snapshot().units(), &[&restored])?;
    println!("state   {hash}");
    println!("        the same as before it was saved: {}", hash == reader.state_hash()?);

    restored.write(Gpa(0x4012_3456), b"!")?;
    Writer::create(&after, Existing::Keep)?.write(
        &guest(0x300),
        &[&restored],
        Compression::None,
    )?;
    for difference in diff(&Container::open(&before)?, &Container::open(&after)?, &namer) {
        println!("differs {difference}");
    }

    let mut damaged = std::fs::read(&before)?;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    for finding in verify(&Container::from_bytes(damaged)?) {
        println!("damaged {finding}");
    }
    Ok(())
}
