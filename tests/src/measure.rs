//! What benchmarks of whole programs measure with: local APIs and the use of CPU, memory and disk.

pub mod api;
pub mod usage;
