//! Advanced SIMD on floating-point numbers: vectors, and one element of them.

use crate::cpu::Cpu;
use crate::decode::{Extension, SimdFp, fields};
use crate::float::{Context, Double, Half, Host, Rounding, Single, convert, neg};

use super::vector_fp_lanes::{Binary, across, binary, fixed_point, mul_add, pairwise, unary};

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, kind: SimdFp, word: u32) {
    let context = &mut Context::new(cpu.fpcr, cpu.fpsr);
    let result = match kind {
        SimdFp::Fcvtl => widen(cpu, word, context),
        SimdFp::Fcvtn | SimdFp::Fcvtxn => narrow(cpu, kind, word, context),
        _ if kind.extension(word) == Extension::Fp16 => {
            execute_in::<Half>(cpu, kind, word, context)
        }
        _ if is_double(kind, word) => execute_in::<Double>(cpu, kind, word, context),
        _ => execute_in::<Single>(cpu, kind, word, context),
    };
    cpu.fpsr = context.fpsr;
    cpu.v[usize::from(fields::rd(word))] = result;
}

/// Whether elements that are not of half precision are of double precision.
fn is_double(kind: SimdFp, word: u32) -> bool {
    // `op`; else `sz`, or the highest bit of `immh`.
    let place = if kind == SimdFp::FmovVectorImmediate { 29 } else { 22 };
    word >> place & 1 == 1
}

/// A vector of elements.
#[derive(Clone, Copy)]
struct Lanes(u128);

impl Lanes {
    fn get<F: Host>(self, index: u32) -> u64 {
        (self.0 >> (index * F::BITS)) as u64 & F::MASK
    }

    /// A vector of what `element` says for each place.
    fn collect<F: Host>(count: u32, mut element: impl FnMut(u32) -> u64) -> u128 {
        (0..count).fold(0, |vector, index| vector | u128::from(element(index)) << (index * F::BITS))
    }
}

/// How many elements there are: one in the scalar forms, else as `Q` says.
fn lane_count<F: Host>(word: u32) -> u32 {
    match (word >> 28 & 1, word >> 30 & 1) {
        (1, _) => 1,
        (_, quad) => (64 << quad) / F::BITS,
    }
}

/// The result in elements of one format.
fn execute_in<F: Host>(cpu: &Cpu, kind: SimdFp, word: u32, context: &mut Context) -> u128 {
    let count = lane_count::<F>(word);
    let register = |number: u8| Lanes(cpu.v[usize::from(number)]);
    let n = register(fields::rn(word));
    if let Some(function) = unary::<F>(kind, context) {
        return Lanes::collect::<F>(count, |index| function(n.get::<F>(index), context));
    }
    if let Some(function) = fixed_point::<F>(kind) {
        let places = 2 * F::BITS - (word >> 16 & 0x7f);
        return Lanes::collect::<F>(count, |index| function(n.get::<F>(index), places, context));
    }
    if let Some(function) = across::<F>(kind) {
        return reduce::<F>(n, 0, count, function, context).into();
    }
    if let Some(function) = pairwise::<F>(kind) {
        let m = register(fields::rm(word));
        return pairs::<F>(n, m, word, function, context);
    }
    if kind == SimdFp::FmovVectorImmediate {
        let imm8 = (word >> 16 & 7) << 5 | word >> 5 & 0x1f;
        return Lanes::collect::<F>(count, |_| F::expand_immediate(imm8));
    }
    let second = second_source::<F>(cpu, kind, word, count);
    if let Some(function) = binary::<F>(kind) {
        return Lanes::collect::<F>(count, |index| {
            function(n.get::<F>(index), second.get::<F>(index), context)
        });
    }
    let subtract = matches!(kind, SimdFp::FmlsVector | SimdFp::FmlsByElement);
    let d = register(fields::rd(word));
    Lanes::collect::<F>(count, |index| {
        let a = n.get::<F>(index);
        let a = if subtract { neg::<F>(a) } else { a };
        mul_add::<F>(d.get::<F>(index), a, second.get::<F>(index), context)
    })
}

/// The second source: a register, or copies of one element.
fn second_source<F: Host>(cpu: &Cpu, kind: SimdFp, word: u32, count: u32) -> Lanes {
    let by_element = matches!(
        kind,
        SimdFp::FmlaByElement
            | SimdFp::FmlsByElement
            | SimdFp::FmulByElement
            | SimdFp::FmulxByElement
    );
    let register = usize::from(fields::rm(word));
    if !by_element {
        return Lanes(cpu.v[register]);
    }
    // H, L and M: as many as the index needs; else M is part of the register's number.
    let (h, l, m) = (word >> 11 & 1, word >> 21 & 1, word >> 20 & 1);
    let (register, index) = match F::BITS {
        16 => (register & 15, h << 2 | l << 1 | m),
        32 => (register, h << 1 | l),
        _ => (register, h),
    };
    let element = Lanes(cpu.v[register]).get::<F>(index);
    Lanes(Lanes::collect::<F>(count, |_| element))
}

/// Both halves reduced, then one with the other [DDI0487 J1 Reduce].
fn reduce<F: Host>(
    lanes: Lanes,
    first: u32,
    count: u32,
    function: Binary,
    context: &mut Context,
) -> u64 {
    if count == 1 {
        return lanes.get::<F>(first);
    }
    let low = reduce::<F>(lanes, first, count / 2, function, context);
    let high = reduce::<F>(lanes, first + count / 2, count / 2, function, context);
    function(low, high, context)
}

/// Neighbours in the first source, then in the second; or the two of a scalar form.
fn pairs<F: Host>(n: Lanes, m: Lanes, word: u32, function: Binary, context: &mut Context) -> u128 {
    let count = lane_count::<F>(word);
    Lanes::collect::<F>(count, |index| {
        let place = 2 * index;
        let (source, place) = if place < count.max(2) { (n, place) } else { (m, place - count) };
        function(source.get::<F>(place), source.get::<F>(place + 1), context)
    })
}

/// FCVTL: elements of one half in a format of twice their width.
fn widen(cpu: &Cpu, word: u32, context: &mut Context) -> u128 {
    let n = cpu.v[usize::from(fields::rn(word))];
    let half = Lanes(if word >> 30 & 1 == 1 { n >> 64 } else { n });
    let mode = context.fpcr.rounding();
    if word >> 22 & 1 == 1 {
        Lanes::collect::<Double>(2, |index| {
            convert::<Single, Double>(half.get::<Single>(index), mode, context)
        })
    } else {
        Lanes::collect::<Single>(4, |index| {
            convert::<Half, Single>(half.get::<Half>(index), mode, context)
        })
    }
}

/// FCVTN, FCVTXN: elements in a format of half their width, as the low half of a vector or as the
/// high half that is put on top of the low one.
fn narrow(cpu: &Cpu, kind: SimdFp, word: u32, context: &mut Context) -> u128 {
    let n = Lanes(cpu.v[usize::from(fields::rn(word))]);
    let scalar = word >> 28 & 1 == 1;
    let mode = if kind == SimdFp::Fcvtxn { Rounding::Odd } else { context.fpcr.rounding() };
    let half = if word >> 22 & 1 == 1 {
        Lanes::collect::<Single>(if scalar { 1 } else { 2 }, |index| {
            convert::<Double, Single>(n.get::<Double>(index), mode, context)
        })
    } else {
        Lanes::collect::<Half>(4, |index| {
            convert::<Single, Half>(n.get::<Single>(index), mode, context)
        })
    };
    if scalar || word >> 30 & 1 == 0 {
        return half;
    }
    half << 64 | u128::from(cpu.v[usize::from(fields::rd(word))] as u64)
}
