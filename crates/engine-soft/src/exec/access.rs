//! Loads and stores that the TLB does not answer, and forms without an op of their own.

use crate::cpu::{Cpu, Env, Flow, esr};
use crate::lower::{Op, access as field, slot};
use crate::mmu::{Access, Fault, sctlr, status};
use crate::sysreg::Slot;
use crate::tlb::{self, BLOCK_SHIFT, DEVICE, HALF, NO_TAG, PAGE_MASK};
use abide_memory::{CpuPlace, GuestRam, Order, PAGE_SIZE, PageAccess, RamOffset};
use abide_reg::Gpa;

use super::integer::extended;
use super::unaligned;

/// Where an address leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Ram { offset: u64, device: bool },
    Outside(u64),
}

/// How a data access failed: the address and the fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abort {
    pub va: u64,
    pub fault: Fault,
}

/// What an access is allowed and has to keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// The half of the TLB: 0 for those of EL0.
    pub half: usize,
    /// An unaligned address is a fault in any memory.
    pub aligned: bool,
    pub order: Order,
}

impl Cpu {
    /// The rights of a plain access at the current exception level.
    pub(super) fn rights(&self) -> Rights {
        Rights { half: self.half, aligned: false, order: Order::Relaxed }
    }

    /// The place of the page of `va`, from the TLB or by a walk; `va` itself decides faults.
    pub(super) fn locate(
        &mut self,
        env: &Env,
        va: u64,
        access: Access,
        half: usize,
    ) -> Result<Place, Abort> {
        let entry = self.tlb.entry(half, va);
        let tag = if access == Access::Write { entry.write } else { entry.read };
        if tag == va & PAGE_MASK {
            let device = entry.flags & DEVICE != 0;
            return Ok(Place::Ram { offset: va.wrapping_add(entry.addend), device });
        }
        let leaf = self
            .regime()
            .translate(env.ram, va, access, half == 0)
            .map_err(|fault| Abort { va, fault })?;
        let page = Gpa(leaf.pa & PAGE_MASK);
        let start = match env.ram.place_of(page, PAGE_SIZE) {
            Some(CpuPlace::Ram(RamOffset(start))) => {
                if access == Access::Write {
                    // Marked first: a harvest in between finds the page and drops the tag below.
                    env.ram.dirty().mark(start, PAGE_SIZE);
                }
                start
            }
            Some(CpuPlace::Page(_, PageAccess::ReadOnly)) if access == Access::Write => {
                return Err(refuse_write(env, va, leaf.pa));
            }
            Some(CpuPlace::Page(RamOffset(start), _)) => start,
            None => return Ok(Place::Outside(leaf.pa)),
        };
        let device = leaf.is_device();
        let page_va = va & PAGE_MASK;
        self.tlb.insert(
            half,
            va,
            tlb::Entry {
                read: if leaf.readable { page_va } else { NO_TAG },
                write: if access == Access::Write { page_va } else { NO_TAG },
                addend: start.wrapping_sub(page_va),
                flags: if device { DEVICE } else { 0 } | leaf.block_log2 << BLOCK_SHIFT,
            },
        );
        Ok(Place::Ram { offset: start + (va - page_va), device })
    }

    /// Whether every unaligned access is a fault.
    pub(super) fn checks_alignment(&self) -> bool {
        self.sys(Slot::SctlrEl1) & sctlr::A != 0
    }

    /// Refuses an unaligned access where alignment is demanded.
    fn check_alignment(&self, va: u64, size: u64, rights: Rights) -> Result<(), Abort> {
        let strict = rights.aligned || self.checks_alignment();
        if strict && va & (size - 1) != 0 {
            return Err(Abort { va, fault: Fault(status::ALIGNMENT) });
        }
        Ok(())
    }

    /// Reads `size` bytes (1, 2, 4 or 8).
    pub(super) fn read_data(
        &mut self,
        env: &Env,
        va: u64,
        size: u64,
        rights: Rights,
    ) -> Result<u64, Abort> {
        let entry = self.tlb.entry(rights.half, va);
        if va & (PAGE_MASK | (size - 1)) == entry.read {
            return Ok(load(env.ram, va.wrapping_add(entry.addend), size, rights.order));
        }
        self.check_alignment(va, size, rights)?;
        let place = self.locate(env, va, Access::Read, rights.half)?;
        if va & (size - 1) == 0 {
            return match place {
                Place::Ram { offset, .. } => Ok(load(env.ram, offset, size, rights.order)),
                Place::Outside(pa) => self.read_outside(env, va, pa, size),
            };
        }
        let in_page = PAGE_SIZE - va % PAGE_SIZE;
        let rest = if size > in_page {
            let next = va.wrapping_add(in_page);
            Some(self.locate(env, next, Access::Read, rights.half)?)
        } else {
            None
        };
        if rest.is_none()
            && let Place::Ram { offset, device: false } = place
        {
            // One page: two words that hold all of it, each read at once.
            let first = offset & !7;
            let low = load(env.ram, first, 8, Order::Relaxed);
            let high = load(env.ram, (offset + size - 1) & !7, 8, Order::Relaxed);
            let both = u128::from(high) << 64 | u128::from(low);
            // Where one word holds it, both halves are that word and the shift stays below 64.
            return Ok((both >> (8 * (offset - first))) as u64 & u64::MAX >> (64 - 8 * size));
        }
        let mut value = 0;
        for at in 0..size {
            let (from, index) = match rest {
                Some(second) if at >= in_page => (second, at - in_page),
                _ => (place, at),
            };
            let Place::Ram { offset, device: false } = from else {
                return Err(Abort { va, fault: Fault(status::ALIGNMENT) });
            };
            value |= load(env.ram, offset + index, 1, Order::Relaxed) << (8 * at);
        }
        Ok(value)
    }

    /// Writes the low `size` bytes (1, 2, 4 or 8) of `value`.
    pub(super) fn write_data(
        &mut self,
        env: &Env,
        va: u64,
        size: u64,
        value: u64,
        rights: Rights,
    ) -> Result<(), Abort> {
        let entry = self.tlb.entry(rights.half, va);
        if va & (PAGE_MASK | (size - 1)) == entry.write {
            store(env.ram, va.wrapping_add(entry.addend), size, value, rights.order);
            return Ok(());
        }
        self.check_alignment(va, size, rights)?;
        let place = self.locate(env, va, Access::Write, rights.half)?;
        if va & (size - 1) == 0 {
            return match place {
                Place::Ram { offset, .. } => {
                    store(env.ram, offset, size, value, rights.order);
                    Ok(())
                }
                Place::Outside(pa) => self.write_outside(env, va, pa, size, value),
            };
        }
        let in_page = PAGE_SIZE - va % PAGE_SIZE;
        // Both pages are found before the first byte is written: a fault leaves memory untouched.
        let rest = if size > in_page {
            let next = va.wrapping_add(in_page);
            Some(self.locate(env, next, Access::Write, rights.half)?)
        } else {
            None
        };
        let usable = |place| matches!(place, Place::Ram { device: false, .. });
        if !usable(place) || rest.is_some_and(|rest| !usable(rest)) {
            return Err(Abort { va, fault: Fault(status::ALIGNMENT) });
        }
        for at in 0..size {
            let (to, index) = match rest {
                Some(second) if at >= in_page => (second, at - in_page),
                _ => (place, at),
            };
            if let Place::Ram { offset, .. } = to {
                store(env.ram, offset + index, 1, value >> (8 * at), Order::Relaxed);
            }
        }
        Ok(())
    }

    fn read_outside(&mut self, env: &Env, va: u64, pa: u64, size: u64) -> Result<u64, Abort> {
        self.reach_outside(env);
        env.bus
            .mmio_read(env.id, Gpa(pa), size as usize)
            .map(|value| value & u64::MAX >> (64 - 8 * size))
            .ok_or(Abort { va, fault: Fault(status::EXTERNAL) })
    }

    fn write_outside(
        &mut self,
        env: &Env,
        va: u64,
        pa: u64,
        size: u64,
        value: u64,
    ) -> Result<(), Abort> {
        self.reach_outside(env);
        let value = value & u64::MAX >> (64 - 8 * size);
        env.bus
            .mmio_write(env.id, Gpa(pa), size as usize, value)
            .ok_or(Abort { va, fault: Fault(status::EXTERNAL) })
    }

    /// Takes a data abort.
    pub(super) fn data_abort(&mut self, abort: Abort, more: u64) -> Flow {
        self.set_sys(Slot::FarEl1, abort.va);
        let same_el = if self.el == 0 { 0 } else { esr::SAME_EL };
        self.raise(esr::DATA_ABORT | same_el | more | u64::from(abort.fault.0))
    }

    /// Takes an SP alignment fault if `misaligned` SP is forbidden here.
    pub(super) fn stack_fault(&mut self, misaligned: bool) -> bool {
        let enable = if self.el == 0 { sctlr::SA0 } else { sctlr::SA };
        let fault = misaligned && self.sys(Slot::SctlrEl1) & enable != 0;
        if fault {
            self.raise(esr::SP_ALIGNMENT);
        }
        fault
    }

    /// The place in RAM of `size` bytes inside a page that the TLB knows, where they may stand at
    /// any address.
    #[inline]
    fn unaligned_place(&self, va: u64, size: u64, access: Access) -> Option<u64> {
        let entry = self.tlb.entry_here(va);
        let tag = if access == Access::Write { entry.write } else { entry.read };
        let is_here = va & PAGE_MASK == tag && va % PAGE_SIZE <= PAGE_SIZE - size;
        let may = entry.flags & DEVICE == 0 && !self.checks_alignment();
        (is_here && may).then(|| va.wrapping_add(entry.addend))
    }

    /// A load of the loop that missed the TLB. `None`: an exception was taken.
    #[cold]
    #[inline(never)]
    pub(super) fn read_slow(
        &mut self,
        env: &Env,
        va: u64,
        size_log2: u32,
        misaligned_sp: bool,
    ) -> Option<u64> {
        if self.stack_fault(misaligned_sp) {
            return None;
        }
        if let Some(at) = self.unaligned_place(va, 1 << size_log2, Access::Read) {
            return Some(unaligned::load(env.ram.view(), at, 1 << size_log2) as u64);
        }
        match self.read_data(env, va, 1 << size_log2, self.rights()) {
            Ok(value) => Some(value),
            Err(abort) => {
                self.data_abort(abort, 0);
                None
            }
        }
    }

    /// A store of the loop that missed the TLB. `None`: an exception was taken.
    #[cold]
    #[inline(never)]
    pub(super) fn write_slow(
        &mut self,
        env: &Env,
        va: u64,
        size_log2: u32,
        value: u64,
        misaligned_sp: bool,
    ) -> Option<()> {
        if self.stack_fault(misaligned_sp) {
            return None;
        }
        if let Some(at) = self.unaligned_place(va, 1 << size_log2, Access::Write) {
            unaligned::store(env.ram.view(), at, 1 << size_log2, value.into());
            return Some(());
        }
        match self.write_data(env, va, 1 << size_log2, value, self.rights()) {
            Ok(()) => Some(()),
            Err(abort) => {
                self.data_abort(abort, esr::WNR);
                None
            }
        }
    }

    /// A pair of loads of `size` bytes each.
    #[cold]
    #[inline(never)]
    pub(super) fn read_pair(
        &mut self,
        env: &Env,
        va: u64,
        size: u64,
        misaligned_sp: bool,
    ) -> Option<(u64, u64)> {
        if self.stack_fault(misaligned_sp) {
            return None;
        }
        let rights = self.rights();
        let both = self.read_data(env, va, size, rights).and_then(|first| {
            Ok((first, self.read_data(env, va.wrapping_add(size), size, rights)?))
        });
        match both {
            Ok(both) => Some(both),
            Err(abort) => {
                self.data_abort(abort, 0);
                None
            }
        }
    }

    /// A pair of stores of `size` bytes each.
    #[cold]
    #[inline(never)]
    pub(super) fn write_pair(
        &mut self,
        env: &Env,
        va: u64,
        size: u64,
        first: u64,
        second: u64,
        misaligned_sp: bool,
    ) -> Option<()> {
        if self.stack_fault(misaligned_sp) {
            return None;
        }
        let rights = self.rights();
        let both = self
            .write_data(env, va, size, first, rights)
            .and_then(|()| self.write_data(env, va.wrapping_add(size), size, second, rights));
        match both {
            Ok(()) => Some(()),
            Err(abort) => {
                self.data_abort(abort, esr::WNR);
                None
            }
        }
    }
}

/// A write to what is only for reading.
#[cold]
fn refuse_write(env: &Env, va: u64, pa: u64) -> Abort {
    if env.ram.note_refused_write(Gpa(pa)) {
        tracing::warn!(
            vcpu = %env.id,
            gpa = %Gpa(pa),
            "the guest wrote to a page that it may only read; it takes an external abort, now and \
             later"
        );
    }
    Abort { va, fault: Fault(status::EXTERNAL) }
}

/// Reads from RAM at a place that is a multiple of `size`.
fn load(ram: &GuestRam, offset: u64, size: u64, order: Order) -> u64 {
    let at = RamOffset(offset);
    match size {
        1 => ram.load::<u8>(at, order).into(),
        2 => ram.load::<u16>(at, order).into(),
        4 => ram.load::<u32>(at, order).into(),
        _ => ram.load::<u64>(at, order),
    }
}

/// Writes to RAM at a place that is a multiple of `size`.
fn store(ram: &GuestRam, offset: u64, size: u64, value: u64, order: Order) {
    let at = RamOffset(offset);
    match size {
        1 => ram.store(at, value as u8, order),
        2 => ram.store(at, value as u16, order),
        4 => ram.store(at, value as u32, order),
        _ => ram.store(at, value, order),
    }
}

/// [`Code::Access`](crate::lower::Code::Access): an extended index register, the rights of EL0,
/// load-acquire and store-release, or a rare combination of width, extension and addressing.
pub(super) fn execute(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let has = |flag| op.aux & flag != 0;
    let base = cpu.x[usize::from(op.n)];
    if cpu.stack_fault(op.n == slot::SP && base & 15 != 0) {
        return Flow::Refetch;
    }
    let size = 1 << (op.aux & field::SIZE);
    let ordered = has(field::ORDERED);
    let rights = Rights {
        half: if has(field::UNPRIVILEGED) { 0 } else { cpu.half },
        aligned: ordered,
        order: if ordered { Order::SeqCst } else { Order::Relaxed },
    };
    debug_assert!(rights.half == 0 || rights.half == HALF);
    let moved = base.wrapping_add(op.imm);
    let va = if has(field::POST) { base } else { moved }.wrapping_add(index(cpu, op));
    if has(field::LOAD) {
        match cpu.read_data(env, va, size, rights) {
            Ok(value) => {
                let unused = 64 - 8 * size;
                let extended = match (has(field::SIGNED), has(field::TO_64)) {
                    (false, _) => value,
                    (true, true) => ((value << unused) as i64 >> unused) as u64,
                    (true, false) => u64::from(((value << unused) as i64 >> unused) as u32),
                };
                cpu.x[usize::from(op.d)] = extended;
            }
            Err(abort) => return cpu.data_abort(abort, 0),
        }
    } else {
        let value = cpu.x[usize::from(op.d)];
        if let Err(abort) = cpu.write_data(env, va, size, value, rights) {
            return cpu.data_abort(abort, esr::WNR);
        }
    }
    if has(field::WRITE_BACK) {
        cpu.x[usize::from(op.n)] = moved;
    }
    Flow::Next
}

/// The index register, extended and shifted.
pub(super) fn index(cpu: &Cpu, op: &Op) -> u64 {
    let shift = op.aux >> field::SHIFT_SHIFT & 7;
    let option = op.aux >> field::EXTEND_SHIFT & 7;
    extended(cpu.x[usize::from(op.m)], option << 8 | shift)
}
