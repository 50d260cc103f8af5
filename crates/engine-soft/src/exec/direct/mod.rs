//! SIMD and floating point by functions of their own: see [`Direct`].
//!
//! Each function is compiled for one element size and one length of vector, so that most come down
//! to a few of the host's vector instructions. The loop calls them after it has seen that SIMD and
//! floating point are not switched off; that the CPU has the instruction was found out when it was
//! decoded.

mod access;
mod float;
mod integer;

use crate::cpu::Cpu;
use crate::lower::{Direct, Op};

pub(super) use access::{access, rows};

/// Executes an instruction whose operands are in its op.
type Function = fn(&mut Cpu, &Op);

/// Functions of each kind.
const FORMS: usize = crate::lower::FORMS as usize;

/// A power of two, so that no number is past the end.
const FUNCTIONS: usize = 1024;

const _: () = assert!(Direct::ALL.len() * FORMS <= FUNCTIONS);

/// Functions by the number that [`Code::Direct`](crate::lower::Code::Direct) ops have.
static TABLE: [Function; FUNCTIONS] = {
    let mut table: [Function; FUNCTIONS] = [|_, _| (); FUNCTIONS];
    let mut kind = 0;
    while kind < Direct::ALL.len() {
        let kind_forms = match integer::forms(Direct::ALL[kind]) {
            None => float::forms(Direct::ALL[kind]),
            found => found,
        };
        let Some(forms) = kind_forms else { panic!("a kind without functions") };
        let mut form = 0;
        while form < FORMS {
            table[kind * FORMS + form] = forms[form];
            form += 1;
        }
        kind += 1;
    }
    table
};

/// [`Code::Direct`](crate::lower::Code::Direct).
#[inline(always)]
pub(super) fn execute(cpu: &mut Cpu, op: &Op) {
    TABLE[op.aux as usize % FUNCTIONS](cpu, op);
}

/// Vn, Vm and the old Vd.
struct Sources {
    n: u128,
    m: u128,
    d: u128,
    /// The amount of a shift.
    by: u32,
}

/// Vector register `number`.
#[inline(always)]
fn v(cpu: &Cpu, number: u8) -> u128 {
    cpu.v[usize::from(number & 31)]
}

impl Sources {
    #[inline(always)]
    fn of(cpu: &Cpu, op: &Op) -> Self {
        Self { n: v(cpu, op.n), m: v(cpu, op.m), d: v(cpu, op.d), by: op.imm as u32 }
    }
}

/// Writes Vd. Of a short vector or one element the rest becomes 0.
#[inline(always)]
fn set<const QUAD: bool>(cpu: &mut Cpu, op: &Op, value: u128) {
    let kept = if QUAD { value } else { u128::from(value as u64) };
    cpu.v[usize::from(op.d & 31)] = kept;
}

/// `functions!{ Kind | … => |cpu, op| …; }`: a function that has for each kind the functions of
/// all forms. In a body `SIZE` is log2 of the bytes of an element, `QUAD` says that vectors are
/// long ones. After `vector` it is an expression, of the [`Sources`], for the new Vd.
macro_rules! functions {
    (@body vector |$sources:ident| $body:expr) => {
        fn run<const SIZE: u32, const QUAD: bool>(cpu: &mut Cpu, op: &Op) {
            let $sources = Sources::of(cpu, op);
            let value = $body;
            set::<QUAD>(cpu, op, value);
        }
    };
    (@body any |$cpu:ident, $op:ident| $body:expr) => {
        fn run<const SIZE: u32, const QUAD: bool>($cpu: &mut Cpu, $op: &Op) {
            $body
        }
    };
    ($($kind:ident $shape:ident |$($argument:ident),+| $body:expr;)+) => {
        /// The functions of a kind that is here.
        #[rustfmt::skip]
        pub(super) const fn forms(kind: Direct) -> Option<[Function; FORMS]> {
            Some(match kind {
                $(Direct::$kind => {
                    functions!(@body $shape |$($argument),+| $body);
                    [
                        run::<0, false>, run::<0, true>, run::<1, false>, run::<1, true>,
                        run::<2, false>, run::<2, true>, run::<3, false>, run::<3, true>,
                    ]
                })+
                _ => return None,
            })
        }
    };
}
use functions;
