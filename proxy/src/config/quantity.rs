//! Numbers with a meaning: times, sizes, counts. Units are always written, so that `30` can never be taken for
//! milliseconds by one reader and for seconds by another.

use std::time::Duration;

use toml::de::DeValue;

/// A kind of number that stands in the file.
pub(super) trait Quantity: Copy + PartialOrd {
    /// What one looks like: completes "write …".
    const EXAMPLE: &'static str;

    /// Reads the value, or says what is wrong with it and what would be right.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;

    /// As it would stand in the file.
    fn write(self) -> String;
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes(pub(super) u64);

impl Bytes {
    /// For sizes of what is held in memory, whose bounds every `usize` holds.
    pub(super) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Milliseconds per unit, the largest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Bytes per unit, the largest first. No decimal ones: nobody remembers which of the two `KB` is.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Quantity for Duration {
    const EXAMPLE: &'static str = "a time with its unit, such as \"30s\" (ms, s, m, h or d)";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        with_unit(value, &TIME_UNITS, "s", Self::EXAMPLE).map(Self::from_millis)
    }

    fn write(self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        in_largest_unit(millis, "s", &TIME_UNITS)
    }
}

impl Quantity for Bytes {
    const EXAMPLE: &'static str = "a size with its unit, such as \"32KiB\" (B, KiB, MiB or GiB)";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        with_unit(value, &SIZE_UNITS, "B", Self::EXAMPLE).map(Self)
    }

    fn write(self) -> String {
        in_largest_unit(self.0, "B", &SIZE_UNITS)
    }
}

/// How fast something has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BytesPerSecond(pub(super) u64);

impl Quantity for BytesPerSecond {
    const EXAMPLE: &'static str = "a rate such as \"240B/s\" or \"1KiB/s\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let wrong = || format!("{} is no rate; write {}", describe(value), Self::EXAMPLE);
        let size = value.as_str().and_then(|text| text.strip_suffix("/s"));
        let size = DeValue::String(size.ok_or_else(wrong)?.into());
        Bytes::read(&size)
            .map(|size| Self(size.0))
            .map_err(|_| wrong())
    }

    fn write(self) -> String {
        format!("{}/s", Bytes(self.0).write())
    }
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PerMinute(pub(super) u64);

impl Quantity for PerMinute {
    const EXAMPLE: &'static str = "a rate such as \"200/s\" or \"30/m\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let wrong = |what: &str| format!("{} {what}; write {}", describe(value), Self::EXAMPLE);
        if let DeValue::Integer(number) = value {
            return Err(format!(
                "{number} has no unit; write \"{number}/s\", with quotes and unit"
            ));
        }
        let text = value.as_str().ok_or_else(|| wrong("is no rate"))?;
        let (number, unit) = text.split_once('/').ok_or_else(|| wrong("has no unit"))?;
        // As nginx writes it.
        let (digits, is_nginx) = match number.strip_suffix('r') {
            Some(digits) => (digits, true),
            None => (number, false),
        };
        let count = digits.parse::<u64>().map_err(|_| wrong("is no rate"))?;
        let seconds = match unit {
            "s" | "m" if is_nginx => {
                let quoted = describe(value);
                return Err(format!(
                    "{quoted} is nginx's spelling; write \"{count}/{unit}\""
                ));
            }
            "s" => 60,
            "m" => 1,
            _ => return Err(wrong("has an unknown unit")),
        };
        let per_minute = count.checked_mul(seconds);
        per_minute.map(Self).ok_or_else(|| wrong("is too large"))
    }

    fn write(self) -> String {
        if self.0.is_multiple_of(60) {
            format!("{}/s", self.0 / 60)
        } else {
            format!("{}/m", self.0)
        }
    }
}

impl Quantity for u32 {
    const EXAMPLE: &'static str = "a whole number without quotes, such as 3";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        whole_number(value, Self::EXAMPLE)
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Quantity for usize {
    const EXAMPLE: &'static str = u32::EXAMPLE;

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        whole_number(value, Self::EXAMPLE)
    }

    fn write(self) -> String {
        self.to_string()
    }
}

/// What a value of the wrong type is called in a message.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The text in quotes, on one line and not longer than a line.
pub(super) fn quote(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn whole_number<T: TryFrom<u64>>(value: &DeValue<'_>, example: &str) -> Result<T, String> {
    let wrong = |what: &str| format!("{} {what}; write {example}", describe(value));
    let DeValue::Integer(number) = value else {
        return Err(wrong("is not a whole number"));
    };
    let number = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
    let number = u64::try_from(number).map_err(|_| {
        wrong(if number < 0 {
            "is negative"
        } else {
            "is too large"
        })
    })?;
    T::try_from(number).map_err(|_| wrong("is too large"))
}

fn with_unit(
    value: &DeValue<'_>,
    units: &[(&str, u64)],
    usual_unit: &str,
    example: &str,
) -> Result<u64, String> {
    let wrong = |what: &str| format!("{} {what}; write {example}", describe(value));
    let text = match value {
        DeValue::String(text) => text,
        DeValue::Integer(number) => {
            return Err(format!(
                "{number} has no unit; write \"{number}{usual_unit}\", with quotes and unit"
            ));
        }
        _ => return Err(wrong("is of the wrong type")),
    };
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(wrong("does not begin with a number"));
    }
    if unit.is_empty() {
        return Err(format!(
            "\"{digits}\" has no unit; write \"{digits}{usual_unit}\""
        ));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(
            match units.iter().find(|(name, _)| is_same_unit(name, unit)) {
                Some((name, _)) => format!(
                    "{} has an unknown unit; write \"{digits}{name}\"",
                    describe(value)
                ),
                None => wrong("is not a number followed by a unit"),
            },
        );
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| wrong("is too large"))
}

/// Whether `unit` is a common other spelling of `name`: `k`, `KB` and `kib` for `KiB`, `sec` for `s`.
fn is_same_unit(name: &str, unit: &str) -> bool {
    let unit = unit.trim().to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let spellings: &[&str] = match name.as_str() {
        "kib" => &["k", "kb"],
        "mib" => &["m", "mb"],
        "gib" => &["g", "gb"],
        "b" => &["byte", "bytes"],
        "ms" => &["msec", "millis", "milliseconds"],
        "s" => &["sec", "secs", "second", "seconds"],
        "m" => &["min", "mins", "minute", "minutes"],
        "h" => &["hr", "hour", "hours"],
        "d" => &["day", "days"],
        _ => &[],
    };
    unit == name || spellings.contains(&unit.as_str())
}

fn in_largest_unit(amount: u64, usual_unit: &str, units: &[(&str, u64)]) -> String {
    if amount == 0 {
        return format!("0{usual_unit}");
    }
    let fitting = units
        .iter()
        .find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    match fitting.or(units.last()) {
        Some((unit, factor)) => format!("{}{unit}", amount / factor),
        None => amount.to_string(),
    }
}
