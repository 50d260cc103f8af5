//! Drivers that do anything: the fuzz body on its corpus, on changes of it, and on random bytes.

use abide_testkit::corpus;
use abide_virtio::fuzz::fuzz_virtio;
use proptest::prelude::*;
use std::path::Path;

#[test]
fn corpus_replays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let replayed = corpus::replay(folder, 200, fuzz_virtio);
    assert!(replayed.files >= 8 && replayed.changes > 1000, "{replayed:?}");
}

proptest! {
    #[test]
    fn random_bytes_keep_every_rule(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
        fuzz_virtio(&data);
    }
}
