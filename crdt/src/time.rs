//! Time as an argument: wall-clock timestamps and a hybrid logical clock.
//!
//! No clock is read here. A [`Hybrid`] orders events for display and for reconciliation; it
//! never decides which write wins or whether one is admitted.

use crate::codec::{Canonical, DecodeError, Reader, Writer};

/// One day, in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// The characters of a plain date.
const DATE_CHARS: usize = 10;

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time as RFC 3339 in UTC, to the millisecond.
    pub fn to_rfc3339(self) -> String {
        i64::try_from(self.0)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .map_or_else(
                || "9999-12-31T23:59:59Z".to_owned(),
                |time| time.to_string(),
            )
    }
    /// Reads RFC 3339, or a plain date as midnight UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let time = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let date = text.parse::<jiff::civil::Date>().ok()?;
            date.to_zoned(jiff::tz::TimeZone::UTC)
                .ok()
                .map(|zoned| zoned.timestamp())
        })?;
        u64::try_from(time.as_millisecond()).ok().map(Self)
    }
    /// Reads the end of what is named: RFC 3339 is that moment, a plain date such as `2026-11-22`
    /// the last millisecond of that day in UTC.
    pub fn parse_end(text: &str) -> Option<Self> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return u64::try_from(time.as_millisecond()).ok().map(Self);
        }
        // A date with a time and no zone names no moment; it would read as its whole day.
        let is_plain = text.len() == DATE_CHARS;
        let day = Self::parse(text).filter(|_| is_plain)?;
        Some(day.plus_ms(DAY_MS - 1))
    }
    /// Adds milliseconds, stopping at the end of time.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Canonical for Timestamp {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u64("timestamp")?))
    }
}

/// Hybrid logical time: 48 bits of milliseconds, then 16 bits of counter.
///
/// Source: Kulkarni et al., "Logical Physical Clocks", 2014.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hybrid(pub u64);

impl Hybrid {
    /// Returns the next time after `self` and everything in `seen`, at `now` or later.
    #[must_use]
    pub fn tick(self, now: Timestamp, seen: Self) -> Self {
        let wall = Self((now.0 & 0xffff_ffff_ffff) << 16);
        let last = self.max(seen);
        if wall > last {
            wall
        } else {
            Self(last.0.saturating_add(1))
        }
    }
    /// Returns the wall-clock part.
    pub fn wall(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }
}

impl Canonical for Hybrid {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u64("hybrid time")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_later_than_all_that_was_seen() {
        let first = Hybrid::default().tick(Timestamp(1_000), Hybrid::default());
        let second = first.tick(Timestamp(900), Hybrid::default());
        assert!(second > first, "a clock set back does not turn time back");
        let third = second.tick(Timestamp(900), Hybrid((2_000 << 16) + 4));
        assert_eq!(third.wall(), Timestamp(2_000));
    }

    #[test]
    fn times_read_and_write_as_rfc3339() {
        let date = Timestamp::parse("2026-11-22").expect("a date");
        assert_eq!(date.to_rfc3339(), "2026-11-22T00:00:00Z");
        assert_eq!(Timestamp::parse("2026-11-22T00:00:00Z"), Some(date));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_date_ends_with_its_last_millisecond_and_a_moment_is_itself() {
        fn check(text: &str, expect: Option<&str>) {
            let end = Timestamp::parse_end(text).map(Timestamp::to_rfc3339);
            assert_eq!(end.as_deref(), expect, "{text:?}");
        }
        check("2026-11-22", Some("2026-11-22T23:59:59.999Z"));
        check("2026-11-22T12:00:00Z", Some("2026-11-22T12:00:00Z"));
        check(
            "2026-11-22T12:00:00.5+01:00",
            Some("2026-11-22T11:00:00.5Z"),
        );
        for text in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-11-22T12:00:00",
            "2026-11",
            "1969-12-31",
        ] {
            check(text, None);
        }
    }
}
