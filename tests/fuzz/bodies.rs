//! The decoders of `tests/src/fuzz/bodies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brain_fuzz::feed("bodies", data));
