//! Cryptography.

use super::{Extension, group};

group! {
    /// AES and the secure hashes.
    Crypto "C7.2" {
        // Cryptographic AES
        Aese: "AESE",
        Aesd: "AESD",
        Aesmc: "AESMC",
        Aesimc: "AESIMC",
        // Cryptographic three-register SHA
        Sha1c: "SHA1C",
        Sha1p: "SHA1P",
        Sha1m: "SHA1M",
        Sha1su0: "SHA1SU0",
        Sha256h: "SHA256H",
        Sha256h2: "SHA256H2",
        Sha256su1: "SHA256SU1",
        // Cryptographic two-register SHA
        Sha1h: "SHA1H",
        Sha1su1: "SHA1SU1",
        Sha256su0: "SHA256SU0",
    }
}

impl Crypto {
    /// What the ID registers must show for an instruction of this kind.
    #[must_use]
    pub const fn extension(self, _word: u32) -> Extension {
        match self {
            Self::Aese | Self::Aesd | Self::Aesmc | Self::Aesimc => Extension::Aes,
            Self::Sha256h | Self::Sha256h2 | Self::Sha256su1 | Self::Sha256su0 => Extension::Sha256,
            _ => Extension::Sha1,
        }
    }
}
