//! Loads and stores of structures.
//!
//! A load that aborts leaves every register as it was; a store that aborts has stored the elements
//! before the one at fault. The architecture allows more than that [DDI0487 B2.2].

use crate::cpu::{Cpu, Env, Flow, esr};
use crate::decode::fields;
use crate::lower::slot;
use crate::tlb::{DEVICE, Entry, PAGE_MASK};
use abide_memory::{GuestRam, Order, RamOffset};

use super::access::Abort;

/// The most that one instruction moves.
const BYTES_MAX: usize = 64;

/// What an instruction moves: elements that follow each other in memory.
struct Shape {
    element_bytes: usize,
    /// Elements side by side in memory, one for each of as many registers.
    per_structure: usize,
    /// Bytes of a register that take part.
    register_bytes: usize,
    form: Form,
}

enum Form {
    /// Whole registers, this many groups of them one after the other.
    Multiple { repeats: usize },
    /// The element of this number.
    Single { index: usize },
    /// The same element everywhere.
    Replicated,
}

impl Shape {
    /// The operands of a word of the table [DDI0487 C7.2 LD1 to ST4, "Shared decode"].
    fn of(word: u32) -> Self {
        let bits = |place: u32, mask: u32| (word >> place & mask) as usize;
        let (quad, size) = (bits(30, 1), bits(10, 3));
        let register_bytes = 8 << quad;
        if word >> 24 & 1 == 0 {
            let (repeats, per_structure) = match word >> 12 & 15 {
                0b0000 => (1, 4),
                0b0010 => (4, 1),
                0b0100 => (1, 3),
                0b0110 => (3, 1),
                0b1000 => (1, 2),
                0b1010 => (2, 1),
                _ => (1, 1),
            };
            let form = Form::Multiple { repeats };
            return Self { element_bytes: 1 << size, per_structure, register_bytes, form };
        }
        let per_structure = (bits(13, 1) << 1 | bits(21, 1)) + 1;
        let index = quad << 3 | bits(12, 1) << 2 | size;
        let (size, form) = match word >> 14 & 3 {
            0 => (0, Form::Single { index }),
            1 => (1, Form::Single { index: index >> 1 }),
            2 if size == 0 => (2, Form::Single { index: index >> 2 }),
            2 => (3, Form::Single { index: quad }),
            _ => (size, Form::Replicated),
        };
        Self { element_bytes: 1 << size, per_structure, register_bytes, form }
    }

    /// Bytes in memory.
    fn total(&self) -> usize {
        match self.form {
            Form::Multiple { repeats } => repeats * self.per_structure * self.register_bytes,
            _ => self.per_structure * self.element_bytes,
        }
    }
}

/// The bytes in memory that a word of the table is about.
pub(super) fn length(word: u32) -> u64 {
    Shape::of(word).total() as u64
}

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, env: &Env, word: u32) -> Flow {
    const LOAD: u32 = 1 << 22;
    const POST_INDEXED: u32 = 1 << 23;
    let n = fields::rn(word);
    let n = usize::from(if n == 31 { slot::SP } else { n });
    let va = cpu.x[n];
    if cpu.stack_fault(n == usize::from(slot::SP) && va & 15 != 0) {
        return Flow::Refetch;
    }
    let shape = Shape::of(word);
    let first = usize::from(fields::rt(word));
    let mut memory = [0; BYTES_MAX];
    let bytes = &mut memory[..shape.total()];
    if word & LOAD != 0 {
        if let Err(abort) = read(cpu, env, va, bytes, shape.element_bytes) {
            return cpu.data_abort(abort, 0);
        }
        take(cpu, &shape, first, bytes);
    } else {
        give(cpu, &shape, first, bytes);
        if let Err(abort) = write(cpu, env, va, bytes, shape.element_bytes) {
            return cpu.data_abort(abort, esr::WNR);
        }
    }
    if word & POST_INDEXED != 0 {
        let offset = match fields::rm(word) {
            31 => bytes.len() as u64,
            m => cpu.x[usize::from(m)],
        };
        cpu.x[n] = va.wrapping_add(offset);
    }
    Flow::Next
}

/// The element at the beginning of `bytes`.
fn element(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte))
}

/// From memory into registers.
fn take(cpu: &mut Cpu, shape: &Shape, first: usize, bytes: &[u8]) {
    let (size, per_structure) = (shape.element_bytes, shape.per_structure);
    match shape.form {
        Form::Multiple { .. } if per_structure == 1 => {
            for (at, chunk) in bytes.chunks(shape.register_bytes).enumerate() {
                cpu.v[(first + at) % 32] = element(chunk);
            }
        }
        Form::Multiple { .. } => {
            for at in 0..per_structure {
                let places = (0..shape.register_bytes / size).rev();
                cpu.v[(first + at) % 32] = places.fold(0, |vector, place| {
                    let start = (place * per_structure + at) * size;
                    vector << (8 * size % 128) | element(&bytes[start..start + size])
                });
            }
        }
        Form::Single { index } => {
            for (at, chunk) in bytes.chunks(size).enumerate() {
                let place = 8 * size * index;
                let mask = u128::MAX >> (128 - 8 * size) << place;
                let register = &mut cpu.v[(first + at) % 32];
                *register = *register & !mask | element(chunk) << place;
            }
        }
        Form::Replicated => {
            for (at, chunk) in bytes.chunks(size).enumerate() {
                let places = (0..8 * shape.register_bytes).step_by(8 * size);
                cpu.v[(first + at) % 32] =
                    places.fold(0, |vector, place| vector | element(chunk) << place);
            }
        }
    }
}

/// From registers into memory.
fn give(cpu: &Cpu, shape: &Shape, first: usize, bytes: &mut [u8]) {
    let (size, per_structure) = (shape.element_bytes, shape.per_structure);
    for (number, chunk) in bytes.chunks_mut(size).enumerate() {
        let (register, index) = match shape.form {
            Form::Multiple { .. } if per_structure == 1 => {
                let per_register = shape.register_bytes / size;
                (number / per_register, number % per_register)
            }
            Form::Multiple { .. } => (number % per_structure, number / per_structure),
            Form::Single { index } => (number, index),
            Form::Replicated => (number, 0),
        };
        let value = cpu.v[(first + register) % 32].to_le_bytes();
        chunk.copy_from_slice(&value[size * index..size * (index + 1)]);
    }
}

/// The place in RAM of an access that lies in one page of ordinary memory of which `tag` and
/// `entry` of the TLB know.
fn quick(cpu: &Cpu, va: u64, length: usize, element_bytes: usize) -> Option<Entry> {
    let entry = *cpu.tlb.entry(cpu.half, va);
    let last = va.wrapping_add(length as u64 - 1);
    let aligned = va & (element_bytes as u64 - 1) == 0 || !cpu.checks_alignment();
    let same_page = (va ^ last) & PAGE_MASK == 0;
    (same_page && aligned && entry.flags & DEVICE == 0).then_some(entry)
}

/// The bytes that are moved at once: so many that each aligned element is moved whole.
fn granule(offset: u64, length: usize) -> usize {
    1 << (offset | length as u64 | 8).trailing_zeros()
}

fn read(
    cpu: &mut Cpu,
    env: &Env,
    va: u64,
    bytes: &mut [u8],
    element_bytes: usize,
) -> Result<(), Abort> {
    if let Some(entry) = quick(cpu, va, bytes.len(), element_bytes)
        && entry.read == va & PAGE_MASK
    {
        let offset = va.wrapping_add(entry.addend);
        let size = granule(offset, bytes.len());
        for (at, chunk) in (offset..).step_by(size).zip(bytes.chunks_mut(size)) {
            copy_from(env.ram, RamOffset(at), chunk);
        }
        return Ok(());
    }
    let rights = cpu.rights();
    for (at, chunk) in (0..).step_by(element_bytes).zip(bytes.chunks_mut(element_bytes)) {
        let value = cpu.read_data(env, va.wrapping_add(at), element_bytes as u64, rights)?;
        chunk.copy_from_slice(&value.to_le_bytes()[..element_bytes]);
    }
    Ok(())
}

fn write(
    cpu: &mut Cpu,
    env: &Env,
    va: u64,
    bytes: &[u8],
    element_bytes: usize,
) -> Result<(), Abort> {
    if let Some(entry) = quick(cpu, va, bytes.len(), element_bytes)
        && entry.write == va & PAGE_MASK
    {
        let offset = va.wrapping_add(entry.addend);
        let size = granule(offset, bytes.len());
        for (at, chunk) in (offset..).step_by(size).zip(bytes.chunks(size)) {
            copy_to(env.ram, RamOffset(at), chunk);
        }
        return Ok(());
    }
    let rights = cpu.rights();
    for (at, chunk) in (0..).step_by(element_bytes).zip(bytes.chunks(element_bytes)) {
        let value = element(chunk) as u64;
        cpu.write_data(env, va.wrapping_add(at), element_bytes as u64, value, rights)?;
    }
    Ok(())
}

fn copy_from(ram: &GuestRam, at: RamOffset, chunk: &mut [u8]) {
    const ORDER: Order = Order::Relaxed;
    match chunk.len() {
        1 => chunk[0] = ram.load(at, ORDER),
        2 => chunk.copy_from_slice(&ram.load::<u16>(at, ORDER).to_le_bytes()),
        4 => chunk.copy_from_slice(&ram.load::<u32>(at, ORDER).to_le_bytes()),
        _ => chunk.copy_from_slice(&ram.load::<u64>(at, ORDER).to_le_bytes()),
    }
}

fn copy_to(ram: &GuestRam, at: RamOffset, chunk: &[u8]) {
    const ORDER: Order = Order::Relaxed;
    let value = element(chunk);
    match chunk.len() {
        1 => ram.store(at, value as u8, ORDER),
        2 => ram.store(at, value as u16, ORDER),
        4 => ram.store(at, value as u32, ORDER),
        _ => ram.store(at, value as u64, ORDER),
    }
}
