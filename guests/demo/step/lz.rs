//! Packing text and unpacking it again: bytes at odd addresses.

use super::Sequence;
use crate::Done;
use kit::{Arena, hash};

const TEXT_BYTES: usize = 384 << 10;
const TABLE: usize = 1 << 12;
const MATCH_MIN: usize = 4;
const RUN_MAX: usize = 127;
const DISTANCE_MAX: usize = u16::MAX as usize;

const WORDS: [&str; 16] = [
    "guest",
    "host",
    "clock",
    "page",
    "timer",
    "register",
    "memory",
    "interrupt",
    "save",
    "restore",
    "migrate",
    "upgrade",
    "the",
    "of",
    "keeps",
    "sees",
];

pub fn run(arena: &mut Arena) -> Done {
    let text = bytes_of(arena.take(TEXT_BYTES / 8));
    let packed_words = arena.take(TEXT_BYTES / 8);
    let unpacked = bytes_of(arena.take(TEXT_BYTES / 8));
    let table = arena.take(TABLE);
    write_text(text);
    packed_words.fill(0);
    table.fill(0);
    let packed = bytes_of(packed_words);
    let (mut right, mut packed_len) = (false, 0);
    if let Some(len) = pack(text, packed, table) {
        packed_len = len;
        right = unpack(&packed[..len], unpacked) == Some(text.len()) && text == unpacked;
    }
    Done {
        number: packed_len as u64,
        unit: "bytes packed from 393216",
        right,
        hash: hash::of(packed_words),
    }
}

fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: bytes need no alignment, and the borrow is passed on.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

fn write_text(text: &mut [u8]) {
    let mut sequence = Sequence::new(6);
    let mut rest = text;
    loop {
        let word = WORDS[(sequence.next() % WORDS.len() as u64) as usize].as_bytes();
        let len = word.len().min(rest.len());
        let (place, after) = rest.split_at_mut(len);
        place.copy_from_slice(&word[..len]);
        rest = after;
        let Some((space, after)) = rest.split_first_mut() else { return };
        *space = if sequence.next().is_multiple_of(12) { b'\n' } else { b' ' };
        rest = after;
    }
}

/// A byte below 128 is a number of plain bytes that follow; one above is 128 + a length, and the
/// 16-bit distance back to what is repeated follows.
fn pack(text: &[u8], packed: &mut [u8], table: &mut [u64]) -> Option<usize> {
    let (mut at, mut plain_from, mut out) = (0, 0, 0);
    while at + MATCH_MIN <= text.len() {
        let key = u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]);
        let slot = (key.wrapping_mul(0x9e37_79b1) >> 20) as usize % TABLE;
        let candidate = core::mem::replace(&mut table[slot], at as u64 + 1) as usize;
        let len = match candidate.checked_sub(1) {
            Some(from) if at - from <= DISTANCE_MAX => common(&text[from..], &text[at..]),
            _ => 0,
        };
        if len < MATCH_MIN {
            at += 1;
            continue;
        }
        out = put_plain(&text[plain_from..at], packed, out)?;
        let distance = (at + 1 - candidate) as u16;
        let [low, high] = distance.to_le_bytes();
        packed.get_mut(out..out + 3)?.copy_from_slice(&[128 + len as u8, low, high]);
        out += 3;
        at += len;
        plain_from = at;
    }
    put_plain(&text[plain_from..], packed, out)
}

fn common(from: &[u8], at: &[u8]) -> usize {
    from.iter().zip(at).take(RUN_MAX).take_while(|(a, b)| a == b).count()
}

fn put_plain(plain: &[u8], packed: &mut [u8], mut out: usize) -> Option<usize> {
    for run in plain.chunks(RUN_MAX) {
        *packed.get_mut(out)? = run.len() as u8;
        packed.get_mut(out + 1..out + 1 + run.len())?.copy_from_slice(run);
        out += 1 + run.len();
    }
    Some(out)
}

fn unpack(packed: &[u8], text: &mut [u8]) -> Option<usize> {
    let (mut at, mut out) = (0, 0);
    while at < packed.len() {
        let head = usize::from(packed[at]);
        if head < 128 {
            let plain = packed.get(at + 1..at + 1 + head)?;
            text.get_mut(out..out + head)?.copy_from_slice(plain);
            at += 1 + head;
            out += head;
            continue;
        }
        let distance =
            usize::from(u16::from_le_bytes([*packed.get(at + 1)?, *packed.get(at + 2)?]));
        for _ in 0..head - 128 {
            *text.get_mut(out)? = text[out.checked_sub(distance)?];
            out += 1;
        }
        at += 3;
    }
    Some(out)
}
