//! Where a step of work stands in a trace, as W3C Trace Context names it.
//!
//! A trace is all that was done for one cause; a span is one step of it. Both have random numbers
//! for names and say nothing of what was worked on. The same name goes through `brainctl`, HTTP (as
//! the header [`HEADER`]) and, where both sides allow it, the peer wire.
//!
//! Invariant: neither number of a [`TraceContext`] is zero.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use data_encoding::HEXLOWER;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The header of HTTP that carries it.
pub const HEADER: &str = "traceparent";
/// The flag that says that the trace is recorded.
const RECORDED: u8 = 1;

/// A step of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    is_recorded: bool,
}

impl TraceContext {
    /// Names a step; none if a number is zero, which means that there is no trace.
    pub fn new(trace: [u8; 16], span: [u8; 8], is_recorded: bool) -> Option<Self> {
        let is_there = trace != [0; 16] && span != [0; 8];
        is_there.then_some(Self {
            trace,
            span,
            is_recorded,
        })
    }
    /// Returns the number of the trace.
    pub fn trace(&self) -> [u8; 16] {
        self.trace
    }
    /// Returns the number of the step.
    pub fn span(&self) -> [u8; 8] {
        self.span
    }
    /// Tells whether whoever began the trace records it.
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }
    /// Returns the number of the trace in hexadecimal digits.
    pub fn trace_id(&self) -> String {
        HEXLOWER.encode(&self.trace)
    }
    /// Returns the number of the step in hexadecimal digits.
    pub fn span_id(&self) -> String {
        HEXLOWER.encode(&self.span)
    }
}

/// Writes it as the value of the header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (HEXLOWER.encode(&self.trace), HEXLOWER.encode(&self.span));
        let flags = u8::from(self.is_recorded) * RECORDED;
        write!(f, "00-{trace}-{span}-{flags:02x}")
    }
}

/// A header that names no step of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no trace context such as 00-<32 hex digits>-<16 hex digits>-01")]
pub struct NoTraceContext;

/// Reads the value of the header. Of versions to come, what is known of this one is read.
impl FromStr for TraceContext {
    type Err = NoTraceContext;

    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NoTraceContext);
        let [version] = bytes(part()?)?;
        let (trace, span, [flags]) = (bytes(part()?)?, bytes(part()?)?, bytes(part()?)?);
        let is_over = version == 0xff || (version == 0 && parts.next().is_some());
        let found = Self::new(trace, span, flags & RECORDED == RECORDED);
        found.filter(|_| !is_over).ok_or(NoTraceContext)
    }
}

/// Reads lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], NoTraceContext> {
    let read = HEXLOWER.decode(text.as_bytes()).ok();
    let read = read.and_then(|read| read.try_into().ok());
    read.ok_or(NoTraceContext)
}

/// On the peer wire only what is recorded is named.
impl Canonical for TraceContext {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.trace);
        out.raw(&self.span);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (trace, span) = (input.array("trace")?, input.array("span")?);
        Self::new(trace, span, true).ok_or(DecodeError::Unknown {
            what: "trace context",
            found: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_OF_THE_STANDARD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_reads_as_it_is_written() {
        let found: TraceContext = HEADER_OF_THE_STANDARD
            .parse()
            .expect("it is the standard's");
        assert_eq!(found.to_string(), HEADER_OF_THE_STANDARD);
        assert_eq!(found.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(found.is_recorded());
        let later = HEADER_OF_THE_STANDARD.replacen("00", "01", 1) + "-more";
        assert_eq!(later.parse(), Ok(found), "of a version to come");
        let silent = HEADER_OF_THE_STANDARD.replace("-01", "-00");
        assert!(!silent.parse::<TraceContext>().expect("reads").is_recorded());
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b-01",
        ] {
            assert_eq!(
                wrong.parse::<TraceContext>(),
                Err(NoTraceContext),
                "{wrong}"
            );
        }
    }
}
