//! Functions of integers and bits.

use super::super::vector::compare;
use super::super::vector::lanes::{Lane, Narrow, signed, signed_narrow, unsigned, unsigned_narrow};
use super::{FORMS, Function, Sources, functions, set, v};
use crate::cpu::Cpu;
use crate::lower::{Direct, Op};

/// `pairs!(macro, sources, of_64_bits, T => f)`: `f` of each two neighbours, those in Vn first.
macro_rules! pairs {
    ($narrow:ident, $s:ident, $of_64_bits:expr, $lane:ident => $f:expr) => {{
        let Sources { n, m, .. } = $s;
        if SIZE == 3 {
            let f: fn(u64, u64) -> u64 = $of_64_bits;
            u128::from(f(n as u64, (n >> 64) as u64))
                | u128::from(f(m as u64, (m >> 64) as u64)) << 64
        } else {
            $narrow!(SIZE, $lane W => {
                let half = |vector| <$lane>::narrow(vector, |pair: W| {
                    ($f)(pair as $lane, (pair >> <$lane>::BITS) as $lane)
                });
                if QUAD {
                    u128::from(half(n)) | u128::from(half(m)) << 64
                } else {
                    half(m << 64 | n & LOW).into()
                }
            })
        }
    }};
}

/// `long!(cpu, op, sources, value)`: sets all of Vd, however long the sources are.
macro_rules! long {
    ($cpu:ident, $op:ident, $s:ident, $value:expr) => {{
        let $s = Sources::of($cpu, $op);
        let value = $value;
        set::<true>($cpu, $op, value);
    }};
}

functions! {
    And vector |s| s.n & s.m;
    Bic vector |s| s.n & !s.m;
    Orr vector |s| s.n | s.m;
    Orn vector |s| s.n | !s.m;
    Eor vector |s| s.n ^ s.m;
    Bsl vector |s| s.m ^ (s.m ^ s.n) & s.d;
    Bit vector |s| s.d ^ (s.d ^ s.n) & s.m;
    Bif vector |s| s.d ^ (s.d ^ s.n) & !s.m;
    Not vector |s| !s.n;

    Add vector |s| unsigned!(SIZE, T => T::map2(s.n, s.m, T::wrapping_add));
    Sub vector |s| unsigned!(SIZE, T => T::map2(s.n, s.m, T::wrapping_sub));
    Mul vector |s| unsigned!(SIZE, T => T::map2(s.n, s.m, T::wrapping_mul));
    Mla vector |s| unsigned!(SIZE, T => {
        T::map3(s.d, s.n, s.m, |d, a, b| d.wrapping_add(a.wrapping_mul(b)))
    });
    Mls vector |s| unsigned!(SIZE, T => {
        T::map3(s.d, s.n, s.m, |d, a, b| d.wrapping_sub(a.wrapping_mul(b)))
    });
    Neg vector |s| signed!(SIZE, T => T::map(s.n, T::wrapping_neg));
    Smax vector |s| signed!(SIZE, T => T::map2(s.n, s.m, T::max));
    Smin vector |s| signed!(SIZE, T => T::map2(s.n, s.m, T::min));
    Umax vector |s| unsigned!(SIZE, T => T::map2(s.n, s.m, T::max));
    Umin vector |s| unsigned!(SIZE, T => T::map2(s.n, s.m, T::min));

    Cmeq vector |s| compare::equal(s.n, s.m, SIZE);
    CmeqZero vector |s| compare::equal(s.n, 0, SIZE);
    Cmgt vector |s| compare::greater(s.n, s.m, SIZE);
    CmgtZero vector |s| compare::greater(s.n, 0, SIZE);
    CmltZero vector |s| compare::greater(0, s.n, SIZE);
    Cmge vector |s| !compare::greater(s.m, s.n, SIZE);
    CmgeZero vector |s| !compare::greater(0, s.n, SIZE);
    CmleZero vector |s| !compare::greater(s.n, 0, SIZE);
    Cmhi vector |s| compare::higher(s.n, s.m, SIZE);
    Cmhs vector |s| !compare::higher(s.m, s.n, SIZE);
    Cmtst vector |s| !compare::equal(s.n & s.m, 0, SIZE);

    Shl vector |s| unsigned!(SIZE, T => T::map(s.n, |a| a.unbounded_shl(s.by)));
    Sli vector |s| unsigned!(SIZE, T => {
        let kept = !(T::MAX.unbounded_shl(s.by));
        T::map2(s.d, s.n, |d, a| d & kept | a.unbounded_shl(s.by))
    });
    Sri vector |s| unsigned!(SIZE, T => {
        let kept = !T::MAX.unbounded_shr(s.by);
        T::map2(s.d, s.n, |d, a| d & kept | a.unbounded_shr(s.by))
    });
    Sshr vector |s| signed!(SIZE, T => T::map(s.n, |a| a.unbounded_shr(s.by)));
    Ushr vector |s| unsigned!(SIZE, T => T::map(s.n, |a| a.unbounded_shr(s.by)));
    Ssra vector |s| signed!(SIZE, T => {
        T::map2(s.d, s.n, |d, a| d.wrapping_add(a.unbounded_shr(s.by)))
    });
    Usra vector |s| unsigned!(SIZE, T => {
        T::map2(s.d, s.n, |d, a| d.wrapping_add(a.unbounded_shr(s.by)))
    });

    Addp vector |s| pairs!(unsigned_narrow, s, u64::wrapping_add, T => T::wrapping_add);
    Smaxp vector |s| pairs!(signed_narrow, s, u64::max, T => T::max);
    Sminp vector |s| pairs!(signed_narrow, s, u64::min, T => T::min);
    Umaxp vector |s| pairs!(unsigned_narrow, s, u64::max, T => T::max);
    Uminp vector |s| pairs!(unsigned_narrow, s, u64::min, T => T::min);
    AddpScalar vector |s| u64::reduce(s.n, u64::wrapping_add).into();
    Addv vector |s| unsigned!(SIZE, T => {
        let n = if QUAD { s.n } else { (s.n as u64).into() };
        T::reduce(n, T::wrapping_add).into()
    });
    // A short vector twice has the same minimum and maximum as it has once.
    Umaxv vector |s| unsigned!(SIZE, T => {
        T::reduce(if QUAD { s.n } else { s.n << 64 | s.n & LOW }, T::max).into()
    });
    Uminv vector |s| unsigned!(SIZE, T => {
        T::reduce(if QUAD { s.n } else { s.n << 64 | s.n & LOW }, T::min).into()
    });

    Uzp1 vector |s| pairs!(unsigned_narrow, s, |even, _| even, T => |even: T, _| even);
    Uzp2 vector |s| pairs!(unsigned_narrow, s, |_, odd| odd, T => |_, odd: T| odd);
    Trn1 vector |s| if SIZE == 3 { s.m << 64 | s.n & LOW } else {
        unsigned_narrow!(SIZE, T W => {
            W::map2(s.n, s.m, |a, b| a & W::from(T::MAX) | b << T::BITS)
        })
    };
    Trn2 vector |s| if SIZE == 3 { s.m & !LOW | s.n >> 64 } else {
        unsigned_narrow!(SIZE, T W => {
            W::map2(s.n, s.m, |a, b| a >> T::BITS | b & !W::from(T::MAX))
        })
    };
    Zip1 vector |s| zipped::<SIZE>(s.n as u64, s.m as u64);
    // All of two short vectors fits into a long one.
    Zip2 vector |s| if QUAD {
        zipped::<SIZE>((s.n >> 64) as u64, (s.m >> 64) as u64)
    } else {
        zipped::<SIZE>(s.n as u64, s.m as u64) >> 64
    };
    Ext vector |s| if QUAD {
        s.n >> s.by | s.m.unbounded_shl(128 - s.by)
    } else {
        (s.m << 64 | s.n & LOW) >> s.by
    };
    Tbl any |cpu, op| {
        let value = looked_up::<SIZE>(cpu, op);
        set::<QUAD>(cpu, op, value);
    };

    Shrn vector |s| narrowed::<QUAD>(s.d, unsigned_narrow!(SIZE, T W => {
        T::narrow(s.n, |a: W| (a >> (s.by % W::BITS)) as T)
    }));
    Xtn vector |s| narrowed::<QUAD>(s.d, unsigned_narrow!(SIZE, T W => {
        T::narrow(s.n, |a: W| a as T)
    }));
    Ushll any |cpu, op| long!(cpu, op, s, unsigned_narrow!(SIZE, T W => {
        W::map(T::extend(half::<QUAD>(s.n)), |a| a << (s.by % W::BITS))
    }));
    Sshll any |cpu, op| long!(cpu, op, s, signed_narrow!(SIZE, T W => {
        W::map(T::extend(half::<QUAD>(s.n)), |a| a << (s.by % W::BITS))
    }));
    Umull any |cpu, op| long!(cpu, op, s, unsigned_narrow!(SIZE, T W => {
        W::map2(T::extend(half::<QUAD>(s.n)), T::extend(half::<QUAD>(s.m)), W::wrapping_mul)
    }));
    Umlal any |cpu, op| long!(cpu, op, s, unsigned_narrow!(SIZE, T W => {
        let (n, m) = (T::extend(half::<QUAD>(s.n)), T::extend(half::<QUAD>(s.m)));
        W::map3(s.d, n, m, |d, a, b| d.wrapping_add(a.wrapping_mul(b)))
    }));
    Smull any |cpu, op| long!(cpu, op, s, signed_narrow!(SIZE, T W => {
        W::map2(T::extend(half::<QUAD>(s.n)), T::extend(half::<QUAD>(s.m)), W::wrapping_mul)
    }));
    Smlal any |cpu, op| long!(cpu, op, s, signed_narrow!(SIZE, T W => {
        let (n, m) = (T::extend(half::<QUAD>(s.n)), T::extend(half::<QUAD>(s.m)));
        W::map3(s.d, n, m, |d, a, b| d.wrapping_add(a.wrapping_mul(b)))
    }));
    Uaddl any |cpu, op| long!(cpu, op, s, unsigned_narrow!(SIZE, T W => {
        W::map2(T::extend(half::<QUAD>(s.n)), T::extend(half::<QUAD>(s.m)), W::wrapping_add)
    }));
    Uaddw any |cpu, op| long!(cpu, op, s, unsigned_narrow!(SIZE, T W => {
        W::map2(s.n, T::extend(half::<QUAD>(s.m)), W::wrapping_add)
    }));

    Cnt vector |s| u8::map(s.n, |a| a.count_ones() as u8);
    Rev16 vector |s| u16::map(s.n, u16::swap_bytes);
    Rev32 vector |s| if SIZE == 0 {
        u32::map(s.n, u32::swap_bytes)
    } else {
        u32::map(s.n, |a| a.rotate_left(16))
    };
    Rev64 vector |s| match SIZE {
        0 => u64::map(s.n, u64::swap_bytes),
        1 => u32::map(u64::map(s.n, |a| a.rotate_left(32)), |a| a.rotate_left(16)),
        _ => u64::map(s.n, |a| a.rotate_left(32)),
    };

    DupElement vector |s| filled::<SIZE>((s.n >> (s.by & 127)) as u64);
    DupScalar vector |s| (s.n >> (s.by & 127)) & u128::from(element_mask(SIZE));
    DupGeneral any |cpu, op| {
        let value = filled::<SIZE>(cpu.x[usize::from(op.n)]);
        set::<QUAD>(cpu, op, value);
    };
    FmovGeneral any |cpu, op| {
        let value = cpu.x[usize::from(op.n)] & element_mask(SIZE);
        set::<false>(cpu, op, value.into());
    };
    Umov any |cpu, op| {
        let value = (v(cpu, op.n) >> (op.imm & 127)) as u64;
        cpu.x[usize::from(op.d)] = value & element_mask(SIZE);
    };
    InsGeneral any |cpu, op| {
        let value = cpu.x[usize::from(op.n)];
        insert::<SIZE>(cpu, op, value);
    };
    InsElement any |cpu, op| {
        let value = (v(cpu, op.n) >> ((u32::from(op.m) << (SIZE + 3)) & 127)) as u64;
        insert::<SIZE>(cpu, op, value);
    };
    Movi any |cpu, op| set::<QUAD>(cpu, op, twice(op.imm));
    OrrImmediate any |cpu, op| {
        let value = v(cpu, op.d) | twice(op.imm);
        set::<QUAD>(cpu, op, value);
    };
    BicImmediate any |cpu, op| {
        let value = v(cpu, op.d) & !twice(op.imm);
        set::<QUAD>(cpu, op, value);
    };
}

const LOW: u128 = u64::MAX as u128;

/// The upper half of a vector, or the lower.
#[inline(always)]
const fn half<const UPPER: bool>(vector: u128) -> u64 {
    (if UPPER { vector >> 64 } else { vector }) as u64
}

/// Vd with a narrow half in its place.
#[inline(always)]
fn narrowed<const UPPER: bool>(d: u128, half: u64) -> u128 {
    if UPPER { u128::from(half) << 64 | d & LOW } else { half.into() }
}

/// The elements of two halves in turn.
#[inline(always)]
fn zipped<const SIZE: u32>(n: u64, m: u64) -> u128 {
    if SIZE == 3 {
        return u128::from(m) << 64 | u128::from(n);
    }
    unsigned_narrow!(SIZE, T W => W::map2(T::extend(n), T::extend(m), |a, b| a | b << T::BITS))
}

/// The bits of an element.
const fn element_mask(size: u32) -> u64 {
    u64::MAX >> (64 - (8 << size))
}

#[inline(always)]
const fn twice(half: u64) -> u128 {
    (half as u128) << 64 | half as u128
}

/// A vector full of the element in the lowest bits of `value`.
#[inline(always)]
fn filled<const SIZE: u32>(value: u64) -> u128 {
    // One in each element.
    let ones = u64::MAX / element_mask(SIZE);
    twice((value & element_mask(SIZE)).wrapping_mul(ones))
}

/// Replaces the element of Vd at the place that `imm` says.
#[inline(always)]
fn insert<const SIZE: u32>(cpu: &mut Cpu, op: &Op, value: u64) {
    let place = op.imm & 127;
    let kept = v(cpu, op.d) & !(u128::from(element_mask(SIZE)) << place);
    let value = kept | u128::from(value & element_mask(SIZE)) << place;
    set::<true>(cpu, op, value);
}

/// TBL of `COUNT_1 + 1` registers: bytes of the table, 0 where an index is beyond it.
#[inline(always)]
fn looked_up<const COUNT_1: u32>(cpu: &Cpu, op: &Op) -> u128 {
    let mut table = [0; 64];
    let (vectors, _) = table.as_chunks_mut::<16>();
    for number in 0..=COUNT_1 as u8 {
        vectors[usize::from(number)] = v(cpu, op.n.wrapping_add(number)).to_le_bytes();
    }
    let length = 16 * (COUNT_1 as u8 + 1);
    u8::map(v(cpu, op.m), |at| if at < length { table[usize::from(at % 64)] } else { 0 })
}
