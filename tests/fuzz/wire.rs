//! The decoders of `tests/src/fuzz/wire.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brain_fuzz::feed("wire", data));
