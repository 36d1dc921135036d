//! The decoders of `tests/src/fuzz/events.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: brain_fuzz::prepare("events"),
    |data: &[u8]| brain_fuzz::feed("events", data)
);
