//! Writes the golden files of the current container version into a directory:
//! `cargo run -p abide-snapshot --example golden -- DIRECTORY`. Those of older versions stay as
//! they are; a test compares.

#[path = "../tests/common/sample.rs"]
mod sample;

use abide_snapshot::{Compression, Existing, Snapshot, Writer};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: golden DIRECTORY")?;
    let directory = Path::new(&directory);
    let create = |name: &str| Writer::create(&directory.join(name), Existing::Keep);
    let snapshot = sample::snapshot();
    let small = sample::small_ram();
    let [low, high] = sample::large_rams();
    create("v1.0-state.abide")?.write(&snapshot, &[], Compression::None)?;
    create("v1.0-raw.abide")?.write(&snapshot, &[&small], Compression::None)?;
    create("v1.0-lz4.abide")?.write(&snapshot, &[&low, &high], Compression::Lz4)?;
    let ram = sample::document_ram();
    let document = Snapshot { header: sample::header(), records: vec![sample::uart().into()] };
    create("v1.0-document.abide")?.write(&document, &[&ram], Compression::None)?;
    Ok(())
}
