//! Reads durations such as `7d`, `12h`, `30m`, `1h30m`.

use std::time::Duration;
use thiserror::Error;

/// The reason why text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DurationError {
    /// It is not made of numbers with units.
    #[error("{0:?} is no duration; write 30s, 15m, 12h, 7d or 2w")]
    Malformed(String),
    /// It is zero, or does not fit.
    #[error("{0:?} is out of range; more than zero and at most 100 years")]
    OutOfRange(String),
}

/// The longest duration, in seconds: 100 years.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// Reads a duration: one or more numbers, each with its unit (`s m h d w`).
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for c in text.trim().chars() {
        if let Some(digit) = c.to_digit(10) {
            let grown = number.unwrap_or(0).checked_mul(10);
            let grown = grown.and_then(|n| n.checked_add(u64::from(digit)));
            number = Some(grown.ok_or_else(out_of_range)?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(malformed()),
        };
        let part = number.take().ok_or_else(malformed)?.checked_mul(unit);
        let sum = part.and_then(|part| seconds.checked_add(part));
        seconds = sum.ok_or_else(out_of_range)?;
    }
    // A number without a unit could be seconds or days: nobody should have to guess.
    if number.is_some() || text.trim().is_empty() {
        return Err(malformed());
    }
    if seconds == 0 || seconds > SECONDS_MAX {
        return Err(out_of_range());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let table = [
            ("30s", 30),
            ("30m", 1_800),
            ("12h", 43_200),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1h30m", 5_400),
            (" 1d ", 86_400),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", " ", "7", "d", "7x", "-7d", "1.5h", "7d3"] {
            assert_eq!(
                parse(text),
                Err(DurationError::Malformed(text.to_owned())),
                "{text:?}"
            );
        }
        for text in [
            "0s",
            "101w99999999d",
            "99999999999999999999d",
            "18446744073709551615w",
        ] {
            assert_eq!(
                parse(text),
                Err(DurationError::OutOfRange(text.to_owned())),
                "{text:?}"
            );
        }
    }
}
