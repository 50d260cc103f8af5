//! The input is a file to be read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_snapshot::fuzz_reader(data));
