//! The input is a kernel file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_machine::loader::fuzz_load(data));
