#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| os_fuzz::run("preloaded_apps", input));
