//! What memory an instruction is about to access, for watchpoints.

use crate::cpu::{Cpu, Env, esr};
use crate::decode::{Atomic, Kind, decode, fields};
use crate::lower::slot;
use crate::mmu::{Access, sctlr};
use crate::sysreg::Slot;

use super::structures;

/// A data access.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataAccess {
    pub va: u64,
    pub bytes: u64,
    pub load: bool,
    pub store: bool,
    /// With the rights of EL0.
    pub unprivileged: bool,
    /// More bits of the syndrome.
    pub syndrome: u64,
    /// The multiple of which the address has to be, or another exception comes first.
    align: u64,
    /// The base is SP, and this is its value.
    stack: Option<u64>,
    vector: bool,
}

/// Whether a watchpoint with these registers covers the byte at `va`
/// [DDI0487 J1 AArch64.WatchpointByteMatch].
pub(super) fn covers(value: u64, control: u64, va: u64) -> bool {
    // Bits 48:0 are compared; a tag is not.
    let same = |low: u32| ((va ^ value) << 15) >> 15 >> low == 0;
    let mask = (control >> 24 & 0x1f) as u32;
    if mask > 2 {
        return same(mask);
    }
    let selected = control >> 5 & 0xff;
    // A value with bit 2 set watches 4 bytes.
    let low = if value & 4 != 0 { 2 } else { 3 };
    same(low) && selected >> (va & ((1 << low) - 1)) & 1 != 0
}

fn x(cpu: &Cpu, number: u8) -> u64 {
    cpu.x[usize::from(number)]
}

/// The access that `word` makes if nothing else happens before it; `None` if it makes none.
pub(super) fn data_access(cpu: &Cpu, word: u32) -> Option<DataAccess> {
    let kind = decode(word);
    let hidden = match kind {
        Kind::Structures(kind) => !cpu.ids.has(kind.extension(word)),
        Kind::Atomic(kind) => !cpu.ids.has(kind.extension(word)),
        Kind::Unallocated | Kind::Unimplemented(_) => true,
        // FEAT_LOR is hidden.
        Kind::Ldlarb | Kind::Ldlarh | Kind::Ldlar => true,
        Kind::Stllrb | Kind::Stllrh | Kind::Stllr => true,
        _ => false,
    };
    if hidden {
        return None;
    }
    if kind == Kind::Sys {
        return zero_block(cpu, word);
    }
    // Bits 28:25 = x1x0 are loads and stores.
    if word >> 25 & 5 != 4 {
        return None;
    }
    let n = fields::rn(word);
    let base = x(cpu, if n == 31 { slot::SP } else { n });
    let access = DataAccess {
        va: base,
        bytes: 0,
        load: word >> 22 & 1 == 1,
        store: word >> 22 & 1 == 0,
        unprivileged: false,
        syndrome: 0,
        align: 1,
        stack: (n == 31).then_some(base),
        vector: word >> 26 & 1 == 1,
    };
    match (word >> 27 & 7, kind) {
        (_, Kind::Structures(_)) => Some(DataAccess { bytes: structures::length(word), ..access }),
        (_, Kind::Atomic(kind)) => Some(atomic(kind, word, access)),
        (1, _) => {
            let bytes = 1 << fields::exclusive_size_log2(word);
            // Bit 23 is clear and bit 21 set for pairs.
            let bytes = if word >> 21 & 5 == 1 { 2 * bytes } else { bytes };
            Some(DataAccess { bytes, align: bytes, ..access })
        }
        (3, _) => literal(cpu, word, kind, access),
        (5, _) => Some(pair(word, access)),
        _ => one(cpu, word, kind, access),
    }
}

/// DC ZVA is a store, and so is DC IVAC.
fn zero_block(cpu: &Cpu, word: u32) -> Option<DataAccess> {
    let (bytes, syndrome) = match fields::system_register(word) & 0x3fff {
        // op1 3, CRn 7, CRm 4, op2 1; op1 0, CRn 7, CRm 6, op2 1.
        0x1ba1 => (64, 0),
        0x03b1 => (64, esr::CM),
        _ => return None,
    };
    Some(DataAccess {
        va: x(cpu, fields::rt(word)) & !63,
        bytes,
        load: false,
        store: true,
        unprivileged: false,
        syndrome,
        align: 1,
        stack: None,
        vector: false,
    })
}

fn atomic(kind: Atomic, word: u32, access: DataAccess) -> DataAccess {
    let bytes = match kind {
        Atomic::Casp => 8 << (word >> 30 & 1),
        _ => 1 << (word >> 30),
    };
    DataAccess { bytes, align: bytes, load: true, store: kind != Atomic::Ldapr, ..access }
}

fn literal(cpu: &Cpu, word: u32, kind: Kind, access: DataAccess) -> Option<DataAccess> {
    if kind == Kind::PrfmLiteral {
        return None;
    }
    let bytes = match (access.vector, word >> 30) {
        (true, opc) => 4 << opc,
        (false, 1) => 8,
        (false, _) => 4,
    };
    let va = cpu.pc.wrapping_add_signed(fields::imm19_offset(word));
    Some(DataAccess { va, bytes, load: true, store: false, stack: None, ..access })
}

fn pair(word: u32, access: DataAccess) -> DataAccess {
    let size = if access.vector {
        fields::simd_pair_size_log2(word)
    } else {
        fields::pair_size_log2(word)
    };
    let post = word >> 23 & 3 == 1;
    let offset = if post { 0 } else { fields::pair_offset(word, size) };
    DataAccess { va: access.va.wrapping_add_signed(offset), bytes: 2 << size, ..access }
}

/// One register with an immediate or a register as offset.
fn one(cpu: &Cpu, word: u32, kind: Kind, access: DataAccess) -> Option<DataAccess> {
    if matches!(kind, Kind::Prfum | Kind::PrfmImmediate | Kind::PrfmRegister) {
        return None;
    }
    let transfer = fields::transfer(word);
    let (size, load) = if access.vector {
        (fields::simd_size_log2(word), fields::is_load(word))
    } else {
        (transfer.size_log2, transfer.load)
    };
    // Bit 24: unsigned offset; else bit 21: register; else bits 11:10.
    let va = match (word >> 24 & 1, word >> 21 & 1, word >> 10 & 3) {
        (1, ..) => access.va.wrapping_add(fields::unsigned_offset(word, size)),
        (_, 1, _) => {
            let index = fields::extend_type(word).extend(x(cpu, fields::rm(word)));
            access.va.wrapping_add(index << fields::register_offset_shift(word, size))
        }
        (_, _, 1) => access.va,
        _ => access.va.wrapping_add_signed(fields::signed_offset(word)),
    };
    let unprivileged =
        !access.vector && word >> 24 & 1 == 0 && word >> 21 & 1 == 0 && word >> 10 & 3 == 2;
    Some(DataAccess { va, bytes: 1 << size, load, store: !load, unprivileged, ..access })
}

/// Whether the access gets as far as a watchpoint: no exception of higher priority comes first
/// [DDI0487 D1.3.5 Synchronous exception prioritization].
pub(super) fn reaches_memory(cpu: &mut Cpu, env: &Env, access: &DataAccess) -> bool {
    let control = cpu.sys(Slot::SctlrEl1);
    let stack_checked = if cpu.el == 0 { sctlr::SA0 } else { sctlr::SA };
    let stack_fault = access.stack.is_some_and(|sp| sp & 15 != 0) && control & stack_checked != 0;
    let trapped = access.vector && !cpu.simd_open;
    if stack_fault || trapped || access.va & (access.align - 1) != 0 {
        return false;
    }
    let half = if access.unprivileged { 0 } else { cpu.half };
    let kind = if access.store { Access::Write } else { Access::Read };
    let last = access.va.wrapping_add(access.bytes - 1);
    [access.va, last].into_iter().all(|va| cpu.locate(env, va, kind, half).is_ok())
}
