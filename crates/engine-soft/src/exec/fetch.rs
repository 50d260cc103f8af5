//! Instruction fetch when the fetch TLB does not answer.

use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, FETCH_HALF, FetchEntry, esr};
use crate::mmu::{Access, Fault, status};
use crate::sysreg::Slot;
use crate::tlb::{HALF, PAGE_MASK};
use abide_memory::PAGE_SIZE;
use abide_reg::Gpa;

impl Cpu {
    /// The place of the op at `pc`. `None` if an exception was taken instead: then `pc` is its
    /// vector, and the attempt counts as an instruction, so that even a vector that faults for
    /// ever uses up its slice.
    pub fn fetch(&mut self, code: &mut CodeCache, env: &Env) -> Option<usize> {
        let half = if self.half == HALF { FETCH_HALF } else { 0 };
        let at = FetchEntry::index(self.pc) | half;
        let entry = self.fetch_tlb[at];
        let base = if self.pc & (PAGE_MASK | 3) == entry.tag && !self.illegal {
            entry.base
        } else {
            self.fetch_page(code, env, half)?
        };
        self.pc_bias = (self.pc & PAGE_MASK).wrapping_sub(4 * base as u64);
        Some(base + (self.pc as usize & 0xfff) / 4)
    }

    #[cold]
    fn fetch_page(&mut self, code: &mut CodeCache, env: &Env, half: usize) -> Option<usize> {
        if self.illegal {
            return self.fetch_exception(esr::ILLEGAL_STATE, None);
        }
        // A branch to a tagged address leaves the tag behind [DDI0487 J1 BranchAddr].
        self.pc = self.regime().branch_address(self.pc);
        let va = self.pc;
        if va & 3 != 0 {
            return self.fetch_exception(esr::PC_ALIGNMENT, Some(va));
        }
        let el0 = self.el == 0;
        let place = self.regime().translate(env.ram, va, Access::Execute, el0).and_then(|leaf| {
            let page = Gpa(leaf.pa & PAGE_MASK);
            let place = env.ram.place_of(page, PAGE_SIZE).ok_or(Fault(status::EXTERNAL))?;
            Ok((place.offset(), leaf.block_log2))
        });
        let (offset, block_log2) = match place {
            Ok(place) => place,
            Err(Fault(status)) => {
                let same_el = if el0 { 0 } else { esr::SAME_EL };
                let syndrome = esr::INSTRUCTION_ABORT | same_el | u64::from(status);
                return self.fetch_exception(syndrome, Some(va));
            }
        };
        let (base, others_gone) = code.page(offset.0);
        if others_gone {
            self.flush_fetch_tlb();
        }
        self.fetch_blocks.note(va, block_log2);
        let at = FetchEntry::index(va) | half;
        self.fetch_tlb[at] = FetchEntry { tag: va & PAGE_MASK, base };
        Some(base)
    }

    fn fetch_exception(&mut self, syndrome: u64, far: Option<u64>) -> Option<usize> {
        self.left -= 1;
        if let Some(far) = far {
            self.set_sys(Slot::FarEl1, far);
        }
        self.enter_synchronous(syndrome, self.pc);
        None
    }
}

/// An op without a place in RAM: cannot be, and is left by fetching anew.
#[cold]
pub(super) fn leave_lost_place(cpu: &mut Cpu, ip: usize, limit: i64) {
    cpu.pc = cpu.pc_bias.wrapping_add(4 * ip as u64);
    cpu.left = limit - ip as i64 - 1;
}
