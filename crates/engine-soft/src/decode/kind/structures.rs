//! Loads and stores of structures.

use super::{Extension, group};

group! {
    /// Loads and stores of whole vectors, single elements or copies of one, with one to four
    /// elements side by side in memory.
    Structures "C7.2" {
        Ld1Multiple: "LD1 (multiple structures)",
        Ld1Single: "LD1 (single structure)",
        Ld1r: "LD1R",
        Ld2Multiple: "LD2 (multiple structures)",
        Ld2Single: "LD2 (single structure)",
        Ld2r: "LD2R",
        Ld3Multiple: "LD3 (multiple structures)",
        Ld3Single: "LD3 (single structure)",
        Ld3r: "LD3R",
        Ld4Multiple: "LD4 (multiple structures)",
        Ld4Single: "LD4 (single structure)",
        Ld4r: "LD4R",
        St1Multiple: "ST1 (multiple structures)",
        St1Single: "ST1 (single structure)",
        St2Multiple: "ST2 (multiple structures)",
        St2Single: "ST2 (single structure)",
        St3Multiple: "ST3 (multiple structures)",
        St3Single: "ST3 (single structure)",
        St4Multiple: "ST4 (multiple structures)",
        St4Single: "ST4 (single structure)",
    }
}

impl Structures {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub const fn extension(self, _word: u32) -> Extension {
        Extension::AdvSimd
    }
}
