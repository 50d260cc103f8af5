//! The input is a contract or a profile, a NUL, and the profile of a host.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_contract::fuzz::fuzz_move(data));
