#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_tuf_fuzz::metadata(data));
