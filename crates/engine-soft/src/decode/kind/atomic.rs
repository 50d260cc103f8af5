//! Atomic operations on memory.

use super::{Extension, group};

group! {
    /// Atomic operations on memory, of every size and order.
    Atomic "C6.2" {
        // Compare and swap
        Cas: "CAS, CASA, CASAL, CASL",
        Casp: "CASP, CASPA, CASPAL, CASPL",
        // Atomic memory operations
        Ldadd: "LDADD, LDADDA, LDADDAL, LDADDL",
        Ldclr: "LDCLR, LDCLRA, LDCLRAL, LDCLRL",
        Ldeor: "LDEOR, LDEORA, LDEORAL, LDEORL",
        Ldset: "LDSET, LDSETA, LDSETAL, LDSETL",
        Ldsmax: "LDSMAX, LDSMAXA, LDSMAXAL, LDSMAXL",
        Ldsmin: "LDSMIN, LDSMINA, LDSMINAL, LDSMINL",
        Ldumax: "LDUMAX, LDUMAXA, LDUMAXAL, LDUMAXL",
        Ldumin: "LDUMIN, LDUMINA, LDUMINAL, LDUMINL",
        Swp: "SWP, SWPA, SWPAL, SWPL",
        Ldapr: "LDAPR",
    }
}

impl Atomic {
    /// What the ID registers must show for `word`, an instruction of this kind.
    #[must_use]
    pub const fn extension(self, _word: u32) -> Extension {
        match self {
            Self::Ldapr => Extension::Lrcpc,
            _ => Extension::Lse,
        }
    }
}
