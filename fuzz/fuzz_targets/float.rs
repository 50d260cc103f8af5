//! The input is FPCR, FPSR and words of floating-point instructions, which are numbers, too.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_engine_soft::fuzz::fuzz_float(data));
