//! Advanced SIMD on floating-point numbers.

use super::{Extension, group};
use crate::decode::cube::Cube;

group! {
    /// Data processing of vectors of floating-point numbers, and of one element of them.
    SimdFp "C7.2" {
        // Advanced SIMD three same
        FmaxnmVector: "FMAXNM (vector)",
        FmlaVector: "FMLA (vector)",
        FaddVector: "FADD (vector)",
        Fmulx: "FMULX",
        FcmeqRegister: "FCMEQ (register)",
        FmaxVector: "FMAX (vector)",
        Frecps: "FRECPS",
        FminnmVector: "FMINNM (vector)",
        FmlsVector: "FMLS (vector)",
        FsubVector: "FSUB (vector)",
        FminVector: "FMIN (vector)",
        Frsqrts: "FRSQRTS",
        FmaxnmpVector: "FMAXNMP (vector)",
        FaddpVector: "FADDP (vector)",
        FmulVector: "FMUL (vector)",
        FcmgeRegister: "FCMGE (register)",
        Facge: "FACGE",
        FmaxpVector: "FMAXP (vector)",
        FdivVector: "FDIV (vector)",
        FminnmpVector: "FMINNMP (vector)",
        Fabd: "FABD",
        FcmgtRegister: "FCMGT (register)",
        Facgt: "FACGT",
        FminpVector: "FMINP (vector)",
        // Advanced SIMD two-register miscellaneous
        Fcvtn: "FCVTN, FCVTN2",
        Fcvtl: "FCVTL, FCVTL2",
        FrintnVector: "FRINTN (vector)",
        FrintmVector: "FRINTM (vector)",
        FcvtnsVector: "FCVTNS (vector)",
        FcvtmsVector: "FCVTMS (vector)",
        FcvtasVector: "FCVTAS (vector)",
        ScvtfVectorInteger: "SCVTF (vector, integer)",
        FcmgtZero: "FCMGT (zero)",
        FcmeqZero: "FCMEQ (zero)",
        FcmltZero: "FCMLT (zero)",
        FabsVector: "FABS (vector)",
        FrintpVector: "FRINTP (vector)",
        FrintzVector: "FRINTZ (vector)",
        FcvtpsVector: "FCVTPS (vector)",
        FcvtzsVectorInteger: "FCVTZS (vector, integer)",
        Frecpe: "FRECPE",
        Fcvtxn: "FCVTXN, FCVTXN2",
        FrintaVector: "FRINTA (vector)",
        FrintxVector: "FRINTX (vector)",
        FcvtnuVector: "FCVTNU (vector)",
        FcvtmuVector: "FCVTMU (vector)",
        FcvtauVector: "FCVTAU (vector)",
        UcvtfVectorInteger: "UCVTF (vector, integer)",
        FcmgeZero: "FCMGE (zero)",
        FcmleZero: "FCMLE (zero)",
        FnegVector: "FNEG (vector)",
        FrintiVector: "FRINTI (vector)",
        FcvtpuVector: "FCVTPU (vector)",
        FcvtzuVectorInteger: "FCVTZU (vector, integer)",
        Frsqrte: "FRSQRTE",
        FsqrtVector: "FSQRT (vector)",
        // Advanced SIMD across lanes
        Fmaxnmv: "FMAXNMV",
        Fmaxv: "FMAXV",
        Fminnmv: "FMINNMV",
        Fminv: "FMINV",
        // Advanced SIMD modified immediate
        FmovVectorImmediate: "FMOV (vector, immediate)",
        // Advanced SIMD shift by immediate
        ScvtfVectorFixedPoint: "SCVTF (vector, fixed-point)",
        FcvtzsVectorFixedPoint: "FCVTZS (vector, fixed-point)",
        UcvtfVectorFixedPoint: "UCVTF (vector, fixed-point)",
        FcvtzuVectorFixedPoint: "FCVTZU (vector, fixed-point)",
        // Advanced SIMD vector x indexed element
        FmlaByElement: "FMLA (by element)",
        FmlsByElement: "FMLS (by element)",
        FmulByElement: "FMUL (by element)",
        FmulxByElement: "FMULX (by element)",
        // Advanced SIMD scalar two-register miscellaneous FP16
        Frecpx: "FRECPX",
        // Advanced SIMD scalar pairwise
        FmaxnmpScalar: "FMAXNMP (scalar)",
        FaddpScalar: "FADDP (scalar)",
        FmaxpScalar: "FMAXP (scalar)",
        FminnmpScalar: "FMINNMP (scalar)",
        FminpScalar: "FMINP (scalar)",
    }
}

/// Where the forms with half-precision elements are, among the words of this group.
const HALF_PRECISION: [Cube; 6] = [
    // Three same (FP16).
    Cube::parse("0xx x1110 x10 xxxxx 00 xxx 1 xxxxx xxxxx"),
    // Two-register miscellaneous (FP16).
    Cube::parse("0xx x1110 x1111 00 xxxxx 10 xxxxx xxxxx"),
    // Across lanes, scalar pairwise.
    Cube::parse("0x0 x1110 xx11000 xxxxx 10 xxxxx xxxxx"),
    // Shift by immediate.
    Cube::parse("0xx x1111 0 001x xxx xxxxx 1 xxxxx xxxxx"),
    // Modified immediate.
    Cube::parse("0x0 01111 00000 xxx 1111 11 xxxxx xxxxx"),
    // By element.
    Cube::parse("0xx x1111 00 xxxxxx xxxx x0 xxxxx xxxxx"),
];

impl SimdFp {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub fn extension(self, word: u32) -> Extension {
        match HALF_PRECISION.iter().any(|cube| cube.contains(word)) {
            true => Extension::Fp16,
            false => Extension::AdvSimd,
        }
    }
}
