//! Sizes and times, worded as Docker words them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

// docker/go-units size.go: decimal units, divided while the number has more than three digits.
const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Returns `bytes` as `docker images` shows sizes: three digits that count.
///
/// docker/cli cli/command/formatter/image.go Size
pub(crate) fn size(bytes: u64) -> String {
    human(bytes, 3)
}

/// Returns `bytes` as Docker shows shared and unique sizes: four digits that count.
///
/// docker/cli cli/command/formatter/image.go SharedSize
pub(crate) fn fine_size(bytes: u64) -> String {
    human(bytes, 4)
}

fn human(bytes: u64, digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown of fifteen kept")]
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{}{}", significant(number, digits), UNITS[unit])
}

/// Returns `number` as Go's `%.*g` does: rounded to `digits`, no trailing zeros, and with an
/// exponent where rounding leaves more digits than were asked for (999.9 becomes `1e+03`).
fn significant(number: f64, digits: usize) -> String {
    let text = format!("{number:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: usize = exponent.parse().unwrap_or(0);
    if exponent >= digits {
        return format!("{}e+{exponent:02}", trim_zeros(mantissa));
    }
    trim_zeros(&format!("{number:.*}", digits - 1 - exponent)).to_owned()
}

fn trim_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Returns how long before `now` something was made, as the CREATED column says it: `N/A` where
/// that is not known.
///
/// docker/cli cli/command/formatter/image.go CreatedSince and its table format
pub(crate) fn since(created: Option<Timestamp>, now: Timestamp) -> String {
    match created.filter(|created| *created != go_zero_time()) {
        Some(created) => format!("{} ago", duration(now.as_second() - created.as_second())),
        None => "N/A".to_owned(),
    }
}

/// Go's zero time, 0001-01-01T00:00:00Z, which Docker writes where no time is known.
fn go_zero_time() -> Timestamp {
    Timestamp::constant(-62_135_596_800, 0)
}

/// docker/go-units duration.go
fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// Returns `created` as Docker's CREATED AT column says it, always in UTC.
pub(crate) fn at(created: Option<Timestamp>) -> String {
    match created.filter(|created| *created != go_zero_time()) {
        Some(created) => {
            created.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
        }
        None => "N/A".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Go's `%.3g` and `%.4g` in the loop of go-units' size.go.
    #[test]
    fn sizes_are_go_units() {
        for (bytes, three, four) in [
            (0, "0B", "0B"),
            (1, "1B", "1B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (1001, "1kB", "1.001kB"),
            (1125, "1.12kB", "1.125kB"),
            (1135, "1.14kB", "1.135kB"),
            (2125, "2.12kB", "2.125kB"),
            (1875, "1.88kB", "1.875kB"),
            (9995, "9.99kB", "9.995kB"),
            (9996, "10kB", "9.996kB"),
            (99_950, "100kB", "99.95kB"),
            (100_000, "100kB", "100kB"),
            (999_499, "999kB", "999.5kB"),
            (999_500, "1e+03kB", "999.5kB"),
            (999_999, "1e+03kB", "1000kB"),
            (1_000_000, "1MB", "1MB"),
            (3_297_000, "3.3MB", "3.297MB"),
            (13_040_000, "13MB", "13.04MB"),
            (1_234_567_890, "1.23GB", "1.235GB"),
            (999_999_999_999, "1e+03GB", "1000GB"),
            (u64::MAX, "18.4EB", "18.45EB"),
        ] {
            assert_eq!((size(bytes), fine_size(bytes)), (three.into(), four.into()), "{bytes}");
        }
    }

    /// Printed by go-units' duration.go.
    #[test]
    fn durations_are_go_units() {
        for (seconds, wanted) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (170_999, "47 hours"),
            (171_000, "2 days"),
            (1_207_799, "13 days"),
            (1_207_800, "2 weeks"),
            (5_182_199, "8 weeks"),
            (5_182_200, "2 months"),
            (63_070_199, "24 months"),
            (63_070_200, "1 years"),
            (94_608_000, "3 years"),
        ] {
            assert_eq!(duration(seconds), wanted, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_is_not_known_is_not_shown() {
        let now: Timestamp = "2026-11-20T17:27:46Z".parse().expect("a time");
        let made: Timestamp = "2024-02-29T12:34:56.789Z".parse().expect("a time");
        assert_eq!(since(Some(made), now), "2 years ago");
        assert_eq!(at(Some(made)), "2024-02-29 12:34:56 +0000 UTC");
        for none in [None, "0001-01-01T00:00:00Z".parse().ok()] {
            assert_eq!((since(none, now), at(none)), ("N/A".into(), "N/A".into()));
        }
        assert_eq!(since(Some(Timestamp::UNIX_EPOCH), now), "56 years ago");
        assert_eq!(since(Some(Timestamp::MIN), Timestamp::MAX), "20012 years ago");
    }
}
