//! Times as Docker's filters take them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A moment, or a span before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// A moment.
    At(Timestamp),
    /// A span before now.
    Ago(SignedDuration),
}

impl Until {
    /// Parses a span such as `24h` or `1h30m`, a date, a time with or without a zone (UTC), or the
    /// seconds since 1970, with a fraction if there is one.
    ///
    /// moby v28.5 api/types/time/timestamp.go
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no time; wanted one like 24h, 2026-02-28 or 2026-02-28T12:00:00Z")
        };
        if let Ok(seconds) = text.parse::<i64>() {
            return Timestamp::from_second(seconds).map(Self::At).map_err(|_| wrong());
        }
        if let Some(moment) = fraction(text) {
            return Ok(Self::At(moment));
        }
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(Self::At(moment));
        }
        let date = || text.parse::<Date>().map(|date| date.at(0, 0, 0, 0));
        if let Ok(civil) = text.parse::<DateTime>().or_else(|_| date()) {
            return civil
                .to_zoned(TimeZone::UTC)
                .map(|zoned| Self::At(zoned.timestamp()))
                .map_err(|_| wrong());
        }
        text.parse::<SignedDuration>().map(Self::Ago).map_err(|_| wrong())
    }

    /// Returns the moment, counted from `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Reads seconds and what of a second comes after them, of which nine digits count.
fn fraction(text: &str) -> Option<Timestamp> {
    let (seconds, digits) = text.split_once('.')?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let nanos = format!("{:0<9}", digits.get(..9).unwrap_or(digits)).parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanos).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_docker_takes() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
        for (text, wanted) in [
            ("24h", "2026-11-19T12:00:00Z"),
            ("1h30m", "2026-11-20T10:30:00Z"),
            ("10s", "2026-11-20T11:59:50Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000.5", "2023-11-14T22:13:20.5Z"),
            ("1700000000.0000000019", "2023-11-14T22:13:20.000000001Z"),
            ("1.5h", "2026-11-20T10:30:00Z"),
            ("2026-02-28", "2026-02-28T00:00:00Z"),
            ("2026-02-28T12:34", "2026-02-28T12:34:00Z"),
            ("2026-02-28T12:34:56.5", "2026-02-28T12:34:56.5Z"),
            ("2026-02-28T12:34:56+02:00", "2026-02-28T10:34:56Z"),
        ] {
            let until = Until::parse(text).expect(text).at(now).to_string();
            assert_eq!(until, wanted, "{text}");
        }
        for bad in ["", "yesterday", "1.", "1.x", "1.-5", "2026-02-30", "99999999999999999"] {
            assert!(Until::parse(bad).is_err(), "{bad}");
        }
    }
}
