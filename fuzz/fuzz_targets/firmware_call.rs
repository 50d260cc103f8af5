//! The input is firmware calls of a guest.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_firmware::fuzz_call(data));
