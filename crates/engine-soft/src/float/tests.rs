//! The arithmetic against the host's own, against itself in another format, and against values
//! worked out by hand.

use super::*;
use proptest::prelude::*;

const MODES: [(u32, Rounding); 4] = [
    (0, Rounding::TieEven),
    (1 << 22, Rounding::PosInf),
    (2 << 22, Rounding::NegInf),
    (3 << 22, Rounding::Zero),
];

/// The result and the flags of a function.
fn run(fpcr: u32, function: impl FnOnce(&mut Context) -> u64) -> (u64, u32) {
    let mut context = Context::new(fpcr, 0);
    let bits = function(&mut context);
    assert_eq!(context.fpcr, Fpcr(fpcr));
    (bits, context.fpsr)
}

/// Bits of numbers that are often near each other, near the ends, or special.
pub(super) fn bits<F: Format>() -> impl Strategy<Value = u64> {
    let special = [0, 1, F::FRACTION, F::INFINITY, F::MAX_NORMAL, F::DEFAULT_NAN, F::INFINITY | 1];
    let near_one = F::power_of_two(0);
    let spread = 4 << F::FRACTION_BITS;
    prop_oneof![
        any::<u64>().prop_map(|bits| bits & F::MASK),
        any::<u64>().prop_map(move |bits| near_one + bits % spread),
        any::<u64>().prop_map(|bits| bits & (F::SIGN | F::FRACTION)),
        (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(move |(index, negative)| special[index.index(7)] | F::sign(negative)),
    ]
}

/// The host's NaNs are its own affair.
fn same_f64(ours: u64, host: f64) -> bool {
    ours == host.to_bits() || host.is_nan() && f64::from_bits(ours).is_nan()
}

fn same_f32(ours: u64, host: f32) -> bool {
    ours == u64::from(host.to_bits()) || host.is_nan() && f32::from_bits(ours as u32).is_nan()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn double_precision_is_that_of_the_host(
        a in bits::<Double>(), b in bits::<Double>(), c in bits::<Double>(),
    ) {
        let context = &mut Context::new(0, 0);
        let [x, y, z] = [a, b, c].map(f64::from_bits);
        prop_assert!(same_f64(add::<Double>(a, b, context), x + y));
        prop_assert!(same_f64(sub::<Double>(a, b, context), x - y));
        prop_assert!(same_f64(mul::<Double>(a, b, context), x * y));
        prop_assert!(same_f64(div::<Double>(a, b, context), x / y));
        prop_assert!(same_f64(sqrt::<Double>(a, context), x.sqrt()));
        prop_assert!(same_f64(mul_add::<Double>(c, a, b, context), x.mul_add(y, z)));
        prop_assert!(same_f32(
            convert::<Double, Single>(a, Rounding::TieEven, context),
            x as f32,
        ));
    }

    #[test]
    fn single_precision_is_that_of_the_host(
        a in bits::<Single>(), b in bits::<Single>(), c in bits::<Single>(),
    ) {
        let context = &mut Context::new(0, 0);
        let [x, y, z] = [a, b, c].map(|bits| f32::from_bits(bits as u32));
        prop_assert!(same_f32(add::<Single>(a, b, context), x + y));
        prop_assert!(same_f32(sub::<Single>(a, b, context), x - y));
        prop_assert!(same_f32(mul::<Single>(a, b, context), x * y));
        prop_assert!(same_f32(div::<Single>(a, b, context), x / y));
        prop_assert!(same_f32(sqrt::<Single>(a, context), x.sqrt()));
        prop_assert!(same_f32(mul_add::<Single>(c, a, b, context), x.mul_add(y, z)));
        prop_assert!(same_f64(
            convert::<Single, Double>(a, Rounding::TieEven, context),
            x.into(),
        ));
    }

    /// Sums and products of half precision are exact in double precision: bits and flags are those
    /// of the conversion back.
    #[test]
    fn half_precision_is_double_precision_rounded(a in bits::<Half>(), b in bits::<Half>()) {
        let wide = |half| convert::<Half, Double>(half, Rounding::TieEven, &mut Context::new(0, 0));
        let [x, y] = [a, b].map(|half| f64::from_bits(wide(half)));
        if !x.is_finite() || !y.is_finite() {
            return Ok(());
        }
        for (fpcr, mode) in MODES {
            let rounded = |exact: f64| {
                run(fpcr, |context| convert::<Double, Half>(exact.to_bits(), mode, context))
            };
            if x + y != 0.0 {
                let sum = run(fpcr, |context| add::<Half>(a, b, context));
                prop_assert_eq!(sum, rounded(x + y));
            }
            let product = run(fpcr, |context| mul::<Half>(a, b, context));
            prop_assert_eq!(product, rounded(x * y));
        }
    }

    /// Both directed roundings enclose the exact result: they are equal if it is exact, else
    /// neighbours, and the others are one of the two.
    #[test]
    fn directed_roundings_are_neighbours(
        a in bits::<Double>(), b in bits::<Double>(), c in bits::<Double>(), which in 0..5,
    ) {
        let all = MODES.map(|(fpcr, _)| {
            run(fpcr, |context| match which {
                0 => add::<Double>(a, b, context),
                1 => mul::<Double>(a, b, context),
                2 => div::<Double>(a, b, context),
                3 => sqrt::<Double>(a, context),
                _ => mul_add::<Double>(c, a, b, context),
            })
        });
        let [(nearest, flags), (up, _), (down, _), (zero, _)] = all;
        // Exact zeros have a sign of their own.
        let zero_sum = abs::<Double>(nearest) == 0 && flags == 0;
        if zero_sum || f64::from_bits(nearest).is_nan() {
            return Ok(());
        }
        prop_assert!(all.iter().all(|(_, others)| (flags ^ others) & !flag::OFC == 0));
        let order = |bits: u64| {
            let magnitude = abs::<Double>(bits).cast_signed();
            if bits >> 63 == 1 { -1 - magnitude } else { magnitude }
        };
        let steps = order(up) - order(down);
        prop_assert_eq!(steps, i64::from(flags & flag::IXC != 0));
        prop_assert!(nearest == up || nearest == down);
        prop_assert_eq!(zero, if nearest >> 63 == 1 { up } else { down });
    }

    #[test]
    fn integers_are_those_of_the_host(a in bits::<Double>(), integer: u64) {
        let context = &mut Context::new(0, 0);
        let x = f64::from_bits(a);
        let mut to = |bits, unsigned| {
            let to = Integer { bits, unsigned };
            fp_to_fixed::<Double>(a, 0, to, Rounding::Zero, context)
        };
        prop_assert_eq!(to(64, false), (x as i64).cast_unsigned());
        prop_assert_eq!(to(64, true), x as u64);
        prop_assert_eq!(to(32, false) as u32, (x as i32).cast_unsigned());
        prop_assert_eq!(to(32, true) as u32, x as u32);
        prop_assert_eq!(to(16, false) as u16, (x as i16).cast_unsigned());
        let mut from = |bits, unsigned| {
            let from = Integer { bits, unsigned };
            let single = fixed_to_fp::<Single>(integer, 0, from, context);
            (fixed_to_fp::<Double>(integer, 0, from, context), single as u32)
        };
        let signed = integer.cast_signed();
        let host = |double: f64, single: f32| (double.to_bits(), single.to_bits());
        prop_assert_eq!(from(64, true), host(integer as f64, integer as f32));
        prop_assert_eq!(from(64, false), host(signed as f64, signed as f32));
        prop_assert_eq!(from(32, false), host((signed as i32).into(), signed as i32 as f32));
        prop_assert_eq!(from(16, true), host((integer as u16).into(), (integer as u16).into()));
    }

    #[test]
    fn rounding_to_integers_is_that_of_the_host(a in bits::<Double>()) {
        let x = f64::from_bits(a);
        let modes = [
            (Rounding::TieEven, x.round_ties_even()),
            (Rounding::TieAway, x.round()),
            (Rounding::PosInf, x.ceil()),
            (Rounding::NegInf, x.floor()),
            (Rounding::Zero, x.trunc()),
        ];
        for (mode, host) in modes {
            let (bits, flags) = run(0, |context| round_int::<Double>(a, mode, true, context));
            prop_assert!(same_f64(bits, host), "{mode:?}");
            prop_assert!(x.is_nan() || (flags == flag::IXC) == (host != x));
        }
    }
}

/// Every half-precision number survives the way through the wider formats.
#[test]
fn half_precision_fits_into_the_others() {
    for half in 0..1 << 16 {
        let nearest = Rounding::TieEven;
        let (single, flags) = run(0, |context| convert::<Half, Single>(half, nearest, context));
        let (double, _) = run(0, |context| convert::<Half, Double>(half, nearest, context));
        let back = run(0, |context| convert::<Single, Half>(single, nearest, context));
        let from_double = run(0, |context| convert::<Double, Half>(double, nearest, context));
        let signaling = abs::<Half>(half) > Half::INFINITY && half & Half::QUIET == 0;
        assert_eq!(flags, if signaling { flag::IOC } else { 0 });
        let quiet = if signaling { half | Half::QUIET } else { half };
        assert_eq!((back, from_double), ((quiet, 0), (quiet, 0)), "{half:#x}");
    }
}

/// Every half-precision root, in every mode, is that of double precision rounded once more: twice
/// eleven digits and two are fewer than 53.
#[test]
fn half_precision_roots() {
    for half in 0..Half::INFINITY {
        let (double, _) =
            run(0, |context| convert::<Half, Double>(half, Rounding::TieEven, context));
        let root = f64::from_bits(double).sqrt().to_bits();
        for (fpcr, mode) in MODES {
            let rounded = run(fpcr, |context| convert::<Double, Half>(root, mode, context));
            assert_eq!(run(fpcr, |context| sqrt::<Half>(half, context)), rounded, "{half:#x}");
        }
    }
}

const QUIET: u64 = 0x7fc0_1234;
const SIGNALING: u64 = 0xff80_5678;
const ONE: u64 = 0x3f80_0000;

/// Signaling before quiet, first before second, quieted; or the default.
#[test]
fn nans_are_propagated_in_order() {
    let of = |fpcr, a, b| run(fpcr, |context| add::<Single>(a, b, context));
    assert_eq!(of(0, QUIET, ONE), (QUIET, 0));
    assert_eq!(of(0, QUIET, SIGNALING), (SIGNALING | 0x0040_0000, flag::IOC));
    assert_eq!(of(0, QUIET + 1, QUIET), (QUIET + 1, 0));
    assert_eq!(of(Fpcr::DN, QUIET, ONE), (0x7fc0_0000, 0));
    assert_eq!(of(Fpcr::DN, ONE, SIGNALING), (0x7fc0_0000, flag::IOC));
    let fused = |addend, a, b| run(0, |context| mul_add::<Single>(addend, a, b, context));
    assert_eq!(fused(QUIET, QUIET + 1, ONE), (QUIET, 0));
    assert_eq!(fused(QUIET, ONE, SIGNALING), (SIGNALING | 0x0040_0000, flag::IOC));
    // Infinity times zero is worse than a quiet NaN, not than a signaling one.
    assert_eq!(fused(QUIET, Single::INFINITY, 0), (0x7fc0_0000, flag::IOC));
    assert_eq!(fused(SIGNALING, Single::INFINITY, 0), (SIGNALING | 0x0040_0000, flag::IOC));
}

/// A product just below the smallest normal number that rounds up to it is an underflow.
#[test]
fn tininess_is_found_before_rounding() {
    let (below_one, smallest) = (0x3f7f_ffff, 0x0080_0000);
    let product = |fpcr| run(fpcr, |context| mul::<Single>(below_one, smallest, context));
    assert_eq!(product(0), (0x0080_0000, flag::UFC | flag::IXC));
    assert_eq!(product(Fpcr::FZ), (0, flag::UFC));
    // The same of operands that the host could multiply, had it a way to tell.
    let context = &mut Context::new(0, flag::IXC);
    assert_eq!(mul::<Single>(0x1fff_ffff, 0x2000_0000, context), 0x0080_0000);
    assert_eq!(context.fpsr, flag::UFC | flag::IXC);
}

#[test]
fn denormal_operands_are_zero_if_so_wanted() {
    let sum = |fpcr| run(fpcr, |context| add::<Single>(1, 1, context));
    assert_eq!(sum(0), (2, 0));
    assert_eq!(sum(Fpcr::FZ), (0, flag::IDC));
    assert_eq!(sum(Fpcr::FZ16), (2, 0));
    let half = |fpcr| run(fpcr, |context| add::<Half>(1, 1, context));
    assert_eq!(half(Fpcr::FZ), (2, 0));
    assert_eq!(half(Fpcr::FZ16), (0, 0));
    // Conversions keep them.
    let wider = |fpcr| run(fpcr, |context| convert::<Half, Single>(1, Rounding::Zero, context));
    assert_eq!(wider(Fpcr::FZ16), (0x3380_0000, 0));
}

/// Without infinities and NaNs there is one more power of two.
#[test]
fn alternative_half_precision() {
    let narrow =
        |bits| run(Fpcr::AHP, |context| convert::<Single, Half>(bits, Rounding::TieEven, context));
    assert_eq!(narrow(0x4780_0000), (0x7c00, 0)); // 65536
    assert_eq!(narrow(0x4800_0000), (0x7fff, flag::IOC)); // 131072
    assert_eq!(narrow(Single::SIGN | Single::INFINITY), (0xffff, flag::IOC));
    assert_eq!(narrow(QUIET), (0, flag::IOC));
    let wide = run(Fpcr::AHP, |context| convert::<Half, Single>(0x7c00, Rounding::Zero, context));
    assert_eq!(wide, (0x4780_0000, 0));
}

#[test]
fn zeros_and_minima() {
    let of = |which, a, b| run(0, |context| max_min::<Double>(which, a, b, context)).0;
    let minus_zero = Double::SIGN;
    assert_eq!(of(Which::Max, minus_zero, 0), 0);
    assert_eq!(of(Which::Min, 0, minus_zero), minus_zero);
    assert_eq!(of(Which::MaxNum, Double::DEFAULT_NAN, minus_zero), minus_zero);
    assert_eq!(of(Which::Max, Double::DEFAULT_NAN, minus_zero), Double::DEFAULT_NAN);
    // A signaling NaN wins even so.
    assert_eq!(of(Which::MinNum, Double::INFINITY | 1, 0), Double::DEFAULT_NAN | 1);
    let difference = |fpcr| run(fpcr, |context| sub::<Single>(ONE, ONE, context)).0;
    assert_eq!(difference(0), 0);
    assert_eq!(difference(2 << 22), Single::SIGN);
}

#[test]
fn immediates() {
    let of = |imm8| f64::from_bits(Double::expand_immediate(imm8));
    assert_eq!([of(0x70), of(0x00), of(0x80), of(0x3f), of(0x40)], [1.0, 2.0, -2.0, 31.0, 0.125]);
    assert_eq!(Half::expand_immediate(0x70), 0x3c00);
    assert_eq!(Single::expand_immediate(0xf0), 0xbf80_0000);
}
