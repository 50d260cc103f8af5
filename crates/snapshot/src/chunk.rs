//! The content of chunks, checked as it is read.

use crate::Digest;
use crate::finding::{Finding, Problem};
use crate::map::{Chunk, Encoding};
use crate::source::Source;

/// Reads a chunk's content and checks it against its hash.
///
/// # Errors
/// What is wrong with it. Never allocates more than one chunk and its stored bytes.
pub(crate) fn read_chunk(source: &dyn Source, chunk: &Chunk) -> Result<Vec<u8>, Finding> {
    let wrong = |problem| Finding::new(chunk.place(), chunk.offset, problem);
    let mut stored = vec![0; chunk.stored_len as usize];
    source
        .read_at(chunk.offset, &mut stored)
        .map_err(|error| wrong(Problem::unreadable(&error)))?;
    let content = match chunk.encoding {
        Encoding::RAW => stored,
        Encoding::LZ4 => unpack(chunk, &stored).map_err(wrong)?,
        Encoding(found) => return Err(wrong(Problem::Encoding { found })),
    };
    if Digest::of(&content) != chunk.hash {
        return Err(wrong(Problem::ChunkHash));
    }
    Ok(content)
}

fn unpack(chunk: &Chunk, stored: &[u8]) -> Result<Vec<u8>, Problem> {
    let (found, computed) = (chunk.stored_crc, crc32c::crc32c(stored));
    if found != computed {
        return Err(Problem::ChunkCrc { found, computed });
    }
    // The buffer is the bound: what unpacks to more is refused, whatever it claims.
    let mut content = vec![0; chunk.len as usize];
    match lz4_flex::block::decompress_into(stored, &mut content) {
        Ok(len) if len == content.len() => Ok(content),
        _ => Err(Problem::Unpack { allowed: chunk.len }),
    }
}
