//! Decoded instructions, by physical page.
//!
//! All op pages stand in one list: 1024 ops and an end mark each, decoded when first executed.
//! Throwing any of it away is never visible to the guest. What the guest wrote is seen after IC
//! IVAU or IC IALLU, as CTR_EL0.DIC = 0 tells it.

use crate::lower::{Code, Op, PAGE_OPS};
use abide_memory::PAGE_SIZE;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// An op page with its end mark.
const PAGE_STRIDE: usize = PAGE_OPS + 1;

/// The most op pages that are kept: 64 MiB of ops. A Debian kernel's boot needs 1600.
const PAGES_MAX: usize = 4096;

/// Spreads the numbers of pages by one multiplication: looked up at every fetch that the fetch TLB
/// does not answer, and a guest that makes them collide slows only itself.
#[derive(Clone, Copy, Debug, Default)]
struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// The decoded instructions of one vCPU.
#[derive(Debug, Default)]
pub(crate) struct CodeCache {
    pub ops: Vec<Op>,
    /// Where each page's ops begin, by the offset of the page in RAM.
    pages: HashMap<u64, usize, BuildHasherDefault<PageHasher>>,
    /// Offsets in RAM, by op page.
    offsets: Vec<u64>,
}

impl CodeCache {
    /// Where the ops of the page at `offset` in RAM begin. `true` says that all other places are
    /// no longer valid.
    pub fn page(&mut self, offset: u64) -> (usize, bool) {
        if let Some(&base) = self.pages.get(&offset) {
            return (base, false);
        }
        let full = self.offsets.len() == PAGES_MAX;
        if full {
            self.flush_all();
        }
        let base = self.ops.len();
        self.ops.resize(base + PAGE_OPS, Op::DECODE);
        self.ops.push(Op::PAGE_END);
        self.pages.insert(offset, base);
        self.offsets.push(offset);
        (base, full)
    }

    /// Where in RAM, and as which instruction of its page, the op at `ip` stands.
    pub fn origin(&self, ip: usize) -> Option<(u64, usize)> {
        let index = ip % PAGE_STRIDE;
        let offset = self.offsets.get(ip / PAGE_STRIDE)?;
        Some((offset + 4 * index as u64, index))
    }

    /// Forgets the `ops` instructions around the place `offset` in RAM, and the one before them,
    /// which may have been decoded together with the first.
    pub fn flush_line(&mut self, offset: u64, ops: usize) {
        let Some(&base) = self.pages.get(&(offset & !(PAGE_SIZE - 1))) else { return };
        let index = (offset % PAGE_SIZE / 4) as usize;
        let ops = ops.min(PAGE_OPS);
        let first = index & !(ops - 1);
        self.ops[base + first.saturating_sub(1)..base + first + ops].fill(Op::DECODE);
    }

    /// Makes every instruction be decoded again; places stay valid.
    pub fn flush_ops(&mut self) {
        for op in self.ops.iter_mut().filter(|op| op.code != Code::PageEnd) {
            *op = Op::DECODE;
        }
    }

    /// Forgets everything.
    pub fn flush_all(&mut self) {
        self.ops.clear();
        self.pages.clear();
        self.offsets.clear();
    }
}
