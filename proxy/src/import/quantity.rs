//! nginx's times and sizes, and how Berth writes the same.

use std::time::Duration;

/// Milliseconds of each unit. A month has 30 days and a year 365, as in nginx.
const TIME_UNITS: [(&str, u64); 8] = [
    ("ms", 1),
    ("y", 365 * 86_400_000),
    ("M", 30 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
];

/// `30`, `30s`, `1m30s`, `1h 30m`, `500ms`: seconds where no unit stands.
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let unit = TIME_UNITS
            .iter()
            .find_map(|(unit, factor)| Some((behind.strip_prefix(unit)?, *factor)));
        let (behind, factor) = match unit {
            Some(found) => found,
            None if behind.is_empty() => (behind, 1000),
            None => return None,
        };
        millis = number
            .parse::<u64>()
            .ok()?
            .checked_mul(factor)?
            .checked_add(millis)?;
        rest = behind.trim_start();
    }
    Some(Duration::from_millis(millis))
}

/// `8k`, `1m`, `2g`, `4096`: bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// As it stands in our file, with the quotes.
pub(super) fn write_time(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];
    // A minute is called 60s, as in the reference; only what is longer gets a longer unit.
    let larger = units
        .iter()
        .find(|(_, factor)| millis > 60_000 && millis.is_multiple_of(*factor));
    match larger {
        Some((unit, factor)) => format!("\"{}{unit}\"", millis / factor),
        None if millis.is_multiple_of(1000) => format!("\"{}s\"", millis / 1000),
        None => format!("\"{millis}ms\""),
    }
}

/// As it stands in our file, with the quotes.
pub(super) fn write_size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units
        .iter()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor))
    {
        Some((unit, factor)) => format!("\"{}{unit}\"", bytes / factor),
        None => format!("\"{bytes}B\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nginxs() {
        for (text, written) in [
            ("30", "\"30s\""),
            ("60s", "\"60s\""),
            ("1m30s", "\"90s\""),
            ("1h 30m", "\"90m\""),
            ("500ms", "\"500ms\""),
            ("1w", "\"7d\""),
            ("0", "\"0s\""),
        ] {
            assert_eq!(
                time(text).map(write_time).as_deref(),
                Some(written),
                "{text}"
            );
        }
        for text in ["", "s", "1x", "-1", "1.5s", "99999999999999999999y"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_nginxs() {
        for (text, written) in [
            ("8k", "\"8KiB\""),
            ("1500", "\"1500B\""),
            ("10M", "\"10MiB\""),
            ("0", "\"0B\""),
        ] {
            assert_eq!(
                size(text).map(write_size).as_deref(),
                Some(written),
                "{text}"
            );
        }
        assert_eq!(size("1t"), None);
    }
}
