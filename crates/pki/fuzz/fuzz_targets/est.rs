#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_pki_fuzz::est(data));
