//! The decoders of `tests/src/fuzz/wire.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("wire"),
    |data: &[u8]| brain_fuzz::feed("wire", data)
);
