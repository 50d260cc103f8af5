//! Instructions outside the base set, by group.

use crate::cpu::{Cpu, Env, Flow};
use crate::decode::{Atomic, Crypto, ScalarFp, Simd, SimdFp};
use crate::lower::{Group, Op};

use super::{atomic, crypto, scalar_fp, simd, structures, vector, vector_fp};

/// [`Code::Group`](crate::lower::Code::Group): finds the group, and the kind in it.
///
/// What the ID registers hide is no op of this kind: it is UNDEFINED even where the registers that
/// it would use are switched off.
#[inline(never)]
pub(super) fn execute(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let word = op.imm as u32;
    let number = usize::from(op.aux as u8);
    let group = Group::ALL[usize::from((op.aux >> 8) as u8)];
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
