//! Dates as people write them in front matter, read without guessing.
//!
//! A time without a zone is taken as UTC: the zone of the device that imports says nothing about
//! where the note was written, and two devices must read the same. Forms in which day and month
//! could be exchanged (`01/02/2024`) are not read.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Forms with an offset.
const ZONED: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M %z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S %:z",
    "%Y-%m-%d %H:%M:%S%:z",
    "%Y-%m-%dT%H:%M%:z",
];
/// Forms with a time.
const TIMES: [&str; 7] = [
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M",
    "%A, %B %d, %Y %H:%M",
    "%B %d, %Y %H:%M",
];
/// Forms of a day.
const DAYS: [&str; 9] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%d %b %Y",
    "%A, %B %d, %Y",
];

/// Returns milliseconds since 1970; none for what is no date, is ambiguous or lies before 1970.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    // Daily notes write their dates as links to the day.
    let text = text
        .strip_prefix("[[")
        .and_then(|inner| inner.strip_suffix("]]"))
        .unwrap_or(text);
    let time = if text.bytes().all(|b| b.is_ascii_digit()) {
        digits(text)
    } else {
        written(text)
    };
    u64::try_from(time?.as_millisecond()).ok()
}

fn written(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(time) = jiff::fmt::rfc2822::parse(text) {
        return Some(time.timestamp());
    }
    let zoned = ZONED
        .iter()
        .find_map(|form| Timestamp::strptime(form, text).ok());
    zoned.or_else(|| civil(text))
}

fn civil(text: &str) -> Option<Timestamp> {
    let time = text
        .parse::<DateTime>()
        .ok()
        .or_else(|| {
            TIMES
                .iter()
                .find_map(|form| DateTime::strptime(form, text).ok())
        })
        .or_else(|| {
            let day = DAYS
                .iter()
                .find_map(|form| Date::strptime(form, text).ok())?;
            Some(day.at(0, 0, 0, 0))
        })?;
    utc(time)
}

/// Reads a run of digits: a day, a minute or a second as one number, or Unix time.
fn digits(text: &str) -> Option<Timestamp> {
    let number: i64 = text.parse().ok()?;
    match text.len() {
        8 => utc(Date::strptime("%Y%m%d", text).ok()?.at(0, 0, 0, 0)),
        9 | 10 => Timestamp::from_second(number).ok(),
        12 => utc(DateTime::strptime("%Y%m%d%H%M", text).ok()?),
        13 => Timestamp::from_millisecond(number).ok(),
        14 => utc(DateTime::strptime("%Y%m%d%H%M%S", text).ok()?),
        _ => None,
    }
}

fn utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_forms() {
        let day = 1_704_153_600_000; // 2024-01-02
        let minute = day + (3 * 60 + 4) * 60_000;
        let second = minute + 5_000;
        let cases = [
            ("2024-01-02", day),
            ("2024/01/02", day),
            ("02.01.2024", day),
            ("January 2, 2024", day),
            ("Jan 2, 2024", day),
            ("2 January 2024", day),
            ("20240102", day),
            ("[[2024-01-02]]", day),
            ("2024-01-02T03:04", minute),
            ("2024-01-02 03:04", minute),
            ("202401020304", minute),
            ("20240102030405", second),
            ("2024-01-02T03:04:05", second),
            ("2024-01-02 03:04:05", second),
            ("2024-01-02T03:04:05Z", second),
            ("2024-01-02T03:04:05.250Z", second + 250),
            ("2024-01-02T05:04:05+02:00", second),
            ("2024-01-02 05:04:05 +0200", second),
            ("2024-01-02 05:04:05 +02:00", second),
            ("Tue, 02 Jan 2024 03:04:05 +0000", second),
            ("1704164645", second),
            ("1704164645000", second),
        ];
        for (text, expect) in cases {
            assert_eq!(parse(text), Some(expect), "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "",
            "01/02/2024",
            "yesterday",
            "2024-13-01",
            "2024-02-30",
            "1969-12-31",
            "2024",
            "99999999999999999999",
            "[[",
            "\u{661}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
