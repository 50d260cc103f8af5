//! The first and only program of a Linux guest that has disks: static, without a library, integers
//! only. It loads the modules that it was packed with, writes and reads `/dev/vda` past the page
//! cache, and `/dev/vdb`, if there is one, as a file system. It knows what it wrote, so that a save
//! in the middle that loses or doubles a request is seen. Then it switches the machine off.
#![no_std]
#![no_main]

mod blocks;

use blocks::{Blocks, fill, hash_of_bytes, place, two_blocks};
use linux::file::{self, File};
use linux::{Failure, of, program, say};

program!("abide-disk", work);

/// How many rounds of work there are.
const ROUNDS: u64 = 12;
/// Blocks written in a round, and blocks read.
const PER_ROUND: u64 = 24;
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

/// Writes blocks of `/dev/vda` and reads others, past the page cache.
fn raw_disk() -> Result<(), Failure> {
    let mut blocks = Blocks::open()?;
    for round in 1..=ROUNDS {
        blocks.write(PER_ROUND)?;
        say(format_args!("round {round}/{ROUNDS}, hash {:016x}", blocks.check(PER_ROUND)?));
    }
    blocks.clear(DISCARDED)?;
    say(format_args!("disk checksum {:016x}", blocks.check_all()?));
    Ok(())
}

/// Mounts `/dev/vdb`, writes a file in pieces, and finds it again after it was unmounted.
fn file_system() -> Result<(), Failure> {
    let (block, expected) = two_blocks()?;
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
