//! The decoders of `tests/src/fuzz/persons.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("persons"),
    |data: &[u8]| brain_fuzz::feed("persons", data)
);
