//! The input is a script of what a source says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    abide_migrate::fuzz_destination(data);
});
