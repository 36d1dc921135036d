//! The decoders of `tests/src/fuzz/ledger.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("ledger"),
    |data: &[u8]| brain_fuzz::feed("ledger", data)
);
