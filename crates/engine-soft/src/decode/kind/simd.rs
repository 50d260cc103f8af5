//! Advanced SIMD on integers.

use super::{Extension, group};

group! {
    /// Data processing of vectors of integers, and of one element of them.
    Simd "C7.2" {
        // Advanced SIMD copy
        DupGeneral: "DUP (general)",
    }
}

impl Simd {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub const fn extension(self, _word: u32) -> Extension {
        Extension::AdvSimd
    }
}
