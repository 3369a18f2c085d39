//! Points in time as Go prints them: RFC 3339 with as many digits of a second as are not zero.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::DecodeError;

/// A point in time: seconds since 1970 and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// Go's zero time, 0001-01-01T00:00:00Z: what Docker writes for "never".
    pub const GO_ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0 };

    /// Returns whether this is Go's zero time.
    #[must_use]
    pub fn is_go_zero(self) -> bool {
        self == Self::GO_ZERO
    }

    /// Reads a time as Go writes one in UTC, and nothing else: quickly, for logs.
    #[must_use]
    pub fn parse_utc(text: &[u8]) -> Option<Self> {
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            let is_plain = digits.iter().all(u8::is_ascii_digit);
            let add = |sum: i32, digit: &u8| {
                sum.wrapping_mul(10).wrapping_add(i32::from(digit.wrapping_sub(b'0')))
            };
            is_plain.then(|| digits.iter().fold(0, add))
        };
        let two = |at: usize| i8::try_from(number(at, at.checked_add(2)?)?).ok();
        for (at, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            text.get(at).filter(|found| **found == mark)?;
        }
        let end = text.len().checked_sub(1).filter(|end| text.get(*end) == Some(&b'Z'))?;
        let nanos = match (text.get(19), end) {
            (Some(b'Z'), 19) => 0,
            (Some(b'.'), 21..=29) => {
                let missing = u32::try_from(29_usize.checked_sub(end)?).ok()?;
                number(20, end)?.checked_mul(10_i32.checked_pow(missing)?)?
            }
            _ => return None,
        };
        let year = i16::try_from(number(0, 4)?).ok()?;
        let civil = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
        let seconds = Offset::UTC.to_timestamp(civil).ok()?.as_second();
        Some(Self { seconds, nanos: u32::try_from(nanos).ok()? })
    }

    /// Reads a time, with any offset from UTC; a space or a small `t` may stand before the hour.
    ///
    /// # Errors
    /// A text that is no time, or one without an offset.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let time: jiff::Timestamp = text.trim().parse().map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            DecodeError::new(0, format!("{shown:?} is not a time like 2006-01-02T15:04:05Z"))
        })?;
        // Before 1970 both parts are negative.
        let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
        if nanos < 0 {
            seconds = seconds.saturating_sub(1);
            nanos = nanos.saturating_add(1_000_000_000);
        }
        Ok(Self { seconds, nanos: u32::try_from(nanos).unwrap_or_default() })
    }
}

/// The time in UTC as Go's `time.RFC3339Nano` prints it; what no calendar holds as its seconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i32::try_from(self.nanos).unwrap_or_default();
        match jiff::Timestamp::new(self.seconds, nanos) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} seconds after 1970", self.seconds),
        }
    }
}

impl FromStr for Timestamp {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?)
            .map_err(|error| serde::de::Error::custom(error.what))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_read_and_print_as_in_go() {
        for (text, seconds, nanos, printed) in [
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000, "1969-12-31T23:59:59.5Z"),
            (
                "2026-11-20T17:27:44.683066477Z",
                1_795_195_664,
                683_066_477,
                "2026-11-20T17:27:44.683066477Z",
            ),
            ("2024-01-01T02:00:00.100+02:00", 1_704_067_200, 100_000_000, "2024-01-01T00:00:00.1Z"),
            ("2024-01-01t00:00:00z\n", 1_704_067_200, 0, "2024-01-01T00:00:00Z"),
        ] {
            let time = Timestamp::parse(text).expect(text);
            assert_eq!(time, Timestamp { seconds, nanos }, "{text}");
            assert_eq!(time.to_string(), printed, "{text}");
        }
        assert!(Timestamp::parse("0001-01-01T00:00:00Z").is_ok_and(Timestamp::is_go_zero));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2024-01-01", "2024-01-01T00:00:00", "2024-13-01T00:00:00Z"] {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
        assert!(Timestamp { seconds: i64::MAX, nanos: u32::MAX }.to_string().contains("1970"));
    }

    proptest! {
        #[test]
        fn a_printed_time_reads_back(seconds in -62_135_596_800_i64..253_402_207_200, nanos in 0_u32..1_000_000_000) {
            let time = Timestamp { seconds, nanos };
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert_eq!(Timestamp::parse_utc(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn no_text_panics(text: String) {
            let quick = Timestamp::parse_utc(text.as_bytes());
            prop_assert!(quick.is_none() || quick == Timestamp::parse(&text).ok());
        }
    }
}
