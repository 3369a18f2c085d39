//! Sizes and times as Docker's options take them.

/// Returns a number of bytes with the largest unit that leaves it whole.
pub(super) fn bytes(value: i64) -> String {
    let units = [(1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")];
    let fits = |(unit, _): &&(i64, &str)| value > 0 && value % unit == 0;
    match units.iter().find(fits) {
        Some((unit, letter)) => format!("{}{letter}", value / unit),
        None => value.to_string(),
    }
}

/// Returns a time in nanoseconds as Go reads it, with the largest unit that leaves it whole.
pub(super) fn duration(nanos: i64) -> String {
    let units = [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s")];
    let fits = |(unit, _): &&(i64, &str)| nanos % unit == 0;
    match units.iter().find(fits) {
        Some((unit, letter)) => format!("{}{letter}", nanos / unit),
        None if nanos % 1_000_000 == 0 => format!("{}ms", nanos / 1_000_000),
        None => format!("{nanos}ns"),
    }
}

/// Returns billionths of a processor as a decimal number.
pub(super) fn cpus(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, (nanos % 1_000_000_000).abs());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_docker_reads_them() {
        for (value, wanted) in
            [(0, "0"), (1, "1"), (1024, "1k"), (1 << 29, "512m"), (3 << 30, "3g"), (-1, "-1")]
        {
            assert_eq!(bytes(value), wanted);
        }
        for (value, wanted) in [
            (5_000_000_000, "5s"),
            (90_000_000_000, "90s"),
            (120_000_000_000, "2m"),
            (1_500_000_000, "1500ms"),
            (7, "7ns"),
        ] {
            assert_eq!(duration(value), wanted);
        }
        for (value, wanted) in [(1_500_000_000, "1.5"), (2_000_000_000, "2"), (1, "0.000000001")] {
            assert_eq!(cpus(value), wanted);
        }
    }
}
