//! Sizes as Docker's own settings take them.

/// Parses a size such as `10GB`, `500M` or `0`.
///
/// Units are decimal, even if written `MiB`, because this is how Docker reads
/// `DOCKER_MIGRATE_SNAPSHOTTER_THRESHOLD`: moby daemon/daemon.go, go-units FromHumanSize.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size; wanted one like 10GB, 500MB or 0");
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(wrong)?;
    let (number, unit) = match text[end..].strip_prefix(' ') {
        Some(unit) => (&text[..end], unit),
        None => text.split_at(end + 1),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * scale(unit).ok_or_else(wrong)?;
    // Docker keeps sizes in an int64.
    #[expect(clippy::cast_precision_loss, reason = "a bound, and i64::MAX + 1 is exact")]
    let most = i64::MAX as f64;
    if !(0.0..most).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(bytes as u64)
}

fn scale(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    let mut letters = unit.chars();
    let scale = match letters.next() {
        None => return Some(1.0),
        Some('b') => return letters.as_str().is_empty().then_some(1.0),
        Some('k') => 1e3,
        Some('m') => 1e6,
        Some('g') => 1e9,
        Some('t') => 1e12,
        Some('p') => 1e15,
        Some(_) => return None,
    };
    matches!(letters.as_str(), "" | "b" | "ib").then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What go-units' FromHumanSize answers, but for numbers too large for an int64: it wraps them.
    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("0.5", 0),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32_000),
            ("32Kb", 32_000),
            ("32KiB", 32_000),
            ("32.5kB", 32_500),
            ("32.3 mb", 32_299_999),
            ("5.", 5),
            ("-0", 0),
            ("200M", 200_000_000),
            ("500MiB", 500_000_000),
            ("10GB", 10_000_000_000),
            ("1e3", 1000),
            (".5t", 500_000_000_000),
            ("1PiB", 1_000_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "hello",
            "-32",
            "-1k",
            ".3kB ",
            " 32 ",
            "32  mb",
            "32m b",
            "32bm",
            "32mbb",
            "32exb",
            "9999999999P",
            "MB",
            ". kB",
            "inf1",
            "nan0",
            "32ki",
            "1e400",
            "9223372036854775807",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
