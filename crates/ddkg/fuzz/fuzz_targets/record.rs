#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_ddkg_fuzz::record(data));
