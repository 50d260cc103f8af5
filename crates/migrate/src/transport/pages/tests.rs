use super::chunk::{HEAD_LEN, Head, Packer, Seal};
use super::*;
use crate::message::{Compression, Round};
use crate::transport::unix::UnixLink;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

const BASE: Gpa = Gpa(0x4000_0000);
const PAGES: u64 = 512;
const BOTH: [Compression; 2] = [Compression::None, Compression::Lz4];

fn ram() -> GuestRam {
    GuestRam::new(BASE, PAGES * PAGE_SIZE).unwrap()
}

fn at(page: u64) -> Gpa {
    Gpa(BASE.0 + page * PAGE_SIZE)
}

fn pair() -> (UnixLink, UnixLink) {
    let (near, far) = UnixStream::pair().unwrap();
    let link = |stream| UnixLink::new(stream, Path::new("pair")).unwrap();
    (link(near), link(far))
}

fn bytes(ram: &GuestRam) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(ram.size()).unwrap()];
    ram.read(BASE, &mut bytes).unwrap();
    bytes
}

/// Numbers that no packer shrinks, into a page.
fn scramble(ram: &GuestRam, page: u64) {
    let mut state = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = [0; PAGE_LEN];
    for byte in &mut content {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = state.to_le_bytes()[7];
    }
    ram.write(at(page), &content).unwrap();
}

/// Sends a round over so many connections and then a message on each, and receives all; how many
/// bytes that took.
fn over(
    from: &GuestRam,
    to: &GuestRam,
    pages: Vec<u64>,
    connections: usize,
    compression: Compression,
) -> u64 {
    let (mut near, mut far): (Vec<_>, Vec<_>) = (0..connections).map(|_| pair()).unzip();
    let outgoing = Outgoing::of(pages);
    let round = outgoing.announce(3, false);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut links: Vec<_> = near.iter_mut().map(|link| link as &mut dyn Link).collect();
            let sent = outgoing.send(&round, from, &mut links, compression, || false).unwrap();
            near.iter_mut().for_each(|link| link.write_all(b"message").unwrap());
            sent
        });
        let mut links: Vec<_> = far.iter_mut().map(|link| link as &mut dyn Link).collect();
        receive(&round, to, &mut links, compression).unwrap();
        for link in &mut far {
            let mut next = [0; 7];
            link.read_exact(&mut next).unwrap();
            assert_eq!(&next, b"message", "nothing behind the round was taken");
        }
        sending.join().unwrap()
    })
}

#[test]
fn pages_arrive_zeros_too() {
    for connections in [1, 2, 5] {
        for compression in BOTH {
            let (from, to) = (ram(), ram());
            for page in (0..PAGES).step_by(3) {
                scramble(&from, page);
                from.write(at(page + page % 2), &page.to_le_bytes()).unwrap();
            }
            let go = |pages| over(&from, &to, pages, connections, compression);
            go(present(&from).unwrap());
            assert!(bytes(&from) == bytes(&to));
            from.write(at(3), &[0; PAGE_LEN]).unwrap();
            from.write(at(511), &[9; PAGE_LEN]).unwrap();
            go(vec![3, 511]);
            assert!(bytes(&from) == bytes(&to));
            assert_eq!(go(Vec::new()), (connections * HEAD_LEN) as u64);
            go((0..PAGES).collect());
            assert!(bytes(&from) == bytes(&to));
        }
    }
}

#[test]
fn zero_pages_take_no_memory_where_there_was_none() {
    let (from, to) = (ram(), ram());
    from.write(at(7), b"seven").unwrap();
    over(&from, &to, (0..PAGES).collect(), 2, Compression::None);
    assert_eq!(present(&to).unwrap(), [7]);
}

#[test]
fn what_shrinks_is_packed_and_what_does_not_is_plain() {
    let (from, to) = (ram(), ram());
    (0..PAGES).for_each(|page| from.write(at(page), &[7; PAGE_LEN]).unwrap());
    let all = || (0..PAGES).collect();
    let plain = over(&from, &to, all(), 1, Compression::None);
    let packed = over(&from, &to, all(), 1, Compression::Lz4);
    assert!(packed * 20 < plain, "{packed} {plain}");
    (0..PAGES).for_each(|page| scramble(&from, page));
    assert_eq!(over(&from, &to, all(), 1, Compression::Lz4), plain);
    assert!(bytes(&from) == bytes(&to));
}

/// What the receiver says of streams, one for each connection.
fn verdict_of(round: &Round, streams: &[Vec<u8>], compression: Compression) -> PagesError {
    let (near, mut far): (Vec<_>, Vec<_>) = streams.iter().map(|_| pair()).unzip();
    std::thread::scope(|scope| {
        for (mut link, stream) in near.into_iter().zip(streams) {
            scope.spawn(move || {
                // It may be dropped in the middle.
                let _ = link.write_all(stream);
            });
        }
        let mut links: Vec<_> = far.iter_mut().map(|link| link as &mut dyn Link).collect();
        let verdict = receive(round, &ram(), &mut links, compression);
        drop(far);
        verdict.unwrap_err()
    })
}

fn verdict(round: &Round, stream: &[u8]) -> PagesError {
    verdict_of(round, &[stream.to_vec()], Compression::Lz4)
}

/// A stream of chunks with these pages, and its end.
fn stream(from: &GuestRam, chunks: &[&[u64]], compression: Compression) -> Vec<u8> {
    let mut packer = Packer::new(compression, Seal::Crc32c);
    let mut out = Vec::new();
    for pages in chunks {
        out.extend_from_slice(packer.pack(from, pages).unwrap());
    }
    [&out[..], &Head::end(0, Seal::Crc32c)].concat()
}

#[test]
fn whatever_byte_is_changed_is_found() {
    let from = ram();
    from.write(at(1), b"one").unwrap();
    let round = Outgoing::of(vec![0, 1]).announce(0, true);
    for compression in BOTH {
        let good = stream(&from, &[&[0, 1]], compression);
        let is_sampled = |at: &usize| !(60..4000).contains(at) || at.is_multiple_of(97);
        for at in (0..good.len()).filter(is_sampled) {
            for bit in [1, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                // Any error: most name what is wrong, some the connection that ended.
                let _ = verdict(&round, &bad);
            }
        }
        assert!(matches!(
            verdict(&round, &good[..good.len() / 2]),
            PagesError::Link { number: 0, .. }
        ));
        let other = Outgoing::of(vec![1, 2]).announce(0, true);
        assert!(matches!(verdict(&other, &good), PagesError::Announced { .. }));
        let endless = Round { pages: PAGES + 1, ..round };
        assert!(matches!(verdict(&endless, &good), PagesError::Count { .. }));
        let later = Round { number: 1, ..round };
        assert!(matches!(verdict(&later, &good), PagesError::Chunk { found: 0, .. }));
    }
}

#[test]
fn a_chunk_has_the_checksum_that_its_connection_needs() {
    let from = ram();
    from.write(at(1), b"one").unwrap();
    let other = |seal| if seal == Seal::Crc32c { Seal::Transport } else { Seal::Crc32c };
    for seal in [Seal::Crc32c, Seal::Transport] {
        let mut packer = Packer::new(Compression::None, seal);
        for chunk in [packer.pack(&from, &[0, 1]).unwrap(), &Head::end(3, seal)] {
            let (head, body) = chunk.split_first_chunk().unwrap();
            assert_eq!(head[12..] == [0; 4], seal == Seal::Transport);
            let head = Head::decode(head, Compression::None).unwrap();
            assert!(head.check(body, seal).is_ok());
            assert!(matches!(head.check(body, other(seal)), Err(PagesError::Damaged)));
        }
    }
}

#[test]
fn places_outside_ram_and_pages_out_of_order_are_refused() {
    let from = ram();
    let round = Outgoing::of(vec![7, 8]).announce(0, false);
    let good = stream(&from, &[&[7, 8]], Compression::None);
    for pages in [[PAGES, 0], [u64::MAX >> 1, 0], [7, 7], [8, 7]] {
        let mut body = Vec::new();
        pages.iter().for_each(|page| body.extend_from_slice(&(page | 1 << 63).to_le_bytes()));
        let mut bad = good.clone();
        bad[HEAD_LEN..HEAD_LEN + 16].copy_from_slice(&body);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bad[..12]), &body);
        bad[12..16].copy_from_slice(&crc.to_le_bytes());
        let error = verdict(&round, &bad);
        assert!(matches!(error, PagesError::Number { .. }), "{pages:?}: {error}");
    }
}

#[test]
fn a_page_that_comes_on_two_connections_or_on_none_is_found() {
    let from = ram();
    let round = Outgoing::of(vec![1, 2]).announce(0, false);
    for (first, second) in [(&[1, 2][..], &[2][..]), (&[1], &[1]), (&[1], &[3])] {
        let streams = [first, second].map(|pages| stream(&from, &[pages], Compression::None));
        let error = verdict_of(&round, &streams, Compression::None);
        assert!(matches!(error, PagesError::Announced { .. }), "{first:?} {second:?}: {error}");
    }
    let streams = [&[1, 2][..], &[]].map(|pages| stream(&from, &[pages], Compression::None));
    let cut = [streams[0].clone(), streams[1][..8].to_vec()];
    let error = verdict_of(&round, &cut, Compression::None);
    assert!(matches!(error, PagesError::Link { number: 1, .. }), "{error}");
}

/// A chunk that packs `content` as it is not, with a good checksum.
fn lie(pages: u32, encoding: u16, content: &[u8]) -> Vec<u8> {
    lie_of(&(0..pages.into()).collect::<Vec<_>>(), encoding, content)
}

fn lie_of(entries: &[u64], encoding: u16, content: &[u8]) -> Vec<u8> {
    let mut body: Vec<u8> = entries.iter().copied().flat_map(u64::to_le_bytes).collect();
    body.extend_from_slice(content);
    let mut head = u32::try_from(entries.len()).unwrap().to_le_bytes().to_vec();
    head.extend_from_slice(&encoding.to_le_bytes());
    head.extend_from_slice(&[0; 2]);
    head.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), &body);
    head.extend_from_slice(&crc.to_le_bytes());
    [head, body, Head::end(0, Seal::Crc32c).to_vec()].concat()
}

#[test]
fn the_last_number_and_a_zero_page_behind_it_are_no_run() {
    let round = Outgoing::of(vec![0, 1]).announce(0, false);
    let bad = lie_of(&[u64::MAX >> 1, 1 << 63], 0, &[7; PAGE_LEN]);
    assert!(matches!(verdict(&round, &bad), PagesError::Number { .. }));
    let bad = lie_of(&[PAGES - 1, PAGES], 0, &[7; 2 * PAGE_LEN]);
    assert!(matches!(verdict(&round, &bad), PagesError::Number { found: PAGES, .. }));
}

#[test]
fn zeros_clear_what_is_there_and_no_more() {
    let (from, to) = (ram(), ram());
    (0..PAGES).for_each(|page| to.write(at(page), &[7; PAGE_LEN]).unwrap());
    from.write(at(9), &[5; PAGE_LEN]).unwrap();
    over(&from, &to, (3..200).collect(), 1, Compression::None);
    let is =
        |page: u64| bytes(&to)[usize::try_from(page).unwrap() * PAGE_LEN..][..PAGE_LEN].to_vec();
    for (page, byte) in [(2, 7), (3, 0), (8, 0), (9, 5), (10, 0), (64, 0), (199, 0), (200, 7)] {
        assert!(is(page) == [byte; PAGE_LEN], "page {page}");
    }
}

#[test]
fn content_that_unpacks_to_something_else_is_refused() {
    let round = Outgoing::of(vec![0]).announce(0, false);
    let pack = |len: usize| lz4_flex::block::compress(&vec![7; len]);
    let short = lie(1, 0, &[7; 4000]);
    for bad in [lie(1, 1, &pack(4095)), lie(1, 1, &pack(9 << 20)), lie(1, 1, b"no LZ4"), short] {
        let error = verdict(&round, &bad);
        assert!(matches!(error, PagesError::Chunk { .. }), "{error}");
    }
    for bad in [lie(1, 2, &[7; 4096]), lie(65, 0, &[]), lie(1, 0, &[7; 4097])] {
        assert!(matches!(verdict(&round, &bad), PagesError::Chunk { .. }));
    }
    let packed = [lie(1, 1, &pack(4096))];
    let error = verdict_of(&round, &packed, Compression::None);
    assert!(error.to_string().contains("not agreed upon"), "{error}");
}

#[test]
fn a_cancel_is_seen_in_the_middle() {
    let from = ram();
    from.write(BASE, &vec![1; usize::try_from(PAGES * PAGE_SIZE).unwrap()]).unwrap();
    let (mut near, mut far) = pair();
    let outgoing = Outgoing::of(present(&from).unwrap());
    let round = outgoing.announce(0, false);
    std::thread::scope(|scope| {
        scope.spawn(move || far.read_to_end(&mut Vec::new()));
        let asked = AtomicUsize::new(0);
        let is_cancelled = || asked.fetch_add(1, Ordering::Relaxed) == 2;
        let links: &mut [&mut dyn Link] = &mut [&mut near];
        let cancelled = outgoing.send(&round, &from, links, Compression::None, is_cancelled);
        assert!(matches!(cancelled, Err(PagesError::Cancelled)));
        drop(near);
    });
}

#[test]
fn who_drips_is_late_as_who_is_silent() {
    let hasty = Pace { wait: Duration::ZERO, chunk: Duration::ZERO };
    let error = whole(5, hasty, |_| Ok(1)).unwrap_err();
    assert!(error.to_string().contains("drips"), "{error}");
    assert!(whole(5, hasty, |_| Ok(5)).is_ok(), "what is done in time is done");
    let error = whole(5, PACE, |_| Err(ErrorKind::WouldBlock.into())).unwrap_err();
    assert!(error.to_string().contains("did not move"), "{error}");
}
