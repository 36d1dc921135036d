//! The decoders of `tests/src/fuzz/text.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("text"),
    |data: &[u8]| brain_fuzz::feed("text", data)
);
