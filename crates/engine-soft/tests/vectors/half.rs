//! Every half-precision number, through every instruction that has one for its only operand.

use crate::cases::Case;

/// Cases in which each number is an element once.
const SWEEP: u64 = (1 << 16) / 8;

/// FPCR of each sweep: every rounding mode with and without FZ16, and AHP and DN with some.
const CONTROLS: [u32; 8] =
    [0, 0x0440_0000, 0x0280_0000, 0x06c0_0000, 0x0008_0000, 0x0448_0000, 0x0288_0000, 0x06c8_0000];

/// How many cases there are.
pub const CASES: u64 = SWEEP * CONTROLS.len() as u64;

/// `U`, `a` and `opcode` of Advanced SIMD two-register miscellaneous (FP16) [DDI0487 C4.1].
const UNARY: [(u32, u32, u32); 29] = [
    (0, 0, 0b11000), // FRINTN
    (0, 0, 0b11001), // FRINTM
    (0, 0, 0b11010), // FCVTNS
    (0, 0, 0b11011), // FCVTMS
    (0, 0, 0b11100), // FCVTAS
    (0, 0, 0b11101), // SCVTF
    (0, 1, 0b01100), // FCMGT (zero)
    (0, 1, 0b01101), // FCMEQ (zero)
    (0, 1, 0b01110), // FCMLT (zero)
    (0, 1, 0b01111), // FABS
    (0, 1, 0b11000), // FRINTP
    (0, 1, 0b11001), // FRINTZ
    (0, 1, 0b11010), // FCVTPS
    (0, 1, 0b11011), // FCVTZS
    (0, 1, 0b11101), // FRECPE
    (1, 0, 0b11000), // FRINTA
    (1, 0, 0b11001), // FRINTX
    (1, 0, 0b11010), // FCVTNU
    (1, 0, 0b11011), // FCVTMU
    (1, 0, 0b11100), // FCVTAU
    (1, 0, 0b11101), // UCVTF
    (1, 1, 0b01100), // FCMGE (zero)
    (1, 1, 0b01101), // FCMLE (zero)
    (1, 1, 0b01111), // FNEG
    (1, 1, 0b11001), // FRINTI
    (1, 1, 0b11010), // FCVTPU
    (1, 1, 0b11011), // FCVTZU
    (1, 1, 0b11101), // FRSQRTE
    (1, 1, 0b11111), // FSQRT
];

/// FCVTL and FCVTL2 to single precision.
const WIDEN: [u32; 2] = [0x0e21_7800, 0x4e21_7800];

/// Eight numbers in V31; each instruction has a register of its own for the result, and one for
/// the flags it raised.
pub fn fill(case: &mut Case) {
    let first = u128::from(case.index % SWEEP * 8);
    case.before.v[31] = (0..8).fold(0, |vector, lane| vector | (first + lane) << (16 * lane));
    let sweep = case.index / SWEEP;
    case.before.fpcr = CONTROLS.into_iter().cycle().nth(sweep as usize).unwrap_or_default();
    case.before.fpsr = 0;
    let unary = UNARY.map(|(u, a, opcode)| 0x4e78_0800 | u << 29 | a << 23 | opcode << 12);
    case.words.clear();
    for (word, register) in unary.into_iter().chain(WIDEN).zip(0..) {
        let (mrs_fpsr, msr_fpsr_xzr) = (0xd53b_4420, 0xd51b_443f);
        case.words.extend([word | 31 << 5 | register, mrs_fpsr | register, msr_fpsr_xzr]);
    }
}
