//! The content of chunks, checked as it is read.

use crate::Digest;
use crate::finding::{Finding, Problem};
use crate::map::{Chunk, Encoding};
use crate::parallel::Buffers;
use crate::source::Source;

/// Reads a chunk's content and checks it against its hash.
///
/// # Errors
/// What is wrong with it. Never takes more than buffers for one chunk and its stored bytes; the
/// content's is the caller's to give back.
pub(crate) fn read_chunk(
    source: &dyn Source,
    chunk: &Chunk,
    buffers: &Buffers,
) -> Result<Vec<u8>, Finding> {
    let wrong = |problem| Finding::new(chunk.place(), chunk.offset, problem);
    let mut stored = buffers.take_of(chunk.stored_len as usize);
    source
        .read_at(chunk.offset, &mut stored)
        .map_err(|error| wrong(Problem::unreadable(&error)))?;
    let content = match chunk.encoding {
        Encoding::RAW => stored,
        Encoding::LZ4 => {
            let content = unpack(chunk, &stored, buffers).map_err(wrong)?;
            buffers.give(stored);
            content
        }
        Encoding(found) => return Err(wrong(Problem::Encoding { found })),
    };
    if Digest::of(&content) != chunk.hash {
        return Err(wrong(Problem::ChunkHash));
    }
    Ok(content)
}

fn unpack(chunk: &Chunk, stored: &[u8], buffers: &Buffers) -> Result<Vec<u8>, Problem> {
    let (found, computed) = (chunk.stored_crc, crc32c::crc32c(stored));
    if found != computed {
        return Err(Problem::ChunkCrc { found, computed });
    }
    // The buffer is the bound: what unpacks to more is refused, whatever it claims.
    let mut content = buffers.take_of(chunk.len as usize);
    match lz4_flex::block::decompress_into(stored, &mut content) {
        Ok(len) if len == content.len() => Ok(content),
        _ => Err(Problem::Unpack { allowed: chunk.len }),
    }
}
