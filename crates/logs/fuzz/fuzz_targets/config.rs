#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_logs_fuzz::config(data));
