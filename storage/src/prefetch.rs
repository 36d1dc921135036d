//! Asking for memory before it is read, so that it is there when it is.
//!
//! The home of `safe_arch`. Where the processor is another one, nothing is asked for, and everything
//! works as before, slower.

/// Asks for the line of memory in which a value begins.
#[expect(
    clippy::inline_always,
    reason = "a call would take longer than what it does"
)]
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(value);
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(value);
}
