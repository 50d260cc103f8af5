//! The execution loop.
//!
//! One `match` over pre-decoded ops. What is rare, long or has side effects is called out of line:
//! [`access`] for accesses that the TLB does not answer, [`system`] for system instructions,
//! [`exclusive`] and [`simd`] for loads and stores, [`direct`] for what is common of SIMD and
//! floating point, [`groups`] for all else beyond the base instructions, [`integer`] for
//! arithmetic worth a name.
//!
//! Instructions are counted where control moves: `limit` is the number of the op at which the
//! budget ends, and every jump shifts it along. So a slice ends at the first taken branch,
//! exception or page end at which the budget is used up, whatever the caches hold.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "registers are cut to 32 bits and read as signed numbers all over an interpreter"
)]

pub(crate) mod access;
mod aside;
mod atomic;
mod crypto;
mod debug;
mod direct;
mod exclusive;
mod fetch;
mod fuzz_float;
mod groups;
pub(crate) mod integer;
mod patience;
mod rare;
mod run;
mod scalar_fp;
mod simd;
mod structures;
mod system;
mod unaligned;
mod vector;
mod vector_fp;
mod vector_fp_lanes;
mod watch;

pub use fuzz_float::fuzz_float;
pub(crate) use patience::Patience;
pub(crate) use simd::check as check_simd;

use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit};

/// Executes from `cpu.pc` until the slice `cpu.left` is used up or something else ends it; then
/// `cpu.pc` and `cpu.left` say where and what is left.
pub(crate) fn execute(cpu: &mut Cpu, code: &mut CodeCache, env: &Env) -> Exit {
    if cpu.debugs() { debug::execute(cpu, code, env) } else { run::execute(cpu, code, env) }
}
