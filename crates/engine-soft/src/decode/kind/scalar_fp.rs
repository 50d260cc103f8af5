//! Scalar floating point.

use super::{Extension, group};

group! {
    /// Data processing of one floating-point number, or between one and a general register.
    ScalarFp "C7.2" {
        // Floating-point data-processing (1 source)
        FmovRegister: "FMOV (register)",
    }
}

impl ScalarFp {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub const fn extension(self, _word: u32) -> Extension {
        Extension::Fp
    }
}
