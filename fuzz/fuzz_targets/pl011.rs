//! The input is accesses of a guest to its UART.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_machine::devices::fuzz_pl011(data));
