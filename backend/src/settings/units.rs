//! Durations and sizes as an operator writes them: `25s`, `500ms`, `16KiB`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: [(&str, usize); 5] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("KiB", 1024),
    ("MiB", 1024 * 1024),
];

/// # Errors
/// What would be right.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = DURATION_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale);
    match (number.parse::<u64>(), scale) {
        (Ok(number), Some(scale)) => number
            .checked_mul(scale)
            .map(Duration::from_millis)
            .ok_or_else(|| format!("\"{text}\" is too long a time")),
        _ => Err(format!(
            "\"{text}\" is not a duration; write a whole number and ms, s, m, h or d, such as \"25s\""
        )),
    }
}

/// # Errors
/// What would be right.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let scale = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale);
    match (number.parse::<usize>(), scale) {
        (Ok(number), Some(scale)) => number
            .checked_mul(scale)
            .ok_or_else(|| format!("\"{text}\" is too large")),
        _ => Err(format!(
            "\"{text}\" is not a size; write a whole number and B, KB, MB, KiB or MiB, such as \"16KiB\""
        )),
    }
}

/// The shortest exact way to write a duration.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let (unit, scale) = DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, scale)| ms != 0 && ms.is_multiple_of(u128::from(*scale)))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", ms / u128::from(*scale))
}

/// The shortest exact way to write a size.
pub(super) fn show_size(bytes: usize) -> String {
    let (unit, scale) = SIZE_UNITS
        .iter()
        .filter(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale))
        .max_by_key(|(_, scale)| *scale)
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / scale)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}
