//! The body of the floating-point fuzz target.

use std::sync::Arc;

use crate::cpu::Cpu;
use crate::cpu_model::{IdSpace, PORTABLE};
use crate::decode::{Kind, ScalarFp, SimdFp, decode, fields};
use abide_engine::PowerState;

use super::{scalar_fp, vector_fp};

/// Executes floating-point instructions, whatever ID registers show: FPCR and FPSR come first, then
/// the words, whose bits 27:25 are set; vector registers hold the same bytes, and general
/// registers, too. Words that are no floating-point instruction are passed over.
///
/// # Panics
/// When an instruction changes FPCR, clears a flag or sets one that there is not, or leaves
/// something above a result that is shorter than a vector.
pub fn fuzz_float(data: &[u8]) {
    let words: Vec<u32> = data.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let [fpcr, fpsr, words @ ..] = &words[..] else { return };
    let mut cpu = Cpu::new(0, Arc::new(IdSpace::of(&PORTABLE)), PowerState::On);
    (cpu.fpcr, cpu.fpsr) = (*fpcr, *fpsr);
    let mut bytes = words.iter().cycle().map(|word| u128::from(*word));
    let mut next = || bytes.next().unwrap_or_default();
    for vector in cpu.v.iter_mut() {
        *vector = next() << 96 | next() << 64 | next() << 32 | next();
    }
    for x in &mut cpu.x[..31] {
        *x = (next() << 32 | next()) as u64;
    }
    for word in words {
        let word = word | 7 << 25;
        match decode(word) {
            Kind::ScalarFp(kind) => scalar_fp::execute(&mut cpu, kind, word),
            Kind::SimdFp(kind) => vector_fp::execute(&mut cpu, kind, word),
            _ => continue,
        }
        check(&cpu, *fpcr, *fpsr, word);
    }
}

fn check(cpu: &Cpu, fpcr: u32, fpsr: u32, word: u32) {
    assert_eq!(cpu.fpcr, fpcr, "{word:#010x} changed FPCR");
    let (set, cleared) = (cpu.fpsr & !fpsr, fpsr & !cpu.fpsr);
    assert!(set & !0x9f == 0 && cleared == 0, "{word:#010x} made {:#x} of FPSR", cpu.fpsr);
    assert!(cpu.x[31] == 0, "{word:#010x} wrote to the zero register");
    let result = cpu.v[usize::from(fields::rd(word))];
    let bits = match decode(word) {
        Kind::ScalarFp(
            ScalarFp::FmovRegister | ScalarFp::Fadd | ScalarFp::Fmadd | ScalarFp::Fsqrt,
        ) => [32, 64, 128, 16][(word >> 22 & 3) as usize],
        // A comparison's result is no vector, FCVTL's is always a whole one.
        Kind::ScalarFp(_) | Kind::SimdFp(SimdFp::Fcvtl) => 128,
        _ if word >> 28 & 1 == 1 || word >> 30 & 1 == 0 => 64,
        _ => 128,
    };
    let above = result.checked_shr(bits).unwrap_or(0);
    assert!(above == 0, "{word:#010x} left {result:#x}");
}
