//! RAM that comes when it is touched: the same bytes, checked before anybody sees one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use abide_memory::{GuestRam, MissingPages, Order, RamOffset, Reach};
use abide_reg::Gpa;
use abide_snapshot::{
    Architecture, Compression, Header, LazyRam, OnFailure, Place, Problem, Reader, RestoreError,
    Snapshot, write_to,
};
use common::sample::Numbers;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

const BASE: Gpa = Gpa(0x4000_0000);
const CHUNK: u64 = 2 << 20;
/// The last chunk is a short one.
const SIZE: u64 = 32 * CHUNK + (1 << 20);

/// RAM with full chunks, a chunk with a hole, chunks of zeros, and a short one at the end.
fn filled() -> GuestRam {
    let ram = GuestRam::new(BASE, SIZE).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for chunk in (0..=32).filter(|chunk| chunk % 5 != 3) {
        let len = (SIZE - chunk * CHUNK).min(CHUNK);
        let mut content = numbers.bytes(usize::try_from(len).unwrap());
        if chunk % 4 == 2 {
            content[0x1_0000..0x9_3000].fill(0);
        }
        ram.write(Gpa(BASE.0 + chunk * CHUNK), &content).unwrap();
    }
    ram
}

fn file_of(ram: &GuestRam, compression: Compression) -> Vec<u8> {
    let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records: vec![] };
    let mut file = Vec::new();
    write_to(&mut file, &snapshot, &[ram], compression).unwrap();
    file
}

fn fresh() -> Arc<GuestRam> {
    Arc::new(GuestRam::new(BASE, SIZE).unwrap())
}

fn word(ram: &GuestRam, offset: u64) -> u64 {
    ram.load(RamOffset(offset), Order::Relaxed)
}

fn all_of(ram: &GuestRam) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(ram.size()).unwrap()];
    ram.read(ram.base(), &mut bytes).unwrap();
    bytes
}

fn lazily(reader: &Reader, ram: &Arc<GuestRam>, on_failure: OnFailure) -> LazyRam {
    let missing = MissingPages::watch(Arc::clone(ram), Reach::User).unwrap();
    reader.restore_memory_lazily(missing, on_failure).unwrap()
}

fn never() -> OnFailure {
    Box::new(|error| panic!("nothing is wrong with it: {error}"))
}

/// Tells of the failure, and then does as the end of a process: nothing goes on.
fn telling() -> (OnFailure, Receiver<RestoreError>) {
    let (told, failures) = channel();
    let tell = move |error| {
        told.send(error).unwrap();
        loop {
            std::thread::park();
        }
    };
    (Box::new(tell), failures)
}

#[test]
fn every_byte_is_that_of_an_eager_restore_however_it_is_touched() {
    let ram = filled();
    for compression in [Compression::None, Compression::Lz4] {
        let reader = Reader::from_bytes(file_of(&ram, compression)).unwrap();
        let again = fresh();
        let lazy = lazily(&reader, &again, never());
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (ram, again) = (&ram, &again);
                scope.spawn(move || {
                    let mut numbers = Numbers(thread + 7);
                    for _ in 0..3000 {
                        let at = numbers.next() % (SIZE / 8) * 8;
                        assert_eq!(word(again, at), word(ram, at), "{at:#x}");
                    }
                });
            }
        });
        lazy.complete();
        assert!(lazy.is_complete());
        assert!(all_of(&again) == all_of(&ram));
        assert!(file_of(&again, compression) == file_of(&ram, compression));
    }
}

#[test]
fn what_the_guest_writes_meanwhile_stays() {
    let ram = filled();
    let reader = Reader::from_bytes(file_of(&ram, Compression::None)).unwrap();
    let again = fresh();
    let lazy = lazily(&reader, &again, never());
    let pages: Vec<_> = (0..SIZE / 4096).rev().step_by(37).map(|page| page * 4096).collect();
    for &page in &pages {
        again.store::<u64>(RamOffset(page), page, Order::Relaxed);
    }
    lazy.complete();
    for page in pages {
        assert_eq!(word(&again, page), page);
        assert_eq!(word(&again, page + 8), word(&ram, page + 8));
    }
}

#[test]
fn damaged_chunk_is_told_of_and_nobody_sees_a_byte_of_it() {
    let ram = filled();
    let mut file = file_of(&ram, Compression::None);
    let last = Reader::from_bytes(file.clone()).unwrap().chunks().last().unwrap().clone();
    file[usize::try_from(last.offset).unwrap() + 5000] ^= 0x40;
    let reader = Reader::from_bytes(file).unwrap();
    let again = fresh();
    let (on_failure, failures) = telling();
    // It is never joined, as the failure is the end of a process.
    std::mem::forget(lazily(&reader, &again, on_failure));
    let (seen, sights) = channel();
    let toucher = Arc::clone(&again);
    let offset = last.gpa.0 - BASE.0;
    std::thread::spawn(move || seen.send(word(&toucher, offset)));
    let RestoreError::Found(finding) = failures.recv().unwrap() else { panic!("another error") };
    assert_eq!(finding.place, Place::Chunk { gpa: last.gpa });
    assert_eq!((finding.offset, &finding.problem), (last.offset, &Problem::ChunkHash));
    assert!(sights.try_recv().is_err(), "a byte of it was seen");
    assert!(last.gpa.0 > BASE.0 + 31 * CHUNK, "the last chunk");
}

#[test]
fn file_that_becomes_shorter_meanwhile_is_told_of_by_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short");
    std::fs::write(&path, file_of(&filled(), Compression::None)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let chunks = reader.chunks().to_vec();
    cut(&path, chunks[20].offset + 1);
    let (on_failure, failures) = telling();
    let again = fresh();
    std::mem::forget(lazily(&reader, &again, on_failure));
    let RestoreError::Found(finding) = failures.recv().unwrap() else { panic!("another error") };
    assert_eq!(finding.place, Place::Chunk { gpa: chunks[20].gpa });
    assert!(matches!(finding.problem, Problem::Truncated { .. }), "{finding}");
    // What came before is there.
    let last = chunks[19].gpa.0 - BASE.0;
    assert_eq!(word(&again, last), word(&filled(), last));
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn ram_that_holds_something_or_is_another_is_refused() {
    let reader = Reader::from_bytes(file_of(&filled(), Compression::None)).unwrap();
    let refusal = |ram: GuestRam| {
        let missing = MissingPages::watch(Arc::new(ram), Reach::User).unwrap();
        reader.restore_memory_lazily(missing, never()).unwrap_err()
    };
    let ram = GuestRam::new(BASE, SIZE).unwrap();
    ram.write(BASE, &[1]).unwrap();
    assert!(matches!(refusal(ram), RestoreError::NotFresh { gpa: BASE }));
    let ram = GuestRam::new(BASE, SIZE + 4096).unwrap();
    assert!(matches!(refusal(ram), RestoreError::Range { .. }));
}

#[test]
fn giving_up_early_ends_at_once() {
    let reader = Reader::from_bytes(file_of(&filled(), Compression::None)).unwrap();
    let again = fresh();
    drop(lazily(&reader, &again, never()));
    // Nobody waits for anything any more.
    word(&again, SIZE - 8);
}
