//! Blocks of a disk, written and read past the page cache by somebody who knows what each holds.

use linux::file::{self, File};
use linux::hash::Hash;
use linux::{Failure, of, say, sys};

/// Length of a block, in bytes: one request.
pub const BLOCK_LEN: usize = 32 << 10;
/// How much of the disk is used, in blocks.
const BLOCKS: usize = 256;

/// The hash of whole words.
pub fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = Hash::new();
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| hash.word(u64::from_le_bytes(*word)));
    hash.value()
}

/// Numbers that look random (xorshift64*).
pub struct Random(pub u64);

impl Random {
    /// The next one, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// What a block holds that was written with this seed; seed 0 is a block of zeros.
pub fn fill(block: &mut [u8], seed: u64) {
    let mut value = seed;
    let (words, _) = block.as_chunks_mut::<8>();
    for word in words {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
        *word = value.to_le_bytes();
    }
}

/// Where a block is.
pub fn place(block: usize) -> Option<u64> {
    Some((block * BLOCK_LEN) as u64)
}

/// Memory for two blocks.
pub fn two_blocks() -> Result<(&'static mut [u8], &'static mut [u8]), Failure> {
    let memory = file::bytes_of(sys::map(2 * BLOCK_LEN / 8).map_err(of("mmap"))?);
    Ok(memory.split_at_mut(BLOCK_LEN))
}

/// `/dev/vda`, and what is on it.
pub struct Blocks {
    disk: File,
    block: &'static mut [u8],
    expected: &'static mut [u8],
    /// What each block was written with; none for those that nobody wrote.
    seeds: [Option<u64>; BLOCKS],
    random: Random,
}

impl Blocks {
    /// Opens the disk.
    pub fn open() -> Result<Self, Failure> {
        let flags = file::O_RDWR | file::O_DIRECT;
        let disk = File::open(c"/dev/vda", flags).map_err(of("open vda"))?;
        let (block, expected) = two_blocks()?;
        Ok(Self { disk, block, expected, seeds: [None; BLOCKS], random: Random(0x5eed) })
    }

    /// Writes so many blocks, and makes them last.
    pub fn write(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            let at = self.random.below(BLOCKS as u64) as usize;
            let seed = self.random.below(u64::MAX) | 1;
            self.seeds[at] = Some(seed);
            fill(self.block, seed);
            self.disk.write_at(place(at), self.block).map_err(of("write vda"))?;
        }
        self.disk.sync().map_err(of("fdatasync vda"))
    }

    /// Discards the first blocks, and writes zeros over the two behind them.
    pub fn clear(&mut self, discarded: usize) -> Result<(), Failure> {
        let len = (discarded * BLOCK_LEN) as u64;
        self.disk.discard(0, len).map_err(of("BLKDISCARD"))?;
        self.disk.zero(len, (2 * BLOCK_LEN) as u64).map_err(of("BLKZEROOUT"))?;
        self.seeds[..discarded + 2].fill(Some(0));
        Ok(())
    }

    /// Reads so many blocks, which must be what was written; their hash.
    pub fn check(&mut self, count: u64) -> Result<u64, Failure> {
        let mut sum = Hash::new();
        for _ in 0..count {
            let at = self.random.below(BLOCKS as u64) as usize;
            sum.word(self.check_block(at)?);
        }
        Ok(sum.value())
    }

    /// As [`Self::check`], all of them.
    pub fn check_all(&mut self) -> Result<u64, Failure> {
        let mut sum = Hash::new();
        for at in 0..BLOCKS {
            sum.word(self.check_block(at)?);
        }
        Ok(sum.value())
    }

    /// What nobody wrote yet may be anything.
    fn check_block(&mut self, at: usize) -> Result<u64, Failure> {
        self.disk.read_at(place(at), self.block).map_err(of("read vda"))?;
        if let Some(seed) = self.seeds[at] {
            fill(self.expected, seed);
            if self.block != self.expected {
                say(format_args!("block {at} is not what was written"));
                return Err(Failure::Wrong("the disk forgot"));
            }
        }
        Ok(hash_of_bytes(self.block))
    }
}
