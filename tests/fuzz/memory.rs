//! The decoders of `tests/src/fuzz/memory.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brain_fuzz::feed("memory", data));
