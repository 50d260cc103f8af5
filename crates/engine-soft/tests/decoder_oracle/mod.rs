//! Our decoder compared, word by word, with an independent one: the crate `disarm64`.
//!
//! The two must give the same mnemonic to every instruction of the engine, and the other decoder
//! must know nothing where our table says "unallocated". Where they differ for a reason, the reason
//! stands in [`ALIASES`] or [`EXCEPTIONS`], each bound to exactly the words it is about.

use abide_engine_soft::decode::{Cube, Entry, Feature, Kind, lookup};
use disarm64::InsnOpcode;

/// How the two decoders stand to each other for one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same instruction, or one that ours leaves to the same extension.
    Same,
    /// No instruction to either.
    BothNone,
    /// Inside an extension that ours does not implement and does not look into.
    NotLookedInto,
    /// They differ, and this is why they may.
    Explained(&'static str),
    /// They differ.
    Disagree,
}

/// An instruction that the other decoder names differently for some of its words.
pub struct Alias {
    /// The words.
    pub words: Cube,
    /// Our mnemonic.
    pub ours: &'static str,
    /// Theirs.
    pub theirs: &'static str,
}

const fn alias(words: &str, ours: &'static str, theirs: &'static str) -> Alias {
    Alias { words: Cube::parse(words), ours, theirs }
}

/// Names of the same instruction. The other decoder prints base mnemonics, so that `cmp`, `mov`,
/// `lsl`, `cset` need no line here; what is left are hints, SYS with operations it names, and its
/// own spelling of B.cond [DDI0487 C6.2, "Alias conditions" of each page].
pub static ALIASES: &[Alias] = &[
    alias("0101010 0 xxxxxxxxxxxxxxxxxxx 0 xxxx", "b", "b.c"),
    alias("11010101000000110010 0000 000 11111", "nop", "hint"),
    alias("11010101000000110010 0000 001 11111", "yield", "hint"),
    alias("11010101000000110010 0000 010 11111", "wfe", "hint"),
    alias("11010101000000110010 0000 011 11111", "wfi", "hint"),
    alias("11010101000000110010 0000 100 11111", "sev", "hint"),
    alias("11010101000000110010 0000 101 11111", "sevl", "hint"),
    alias("11010101000000110010 0101 000 11111", "hint", "chkfeat"),
    alias("1101010100001 011 0111 0111 000 xxxxx", "sys", "gcspushm"),
    alias("1101010100001 000 0111 0111 100 11111", "sys", "gcspushx"),
    alias("1101010100001 000 0111 0111 101 11111", "sys", "gcspopcx"),
    alias("1101010100001 000 0111 0111 110 11111", "sys", "gcspopx"),
    alias("1101010100001 011 0111 0111 010 xxxxx", "sys", "gcsss1"),
    alias("1101010100101 011 0111 0111 001 xxxxx", "sysl", "gcspopm"),
    alias("1101010100101 011 0111 0111 011 xxxxx", "sysl", "gcsss2"),
    // RPRFM is what PRFM (register) is called with Rt = 0b11xxx; a hint either way.
    alias("11 111 0 00 10 1 xxxxx x1x x 10 xxxxx 11xxx", "prfm", "rprfm"),
    // The other decoder names the class and prints as many registers as there are.
    alias("0x 001100x 0 0 xxxxx 0010 xx xxxxx xxxxx", "st1", "st4"),
    alias("0x 001100x 0 0 xxxxx 011x xx xxxxx xxxxx", "st1", "st4"),
    alias("0x 001100x 0 0 xxxxx 1010 xx xxxxx xxxxx", "st1", "st4"),
    alias("0x 001100x 0 0 xxxxx 1000 xx xxxxx xxxxx", "st2", "st4"),
    alias("0x 001100x 0 0 xxxxx 0100 xx xxxxx xxxxx", "st3", "st4"),
    alias("0x 001100x 1 0 xxxxx 0010 xx xxxxx xxxxx", "ld1", "ld4"),
    alias("0x 001100x 1 0 xxxxx 011x xx xxxxx xxxxx", "ld1", "ld4"),
    alias("0x 001100x 1 0 xxxxx 1010 xx xxxxx xxxxx", "ld1", "ld4"),
    alias("0x 001100x 1 0 xxxxx 1000 xx xxxxx xxxxx", "ld2", "ld4"),
    alias("0x 001100x 1 0 xxxxx 0100 xx xxxxx xxxxx", "ld3", "ld4"),
];

/// Instructions whose page has two names: the second, with a `2` at its end, where Q = 1 makes the
/// upper half of a vector take part [DDI0487 C7.2]. The other decoder has a line for each name.
#[rustfmt::skip]
pub static SECOND_NAMES: &[&str] = &[
    "addhn", "fcvtl", "fcvtn", "fcvtxn", "pmull", "raddhn", "rshrn", "rsubhn", "sabal", "sabdl",
    "saddl", "saddw", "shll", "shrn", "smlal", "smlsl", "smull", "sqdmlal", "sqdmlsl", "sqdmull",
    "sqrshrn", "sqrshrun", "sqshrn", "sqshrun", "sqxtn", "sqxtun", "sshll", "ssubl", "ssubw",
    "subhn", "uabal", "uabdl", "uaddl", "uaddw", "umlal", "umlsl", "umull", "uqrshrn", "uqshrn",
    "uqxtn", "ushll", "usubl", "usubw", "xtn",
];

/// Words with Q = 1.
const WITH_Q: Cube = Cube::parse("01x xxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

/// Words that the two decoders take differently, each for a reason.
pub struct Exception {
    /// The words.
    pub words: Cube,
    /// Fewer words: these are not excepted.
    pub but: &'static [Cube],
    /// What the other decoder says: one of these names, or nothing where the list is empty.
    pub theirs: &'static [&'static str],
    /// Why they may differ.
    pub why: &'static str,
}

const SHOULD_BE_ONE: &str = "a should-be-one field is not: CONSTRAINED UNPREDICTABLE, where \
    execution as if it were is allowed; the other decoder shows nothing \
    [DDI0487 Glossary, Should-Be-One]";
const OP0_ZERO: &str = "op0 = 0b00 is no system register: the other decoder leaves bit 20 of MSR \
    and MRS open [DDI0487 C6.2 MSR (register), C4.1 PSTATE, System with result]";
const SVCR_CRM: &str = "MSR SVCR exists for CRm = 0b001x, 0b010x, 0b011x: the other decoder leaves \
    the field open [DDI0487 C6.2 MSR (immediate)]";
const RCPC3_SIZE: &str = "these exist for size = 0b1x: the other decoder leaves the field open \
    [DDI0487 C6.2 LDIAPP, STILP, LDAPR, STLR]";
const SETGO_SIZE: &str = "memory set exists for size = 0b00: the other decoder leaves the field \
    open [DDI0487 C4.1 Memory Copy and Memory Set]";
const SIMD_SIZE: &str = "elements of this size, or a vector of this length, do not exist for this \
    instruction: the other decoder leaves the fields open [DDI0487 C7.2, each page's \"if ... then \
    UNDEFINED\"]";
const SIMD_PRINT: &str = "the other decoder knows the instruction and prints its operands as \
    undefined [DDI0487 C7.2 DUP (element), FMINNMP (scalar), FMINNMV]";
const FCVT_SAME: &str = "FCVT goes to another one of three formats: the other decoder leaves opc \
    open [DDI0487 C7.2 FCVT]";
const FMOV_WIDTH: &str = "FMOV is between registers of the same width: the other decoder leaves \
    sf open [DDI0487 C7.2 FMOV (general)]";

const ONE_DOUBLEWORD: &str = "vectors of one doubleword exist for LD1, ST1 and LD1R to LD4R: the \
    other decoder shows nothing [DDI0487 C7.2 LD1 (multiple structures), LD1R]";
const ELEMENT_SIZE: &str = "a doubleword of a structure has size = 0b01: the other decoder leaves \
    the field's high bit open [DDI0487 C7.2 LD1 (single structure)]";

macro_rules! exception {
    ($why:ident, $theirs:expr, $words:literal $(, but $but:literal)*) => {
        Exception {
            words: Cube::parse($words),
            but: const { &[$(Cube::parse($but)),*] },
            theirs: $theirs,
            why: $why,
        }
    };
}

/// Every difference over all 2^32 words.
#[rustfmt::skip]
pub static EXCEPTIONS: &[Exception] = &[
    exception!(SHOULD_BE_ONE, &[],
        "xx 001000 0 0 0 xxxxx x xxxxx xxxxx xxxxx",
        but "xx 001000 0 0 0 xxxxx x 11111 xxxxx xxxxx"),
    exception!(SHOULD_BE_ONE, &[],
        "xx 001000 0 1 0 xxxxx x xxxxx xxxxx xxxxx",
        but "xx 001000 0 1 0 11111 x 11111 xxxxx xxxxx"),
    exception!(SHOULD_BE_ONE, &[],
        "1x 001000 0 1 1 xxxxx x xxxxx xxxxx xxxxx",
        but "1x 001000 0 1 1 11111 x xxxxx xxxxx xxxxx"),
    exception!(SHOULD_BE_ONE, &[],
        "xx 001000 1 x 0 xxxxx x xxxxx xxxxx xxxxx",
        but "xx 001000 1 x 0 11111 x 11111 xxxxx xxxxx"),
    exception!(SHOULD_BE_ONE, &[],
        "1 00 11011 x10 xxxxx 0 xxxxx xxxxx xxxxx",
        but "1 00 11011 x10 xxxxx 0 11111 xxxxx xxxxx"),
    exception!(OP0_ZERO, &["msr"], "1101010100 0 00 xxx xxxx xxxx xxx xxxxx"),
    exception!(OP0_ZERO, &["mrs"], "1101010100 1 00 xxx xxxx xxxx xxx xxxxx"),
    exception!(SVCR_CRM, &["smstart", "smstop"], "1101010100 0 00 011 0100 1xxx 011 11111"),
    exception!(SVCR_CRM, &["smstart", "smstop"], "1101010100 0 00 011 0100 000x 011 11111"),
    exception!(RCPC3_SIZE, &["stilp", "ldiapp"], "0x 011001 0x 0 xxxxx 000x 10 xxxxx xxxxx"),
    exception!(RCPC3_SIZE, &["stlr", "ldapr"], "0x 011001 1x 0 00000 0000 10 xxxxx xxxxx"),
    exception!(ONE_DOUBLEWORD, &[], "00 001100x x 0 xxxxx 0x1x 11 xxxxx xxxxx"),
    exception!(ONE_DOUBLEWORD, &[], "00 001100x x 0 xxxxx 1010 11 xxxxx xxxxx"),
    exception!(ONE_DOUBLEWORD, &[], "00 001101x 1 x xxxxx 11x 0 11 xxxxx xxxxx"),
    exception!(ELEMENT_SIZE, STRUCTURES, "0x 001101x x x xxxxx 10x x 1x xxxxx xxxxx"),
    exception!(SETGO_SIZE, SETGO, "x1 011101 11 0 11111 xxxx 00 xxxxx xxxxx"),
    exception!(SETGO_SIZE, SETGO, "10 011101 11 0 11111 xxxx 00 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["smov"], "000 01110000 xx100 0 0101 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["smov"], "0x0 01110000 x1000 0 0101 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["umov"], "000 01110000 x1000 0 0111 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["umov"], "010 01110000 xxxx1 0 0111 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["umov"], "010 01110000 xxx10 0 0111 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["umov"], "010 01110000 xx100 0 0111 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fmlal", "fmlsl"], "0x0 01110 x1 1 xxxxx 11101 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fmlal2", "fmlsl2"], "0x1 01110 x1 1 xxxxx 11001 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["pmul"], "0x1 01110 xx 1 xxxxx 10011 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["sdot", "udot"], "0xx 01110 xx 0 xxxxx 10010 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["rev16"], "0x0 01110 xx 10000 00001 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["cnt"], "0x0 01110 xx 10000 00101 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["urecpe", "ursqrte"], "0xx 01110 11 10000 11100 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fmaxnmv"], "0x1 01110 0x 11000 01100 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fmaxv"], "0x1 01110 0x 11000 01111 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["sdot", "udot"], "0xx 01111 xx x xxxxx 1110 x0 xxxxx xxxxx"),
    exception!(SIMD_SIZE, LONG_SUMS, "0xx 01111 00 x xxxxx 0x1x x0 xxxxx xxxxx"),
    exception!(SIMD_SIZE, LONG_PRODUCTS, "0xx 01111 00 x xxxxx 101x x0 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fmla", "fmls", "fmul", "fmulx"],
        "01x x1111 11 1 xxxxx xx01 x0 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["abs", "cmeq", "cmge", "cmgt", "cmle", "cmlt", "neg"],
        "01x 11110 xx 10000 010xx 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fcvtxn"], "011 11110 00 10000 10110 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["addp"], "010 11110 xx 11000 11011 10 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["sshr", "ssra", "srshr", "srsra", "ushr", "usra", "urshr", "ursra"],
        "01x 111110 0xxx xxx 00xx0 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["shl", "sri", "sli"], "01x 111110 0xxx xxx 010x0 1 xxxxx xxxxx"),
    exception!(SIMD_SIZE, &["fcvtzs", "fcvtzu", "scvtf", "ucvtf"],
        "01x 111110 0001 xxx 111xx 1 xxxxx xxxxx"),
    exception!(SIMD_PRINT, &[], "010 11110000 xxxxx 0 0000 1 xxxxx xxxxx"),
    exception!(SIMD_PRINT, &[], "0x0 01110 10 11000 011xx 10 xxxxx xxxxx"),
    exception!(SIMD_PRINT, &[], "011 11110 11 11000 011xx 10 xxxxx xxxxx"),
    exception!(FCVT_SAME, &["fcvt"], "00011110 00 1 0001x0 10000 xxxxx xxxxx"),
    exception!(FCVT_SAME, &["fcvt"], "00011110 01 1 000101 10000 xxxxx xxxxx"),
    exception!(FCVT_SAME, &["fcvt"], "00011110 11 1 00011x 10000 xxxxx xxxxx"),
    exception!(FMOV_WIDTH, &["fmov"], "1 0011110 00 1 0011x 000000 xxxxx xxxxx"),
    exception!(FMOV_WIDTH, &["fmov"], "0 0011110 01 1 0011x 000000 xxxxx xxxxx"),
];

const STRUCTURES: &[&str] = &["ld1", "ld2", "ld3", "ld4", "st1", "st2", "st3", "st4"];

#[rustfmt::skip]
const LONG_SUMS: &[&str] = &[
    "smlal", "smlal2", "smlsl", "smlsl2", "sqdmlal", "sqdmlal2", "sqdmlsl", "sqdmlsl2", "umlal",
    "umlal2", "umlsl", "umlsl2",
];

const LONG_PRODUCTS: &[&str] = &["smull", "smull2", "sqdmull", "sqdmull2", "umull", "umull2"];

const SETGO: &[&str] = &[
    "setgop", "setgopt", "setgopn", "setgoptn", "setgom", "setgomt", "setgomn", "setgomtn",
    "setgoe", "setgoet", "setgoen", "setgoetn",
];

/// What the other decoder makes of a word: its mnemonic and the extension it belongs to.
///
/// Operands it prints as `<undefined>` mean that it, too, takes the word for no instruction; it
/// tells the classes apart first and the reserved values while printing.
fn theirs(word: u32) -> Option<(&'static str, disarm64::Opcode)> {
    let opcode = disarm64::decoder::decode(word)?;
    Some((opcode.definition().mnemonic, opcode))
}

fn has_undefined_operand(opcode: &disarm64::Opcode) -> bool {
    UNPRINTABLE.contains(opcode.bits()) || opcode.to_string().contains("<undefined>")
}

/// Shifts of one element with immh = 0b0000, which is no element size: the other decoder subtracts
/// an element's size from it while printing, and panics.
const UNPRINTABLE: Cube = Cube::parse("01x 111110 0000 xxx xxxxx 1 xxxxx xxxxx");

/// The other decoder's text for a word.
pub fn their_text(word: u32) -> String {
    let text = |(name, opcode): (&str, disarm64::Opcode)| match UNPRINTABLE.contains(word) {
        true => name.to_owned(),
        false => opcode.to_string().replace("\t\t", " "),
    };
    theirs(word).map_or("nothing".into(), text)
}

/// Compares the decoders for one word.
pub fn compare(word: u32) -> Outcome {
    compare_with(word, lookup(word))
}

/// Compares the other decoder with a line of the table that is claimed to be that of `word`.
pub fn compare_with(word: u32, line: &Entry) -> Outcome {
    let theirs = theirs(word);
    let verdict = match (line.kind(), &theirs) {
        (Kind::Unallocated, None) => Outcome::BothNone,
        (Kind::Unallocated, Some((_, opcode))) if has_undefined_operand(opcode) => {
            Outcome::BothNone
        }
        (Kind::Unimplemented(_), None) => Outcome::NotLookedInto,
        (Kind::Unimplemented(feature), Some((_, opcode))) => compare_feature(feature, opcode),
        (Kind::Unallocated, Some(_)) | (_, None) => Outcome::Disagree,
        (_, Some((name, opcode))) => {
            let same = *name == line.mnemonic() || is_alias(word, line.mnemonic(), name);
            match same && !has_undefined_operand(opcode) {
                true => Outcome::Same,
                false => Outcome::Disagree,
            }
        }
    };
    let printed = theirs.filter(|(_, opcode)| !has_undefined_operand(opcode));
    match verdict {
        Outcome::Disagree => explained(word, line, printed.map(|(name, _)| name)),
        verdict => verdict,
    }
}

fn is_alias(word: u32, ours: &str, theirs: &str) -> bool {
    let is_second = WITH_Q.contains(word) && theirs.strip_suffix('2') == Some(ours);
    let is_alias =
        |alias: &Alias| (alias.ours, alias.theirs) == (ours, theirs) && alias.words.contains(word);
    is_second && SECOND_NAMES.contains(&ours) || ALIASES.iter().any(is_alias)
}

/// An exception says either that they see nothing in an instruction of ours, or that they see
/// something where we see no instruction; never that one instruction is another.
fn explained(word: u32, line: &Entry, theirs: Option<&str>) -> Outcome {
    let ours_is_instruction = !line.mnemonic().is_empty();
    EXCEPTIONS
        .iter()
        .find(|exception| {
            let said = match theirs {
                None => exception.theirs.is_empty() && ours_is_instruction,
                Some(name) => exception.theirs.contains(&name) && !ours_is_instruction,
            };
            said && exception.contains(word)
        })
        .map_or(Outcome::Disagree, |exception| Outcome::Explained(exception.why))
}

impl Exception {
    /// Whether the exception is about `word`.
    pub fn contains(&self, word: u32) -> bool {
        self.words.contains(word) && !self.but.iter().any(|cube| cube.contains(word))
    }
}

fn compare_feature(feature: Feature, opcode: &disarm64::Opcode) -> Outcome {
    let theirs = format!("{:?}", opcode.definition().feature_set);
    if names_of(feature, &theirs) {
        Outcome::Same
    } else if has_undefined_operand(opcode) {
        Outcome::NotLookedInto
    } else {
        Outcome::Disagree
    }
}

/// Whether the other decoder's name of an extension is one that our feature stands for.
#[rustfmt::skip]
fn names_of(feature: Feature, theirs: &str) -> bool {
    match feature {
        Feature::Bf16 => theirs == "BFLOAT16",
        Feature::Cmpbr => theirs == "CMPBR",
        Feature::Cpa => theirs == "CPA",
        Feature::Cssc => theirs == "CSSC",
        Feature::D128 => theirs == "D128",
        Feature::Faminmax => theirs == "FAMINMAX",
        Feature::Fcma => theirs == "COMPNUM",
        Feature::Fhm => theirs == "FP_16_V8_2A",
        Feature::FlagM => matches!(theirs, "FLAGM" | "FLAGMANIP"),
        Feature::FloatMatrix => matches!(
            theirs,
            "F8F16MM" | "F8F32MM" | "F16MM" | "F16F32MM" | "F16F32DOT"
        ),
        Feature::Fp8 => matches!(theirs, "FP8" | "FP8FMA" | "FP8DOT2" | "FP8DOT4"),
        Feature::Fprcvt => theirs == "FPRCVT",
        Feature::Frintts => theirs == "FRINTTS",
        Feature::Gcs => theirs == "GCS",
        Feature::Hbc => theirs == "HBC",
        Feature::I8mm => theirs == "I8MM",
        Feature::Jscvt => theirs == "JSCVT",
        Feature::Lrcpc2 => theirs == "RCPC2",
        Feature::Lrcpc3 => theirs == "RCPC3",
        Feature::Ls64 => theirs == "LS64",
        Feature::Lscp => theirs == "LSCP",
        Feature::Lse128 => theirs == "LSE128",
        Feature::Lsfe => theirs == "LSFE",
        Feature::Lsui => matches!(theirs, "LSUI" | "LSUI_FP"),
        Feature::Lut => theirs == "LUT",
        Feature::Mops => matches!(theirs, "MOPS" | "MOPS_GO" | "MOPS_MEMTAG"),
        Feature::Mte => theirs == "MEMTAG",
        Feature::Pauth | Feature::PauthLr => theirs == "PAUTH",
        Feature::Poe2 => theirs == "POE2",
        Feature::Sha3 | Feature::Sha512 => theirs == "SHA3",
        Feature::Sm3 | Feature::Sm4 => theirs == "SM4",
        Feature::Sme => theirs.contains("SME") || theirs.contains("LUTV2"),
        Feature::Sve => {
            theirs.contains("SVE") || matches!(theirs, "SME" | "F16MM")
        }
        Feature::Tev => theirs == "TEV",
        Feature::The => matches!(theirs, "THE" | "D128_THE"),
        Feature::Tme => theirs == "TME",
        Feature::Wfxt => theirs == "WFXT",
        Feature::Xs => theirs == "XS",
    }
}
