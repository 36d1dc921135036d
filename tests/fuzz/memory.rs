//! The decoders of `tests/src/fuzz/memory.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("memory"),
    |data: &[u8]| brain_fuzz::feed("memory", data)
);
