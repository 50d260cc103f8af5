//! The first and only program of a Linux guest that has disks: static, without a library, integers
//! only. It loads the modules that it was packed with, writes and reads `/dev/vda` past the page
//! cache, and `/dev/vdb`, if there is one, as a file system. It knows what it wrote, so that a save
//! in the middle that loses or doubles a request is seen. Then it switches the machine off.
#![no_std]
#![no_main]

use linux::file::{self, File};
use linux::{Failure, hash, of, program, say, sys};

program!("abide-disk", work);

/// How many rounds of work there are.
const ROUNDS: u64 = 12;
/// Blocks written in a round, and blocks read.
const PER_ROUND: u64 = 24;
/// Length of a block, in bytes: one request.
const BLOCK_LEN: usize = 32 << 10;
/// How much of the disk is used, in blocks.
const BLOCKS: usize = 256;
/// How much of it is discarded at the end, in blocks.
const DISCARDED: usize = 8;

fn work() -> Result<(), Failure> {
    let modules = file::load_modules().map_err(of("finit_module"))?;
    say(format_args!("{modules} modules"));
    file::mount(c"dev", c"/dev", c"devtmpfs").map_err(of("mount devtmpfs"))?;
    if let Ok(source) = File::open(c"/dev/hwrng", file::O_RDONLY) {
        let mut bytes = [0; 32];
        source.read_at(None, &mut bytes).map_err(of("read hwrng"))?;
        if bytes == [0; 32] {
            return Err(Failure::Wrong("the source of random bits gave zeros"));
        }
        say(format_args!("random bits, hash {:016x}", hash_of_bytes(&bytes)));
    }
    if let Ok(console) = File::open(c"/dev/hvc0", file::O_RDWR) {
        let line = b"abide-disk: this is hvc0\n";
        console.write_at(None, line).map_err(of("write hvc0"))?;
    }
    raw_disk()?;
    match File::open(c"/dev/vdb", file::O_RDONLY) {
        Ok(_) => file_system(),
        Err(_) => Ok(()),
    }
}

fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = hash::Hash::new();
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| hash.word(u64::from_le_bytes(*word)));
    hash.value()
}

/// Numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// What a block holds that was written with this seed; seed 0 is a block of zeros.
fn fill(block: &mut [u8], seed: u64) {
    let mut value = seed;
    let (words, _) = block.as_chunks_mut::<8>();
    for word in words {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
        *word = value.to_le_bytes();
    }
}

fn place(block: usize) -> Option<u64> {
    Some((block * BLOCK_LEN) as u64)
}

/// Writes blocks of `/dev/vda` and reads others, past the page cache.
fn raw_disk() -> Result<(), Failure> {
    let disk = File::open(c"/dev/vda", file::O_RDWR | file::O_DIRECT).map_err(of("open vda"))?;
    let memory = file::bytes_of(sys::map(2 * BLOCK_LEN / 8).map_err(of("mmap"))?);
    let (block, expected) = memory.split_at_mut(BLOCK_LEN);
    // What each block was written with; none for those that nobody wrote.
    let mut seeds = [None; BLOCKS];
    let mut random = Random(0x5eed);
    for round in 1..=ROUNDS {
        for _ in 0..PER_ROUND {
            let at = random.below(BLOCKS as u64) as usize;
            let seed = random.below(u64::MAX) | 1;
            seeds[at] = Some(seed);
            fill(block, seed);
            disk.write_at(place(at), block).map_err(of("write vda"))?;
        }
        disk.sync().map_err(of("fdatasync vda"))?;
        let mut sum = hash::Hash::new();
        for _ in 0..PER_ROUND {
            let at = random.below(BLOCKS as u64) as usize;
            check_block(&disk, at, seeds[at], block, expected)?;
            sum.word(hash_of_bytes(block));
        }
        say(format_args!("round {round}/{ROUNDS}, hash {:016x}", sum.value()));
    }
    disk.discard(0, (DISCARDED * BLOCK_LEN) as u64).map_err(of("BLKDISCARD"))?;
    let (start, len) = ((DISCARDED * BLOCK_LEN) as u64, (2 * BLOCK_LEN) as u64);
    disk.zero(start, len).map_err(of("BLKZEROOUT"))?;
    seeds[..DISCARDED + 2].fill(Some(0));
    let mut sum = hash::Hash::new();
    for (at, &seed) in seeds.iter().enumerate() {
        check_block(&disk, at, seed, block, expected)?;
        sum.word(hash_of_bytes(block));
    }
    say(format_args!("disk checksum {:016x}", sum.value()));
    Ok(())
}

/// Reads a block; it must be what was written. What nobody wrote yet may be anything.
fn check_block(
    disk: &File,
    at: usize,
    seed: Option<u64>,
    block: &mut [u8],
    expected: &mut [u8],
) -> Result<(), Failure> {
    disk.read_at(place(at), block).map_err(of("read vda"))?;
    let Some(seed) = seed else { return Ok(()) };
    fill(expected, seed);
    if block != expected {
        say(format_args!("block {at} is not what was written"));
        return Err(Failure::Wrong("the disk forgot"));
    }
    Ok(())
}

/// Mounts `/dev/vdb`, writes a file in pieces, and finds it again after it was unmounted.
fn file_system() -> Result<(), Failure> {
    let memory = file::bytes_of(sys::map(2 * BLOCK_LEN / 8).map_err(of("mmap"))?);
    let (block, expected) = memory.split_at_mut(BLOCK_LEN);
    file::make_directory(c"/mnt").map_err(of("mkdir"))?;
    for pass in 0..2 {
        file::mount(c"/dev/vdb", c"/mnt", c"ext4").map_err(of("mount ext4"))?;
        let flags = file::O_RDWR | file::O_CREAT;
        let kept = File::open(c"/mnt/file", flags).map_err(of("open file"))?;
        for at in 0..32 {
            if pass == 0 {
                fill(block, at as u64 + 7);
                kept.write_at(place(at), block).map_err(of("write file"))?;
            } else {
                kept.read_at(place(at), block).map_err(of("read file"))?;
                fill(expected, at as u64 + 7);
                if block != expected {
                    return Err(Failure::Wrong("the file system forgot"));
                }
            }
        }
        kept.sync().map_err(of("fdatasync file"))?;
        drop(kept);
        file::unmount(c"/mnt").map_err(of("umount"))?;
    }
    say(format_args!("file system: a file of 1 MiB is there again"));
    Ok(())
}
