#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_attest_fuzz::public(data));
