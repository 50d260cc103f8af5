//! The input is a script of what a destination says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    abide_migrate::fuzz_bytes(data);
    abide_migrate::fuzz_source(data);
});
