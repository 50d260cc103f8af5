//! The input is frames of a guest: a length of two bytes each, little-endian, then the frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_net::fuzz_user(data));
