//! Scalar floating point.

use crate::cpu::Cpu;
use crate::decode::{ScalarFp, fields};

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, kind: ScalarFp, word: u32) {
    let (d, n) = (usize::from(fields::rd(word)), usize::from(fields::rn(word)));
    let is_double = word >> 22 & 1 == 1;
    match kind {
        ScalarFp::FmovRegister => {
            let mask = if is_double { u64::MAX } else { u32::MAX.into() };
            cpu.v[d] = cpu.v[n] & u128::from(mask);
        }
    }
}
