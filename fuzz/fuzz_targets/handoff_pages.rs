//! The input is a round of memory, as the body says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    abide_migrate::fuzz_pages(data);
});
