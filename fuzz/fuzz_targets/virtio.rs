//! The input is a virtio device and its driver's life.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_virtio::fuzz::fuzz_virtio(data));
