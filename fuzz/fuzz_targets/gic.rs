//! The input is accesses to an interrupt controller.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_gic::fuzz::fuzz_mmio(data));
