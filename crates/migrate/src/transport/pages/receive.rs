//! The side that gets the pages.

use super::chunk::{BODY_MAX_LEN, HEAD_LEN, Head, Run, Unpacker};
use super::{Lane, PAGE_LEN, PagesError, digest_of, on_all, place_of};
use crate::driver::Link;
use crate::message::{Compression, Round};
use abide_memory::{GuestRam, PAGE_SIZE, PageSet, RamOffset};

/// Receives a round into `ram` from all of `links`, and checks that all of it is there.
///
/// # Errors
/// [`PagesError`]; what RAM holds then is not defined, and none of the connections can be used.
pub fn receive(
    round: &Round,
    ram: &GuestRam,
    links: &mut [&mut dyn Link],
    compression: Compression,
) -> Result<(), PagesError> {
    let count = ram.size() / PAGE_SIZE;
    if round.pages > count {
        return Err(PagesError::Count { found: round.pages, allowed: count });
    }
    let sets = on_all(links, |lane| receive_on(lane, round.number, ram, compression))?;
    let came: u64 = sets.iter().map(PageSet::len).sum();
    let mut all = PageSet::default();
    for set in &sets {
        all.merge(set);
    }
    if came != round.pages || all.len() != came || digest_of(all.iter()) != round.digest {
        return Err(PagesError::Announced { number: round.number });
    }
    Ok(())
}

/// What came on one connection.
fn receive_on(
    lane: &mut Lane<'_>,
    round: u32,
    ram: &GuestRam,
    compression: Compression,
) -> Result<PageSet, PagesError> {
    let seal = lane.seal();
    let mut unpacker = Unpacker::new(compression);
    let mut buffer = vec![0; BODY_MAX_LEN + HEAD_LEN];
    let (mut taken, mut before) = (PageSet::default(), None);
    let mut head = [0; HEAD_LEN];
    lane.read(&mut head)?;
    loop {
        let found = Head::decode(&head, compression)?;
        if let Some(ended) = found.round() {
            found.check(&[], seal)?;
            let what = "this is the end of another round";
            let other = PagesError::Chunk { what, found: ended.into() };
            return if ended == round { Ok(taken) } else { Err(other) };
        }
        if lane.is_over() {
            return Ok(taken);
        }
        // Behind a body there is always another head; behind the last head, a message.
        let len = found.body_len();
        lane.read(&mut buffer[..len + HEAD_LEN])?;
        let body = &buffer[..len];
        found.check(body, seal)?;
        place(ram, unpacker.unpack(&found, body)?, &mut before, &mut taken)?;
        head.copy_from_slice(&buffer[len..len + HEAD_LEN]);
    }
}

/// Puts pages where they belong.
fn place<'a>(
    ram: &GuestRam,
    runs: impl Iterator<Item = Run<'a>>,
    before: &mut Option<u64>,
    taken: &mut PageSet,
) -> Result<(), PagesError> {
    let count = ram.size() / PAGE_SIZE;
    for Run { first, pages, content } in runs {
        let last = first + (pages - 1);
        let is_ascending = before.is_none_or(|before| first > before);
        if last >= count || !is_ascending {
            let found = if is_ascending { last } else { first };
            return Err(PagesError::Number { found, before: *before, count });
        }
        *before = Some(last);
        (first..=last).for_each(|page| taken.insert(page));
        match content {
            Some(content) => ram.fill(place_of(ram, first), content)?,
            None => clear(ram, first * PAGE_SIZE, (last + 1) * PAGE_SIZE)?,
        }
    }
    Ok(())
}

/// Makes RAM zero from one offset to another. What the host has no memory for is, and costs none.
fn clear(ram: &GuestRam, mut from: u64, to: u64) -> Result<(), PagesError> {
    while from < to {
        let present = ram.next_present(RamOffset(from)).map_err(PagesError::Ram)?;
        let Some((start, end)) = present else { break };
        for at in (start.0..end.0.min(to)).step_by(PAGE_LEN) {
            ram.write(ram.gpa_of(RamOffset(at)), &[0; PAGE_LEN])?;
        }
        from = end.0;
    }
    Ok(())
}
