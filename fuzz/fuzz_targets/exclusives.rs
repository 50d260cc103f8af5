//! The input is accesses of two vCPUs to the same few bytes, three bytes each.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_engine_soft::fuzz::fuzz_exclusives(data));
