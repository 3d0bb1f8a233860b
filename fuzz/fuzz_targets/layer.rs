#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minidock_image::fuzzing::layer(data));
