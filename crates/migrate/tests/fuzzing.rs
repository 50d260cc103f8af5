//! The fuzz bodies on what a fuzzer would find soon: the good script, and good scripts with a few
//! lines changed, left out or repeated.

use abide_migrate::driver::Keep;
use abide_migrate::{
    Attempt, Durability, Epoch, FuzzEnd, GuestId, Journal, Ownership, Record, RunToken, fuzz_bytes,
    fuzz_destination, fuzz_pages, fuzz_source,
};
use std::collections::BTreeMap;

/// What a destination says to hand over a guest: welcome, accept, three rounds, prepared,
/// acknowledged.
const DESTINATION: [u8; 14] = [1, 0, 3, 0, 6, 0, 6, 1, 6, 2, 8, 0, 10, 0];
/// What a source says: hello, offer, two rounds, state, commit, farewell.
const SOURCE: [u8; 14] = [0, 2, 2, 0, 5, 0, 5, 3, 7, 1, 9, 0, 13, 0];
/// The same over two connections: accept of one more, and joined on that.
const DESTINATION_OF_TWO: [u8; 18] = [1, 0, 3, 4, 6, 0, 6, 1, 6, 2, 8, 0, 10, 0, 17, 0, 19, 1];
/// Offer of one more, and join on that.
const SOURCE_OF_TWO: [u8; 18] = [0, 2, 2, 1, 5, 0, 5, 3, 7, 1, 9, 0, 13, 0, 17, 0, 18, 2];

/// Repeatable numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }
}

fn mutated(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut script = good.to_vec();
    for _ in 0..1 + numbers.below(4) {
        let at = numbers.below(script.len() / 2) * 2;
        match numbers.below(6) {
            0 => script[at + 1] = numbers.byte(),
            1 => script[at] = numbers.byte(),
            2 => drop(script.drain(at..at + 2)),
            // The peer hangs up, and comes back to ask, to tell, or to begin anew.
            3 => {
                let (verb, how) = ([0, 1][numbers.below(2)], numbers.byte() & 0x0f);
                script.splice(at..at, [17, 0, verb, how]);
            }
            4 => {
                let line = [numbers.byte(), numbers.byte() & 7];
                script.splice(at..at, line);
            }
            _ => {
                let line = [script[at], script[at + 1]];
                script.splice(at..at, line);
            }
        }
        if script.is_empty() {
            return script;
        }
    }
    script
}

fn hammer(good: &[u8], body: fn(&[u8]) -> FuzzEnd) -> BTreeMap<FuzzEnd, usize> {
    let mut ends = BTreeMap::new();
    let mut numbers = Numbers(0x5eed);
    for _ in 0..30_000 {
        *ends.entry(body(&mutated(good, &mut numbers))).or_default() += 1;
    }
    ends
}

#[test]
fn the_good_scripts_hand_a_guest_over() {
    assert_eq!(fuzz_source(&DESTINATION), FuzzEnd::HandedOver);
    assert_eq!(fuzz_destination(&SOURCE), FuzzEnd::HandedOver);
    assert_eq!(fuzz_source(&DESTINATION_OF_TWO), FuzzEnd::HandedOver);
    assert_eq!(fuzz_destination(&SOURCE_OF_TWO), FuzzEnd::HandedOver);
    assert_eq!((fuzz_source(&[]), fuzz_destination(&[])), (FuzzEnd::AsBefore, FuzzEnd::AsBefore));
}

#[test]
fn a_lying_destination_breaks_no_promise() {
    for script in [&DESTINATION[..], &DESTINATION_OF_TWO] {
        let ends = hammer(script, fuzz_source);
        assert!(ends.len() == 3 && ends.values().all(|count| *count > 500), "{ends:?}");
    }
}

#[test]
fn a_lying_source_breaks_no_promise() {
    for script in [&SOURCE[..], &SOURCE_OF_TWO] {
        let ends = hammer(script, fuzz_destination);
        assert!(ends.len() == 3 && ends.values().all(|count| *count > 500), "{ends:?}");
    }
}

/// Three announced pages in two chunks: one plain, one all zero, and one packed; and the end.
fn round() -> Vec<u8> {
    let chunk = |pages: &[u64], encoding: u8, content: &[u8]| {
        let len = |len: usize| u32::try_from(len).expect("short").to_le_bytes();
        let entries: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        let head = [&len(pages.len())[..], &[encoding, 0, 0, 0], &len(content.len()), &[0; 4]];
        [&head.concat()[..], &entries, content].concat()
    };
    let plain = chunk(&[0, 1 << 63 | 1], 0, &[7; 4096]);
    let packed = chunk(&[2], 1, &lz4_flex::block::compress(&[8; 4096]));
    [&[0x83][..], &plain, &packed, &[0; 16]].concat()
}

#[test]
fn a_lying_round_changes_no_other_page() {
    let good = round();
    assert_eq!(fuzz_pages(&good), FuzzEnd::HandedOver);
    let mut numbers = Numbers(0x9a9e);
    let mut handed_over = 0;
    for _ in 0..20_000 {
        let mut bad = good.clone();
        for _ in 0..1 + numbers.below(3) {
            // Most of it is content, of which any is good.
            let heads = [0..33, 4129..bad.len()];
            let part = heads[numbers.below(2)].clone();
            let at = part.start + numbers.below(part.len());
            bad[at] = [numbers.byte(), bad[at] ^ (1 << numbers.below(8))][numbers.below(2)];
        }
        bad.truncate(bad.len() - numbers.below(2) * numbers.below(40));
        handed_over += usize::from(fuzz_pages(&bad) == FuzzEnd::HandedOver);
    }
    assert!((1..10_000).contains(&handed_over), "{handed_over} rounds of 20000 were taken");
}

/// Messages by their types, a record, and the slots of a journal, all without checksums.
fn good_bytes() -> Vec<Vec<u8>> {
    let text = [&3_u32.to_le_bytes()[..], "\u{e9}!".as_bytes()].concat();
    let token = [[1; 16].to_vec(), 5_u64.to_le_bytes().to_vec()].concat();
    let hello = [b"ABIDEHO\n\x01\0\x01\0\x01\0\0\0", &token[..], &[2; 16], &[0; 64]].concat();
    let welcome = [b"ABIDEHO\n\x01\0\x02\0", &[2; 16][..], &[0; 64]].concat();
    let message = |kind: u8, payload: &[u8]| [&[kind, 0], payload].concat();
    let record = Record {
        attempt: Attempt([2; 16]),
        peer_address: "tcp:192.0.2.1:7070".into(),
        ..Record::running(RunToken { guest: GuestId([1; 16]), epoch: Epoch(5) })
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, Durability::Volatile).expect("a new journal");
    journal.keep(&record).expect("room");
    journal.keep(&Record { ownership: Ownership::Outgoing, ..record.clone() }).expect("room");
    let file = std::fs::read(&path).expect("just written");
    vec![
        message(1, &hello),
        message(2, &welcome),
        message(5, &[&[4, 0], &text[..]].concat()),
        message(6, &[&[0; 16][..], &[9; 32]].concat()),
        message(7, &[1, 0, 0, 0]),
        message(8, &text),
        message(9, &[3; 48]),
        message(10, &[[2; 16].to_vec(), 6_u64.to_le_bytes().to_vec()].concat()),
        message(12, &[&[2; 16], &text[..]].concat()),
        message(15, &[&[2; 16][..], &[1, 0], &text].concat()),
        record.encode(),
        [&file[..508], &file[4096..4604]].concat(),
    ]
}

#[test]
fn bytes_are_read_as_they_are_written() {
    let mut numbers = Numbers(0xb17e);
    for good in good_bytes() {
        assert!(fuzz_bytes(&good), "{good:?}");
        let mut are_read = 0;
        for _ in 0..2_000 {
            let mut bad = good.clone();
            for _ in 0..1 + numbers.below(3) {
                let at = numbers.below(bad.len());
                bad[at] = [numbers.byte(), bad[at] ^ (1 << numbers.below(8))][numbers.below(2)];
            }
            bad.truncate(bad.len() - numbers.below(2) * numbers.below(bad.len()));
            are_read += usize::from(fuzz_bytes(&bad));
        }
        assert!((1..2_000).contains(&are_read), "{are_read} of 2000 were read: {good:?}");
    }
}
