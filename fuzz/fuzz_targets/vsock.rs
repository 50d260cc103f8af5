//! The input is steps of a guest and of programs of its host, six bytes each.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_net::fuzz_vsock(data));
