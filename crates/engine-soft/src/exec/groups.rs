//! Instructions outside the base set, by group.

use crate::cpu::{Cpu, Env, Flow};
use crate::decode::{Atomic, Crypto, ScalarFp, Simd, SimdFp, Structures};
use crate::lower::{Group, Op};

use super::{atomic, crypto, scalar_fp, simd, structures, system, vector, vector_fp};

/// [`Code::Group`](crate::lower::Code::Group): finds the group, and the kind in it.
///
/// An instruction that the ID registers hide is UNDEFINED even where the registers it would use are
/// switched off, so that is asked first.
#[inline(never)]
pub(super) fn execute(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let word = op.imm as u32;
    let number = usize::from(op.aux as u8);
    let group = Group::ALL[op.aux as usize >> 8];
    let extension = match group {
        Group::ScalarFp => ScalarFp::ALL[number].extension(word),
        Group::Simd => Simd::ALL[number].extension(word),
        Group::SimdFp => SimdFp::ALL[number].extension(word),
        Group::Crypto => Crypto::ALL[number].extension(word),
        Group::Structures => Structures::ALL[number].extension(word),
        Group::Atomic => Atomic::ALL[number].extension(word),
    };
    if !cpu.ids.has(extension) {
        return system::hidden(cpu, env, word);
    }
    if group != Group::Atomic
        && let Err(flow) = simd::check(cpu)
    {
        return flow;
    }
    match group {
        Group::ScalarFp => scalar_fp::execute(cpu, ScalarFp::ALL[number], word),
        Group::Simd => vector::execute(cpu, Simd::ALL[number], word),
        Group::SimdFp => vector_fp::execute(cpu, SimdFp::ALL[number], word),
        Group::Crypto => crypto::execute(cpu, Crypto::ALL[number], word),
        Group::Structures => return structures::execute(cpu, env, word),
        Group::Atomic => return atomic::execute(cpu, env, Atomic::ALL[number], word),
    }
    Flow::Next
}
