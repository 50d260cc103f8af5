//! Decoded instructions, by physical page.
//!
//! All op pages stand in one list: 1024 ops and an end mark each, decoded when first executed.
//! Throwing any of it away is never visible to the guest. What the guest wrote is seen after IC
//! IVAU or IC IALLU, as CTR_EL0.DIC = 0 tells it.

use crate::decode::Extensions;
use crate::lower::{Code, Op, PAGE_OPS, lower};
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
    /// What instructions there are, to those ops.
    extensions: Extensions,
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

    /// Decodes from now on for a CPU with these extensions.
    pub fn decode_for(&mut self, extensions: Extensions) {
        if self.extensions != extensions {
            self.flush_ops();
            self.extensions = extensions;
        }
    }

    /// Where in RAM, and as which instruction of its page, the op at `ip` stands.
    pub fn origin(&self, ip: usize) -> Option<(u64, usize)> {
        let index = ip % PAGE_STRIDE;
        let offset = self.offsets.get(ip / PAGE_STRIDE)?;
        Some((offset + 4 * index as u64, index))
    }

    /// Decodes the op at `ip`, instruction number `index` of its page; `word` reads the instruction
    /// so many behind it.
    pub fn decode(&mut self, ip: usize, index: usize, word: impl Fn(usize) -> u32) {
        let words = [0, 1, 2].map(|ahead| (index + ahead < PAGE_OPS).then(|| word(ahead)));
        let (op, operands) = lower(words, index, self.extensions);
        self.ops[ip] = op;
        if let Some(next) = operands
            && self.ops[ip + 1].code == Code::Decode
        {
            self.ops[ip + 1] = Op { code: Code::Decode, ..next };
        }
    }

    /// Forgets the `ops` instructions around the place `offset` in RAM. The two before them may
    /// have been decoded together with the first: they keep their operands, for the one before them
    /// may need those, but are decoded again.
    pub fn flush_line(&mut self, offset: u64, ops: usize) {
        let Some(&base) = self.pages.get(&(offset & !(PAGE_SIZE - 1))) else { return };
        let index = (offset % PAGE_SIZE / 4) as usize;
        let ops = ops.min(PAGE_OPS);
        let first = index & !(ops - 1);
        for op in &mut self.ops[base + first.saturating_sub(2)..base + first] {
            op.code = Code::Decode;
        }
        self.ops[base + first..base + first + ops].fill(Op::DECODE);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A CPU with other extensions must not execute what was decoded for this one.
    #[test]
    fn other_extensions_are_decoded_for_anew() {
        // add v0.16b, v1.16b, v2.16b
        let word = |_| 0x4e22_8420;
        let mut code = CodeCache::default();
        let (base, _) = code.page(0);
        code.decode(base, 0, word);
        assert_eq!(code.ops[base].code, Code::Slow);
        let all = Extensions::of(|_| true);
        code.decode_for(all);
        assert_eq!(code.ops[base].code, Code::Decode);
        code.decode(base, 0, word);
        assert_eq!(code.ops[base].code, Code::Direct);
        code.decode_for(all);
        assert_eq!(code.ops[base].code, Code::Direct);
        code.decode_for(Extensions::default());
        assert_eq!(code.ops[base].code, Code::Decode);
    }

    /// Four loads behind one another are pairs of the first with the second, the second with the
    /// third and so on, each reading its second's operands from there.
    #[test]
    fn a_flushed_line_leaves_whole_pairs_before_it() {
        // ldr x<n>, [x<n + 1>]
        let word = |number: usize| {
            let number = u32::try_from(number).unwrap();
            0xf940_0000 | (number + 1) << 5 | number
        };
        let mut code = CodeCache::default();
        let (base, _) = code.page(0);
        for number in (10..20).rev() {
            code.decode(base + number, number, |ahead| word(number + ahead));
        }
        assert!((10..20).all(|at| code.ops[base + at].code == Code::LdrXILdrXI));
        code.flush_line(16 * 4, 16);
        for (number, op) in code.ops[base + 10..base + 20].iter().enumerate() {
            let number = number + 10;
            assert_eq!(op.code == Code::Decode, number >= 14, "{number}");
            let operands = (usize::from(op.d), usize::from(op.n));
            assert_eq!(operands == (number, number + 1), number < 16, "{number}: {operands:?}");
        }
    }
}
