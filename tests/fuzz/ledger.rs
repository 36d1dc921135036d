//! The decoders of `tests/src/fuzz/ledger.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brain_fuzz::feed("ledger", data));
