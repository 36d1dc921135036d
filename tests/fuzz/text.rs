//! The decoders of `tests/src/fuzz/text.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brain_fuzz::feed("text", data));
