//! What instructions on floating-point vectors do with their elements.

use crate::decode::SimdFp;
use crate::float::{
    self, Context, Host, Integer, Rounding, Which, fixed_to_fp, fp_to_fixed, max_min, round_int,
};

pub(super) use crate::float::mul_add;

/// A function of one element.
pub(super) type Unary = fn(u64, &mut Context) -> u64;
/// A function of two elements.
pub(super) type Binary = fn(u64, u64, &mut Context) -> u64;
/// A conversion of one element from or to so many binary places.
pub(super) type FixedPoint = fn(u64, u32, &mut Context) -> u64;

/// All ones where a comparison holds.
fn mask<F: Host>(holds: bool) -> u64 {
    if holds { F::MASK } else { 0 }
}

/// Of instructions with two sources, element by element.
pub(super) fn binary<F: Host>(kind: SimdFp) -> Option<Binary> {
    Some(match kind {
        SimdFp::FaddVector => float::add::<F>,
        SimdFp::FsubVector => float::sub::<F>,
        SimdFp::FmulVector | SimdFp::FmulByElement => float::mul::<F>,
        SimdFp::Fmulx | SimdFp::FmulxByElement => float::mulx::<F>,
        SimdFp::FdivVector => float::div::<F>,
        SimdFp::Fabd => |a, b, context| float::abs::<F>(float::sub::<F>(a, b, context)),
        SimdFp::Frecps => float::recip_step_fused::<F>,
        SimdFp::Frsqrts => float::rsqrt_step_fused::<F>,
        SimdFp::FmaxVector => max::<F>,
        SimdFp::FminVector => min::<F>,
        SimdFp::FmaxnmVector => max_num::<F>,
        SimdFp::FminnmVector => min_num::<F>,
        SimdFp::FcmeqRegister => |a, b, context| mask::<F>(float::compare_eq::<F>(a, b, context)),
        SimdFp::FcmgeRegister => |a, b, context| mask::<F>(float::compare_ge::<F>(a, b, context)),
        SimdFp::FcmgtRegister => |a, b, context| mask::<F>(float::compare_gt::<F>(a, b, context)),
        SimdFp::Facge => |a, b, context| {
            mask::<F>(float::compare_ge::<F>(float::abs::<F>(a), float::abs::<F>(b), context))
        },
        SimdFp::Facgt => |a, b, context| {
            mask::<F>(float::compare_gt::<F>(float::abs::<F>(a), float::abs::<F>(b), context))
        },
        _ => return None,
    })
}

fn max<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    max_min::<F>(Which::Max, a, b, context)
}

fn min<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    max_min::<F>(Which::Min, a, b, context)
}

fn max_num<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    max_min::<F>(Which::MaxNum, a, b, context)
}

fn min_num<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    max_min::<F>(Which::MinNum, a, b, context)
}

/// Of instructions that join neighbours.
pub(super) fn pairwise<F: Host>(kind: SimdFp) -> Option<Binary> {
    Some(match kind {
        SimdFp::FaddpVector | SimdFp::FaddpScalar => float::add::<F>,
        SimdFp::FmaxpVector | SimdFp::FmaxpScalar => max::<F>,
        SimdFp::FminpVector | SimdFp::FminpScalar => min::<F>,
        SimdFp::FmaxnmpVector | SimdFp::FmaxnmpScalar => max_num::<F>,
        SimdFp::FminnmpVector | SimdFp::FminnmpScalar => min_num::<F>,
        _ => return None,
    })
}

/// Of instructions that make one element of a vector.
pub(super) fn across<F: Host>(kind: SimdFp) -> Option<Binary> {
    Some(match kind {
        SimdFp::Fmaxv => max::<F>,
        SimdFp::Fminv => min::<F>,
        SimdFp::Fmaxnmv => max_num::<F>,
        SimdFp::Fminnmv => min_num::<F>,
        _ => return None,
    })
}

const fn signed<F: Host>() -> Integer {
    Integer { bits: F::BITS, unsigned: false }
}

const fn unsigned<F: Host>() -> Integer {
    Integer { bits: F::BITS, unsigned: true }
}

/// Of instructions with one source, element by element; those that round as FPCR says look there.
pub(super) fn unary<F: Host>(kind: SimdFp, context: &Context) -> Option<Unary> {
    let current = context.fpcr.rounding();
    Some(match kind {
        SimdFp::FabsVector => |a, _| float::abs::<F>(a),
        SimdFp::FnegVector => |a, _| float::neg::<F>(a),
        SimdFp::FsqrtVector => float::sqrt::<F>,
        SimdFp::Frecpe => float::recip_estimate::<F>,
        SimdFp::Frsqrte => float::rsqrt_estimate::<F>,
        SimdFp::Frecpx => float::recip_x::<F>,
        SimdFp::FcmeqZero => |a, context| mask::<F>(float::compare_eq::<F>(a, 0, context)),
        SimdFp::FcmgeZero => |a, context| mask::<F>(float::compare_ge::<F>(a, 0, context)),
        SimdFp::FcmgtZero => |a, context| mask::<F>(float::compare_gt::<F>(a, 0, context)),
        SimdFp::FcmleZero => |a, context| mask::<F>(float::compare_ge::<F>(0, a, context)),
        SimdFp::FcmltZero => |a, context| mask::<F>(float::compare_gt::<F>(0, a, context)),
        SimdFp::ScvtfVectorInteger => |a, context| fixed_to_fp::<F>(a, 0, signed::<F>(), context),
        SimdFp::UcvtfVectorInteger => |a, context| fixed_to_fp::<F>(a, 0, unsigned::<F>(), context),
        SimdFp::FrintnVector => round::<F>(Rounding::TieEven),
        SimdFp::FrintpVector => round::<F>(Rounding::PosInf),
        SimdFp::FrintmVector => round::<F>(Rounding::NegInf),
        SimdFp::FrintzVector => round::<F>(Rounding::Zero),
        SimdFp::FrintaVector => round::<F>(Rounding::TieAway),
        SimdFp::FrintiVector => round::<F>(current),
        SimdFp::FrintxVector => {
            |a, context| round_int::<F>(a, context.fpcr.rounding(), true, context)
        }
        _ => return to_integer::<F>(kind),
    })
}

/// A function that rounds to an integral number.
fn round<F: Host>(mode: Rounding) -> Unary {
    match mode {
        Rounding::TieEven => |a, context| round_int::<F>(a, Rounding::TieEven, false, context),
        Rounding::TieAway => |a, context| round_int::<F>(a, Rounding::TieAway, false, context),
        Rounding::PosInf => |a, context| round_int::<F>(a, Rounding::PosInf, false, context),
        Rounding::NegInf => |a, context| round_int::<F>(a, Rounding::NegInf, false, context),
        Rounding::Zero | Rounding::Odd => {
            |a, context| round_int::<F>(a, Rounding::Zero, false, context)
        }
    }
}

/// Conversions to integers of the element's width.
fn to_integer<F: Host>(kind: SimdFp) -> Option<Unary> {
    macro_rules! to {
        ($integer:ident, $mode:ident) => {
            |a, context| fp_to_fixed::<F>(a, 0, $integer::<F>(), Rounding::$mode, context)
        };
    }
    Some(match kind {
        SimdFp::FcvtnsVector => to!(signed, TieEven),
        SimdFp::FcvtnuVector => to!(unsigned, TieEven),
        SimdFp::FcvtasVector => to!(signed, TieAway),
        SimdFp::FcvtauVector => to!(unsigned, TieAway),
        SimdFp::FcvtpsVector => to!(signed, PosInf),
        SimdFp::FcvtpuVector => to!(unsigned, PosInf),
        SimdFp::FcvtmsVector => to!(signed, NegInf),
        SimdFp::FcvtmuVector => to!(unsigned, NegInf),
        SimdFp::FcvtzsVectorInteger => to!(signed, Zero),
        SimdFp::FcvtzuVectorInteger => to!(unsigned, Zero),
        _ => return None,
    })
}

/// Conversions from and to fixed-point numbers of the element's width.
pub(super) fn fixed_point<F: Host>(kind: SimdFp) -> Option<FixedPoint> {
    Some(match kind {
        SimdFp::ScvtfVectorFixedPoint => {
            |a, places, context| fixed_to_fp::<F>(a, places, signed::<F>(), context)
        }
        SimdFp::UcvtfVectorFixedPoint => {
            |a, places, context| fixed_to_fp::<F>(a, places, unsigned::<F>(), context)
        }
        SimdFp::FcvtzsVectorFixedPoint => {
            |a, places, context| fp_to_fixed::<F>(a, places, signed::<F>(), Rounding::Zero, context)
        }
        SimdFp::FcvtzuVectorFixedPoint => |a, places, context| {
            fp_to_fixed::<F>(a, places, unsigned::<F>(), Rounding::Zero, context)
        },
        _ => return None,
    })
}
