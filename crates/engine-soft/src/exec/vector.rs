//! Advanced SIMD on integers.

use crate::cpu::Cpu;
use crate::decode::{Simd, fields};

/// Executes an instruction that is neither hidden nor switched off; tells whether it could.
pub(super) fn execute(cpu: &mut Cpu, kind: Simd, word: u32) -> bool {
    let (d, n) = (usize::from(fields::rd(word)), usize::from(fields::rn(word)));
    match kind {
        Simd::DupGeneral => {
            let size_bits = 8u32 << (word >> 16 & 31).trailing_zeros();
            let element = u128::from(cpu.x[n]) & (u128::MAX >> (128 - size_bits));
            let vector_bits = if word >> 30 & 1 == 1 { 128 } else { 64 };
            let places = (0..vector_bits).step_by(size_bits as usize);
            cpu.v[d] = places.fold(0, |vector, place| vector | element << place);
        }
        _ => return false,
    }
    true
}
