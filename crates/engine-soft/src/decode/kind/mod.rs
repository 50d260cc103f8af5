//! What an instruction word can mean.
//!
//! The base instructions are variants of [`Kind`]; each further group has an enumeration and a
//! file of its own.

mod atomic;
mod crypto;
mod scalar_fp;
mod simd;
mod simd_fp;
mod structures;

use core::fmt;

pub use atomic::Atomic;
pub use crypto::Crypto;
pub use scalar_fp::ScalarFp;
pub use simd::Simd;
pub use simd_fp::SimdFp;
pub use structures::Structures;

/// Declares the enumeration of a group from the titles of the manual's instruction pages.
macro_rules! group {
    ($(#[$about:meta])* $group:ident $section:literal { $($kind:ident: $title:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $group {
            $(
                #[doc = concat!("`", $title, "` [DDI0487 ", $section, "].")]
                $kind,
            )+
        }

        impl $group {
            /// Every kind of the group, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The title of the manual's page.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)+
                }
            }
        }
    };
}
use group;

/// Declares [`Kind`] from the titles of the manual's instruction pages.
macro_rules! kinds {
    ($($section:literal { $($kind:ident: $title:literal,)+ })+) => {
        /// What an instruction word means: one variant for each form of an instruction that has
        /// operands of its own shape.
        ///
        /// 32-bit and 64-bit variants of a form share a kind, and so do the transfer sizes of
        /// SIMD&FP registers; [`fields`](super::fields) reads them from the word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(
                #[doc = concat!("`", $title, "` [DDI0487 ", $section, "].")]
                $kind,
            )+)+
            /// Scalar floating point.
            ScalarFp(ScalarFp),
            /// Advanced SIMD on integers.
            Simd(Simd),
            /// Advanced SIMD on floating-point numbers.
            SimdFp(SimdFp),
            /// Cryptography.
            Crypto(Crypto),
            /// Loads and stores of structures.
            Structures(Structures),
            /// Atomic operations on memory.
            Atomic(Atomic),
            /// Reserved: UNDEFINED on every implementation of the architecture so far.
            Unallocated,
            /// Part of the architecture, absent from this engine, and so UNDEFINED to the guest.
            Unimplemented(Feature),
        }

        impl Kind {
            /// Every kind that is an instruction of the base set.
            pub const BASE: &'static [Self] = &[$($(Self::$kind,)+)+];

            /// The title of the manual's page, or a short phrase for what has none here.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $($(Self::$kind => $title,)+)+
                    Self::ScalarFp(kind) => kind.title(),
                    Self::Simd(kind) => kind.title(),
                    Self::SimdFp(kind) => kind.title(),
                    Self::Crypto(kind) => kind.title(),
                    Self::Structures(kind) => kind.title(),
                    Self::Atomic(kind) => kind.title(),
                    Self::Unallocated => "unallocated encoding",
                    Self::Unimplemented(feature) => feature.name(),
                }
            }
        }
    };
}

impl Kind {
    /// Every kind that is an instruction of this engine.
    pub fn instructions() -> impl Iterator<Item = Self> {
        let base = Self::BASE.iter().copied();
        base.chain(ScalarFp::ALL.iter().map(|&kind| Self::ScalarFp(kind)))
            .chain(Simd::ALL.iter().map(|&kind| Self::Simd(kind)))
            .chain(SimdFp::ALL.iter().map(|&kind| Self::SimdFp(kind)))
            .chain(Crypto::ALL.iter().map(|&kind| Self::Crypto(kind)))
            .chain(Structures::ALL.iter().map(|&kind| Self::Structures(kind)))
            .chain(Atomic::ALL.iter().map(|&kind| Self::Atomic(kind)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unimplemented(feature) => write!(formatter, "{feature} (not implemented)"),
            kind => formatter.write_str(kind.title()),
        }
    }
}

/// What ID registers must show for an instruction to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Extension {
    /// Floating point.
    Fp,
    /// Advanced SIMD.
    AdvSimd,
    /// Half-precision arithmetic (FEAT_FP16).
    Fp16,
    /// SQRDMLAH, SQRDMLSH (FEAT_RDM).
    Rdm,
    /// SDOT, UDOT (FEAT_DotProd).
    DotProd,
    /// AESE and its relatives (FEAT_AES).
    Aes,
    /// PMULL of 64-bit elements (FEAT_PMULL).
    Pmull,
    /// SHA1C and its relatives (FEAT_SHA1).
    Sha1,
    /// SHA256H and its relatives (FEAT_SHA256).
    Sha256,
    /// Atomic operations (FEAT_LSE).
    Lse,
    /// LDAPR (FEAT_LRCPC).
    Lrcpc,
}

impl Extension {
    /// Every extension, in the order of their numbers.
    const ALL: [Self; 11] = [
        Self::Fp,
        Self::AdvSimd,
        Self::Fp16,
        Self::Rdm,
        Self::DotProd,
        Self::Aes,
        Self::Pmull,
        Self::Sha1,
        Self::Sha256,
        Self::Lse,
        Self::Lrcpc,
    ];
}

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions(u16);

impl Extensions {
    /// Those of which `is_there` says so.
    #[must_use]
    pub fn of(is_there: impl Fn(Extension) -> bool) -> Self {
        let found = Extension::ALL.into_iter().filter(|&extension| is_there(extension));
        Self(found.fold(0, |set, extension| set | 1 << extension as u16))
    }

    /// Whether the extension is one of them.
    #[must_use]
    pub const fn contain(self, extension: Extension) -> bool {
        self.0 >> extension as u16 & 1 == 1
    }
}

/// Declares [`Feature`] with the text that the log shows.
macro_rules! features {
    ($($feature:ident: $name:literal,)+) => {
        /// A part of the architecture that this engine does not have.
        ///
        /// The words given to a feature are the encoding classes it lives in; single reserved
        /// values inside a class are not told apart, as both are UNDEFINED to the guest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Feature {
            $(
                #[doc = concat!($name, ".")]
                $feature,
            )+
        }

        impl Feature {
            /// Every feature that the table names.
            pub const ALL: &'static [Self] = &[$(Self::$feature,)+];

            /// What the log calls it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$feature => $name,)+
                }
            }
        }
    };
}

impl fmt::Display for Feature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

kinds! {
    "C6.2" {
        // Reserved
        Udf: "UDF",
        // PC-rel. addressing
        Adr: "ADR",
        Adrp: "ADRP",
        // Add/subtract (immediate)
        AddImmediate: "ADD (immediate)",
        AddsImmediate: "ADDS (immediate)",
        SubImmediate: "SUB (immediate)",
        SubsImmediate: "SUBS (immediate)",
        // Logical (immediate)
        AndImmediate: "AND (immediate)",
        OrrImmediate: "ORR (immediate)",
        EorImmediate: "EOR (immediate)",
        AndsImmediate: "ANDS (immediate)",
        // Move wide (immediate)
        Movn: "MOVN",
        Movz: "MOVZ",
        Movk: "MOVK",
        // Bitfield
        Sbfm: "SBFM",
        Bfm: "BFM",
        Ubfm: "UBFM",
        // Extract
        Extr: "EXTR",
        // Conditional branch (immediate)
        BCond: "B.cond",
        // Exception generation
        Svc: "SVC",
        Hvc: "HVC",
        Smc: "SMC",
        Brk: "BRK",
        Hlt: "HLT",
        Dcps1: "DCPS1",
        Dcps2: "DCPS2",
        Dcps3: "DCPS3",
        // Hints
        Nop: "NOP",
        Yield: "YIELD",
        Wfe: "WFE",
        Wfi: "WFI",
        Sev: "SEV",
        Sevl: "SEVL",
        Hint: "HINT",
        // Barriers
        Clrex: "CLREX",
        Dsb: "DSB",
        Dmb: "DMB",
        Isb: "ISB",
        Sb: "SB",
        // PSTATE
        MsrImmediate: "MSR (immediate)",
        // System instructions
        Sys: "SYS",
        Sysl: "SYSL",
        // System register move
        MsrRegister: "MSR (register)",
        Mrs: "MRS",
        // Unconditional branch (register)
        Br: "BR",
        Blr: "BLR",
        Ret: "RET",
        Eret: "ERET",
        Drps: "DRPS",
        // Unconditional branch (immediate)
        B: "B",
        Bl: "BL",
        // Compare and branch (immediate)
        Cbz: "CBZ",
        Cbnz: "CBNZ",
        // Test and branch (immediate)
        Tbz: "TBZ",
        Tbnz: "TBNZ",
        // Load/store exclusive register
        Stxrb: "STXRB",
        Stxrh: "STXRH",
        Stxr: "STXR",
        Stlxrb: "STLXRB",
        Stlxrh: "STLXRH",
        Stlxr: "STLXR",
        Ldxrb: "LDXRB",
        Ldxrh: "LDXRH",
        Ldxr: "LDXR",
        Ldaxrb: "LDAXRB",
        Ldaxrh: "LDAXRH",
        Ldaxr: "LDAXR",
        // Load/store exclusive pair
        Stxp: "STXP",
        Stlxp: "STLXP",
        Ldxp: "LDXP",
        Ldaxp: "LDAXP",
        // Load/store ordered
        Stllrb: "STLLRB",
        Stllrh: "STLLRH",
        Stllr: "STLLR",
        Stlrb: "STLRB",
        Stlrh: "STLRH",
        Stlr: "STLR",
        Ldlarb: "LDLARB",
        Ldlarh: "LDLARH",
        Ldlar: "LDLAR",
        Ldarb: "LDARB",
        Ldarh: "LDARH",
        Ldar: "LDAR",
        // Load register (literal)
        LdrLiteral: "LDR (literal)",
        LdrswLiteral: "LDRSW (literal)",
        PrfmLiteral: "PRFM (literal)",
        // Load/store no-allocate pair (offset)
        Stnp: "STNP",
        Ldnp: "LDNP",
        // Load/store register pair (post-indexed)
        StpPost: "STP, post-indexed",
        LdpPost: "LDP, post-indexed",
        LdpswPost: "LDPSW, post-indexed",
        // Load/store register pair (offset)
        StpOffset: "STP, signed offset",
        LdpOffset: "LDP, signed offset",
        LdpswOffset: "LDPSW, signed offset",
        // Load/store register pair (pre-indexed)
        StpPre: "STP, pre-indexed",
        LdpPre: "LDP, pre-indexed",
        LdpswPre: "LDPSW, pre-indexed",
        // Load/store register (unscaled immediate)
        Sturb: "STURB",
        Ldurb: "LDURB",
        Ldursb: "LDURSB",
        Sturh: "STURH",
        Ldurh: "LDURH",
        Ldursh: "LDURSH",
        Stur: "STUR",
        Ldur: "LDUR",
        Ldursw: "LDURSW",
        Prfum: "PRFUM",
        // Load/store register (immediate post-indexed)
        StrbImmediatePost: "STRB (immediate), post-indexed",
        LdrbImmediatePost: "LDRB (immediate), post-indexed",
        LdrsbImmediatePost: "LDRSB (immediate), post-indexed",
        StrhImmediatePost: "STRH (immediate), post-indexed",
        LdrhImmediatePost: "LDRH (immediate), post-indexed",
        LdrshImmediatePost: "LDRSH (immediate), post-indexed",
        StrImmediatePost: "STR (immediate), post-indexed",
        LdrImmediatePost: "LDR (immediate), post-indexed",
        LdrswImmediatePost: "LDRSW (immediate), post-indexed",
        // Load/store register (immediate pre-indexed)
        StrbImmediatePre: "STRB (immediate), pre-indexed",
        LdrbImmediatePre: "LDRB (immediate), pre-indexed",
        LdrsbImmediatePre: "LDRSB (immediate), pre-indexed",
        StrhImmediatePre: "STRH (immediate), pre-indexed",
        LdrhImmediatePre: "LDRH (immediate), pre-indexed",
        LdrshImmediatePre: "LDRSH (immediate), pre-indexed",
        StrImmediatePre: "STR (immediate), pre-indexed",
        LdrImmediatePre: "LDR (immediate), pre-indexed",
        LdrswImmediatePre: "LDRSW (immediate), pre-indexed",
        // Load/store register (unprivileged)
        Sttrb: "STTRB",
        Ldtrb: "LDTRB",
        Ldtrsb: "LDTRSB",
        Sttrh: "STTRH",
        Ldtrh: "LDTRH",
        Ldtrsh: "LDTRSH",
        Sttr: "STTR",
        Ldtr: "LDTR",
        Ldtrsw: "LDTRSW",
        // Load/store register (register offset)
        StrbRegister: "STRB (register)",
        LdrbRegister: "LDRB (register)",
        LdrsbRegister: "LDRSB (register)",
        StrhRegister: "STRH (register)",
        LdrhRegister: "LDRH (register)",
        LdrshRegister: "LDRSH (register)",
        StrRegister: "STR (register)",
        LdrRegister: "LDR (register)",
        LdrswRegister: "LDRSW (register)",
        PrfmRegister: "PRFM (register)",
        // Load/store register (unsigned immediate)
        StrbImmediateUnsigned: "STRB (immediate), unsigned offset",
        LdrbImmediateUnsigned: "LDRB (immediate), unsigned offset",
        LdrsbImmediateUnsigned: "LDRSB (immediate), unsigned offset",
        StrhImmediateUnsigned: "STRH (immediate), unsigned offset",
        LdrhImmediateUnsigned: "LDRH (immediate), unsigned offset",
        LdrshImmediateUnsigned: "LDRSH (immediate), unsigned offset",
        StrImmediateUnsigned: "STR (immediate), unsigned offset",
        LdrImmediateUnsigned: "LDR (immediate), unsigned offset",
        LdrswImmediateUnsigned: "LDRSW (immediate), unsigned offset",
        PrfmImmediate: "PRFM (immediate)",
        // Data-processing (2 source)
        Udiv: "UDIV",
        Sdiv: "SDIV",
        Lslv: "LSLV",
        Lsrv: "LSRV",
        Asrv: "ASRV",
        Rorv: "RORV",
        Crc32b: "CRC32B",
        Crc32h: "CRC32H",
        Crc32w: "CRC32W",
        Crc32x: "CRC32X",
        Crc32cb: "CRC32CB",
        Crc32ch: "CRC32CH",
        Crc32cw: "CRC32CW",
        Crc32cx: "CRC32CX",
        // Data-processing (1 source)
        Rbit: "RBIT",
        Rev16: "REV16",
        Rev: "REV",
        Rev32: "REV32",
        Clz: "CLZ",
        Cls: "CLS",
        // Logical (shifted register)
        AndShiftedRegister: "AND (shifted register)",
        BicShiftedRegister: "BIC (shifted register)",
        OrrShiftedRegister: "ORR (shifted register)",
        OrnShiftedRegister: "ORN (shifted register)",
        EorShiftedRegister: "EOR (shifted register)",
        EonShiftedRegister: "EON (shifted register)",
        AndsShiftedRegister: "ANDS (shifted register)",
        BicsShiftedRegister: "BICS (shifted register)",
        // Add/subtract (shifted register)
        AddShiftedRegister: "ADD (shifted register)",
        AddsShiftedRegister: "ADDS (shifted register)",
        SubShiftedRegister: "SUB (shifted register)",
        SubsShiftedRegister: "SUBS (shifted register)",
        // Add/subtract (extended register)
        AddExtendedRegister: "ADD (extended register)",
        AddsExtendedRegister: "ADDS (extended register)",
        SubExtendedRegister: "SUB (extended register)",
        SubsExtendedRegister: "SUBS (extended register)",
        // Add/subtract (with carry)
        Adc: "ADC",
        Adcs: "ADCS",
        Sbc: "SBC",
        Sbcs: "SBCS",
        // Conditional compare (register)
        CcmnRegister: "CCMN (register)",
        CcmpRegister: "CCMP (register)",
        // Conditional compare (immediate)
        CcmnImmediate: "CCMN (immediate)",
        CcmpImmediate: "CCMP (immediate)",
        // Conditional select
        Csel: "CSEL",
        Csinc: "CSINC",
        Csinv: "CSINV",
        Csneg: "CSNEG",
        // Data-processing (3 source)
        Madd: "MADD",
        Msub: "MSUB",
        Smaddl: "SMADDL",
        Smsubl: "SMSUBL",
        Smulh: "SMULH",
        Umaddl: "UMADDL",
        Umsubl: "UMSUBL",
        Umulh: "UMULH",
    }
    "C7.2" {
        // Load register (literal)
        LdrSimdLiteral: "LDR (literal, SIMD&FP)",
        // Load/store no-allocate pair (offset)
        StnpSimd: "STNP (SIMD&FP)",
        LdnpSimd: "LDNP (SIMD&FP)",
        // Load/store register pair (post-indexed)
        StpSimdPost: "STP (SIMD&FP), post-indexed",
        LdpSimdPost: "LDP (SIMD&FP), post-indexed",
        // Load/store register pair (offset)
        StpSimdOffset: "STP (SIMD&FP), signed offset",
        LdpSimdOffset: "LDP (SIMD&FP), signed offset",
        // Load/store register pair (pre-indexed)
        StpSimdPre: "STP (SIMD&FP), pre-indexed",
        LdpSimdPre: "LDP (SIMD&FP), pre-indexed",
        // Load/store register (unscaled immediate)
        SturSimd: "STUR (SIMD&FP)",
        LdurSimd: "LDUR (SIMD&FP)",
        // Load/store register (immediate post-indexed)
        StrSimdImmediatePost: "STR (immediate, SIMD&FP), post-indexed",
        LdrSimdImmediatePost: "LDR (immediate, SIMD&FP), post-indexed",
        // Load/store register (immediate pre-indexed)
        StrSimdImmediatePre: "STR (immediate, SIMD&FP), pre-indexed",
        LdrSimdImmediatePre: "LDR (immediate, SIMD&FP), pre-indexed",
        // Load/store register (register offset)
        StrSimdRegister: "STR (register, SIMD&FP)",
        LdrSimdRegister: "LDR (register, SIMD&FP)",
        // Load/store register (unsigned immediate)
        StrSimdImmediateUnsigned: "STR (immediate, SIMD&FP), unsigned offset",
        LdrSimdImmediateUnsigned: "LDR (immediate, SIMD&FP), unsigned offset",
    }
}

features! {
    Bf16: "bfloat16 arithmetic (FEAT_BF16)",
    Cmpbr: "compare and branch on two operands (FEAT_CMPBR)",
    Cpa: "checked pointer arithmetic (FEAT_CPA)",
    Cssc: "common short sequence compression: MIN, MAX, ABS, CNT, CTZ (FEAT_CSSC)",
    D128: "128-bit system registers: MSRR, MRRS, SYSP (FEAT_D128)",
    Faminmax: "maximum and minimum of absolute values: FAMAX, FAMIN (FEAT_FAMINMAX)",
    Fcma: "complex arithmetic: FCADD, FCMLA (FEAT_FCMA)",
    Fhm: "half-precision multiplication to single precision: FMLAL, FMLSL (FEAT_FHM)",
    FlagM: "flag manipulation: CFINV, RMIF, SETF, AXFLAG, XAFLAG (FEAT_FlagM)",
    FloatMatrix: "floating-point matrix multiplication: FMMLA, half-precision FDOT (FEAT_F8F32MM \
        and others)",
    Fp8: "8-bit floating point (FEAT_FP8, FEAT_FP8FMA and others)",
    Fprcvt: "conversions between integers and numbers in SIMD&FP registers (FEAT_FPRCVT)",
    Frintts: "rounding to 32-bit and 64-bit integers: FRINT32X, FRINT64Z (FEAT_FRINTTS)",
    Gcs: "guarded control stack stores (FEAT_GCS)",
    Hbc: "hinted conditional branches: BC.cond (FEAT_HBC)",
    I8mm: "matrix multiplication of 8-bit integers: SMMLA, USDOT (FEAT_I8MM)",
    Jscvt: "JavaScript conversion: FJCVTZS (FEAT_JSCVT)",
    Lrcpc2: "RCpc loads and stores with offset: LDAPUR, STLUR (FEAT_LRCPC2)",
    Lrcpc3: "RCpc pairs, writeback and SIMD&FP: LDIAPP, STILP (FEAT_LRCPC3)",
    Ls64: "64-byte loads and stores: LD64B, ST64B (FEAT_LS64)",
    Lse128: "128-bit atomics: SWPP, LDCLRP, LDSETP (FEAT_LSE128)",
    Lscp: "load-acquire and store-release of pairs: LDAP, STLP (FEAT_LSCP)",
    Lsfe: "floating-point atomics (FEAT_LSFE)",
    Lsui: "unprivileged atomics and pairs (FEAT_LSUI)",
    Lut: "look-up tables: LUTI2, LUTI4 (FEAT_LUT)",
    Mops: "memory copy and set: CPY, SET (FEAT_MOPS)",
    Mte: "memory tagging: ADDG, IRG, LDG, STG, SUBP (FEAT_MTE)",
    Pauth: "pointer authentication outside the hint space (FEAT_PAuth)",
    PauthLr: "pointer authentication with the link register (FEAT_PAuth_LR)",
    Poe2: "permission overlay contexts: TCHANGE (FEAT_S1POE2)",
    Sha3: "SHA-3: EOR3, BCAX, RAX1, XAR (FEAT_SHA3)",
    Sha512: "SHA-512: SHA512H and others (FEAT_SHA512)",
    Sm3: "SM3: SM3SS1 and others (FEAT_SM3)",
    Sm4: "SM4: SM4E, SM4EKEY (FEAT_SM4)",
    Sme: "the Scalable Matrix Extension (FEAT_SME)",
    Sve: "the Scalable Vector Extension (FEAT_SVE)",
    Tev: "nested exception vectors: TENTER, TEXIT (FEAT_TEV)",
    The: "read-check-write atomics: RCWCAS, RCWSWP and others (FEAT_THE)",
    Tme: "transactional memory: TSTART, TCOMMIT, TCANCEL, TTEST (FEAT_TME)",
    Wfxt: "waits with a time limit: WFET, WFIT (FEAT_WFxT)",
    Xs: "DSB with the nXS qualifier (FEAT_XS)",
}
