//! Devices of the board: pure state machines.
//!
//! A device takes accesses, input and the time as arguments, and hands back what it sends. It does
//! no I/O, reads no clock and holds no lock. After every call that may change it, `irq_level` says
//! how its interrupt line stands. All share one shape: `read`, `write`, `irq_level`, `save`, and
//! `restore` as a constructor.
//!
//! Every offset, size and value is the guest's and therefore possible.

mod fuzz;
mod pl011;
#[cfg(test)]
mod pl011_tests;
mod pl031;
#[cfg(test)]
mod pl031_tests;
pub mod virtio;
pub mod vmclock;

use abide_reg::{Intake, IntakeError, RegDef, Value};

pub use fuzz::{fuzz_pl011, fuzz_pl031};
pub use pl011::{PL011_TABLE, Pl011};
pub use pl031::{PL031_TABLE, Pl031};

/// Registers stand at multiples of 4 bytes and are reached by 8, 16 or 32 bits from there; all
/// other accesses read as zero and write nothing.
fn is_register_access(offset: u64, size: usize) -> bool {
    offset.is_multiple_of(4) && matches!(size, 1 | 2 | 4)
}

/// The part of a register that an access of `size` bytes carries.
fn low_bytes(value: u64, size: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "registers have 32 bits")]
    let value = value as u32;
    match size {
        1 => value & 0xff,
        2 => value & 0xffff,
        _ => value,
    }
}

/// A PrimeCell's peripheral and cell ids, one byte in each word from 0xfe0; 0 elsewhere.
fn id_register(offset: u64, ids: &[u8; 8]) -> u16 {
    let index = offset.checked_sub(0xfe0).and_then(|bytes| usize::try_from(bytes / 4).ok());
    index.and_then(|index| ids.get(index)).copied().map_or(0, u16::from)
}

/// Takes a saved 32-bit register that has no other bits than `mask`.
fn take_masked(
    intake: &mut Intake,
    def: &RegDef,
    mask: u32,
    allowed: &'static str,
) -> Result<u32, IntakeError> {
    let number = intake.u32(def)?;
    if number & !mask == 0 {
        return Ok(number);
    }
    Err(IntakeError::Value { id: def.id, found: Value::u32(number), allowed })
}
