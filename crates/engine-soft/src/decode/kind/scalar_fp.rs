//! Scalar floating point.

use super::{Extension, group};

group! {
    /// Data processing of one floating-point number, or between one and a general register.
    ScalarFp "C7.2" {
        // Conversion between floating-point and fixed-point
        ScvtfFixed: "SCVTF (scalar, fixed-point)",
        UcvtfFixed: "UCVTF (scalar, fixed-point)",
        FcvtzsFixed: "FCVTZS (scalar, fixed-point)",
        FcvtzuFixed: "FCVTZU (scalar, fixed-point)",
        // Conversion between floating-point and integer
        Fcvtns: "FCVTNS (scalar)",
        Fcvtnu: "FCVTNU (scalar)",
        ScvtfInteger: "SCVTF (scalar, integer)",
        UcvtfInteger: "UCVTF (scalar, integer)",
        Fcvtas: "FCVTAS (scalar)",
        Fcvtau: "FCVTAU (scalar)",
        Fcvtps: "FCVTPS (scalar)",
        Fcvtpu: "FCVTPU (scalar)",
        Fcvtms: "FCVTMS (scalar)",
        Fcvtmu: "FCVTMU (scalar)",
        FcvtzsInteger: "FCVTZS (scalar, integer)",
        FcvtzuInteger: "FCVTZU (scalar, integer)",
        FmovGeneral: "FMOV (general)",
        // Floating-point data-processing (1 source)
        FmovRegister: "FMOV (register)",
        Fabs: "FABS (scalar)",
        Fneg: "FNEG (scalar)",
        Fsqrt: "FSQRT (scalar)",
        Fcvt: "FCVT",
        Frintn: "FRINTN (scalar)",
        Frintp: "FRINTP (scalar)",
        Frintm: "FRINTM (scalar)",
        Frintz: "FRINTZ (scalar)",
        Frinta: "FRINTA (scalar)",
        Frintx: "FRINTX (scalar)",
        Frinti: "FRINTI (scalar)",
        // Floating-point compare
        Fcmp: "FCMP",
        Fcmpe: "FCMPE",
        // Floating-point immediate
        FmovImmediate: "FMOV (scalar, immediate)",
        // Floating-point conditional compare
        Fccmp: "FCCMP",
        Fccmpe: "FCCMPE",
        // Floating-point data-processing (2 source)
        Fmul: "FMUL (scalar)",
        Fdiv: "FDIV (scalar)",
        Fadd: "FADD (scalar)",
        Fsub: "FSUB (scalar)",
        Fmax: "FMAX (scalar)",
        Fmin: "FMIN (scalar)",
        Fmaxnm: "FMAXNM (scalar)",
        Fminnm: "FMINNM (scalar)",
        Fnmul: "FNMUL (scalar)",
        // Floating-point conditional select
        Fcsel: "FCSEL",
        // Floating-point data-processing (3 source)
        Fmadd: "FMADD",
        Fmsub: "FMSUB",
        Fnmadd: "FNMADD",
        Fnmsub: "FNMSUB",
    }
}

impl ScalarFp {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub const fn extension(self, word: u32) -> Extension {
        match self {
            // Conversions from and to half precision were there from the start.
            Self::Fcvt => Extension::Fp,
            _ if word >> 22 & 3 == 3 => Extension::Fp16,
            _ => Extension::Fp,
        }
    }
}
