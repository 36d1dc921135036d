//! The decoders of `tests/src/fuzz/bodies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("bodies"),
    |data: &[u8]| brain_fuzz::feed("bodies", data)
);
