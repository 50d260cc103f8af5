//! Saving and restoring 256 MiB of RAM without a zero page, beside plainly writing and reading as
//! many bytes: the same file system, the same synchronization, interleaved in one run.
//!
//! `TMPDIR` chooses the file system.
#![expect(missing_docs, reason = "criterion's macros define functions")]

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_snapshot::{
    Architecture, Compression, Container, Existing, Header, Reader, Snapshot, Writer, state_hash,
    verify,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

const BASE: Gpa = Gpa(0x4000_0000);
const SIZE: usize = 256 << 20;

/// RAM as a busy guest has it: half of each page is text-like, half of it random.
fn filled_ram() -> GuestRam {
    let ram = GuestRam::new(BASE, SIZE as u64).expect("256 MiB");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut page = [0; 4096];
    for offset in (0..SIZE as u64).step_by(page.len()) {
        for (place, word) in page.as_chunks_mut().0.iter_mut().enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *word = if place < 256 { state } else { offset | 1 }.to_le_bytes();
        }
        ram.write(Gpa(BASE.0 + offset), &page).expect("inside");
    }
    ram
}

fn save(path: &Path, ram: &GuestRam, compression: Compression) {
    let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records: vec![] };
    let writer = Writer::create(path, Existing::Replace).expect("a directory of our own");
    writer.write(&snapshot, &[ram], compression).expect("room for 256 MiB");
}

fn write_plain(path: &Path, ram: &GuestRam, buffer: &mut [u8]) {
    let mut file = File::create(path).expect("a directory of our own");
    for offset in (0..SIZE as u64).step_by(buffer.len()) {
        ram.read(Gpa(BASE.0 + offset), buffer).expect("inside");
        file.write_all(buffer).expect("room for 256 MiB");
    }
    file.sync_all().expect("a disk that works");
}

fn read_plain(path: &Path, ram: &GuestRam, buffer: &mut [u8]) {
    let mut file = File::open(path).expect("written before");
    for offset in (0..SIZE as u64).step_by(buffer.len()) {
        file.read_exact(buffer).expect("256 MiB");
        ram.write(Gpa(BASE.0 + offset), buffer).expect("inside");
    }
}

fn fresh() -> GuestRam {
    GuestRam::new(BASE, SIZE as u64).expect("256 MiB")
}

fn memory(criterion: &mut Criterion) {
    let ram = filled_ram();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [plain, raw, lz4] = ["plain", "raw", "lz4"].map(|name| directory.path().join(name));
    let mut buffer = vec![0; 2 << 20];
    let mut group = criterion.benchmark_group("ram_256_mib");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    group.bench_function("write_plain", |b| b.iter(|| write_plain(&plain, &ram, &mut buffer)));
    group.bench_function("save_raw", |b| b.iter(|| save(&raw, &ram, Compression::None)));
    group.bench_function("save_lz4", |b| b.iter(|| save(&lz4, &ram, Compression::Lz4)));
    group.bench_function("read_plain", |b| b.iter(|| read_plain(&plain, &fresh(), &mut buffer)));
    for (name, path) in [("restore_raw", &raw), ("restore_lz4", &lz4)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let reader = Reader::open(path).expect("saved before");
                reader.restore_memory(&fresh()).expect("intact");
            });
        });
    }
    group.bench_function("verify_raw", |b| {
        b.iter(|| assert!(verify(&Container::open(&raw).expect("saved before")).is_empty()));
    });
    group.bench_function("state_hash", |b| {
        b.iter(|| black_box(state_hash([], &[&ram]).expect("readable")));
    });
    group.finish();
}

/// The state hash of a guest with 512 MiB of which 2 MiB are in use.
fn sparse(criterion: &mut Criterion) {
    let ram = GuestRam::new(BASE, 512 << 20).expect("512 MiB");
    for page in 0..512 {
        ram.write(Gpa(BASE.0 + page * (1 << 20)), &[1; 4096]).expect("inside");
    }
    criterion.bench_function("state_hash_512_mib_sparse", |b| {
        b.iter(|| black_box(state_hash([], &[&ram]).expect("readable")));
    });
}

criterion_group!(benches, memory, sparse);
criterion_main!(benches);
