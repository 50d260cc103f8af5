//! The input is a profile or a contract.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_contract::fuzz::fuzz_text(data));
