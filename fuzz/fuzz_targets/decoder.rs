//! The input is words of A64 code.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_engine_soft::decode::fuzz_decode(data));
