//! The loops that are measured.

use abide_testkit::guest::{Program, asm};

/// A piece of code that is repeated to fill a loop.
pub struct Loop {
    pub name: &'static str,
    /// Instructions of one copy.
    pub length: u64,
    /// Writes the copy of this number. x20 and x21 are addresses of data, multiples of 4 KiB with
    /// as much before and behind them; x16 to x18 and x22 to x27 are free.
    pub write: fn(&mut Program, u64),
}

/// The number of a register.
#[derive(Clone, Copy)]
pub struct R(pub u8);

impl From<R> for u8 {
    fn from(register: R) -> Self {
        register.0
    }
}

impl Loop {
    /// So many copies make the loop's own two instructions few.
    pub const fn copies(&self) -> u64 {
        192 / self.length
    }
}

/// `d`, `n` and `m` are different registers, and others in the next copy.
macro_rules! loops {
    ($($name:literal $length:literal, |$d:ident, $n:ident, $m:ident| { $($code:tt)* })+) => {
        /// All of them, `add` first.
        pub fn all() -> Vec<Loop> {
            vec![$({
                fn write(program: &mut Program, copy: u64) {
                    let number = u8::try_from(copy % 4).unwrap_or(0);
                    let ($d, $n, $m) = (R(number), R(4 + number), R(8 + number));
                    // Not every loop has three registers.
                    let _ = ($d, $n, $m);
                    asm!(program.assembler() $($code)*);
                }
                Loop { name: $name, length: $length, write }
            }),+]
        }
    };
}

loops! {
    "add x" 1, |d, n, m| { ; add X(d), X(n), X(m) }
    // A second time, to show how far the figures can be trusted.
    "add x, again" 1, |d, n, m| { ; add X(d), X(n), X(m) }
    "ldr x" 1, |d, n, m| { ; ldr X(d), [x20, 16] }
    "ldp x" 1, |d, n, m| { ; ldp X(d), X(n), [x20, 16] }
    "str x" 1, |d, n, m| { ; str X(d), [x20, 16] }

    "ldr q, immediate" 1, |d, n, m| { ; ldr Q(d), [x20, 16] }
    "ldr q, unaligned" 1, |d, n, m| { ; ldur Q(d), [x20, 17] }
    "ldr q, post-indexed" 4, |d, n, m| {
        ; ldr Q(d), [x20], 16 ; ldr Q(n), [x20], 16 ; ldr Q(m), [x20], 16 ; ldr Q(d), [x20], -48
    }
    "ldr q, register" 1, |d, n, m| { ; ldr Q(d), [x20, X(n)] }
    "ldr d" 1, |d, n, m| { ; ldr D(d), [x20, 16] }
    "ldr s" 1, |d, n, m| { ; ldr S(d), [x20, 16] }
    "str q, immediate" 1, |d, n, m| { ; str Q(d), [x20, 16] }
    "str q, unaligned" 1, |d, n, m| { ; stur Q(d), [x20, 17] }
    "str d" 1, |d, n, m| { ; str D(d), [x20, 16] }
    "ldp q" 1, |d, n, m| { ; ldp Q(d), Q(n), [x20, 32] }
    "ldp q, unaligned" 2, |d, n, m| { ; add x22, x20, 5 ; ldp Q(d), Q(n), [x22, 32] }
    "ldp q, post-indexed" 2, |d, n, m| {
        ; ldp Q(d), Q(n), [x20], 32 ; ldp Q(d), Q(n), [x20], -32
    }
    "ldp d" 1, |d, n, m| { ; ldp D(d), D(n), [x20, 32] }
    "stp q" 1, |d, n, m| { ; stp Q(d), Q(n), [x20, 32] }
    "stp d" 1, |d, n, m| { ; stp D(d), D(n), [x20, 32] }
    "ld1 of four" 1, |d, n, m| { ; ld1 {V(d).b16 * 4}, [x20] }

    "eor v" 1, |d, n, m| { ; eor V(d).b16, V(n).b16, V(m).b16 }
    "mov v" 1, |d, n, m| { ; mov V(d).b16, V(n).b16 }
    "bsl v" 1, |d, n, m| { ; bsl V(d).b16, V(n).b16, V(m).b16 }
    "add v.16b" 1, |d, n, m| { ; add V(d).b16, V(n).b16, V(m).b16 }
    "add v.4s" 1, |d, n, m| { ; add V(d).s4, V(n).s4, V(m).s4 }
    "sub v.2s" 1, |d, n, m| { ; sub V(d).s2, V(n).s2, V(m).s2 }
    "mul v.4s" 1, |d, n, m| { ; mul V(d).s4, V(n).s4, V(m).s4 }
    "cmeq v.16b" 1, |d, n, m| { ; cmeq V(d).b16, V(n).b16, V(m).b16 }
    "cmeq v.16b, 0" 1, |d, n, m| { ; cmeq V(d).b16, V(n).b16, 0 }
    "cmhi v.16b" 1, |d, n, m| { ; cmhi V(d).b16, V(n).b16, V(m).b16 }
    "cmhs v.16b" 1, |d, n, m| { ; cmhs V(d).b16, V(n).b16, V(m).b16 }
    "umin v.16b" 1, |d, n, m| { ; umin V(d).b16, V(n).b16, V(m).b16 }
    "uminp v.16b" 1, |d, n, m| { ; uminp V(d).b16, V(n).b16, V(m).b16 }
    "umaxp v.4s" 1, |d, n, m| { ; umaxp V(d).s4, V(n).s4, V(m).s4 }
    "addp v.16b" 1, |d, n, m| { ; addp V(d).b16, V(n).b16, V(m).b16 }
    "umaxv b" 1, |d, n, m| { ; umaxv B(d), V(n).b16 }
    "ushr v.4s" 1, |d, n, m| { ; ushr V(d).s4, V(n).s4, 7 }
    "shl v.4s" 1, |d, n, m| { ; shl V(d).s4, V(n).s4, 7 }
    "sri v.4s" 1, |d, n, m| { ; sri V(d).s4, V(n).s4, 7 }
    "sshr v.2d" 1, |d, n, m| { ; sshr V(d).d2, V(n).d2, 7 }
    "shrn v.8b" 1, |d, n, m| { ; shrn V(d).b8, V(n).h8, 4 }
    "ushll v.8h" 1, |d, n, m| { ; ushll V(d).h8, V(n).b8, 0 }
    "xtn v.8b" 1, |d, n, m| { ; xtn V(d).b8, V(n).h8 }
    "umull v.2d" 1, |d, n, m| { ; umull V(d).d2, V(n).s2, V(m).s2 }
    "umlal v.2d" 1, |d, n, m| { ; umlal V(d).d2, V(n).s2, V(m).s2 }
    "movi v" 1, |d, n, m| { ; movi V(d).b16, 7 }
    "dup v, w" 1, |d, n, m| { ; dup V(d).b16, W(n) }
    "dup v, v[1]" 1, |d, n, m| { ; dup V(d).s4, V(n).s[1] }
    "umov w" 1, |d, n, m| { ; umov W(d), V(n).b[3] }
    "mov x, v.d[1]" 1, |d, n, m| { ; umov X(d), V(n).d[1] }
    "ins v, x" 1, |d, n, m| { ; ins V(d).d[1], X(n) }
    "ins v, v" 1, |d, n, m| { ; ins V(d).s[1], V(n).s[2] }
    "ext v" 1, |d, n, m| { ; ext V(d).b16, V(n).b16, V(m).b16, 5 }
    "tbl v, one" 1, |d, n, m| { ; tbl V(d).b16, {V(n).b16 * 1}, V(m).b16 }
    "rev32 v.16b" 1, |d, n, m| { ; rev32 V(d).b16, V(n).b16 }
    "rev64 v.16b" 1, |d, n, m| { ; rev64 V(d).b16, V(n).b16 }
    "cnt v.8b" 1, |d, n, m| { ; cnt V(d).b8, V(n).b8 }
    "zip1 v.16b" 1, |d, n, m| { ; zip1 V(d).b16, V(n).b16, V(m).b16 }
    "uzp1 v.4s" 1, |d, n, m| { ; uzp1 V(d).s4, V(n).s4, V(m).s4 }
    "trn2 v.2d" 1, |d, n, m| { ; trn2 V(d).d2, V(n).d2, V(m).d2 }
    "aese, aesmc" 2, |d, n, m| { ; aese V(d).b16, V(n).b16 ; aesmc V(d).b16, V(d).b16 }
    "sha256h" 1, |d, n, m| { ; sha256h Q(d), Q(n), V(m).s4 }
    "pmull v.1q" 1, |d, n, m| { ; pmull V(d).q1, V(n).d1, V(m).d1 }

    "fmov d" 1, |d, n, m| { ; fmov D(d), D(n) }
    "fmov x, d" 1, |d, n, m| { ; fmov X(d), D(n) }
    "fmov d, x" 1, |d, n, m| { ; fmov D(d), X(n) }
    "fadd d" 1, |d, n, m| { ; fadd D(d), D(n), D(m) }
    "fmul d" 1, |d, n, m| { ; fmul D(d), D(n), D(m) }
    "fdiv d" 1, |d, n, m| { ; fdiv D(d), D(n), D(m) }
    "fmadd d" 1, |d, n, m| { ; fmadd D(d), D(n), D(m), D(n) }
    "fadd s" 1, |d, n, m| { ; fadd S(d), S(n), S(m) }
    "fneg d" 1, |d, n, m| { ; fneg D(d), D(n) }
    "fcmp d" 1, |d, n, m| { ; fcmp D(n), D(m) }
    "fcsel d" 1, |d, n, m| { ; fcsel D(d), D(n), D(m), ne }
    "scvtf d, x" 1, |d, n, m| { ; scvtf D(d), X(n) }
    "fcvtzs x, d" 1, |d, n, m| { ; fcvtzs X(d), D(n) }
    "fcvt d, s" 1, |d, n, m| { ; fcvt D(d), S(n) }
    "fadd v.2d" 1, |d, n, m| { ; fadd V(d).d2, V(n).d2, V(m).d2 }
    "fmul v.4s" 1, |d, n, m| { ; fmul V(d).s4, V(n).s4, V(m).s4 }
    "fmla v.2d" 1, |d, n, m| { ; fmla V(d).d2, V(n).d2, V(m).d2 }

    "program: copy, 64 bytes" 8, |d, n, m| {
        ; ldp q0, q1, [x20] ; ldp q2, q3, [x20, 32]
        ; add x22, x20, 64 ; sub x23, x22, 64
        ; stp q0, q1, [x21] ; stp q2, q3, [x21, 32]
        ; add x24, x21, 64 ; sub x25, x24, 64
    }
    "program: copy, 64 bytes, unaligned" 8, |d, n, m| {
        ; add x22, x20, 3 ; add x23, x21, 7
        ; ldp q0, q1, [x22] ; ldp q2, q3, [x22, 32]
        ; stp q0, q1, [x23] ; stp q2, q3, [x23, 32]
        ; add x24, x21, 64 ; sub x25, x24, 64
    }
    "program: length of a string" 6, |d, n, m| {
        ; ldr q0, [x20] ; cmeq v1.b16, v0.b16, 0 ; shrn v1.b8, v1.h8, 4
        ; fmov x22, d1 ; cmp x22, 0 ; add x23, x20, 16
    }
    "program: fill, 64 bytes" 4, |d, n, m| {
        ; stp q0, q0, [x20] ; stp q0, q0, [x20, 32] ; add x22, x20, 64 ; subs x23, x22, 64
    }
    "program: scalar product, double" 5, |d, n, m| {
        ; ldr d0, [x20] ; ldr d1, [x21] ; fmadd d2, d0, d1, d3 ; add x22, x20, 8 ; add x23, x21, 8
    }
    "program: quarter rounds of ChaCha20" 12, |d, n, m| {
        ; add v0.s4, v0.s4, v1.s4 ; eor v3.b16, v3.b16, v0.b16 ; rev32 v3.h8, v3.h8
        ; add v2.s4, v2.s4, v3.s4 ; eor v4.b16, v1.b16, v2.b16 ; ushr v1.s4, v4.s4, 20
        ; sli v1.s4, v4.s4, 12 ; add v0.s4, v0.s4, v1.s4 ; eor v4.b16, v3.b16, v0.b16
        ; ushr v3.s4, v4.s4, 24 ; sli v3.s4, v4.s4, 8 ; add v2.s4, v2.s4, v3.s4
    }
    "program: AES, two rounds" 6, |d, n, m| {
        ; ldp q4, q5, [x20] ; aese v0.b16, v4.b16 ; aesmc v0.b16, v0.b16
        ; aese v0.b16, v5.b16 ; aesmc v0.b16, v0.b16 ; subs x22, x21, 32
    }
    "program: four rounds of SHA-256" 7, |d, n, m| {
        ; ldr q4, [x20] ; add v5.s4, v4.s4, v6.s4 ; sha256su0 v6.s4, v7.s4
        ; mov v2.b16, v0.b16 ; sha256h q0, q1, v5.s4 ; sha256h2 q1, q2, v5.s4
        ; sha256su1 v6.s4, v8.s4, v9.s4
    }
}
