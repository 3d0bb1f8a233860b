#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minidock_sec::fuzzing::accounts(data));
