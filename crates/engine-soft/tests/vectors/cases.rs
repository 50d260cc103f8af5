//! The test cases: for each line of the decode table instruction words and the state to run them
//! in, all made from the line's pattern and the case's number, so that no input needs storing.
//!
//! The recorder and the test compile this same file. It reads the fields that it needs (where an
//! access goes) from the instruction word itself and not with the engine's own functions.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers are cut to fields of instructions, and offsets are taken modulo 2^64"
)]

use abide_engine_soft::decode::{Atomic, Cube, Entry, Kind, SimdFp, entries};

use crate::groups::Group;
use crate::operands::Source;
use crate::rng::{Rng, mix};

/// Two pages that cases load from and store to.
pub const DATA: u64 = 0x4060_0000;
/// The bytes of [`DATA`] that cases use: both sides of the border between the pages.
pub const WINDOW: u64 = DATA + 0x1000 - WINDOW_SIZE as u64 / 2;
pub const WINDOW_SIZE: usize = 512;
/// Where the code of most cases stands. All else within 128 MiB of it is zero (`udf #0`).
pub const CODE: u64 = 0x4880_0000;
/// Memory full of [`literal_at`], for loads relative to the PC.
pub const LITERALS: u64 = 0x5120_0000;
pub const LITERALS_END: u64 = 0x5160_0000;
/// The code of cases that load from there.
const LITERAL_CODE: u64 = 0x5140_0000;

/// `brk #0`, behind the words of a case.
pub const PAD: u32 = 0xd420_0000;

/// What the 8 bytes at `address` between [`LITERALS`] and [`LITERALS_END`] hold.
pub fn literal_at(address: u64) -> u64 {
    mix(address)
}

/// Everything that a case can change.
#[derive(Clone, PartialEq, Eq)]
pub struct State {
    pub x: [u64; 31],
    pub sp: u64,
    /// N, Z, C and V at bits 31 to 28.
    pub nzcv: u64,
    pub v: [u128; 32],
    pub fpsr: u32,
    pub fpcr: u32,
    pub memory: [u8; WINDOW_SIZE],
}

/// One test case.
#[derive(Clone)]
pub struct Case {
    pub index: u64,
    pub words: Vec<u32>,
    /// Where the first of the words stands.
    pub at: u64,
    pub before: State,
    /// Whether it is about the vector registers and FPSR, FPCR.
    pub uses_v: bool,
}

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At a `brk`, almost always [`PAD`].
    Break,
    /// At an UNDEFINED instruction: zeros that a branch went to, or the case's own word.
    Undefined,
    /// In another way; the number tells something to whoever looks into it.
    Other(u64),
}

/// The result of a case.
pub struct Outcome {
    pub end: End,
    pub pc: u64,
    pub after: State,
}

/// What kind of operands the words of a line need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Registers only.
    Plain,
    BranchImmediate,
    BranchRegister,
    Literal,
    /// Base and offset, the access being `post` before the offset counts.
    Unsigned,
    Unscaled,
    Indexed {
        post: bool,
    },
    Register,
    Pair {
        writeback: bool,
        post: bool,
    },
    Exclusive,
    Ordered,
    /// LD1 to LD4, ST1 to ST4.
    Structures,
    /// One atomic operation on memory.
    Atomic,
    /// Not an instruction of a Cortex-A57.
    Undefined,
    /// MSR then MRS of a register of EL0.
    MoveSystem,
    /// Cache maintenance by address.
    Cache,
    /// Two instructions that compilers put side by side, which an engine may execute as one.
    Neighbours,
    /// Many instructions: loops, forward branches, loads, stores.
    Program,
    /// Many instructions on vectors of integers.
    VectorProgram,
    /// Every half-precision number.
    Half,
}

/// A group of cases: a line of the decode table, or one of [`extra_lines`].
pub struct Line {
    pub mask: u32,
    pub value: u32,
    pub name: &'static str,
    pub class: &'static str,
    pub family: Family,
    pub group: Group,
    entry: Option<&'static Entry>,
}

/// How many cases are compared as one digest.
pub const BLOCK: u64 = 32;

impl Line {
    /// How many cases are recorded with everything they changed; they are the first ones.
    pub const fn full_cases(&self) -> u64 {
        match (self.family, self.group) {
            (Family::Undefined, _) => 0,
            (_, Group::Base) => 16,
            (_, Group::Atomic) => 4,
            _ => 8,
        }
    }

    /// How many blocks of cases there are.
    pub const fn blocks(&self) -> u64 {
        match (self.family, self.group) {
            (Family::Undefined, _) => 8,
            (Family::BranchImmediate | Family::BranchRegister, _) => 32,
            (Family::Program | Family::Neighbours | Family::VectorProgram, _) => 512,
            (Family::Half, _) => crate::half::CASES / BLOCK,
            (_, Group::Base) => 96,
            (_, Group::Atomic) => 48,
            _ => 128,
        }
    }

    /// The case of this number.
    pub fn case(&self, index: u64) -> Case {
        let line = u64::from(self.mask) << 32 | u64::from(self.value);
        (0..)
            .find_map(|part| self.attempt(index, &mut Rng::new(line, index, part)))
            .expect("the numbers do not end")
    }

    fn attempt(&self, index: u64, rng: &mut Rng) -> Option<Case> {
        let mut case = Case {
            index,
            words: vec![self.word(rng)],
            at: CODE + [0, 0x40, 0x7fc, 0xff4, 0xff8, 0xffc][rng.below(6) as usize],
            before: state(rng),
            uses_v: self.uses_v(),
        };
        if self.entry.is_some_and(|entry| !entry.contains(case.words[0])) {
            return None;
        }
        if self.group != Group::Base && case.uses_v {
            self.fill_vectors(&mut case, rng);
        }
        shape(self.family, &mut case, rng)?;
        Some(case)
    }

    /// A word of the line, with registers that are often equal or number 31.
    fn word(&self, rng: &mut Rng) -> u32 {
        let mut free = rng.free_bits();
        for place in [0, 5, 16] {
            if rng.once_in(8) {
                free |= 31 << place;
            }
        }
        if rng.once_in(8) {
            free = free & !0x1f | free >> 5 & 0x1f;
        }
        if rng.once_in(8) {
            free = free & !(0x1f << 16) | (free >> 5 & 0x1f) << 16;
        }
        // Fields of no meaning that should be ones [DDI0487 C4.1].
        free |= match (self.family, self.name) {
            (Family::Ordered, _) => 0x001f_7c00,
            (Family::Exclusive, "ldxp" | "ldaxp") => 0x001f_0000,
            (Family::Exclusive, "stxp" | "stlxp") => 0,
            (Family::Exclusive, name) if name.starts_with("st") => 0x7c00,
            (Family::Exclusive, _) => 0x001f_7c00,
            (Family::Plain, "smulh" | "umulh") => 0x7c00,
            _ => 0,
        };
        self.value | free & !self.mask
    }

    /// Vector registers full of what the line may get wrong, and any FPCR and FPSR.
    fn fill_vectors(&self, case: &mut Case, rng: &mut Rng) {
        let float = matches!(self.group, Group::ScalarFp | Group::SimdFp)
            || self.name.starts_with('f')
            || self.name.ends_with("cvtf");
        let source = Source::new(rng, case.words[0], float);
        case.before.v = std::array::from_fn(|_| source.register(rng));
        // AHP, DN, FZ, RMode, FZ16: often all zeros, as programs run.
        case.before.fpcr = if rng.once_in(4) { 0 } else { rng.word() & 0x07c8_0000 };
        // QC, IDC, IXC, UFC, OFC, DZC, IOC: mostly zeros, so that what is raised shows.
        case.before.fpsr = if rng.once_in(4) { rng.word() & 0x0800_009f } else { 0 };
    }

    fn uses_v(&self) -> bool {
        match self.group {
            Group::Base => {}
            Group::Atomic => return false,
            _ => return true,
        }
        let access = self.value >> 25 & 5 == 4;
        let vector = access && self.value >> 26 & 1 == 1 && self.family != Family::Undefined;
        vector || matches!(self.family, Family::Program | Family::MoveSystem)
    }
}

fn state(rng: &mut Rng) -> State {
    State {
        x: std::array::from_fn(|_| rng.operand()),
        sp: rng.operand(),
        nzcv: rng.below(16) << 28,
        v: std::array::from_fn(|_| rng.vector()),
        fpsr: 0,
        fpcr: 0,
        memory: std::array::from_fn(|_| rng.word() as u8),
    }
}

/// Reserved words that QEMU 10.0 does not take for such where there is FP16: two registers
/// (miscellaneous, FP16), across lanes and pairwise with size = 0bx1, FMOV (vector, immediate) with
/// op = 1.
const QEMU_ERRS: [Cube; 3] = [
    Cube::parse("0xx x1110 x1111 00 xxxxx 10 xxxxx xxxxx"),
    Cube::parse("0x0 x1110 x1 11000 011xx 10 xxxxx xxxxx"),
    Cube::parse("0x1 01111 00000 xxx 1111 11 xxxxx xxxxx"),
];

/// FCVTZS (vector, fixed-point), the scalar form from half precision.
pub const FCVTZS_HALF: Cube = Cube::parse("01 0 111110 001 xxxx 111111 xxxxx xxxxx");

/// Why the words of a line of the table are not tried here, or the family they belong to.
pub fn family(entry: &Entry) -> Result<Family, &'static str> {
    Ok(match entry.kind() {
        Kind::SimdFp(SimdFp::FcvtzsVectorFixedPoint)
            if entry.pattern().contains(FCVTZS_HALF.word(0)) =>
        {
            return Err("QEMU leaves ones above a negative half-precision result");
        }
        Kind::ScalarFp(_) | Kind::Simd(_) | Kind::SimdFp(_) | Kind::Crypto(_) => Family::Plain,
        Kind::Structures(_) => Family::Structures,
        Kind::Unallocated
            if Group::of(entry) == Group::Simd
                && QEMU_ERRS.iter().any(|cube| cube.meets(entry.pattern())) =>
        {
            return Err("QEMU aborts at it, or takes it for an instruction");
        }
        Kind::Atomic(Atomic::Ldapr) => Family::Ordered,
        Kind::Atomic(_) => Family::Atomic,
        Kind::Udf | Kind::Unallocated | Kind::Unimplemented(_) => Family::Undefined,
        Kind::Svc | Kind::Hvc | Kind::Smc | Kind::Brk | Kind::Hlt => return Err("an exception"),
        Kind::Dcps1 | Kind::Dcps2 | Kind::Dcps3 | Kind::Drps => return Err("of debug state"),
        Kind::Eret => return Err("UNDEFINED at EL0"),
        Kind::Wfe | Kind::Wfi => return Err("it waits"),
        Kind::Mrs | Kind::MsrRegister | Kind::MsrImmediate | Kind::Sys | Kind::Sysl => {
            return Err("each system register is its own story; see the extra lines");
        }
        _ if entry.mnemonic().starts_with("prf") => Family::Plain,
        _ => family_of_class(entry.class()),
    })
}

fn family_of_class(class: &str) -> Family {
    match class {
        "Conditional branch (immediate)"
        | "Unconditional branch (immediate)"
        | "Compare and branch (immediate)"
        | "Test and branch (immediate)" => Family::BranchImmediate,
        "Unconditional branch (register)" => Family::BranchRegister,
        "Load register (literal)" => Family::Literal,
        "Load/store exclusive register" | "Load/store exclusive pair" => Family::Exclusive,
        "Load/store ordered" => Family::Ordered,
        "Load/store no-allocate pair (offset)" | "Load/store register pair (offset)" => {
            Family::Pair { writeback: false, post: false }
        }
        "Load/store register pair (post-indexed)" => Family::Pair { writeback: true, post: true },
        "Load/store register pair (pre-indexed)" => Family::Pair { writeback: true, post: false },
        "Load/store register (unscaled immediate)" | "Load/store register (unprivileged)" => {
            Family::Unscaled
        }
        "Load/store register (immediate post-indexed)" => Family::Indexed { post: true },
        "Load/store register (immediate pre-indexed)" => Family::Indexed { post: false },
        "Load/store register (register offset)" => Family::Register,
        "Load/store register (unsigned immediate)" => Family::Unsigned,
        _ => Family::Plain,
    }
}

/// The lines of the table of this group that can be tried, then the extra ones.
pub fn lines(group: Group) -> Vec<Line> {
    let of_entry = |entry: &'static Entry| {
        let (mask, value) = (entry.pattern().mask(), entry.pattern().value());
        let family = family(entry).ok()?;
        let (name, class) = (entry.mnemonic(), entry.class());
        Some(Line { mask, value, name, class, family, group, entry: Some(entry) })
    };
    let known = entries().filter(|entry| Group::of(entry) == group).filter_map(of_entry);
    known.chain(extra_lines().filter(|line| line.group == group)).collect()
}

fn extra_lines() -> impl Iterator<Item = Line> {
    let line = |class, family| {
        let group = Group::Base;
        move |(value, name)| Line { mask: !0x1f, value, name, class, family, group, entry: None }
    };
    let moves = [(0xd51b_4200, "msr nzcv"), (0xd51b_4400, "msr fpcr"), (0xd51b_4420, "msr fpsr")];
    let caches = [
        (0xd50b_7420, "dc zva"),
        (0xd50b_7a20, "dc cvac"),
        (0xd50b_7b20, "dc cvau"),
        (0xd50b_7e20, "dc civac"),
        (0xd50b_7520, "ic ivau"),
    ];
    let moves =
        moves.into_iter().map(line("Moves to and from registers of EL0", Family::MoveSystem));
    let caches = caches.into_iter().map(line("Cache maintenance by address", Family::Cache));
    let more = [
        line("Two instructions", Family::Neighbours)((1, "neighbours")),
        line("Many instructions", Family::Program)((0, "programs")),
    ];
    let half = Line {
        group: Group::SimdFp,
        ..line("One operand", Family::Half)((2, "half-precision numbers"))
    };
    let vectors = Line {
        group: Group::Simd,
        ..line("Many instructions on vectors", Family::VectorProgram)((3, "vectors"))
    };
    moves.chain(caches).chain(more).chain([half, vectors])
}

/// The registers that a word names.
struct Fields {
    t: usize,
    n: usize,
    t2: usize,
    m: usize,
}

fn fields(word: u32) -> Fields {
    let at = |place: u32| (word >> place & 31) as usize;
    Fields { t: at(0), n: at(5), t2: at(10), m: at(16) }
}

const fn sign_extend(value: u32, bits: u32) -> i64 {
    ((value as i64) << (64 - bits)) >> (64 - bits)
}

/// Bytes of a load or store of one register, as a power of two.
const fn scale(word: u32) -> u32 {
    let size = word >> 30;
    if word >> 26 & 1 == 1 { size | (word >> 23 & 1) << 2 } else { size }
}

/// Bytes of one register of a pair, as a power of two.
const fn pair_scale(word: u32) -> u32 {
    let opc = word >> 30;
    if word >> 26 & 1 == 1 { 2 + opc } else { 2 + (opc >> 1) }
}

/// Gives the case operands that its words can be run with; `None` where there are none, because
/// the behaviour of the word is CONSTRAINED UNPREDICTABLE.
fn shape(family: Family, case: &mut Case, rng: &mut Rng) -> Option<()> {
    let word = case.words[0];
    let Fields { t, n, t2, m } = fields(word);
    let vector = word >> 26 & 1 == 1;
    let imm9 = sign_extend(word >> 12 & 0x1ff, 9);
    match family {
        Family::Plain | Family::Undefined => Some(()),
        Family::BranchImmediate => (branch_offset(word) != 0).then_some(()),
        Family::BranchRegister => {
            let target = CODE.wrapping_sub(0x10_0000) + 4 * rng.below(0x8_0000);
            (n != 31).then(|| case.before.x[n] = target)
        }
        Family::Literal => {
            case.at = case.at - CODE + LITERAL_CODE;
            Some(())
        }
        Family::Unsigned => {
            let offset = i64::from(word >> 10 & 0xfff) << scale(word);
            aim(case, rng, n, offset, 1 << scale(word), 1)
        }
        Family::Unscaled => aim(case, rng, n, imm9, 1 << scale(word), 1),
        Family::Indexed { post } => {
            if !vector && t == n && n != 31 {
                return None;
            }
            aim(case, rng, n, if post { 0 } else { imm9 }, 1 << scale(word), 1)
        }
        Family::Register => {
            if m == n && n != 31 {
                return None;
            }
            let offset = register_offset(word, if m == 31 { 0 } else { case.before.x[m] });
            aim(case, rng, n, offset, 1 << scale(word), 1)
        }
        Family::Pair { writeback, post } => {
            let load = word >> 22 & 1 == 1;
            let clobbered = writeback && !vector && n != 31 && (t == n || t2 == n);
            if clobbered || load && t == t2 {
                return None;
            }
            let offset = sign_extend(word >> 15 & 0x7f, 7) << pair_scale(word);
            aim(case, rng, n, if post { 0 } else { offset }, 2 << pair_scale(word), 1)
        }
        Family::Ordered => aim(case, rng, n, 0, 1 << scale(word), 1 << scale(word)),
        Family::Exclusive => exclusive(case, rng),
        Family::Atomic => atomic(case, rng),
        Family::Structures => aim(case, rng, n, 0, structure_bytes(word), 1),
        Family::MoveSystem => {
            // FPCR.Len and Stride exist only for AArch32, which the engine has not.
            case.before.x[t % 31] &= !0x0037_0000;
            // So do the flags in FPSR.
            if word & !0x1f == 0xd51b_4420 {
                case.before.x[t % 31] &= !0xf000_0000;
            }
            case.words.push(word & !0x1f | 1 << 21 | (rng.word() & 0x1f));
            Some(())
        }
        Family::Cache if t == 31 => None,
        Family::Cache => aim(case, rng, t, 0, 1, 1),
        Family::Neighbours => {
            crate::programs::neighbours(case, rng);
            Some(())
        }
        Family::Half => {
            crate::half::fill(case);
            Some(())
        }
        Family::Program => {
            crate::programs::fill(case, rng);
            Some(())
        }
        Family::VectorProgram => {
            crate::programs::vectors(case, rng);
            Some(())
        }
    }
}

/// The offset of any branch with an immediate.
const fn branch_offset(word: u32) -> i64 {
    let words = match word >> 24 & 0x7f {
        0x54 | 0x34 | 0x35 => sign_extend(word >> 5 & 0x7_ffff, 19),
        0x36 | 0x37 => sign_extend(word >> 5 & 0x3fff, 14),
        _ => sign_extend(word & 0x3ff_ffff, 26),
    };
    4 * words
}

/// The offset that an index register gives.
const fn register_offset(word: u32, index: u64) -> i64 {
    let extended = match word >> 13 & 7 {
        2 => index & 0xffff_ffff,
        6 => index as u32 as i32 as u64,
        _ => index,
    };
    (extended << if word >> 12 & 1 == 1 { scale(word) } else { 0 }) as i64
}

/// Bytes that a load or store of structures moves.
const fn structure_bytes(word: u32) -> u64 {
    let register = 8 << (word >> 30 & 1);
    if word >> 24 & 1 == 0 {
        return register
            * match word >> 12 & 15 {
                0b0000 | 0b0010 => 4,
                0b0100 | 0b0110 => 3,
                0b1000 | 0b1010 => 2,
                _ => 1,
            };
    }
    let count = (word >> 12 & 2 | word >> 21 & 1) as u64 + 1;
    let size = match word >> 14 & 3 {
        0b10 => 2 + (word >> 10 & 1),
        0b11 => word >> 10 & 3,
        opcode => opcode,
    };
    count << size
}

/// Sets base register `n` so that an access of `bytes` at its value plus `offset` is inside the
/// window and a multiple of `align`. Fails where an aligned SP cannot be.
fn aim(
    case: &mut Case,
    rng: &mut Rng,
    n: usize,
    offset: i64,
    bytes: u64,
    align: u64,
) -> Option<()> {
    let end = WINDOW + WINDOW_SIZE as u64;
    let target = if rng.once_in(3) {
        // Across the border between the pages, or just before or after it.
        DATA + 0x1000 - bytes - 1 + rng.below(bytes + 2)
    } else {
        WINDOW + rng.below(WINDOW_SIZE as u64 - bytes)
    };
    let target = target & !(align - 1);
    if n == 31 {
        // SP has to be a multiple of 16 [DDI0487 D1.3.10.2 Stack pointer alignment checking].
        let base = target.wrapping_sub_signed(offset) & !15;
        let target = base.wrapping_add_signed(offset);
        let inside = (WINDOW..=end - bytes).contains(&target) && target.is_multiple_of(align);
        return inside.then(|| case.before.sp = base);
    }
    // The top byte of an address is ignored at EL0 of Linux.
    let tag = if rng.once_in(8) { rng.next() << 56 } else { 0 };
    case.before.x[n] = target.wrapping_sub_signed(offset).wrapping_add(tag);
    Some(())
}

/// An atomic operation, of which every second finds in memory what it compares with.
fn atomic(case: &mut Case, rng: &mut Rng) -> Option<()> {
    let word = case.words[0];
    let Fields { n, m, .. } = fields(word);
    // The class "Compare and swap pair" has bits 23 and 29 clear.
    let pair = word >> 23 & 0x41 == 0;
    let register = if pair { 4 << (word >> 30 & 1) } else { 1 << (word >> 30) };
    let bytes = if pair { 2 * register } else { register };
    aim(case, rng, n, 0, bytes, bytes)?;
    if rng.once_in(2) {
        let x = |number: usize| case.before.x.get(number).copied().unwrap_or(0).to_le_bytes();
        let base = if n == 31 { case.before.sp } else { case.before.x[n] };
        // Without the tag.
        let at = ((base << 8 >> 8) - WINDOW) as usize;
        let (first, second) = (x(m), x(m + 1));
        let register = register as usize;
        case.before.memory[at..at + register].copy_from_slice(&first[..register]);
        if pair {
            let at = at + register;
            case.before.memory[at..at + register].copy_from_slice(&second[..register]);
        }
    }
    Some(())
}

/// A load-exclusive alone or with a store, a store-exclusive after a load or after CLREX.
fn exclusive(case: &mut Case, rng: &mut Rng) -> Option<()> {
    const CLREX: u32 = 0xd503_3f5f;
    const LOAD: u32 = 1 << 22;
    const PAIR: u32 = 1 << 21;
    let word = case.words[0];
    let pair = word & PAIR != 0;
    let common = word & !(0x001f_fc1f | LOAD); // size, pair, base
    let mut registers = || rng.word() & 0x8000 | rng.word() & 0x1f;
    let other = if pair { registers() & 0x1f } else { 31 };
    let (load, store) = if word & LOAD != 0 {
        (word, common | registers() | other << 10 | (registers() & 0x1f) << 16)
    } else {
        (common | LOAD | registers() | other << 10 | 31 << 16, word)
    };
    let (l, s) = (fields(load), fields(store));
    let base = |register: usize| register == l.n && l.n != 31;
    let load_wrong = base(l.t) || pair && (base(l.t2) || l.t == l.t2);
    let store_wrong = s.m == s.t || base(s.m) || pair && s.m == s.t2;
    if load_wrong || store_wrong {
        return None;
    }
    case.words = match (word & LOAD != 0, rng.below(4)) {
        (true, 0) => vec![load],
        (false, 0) => vec![CLREX, store],
        (_, 1) => vec![load, CLREX, store],
        _ => vec![load, store],
    };
    let bytes = 1 << (word >> 30) << u32::from(pair);
    aim(case, rng, l.n, 0, bytes, bytes)
}
