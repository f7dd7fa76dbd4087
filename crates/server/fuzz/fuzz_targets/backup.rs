#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wardein_server_fuzz::backup(data));
