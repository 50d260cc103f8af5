//! Checking every byte of a file.

use crate::chunk::read_chunk;
use crate::container::{Container, check_gap};
use crate::finding::{Finding, Place, Problem};
use crate::header::HEADER_LEN;
use crate::map::{Chunk, Encoding};
use crate::parallel::{Buffers, in_order};
use std::convert::Infallible;

/// Checks the whole file, RAM and gaps included: after no findings, not one byte is other than it
/// was written.
///
/// Of a container of another major version it only says that it cannot judge. What is too damaged
/// to tell where its parts are is not judged either, and that is a finding too.
#[must_use]
pub fn verify(container: &Container) -> Vec<Finding> {
    let mut findings = container.findings.clone();
    if !container.is_judged() {
        return findings;
    }
    if !container.is_laid_out {
        let from = container.end.map_or(HEADER_LEN as u64, |end| end.metadata_len);
        let from = from.max(findings.last().map_or(0, |last| last.offset));
        findings.push(Finding::new(Place::File, from, Problem::NotJudged));
        return findings;
    }
    let chunks = container.map.as_ref().map_or(&[][..], |map| &map.chunks);
    // What a truncated file has lost was reported as one finding.
    let there = chunks.iter().take_while(|chunk| chunk.stored_end() <= container.file_len).count();
    let buffers = Buffers::default();
    let check = |index: usize| {
        let before = index.checked_sub(1).map(|before| &chunks[before]);
        check_chunk(container, before, &chunks[index], &buffers)
    };
    let collected = in_order(there, check, |_, found| {
        findings.extend(found);
        Ok::<_, Infallible>(())
    });
    match collected {
        Ok(()) => findings,
    }
}

fn check_chunk(
    container: &Container,
    before: Option<&Chunk>,
    chunk: &Chunk,
    buffers: &Buffers,
) -> Vec<Finding> {
    let source = &*container.source;
    // The gap before the first chunk was checked with the metadata.
    let gap = before.and_then(|before| check_gap(source, before.stored_end(), chunk.offset));
    let content = match chunk.encoding {
        Encoding::RAW | Encoding::LZ4 => {
            read_chunk(source, chunk, buffers).map(|content| buffers.give(content)).err()
        }
        // Noted with the chunk list.
        _ => None,
    };
    gap.into_iter().chain(content).collect()
}
