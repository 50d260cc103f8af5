//! The fuzz targets' corpora, replayed.

use abide_testkit::corpus::replay;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

#[test]
fn echo_corpus_does_no_harm() {
    let replayed = replay(format!("{FOLDER}/echo"), 400, abide_net::fuzz_echo);
    assert!(replayed.files >= 4);
}

#[test]
fn user_corpus_does_no_harm() {
    let replayed = replay(format!("{FOLDER}/user"), 400, abide_net::fuzz_user);
    assert!(replayed.files >= 4);
}

#[test]
fn vsock_corpus_does_no_harm() {
    let replayed = replay(format!("{FOLDER}/vsock"), 400, abide_net::fuzz_vsock);
    assert!(replayed.files >= 4);
}
