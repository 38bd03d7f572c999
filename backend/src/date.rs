//! Dates as JavaScript writes them: what clients, session records and cookies carry.
//!
//! Instants are milliseconds since the Unix epoch, UTC. Leap seconds do not exist here, as they do not in JavaScript.

const DAY_MS: i64 = 86_400_000;
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The years that four digits can write; instants outside are written as the nearest one inside.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
}

/// `2026-11-23T00:21:57.084Z`, as `Date.prototype.toISOString` writes it.
#[must_use]
pub fn to_iso(instant_ms: i64) -> String {
    let Parts {
        year,
        month,
        day,
        hour,
        minute,
        second,
        millisecond,
    } = split(instant_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// `Mon, 23 Nov 2026 00:21:57 GMT`, as cookies and HTTP write it (RFC 9110 §5.6.7) and `Date.prototype.toUTCString` too.
#[must_use]
pub fn to_http(instant_ms: i64) -> String {
    let Parts {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = split(instant_ms);
    let nth = |names: &[&'static str], n: i64| {
        usize::try_from(n)
            .ok()
            .and_then(|n| names.get(n).copied())
            .unwrap_or_default()
    };
    let weekday = nth(
        &DAYS,
        instant_ms
            .clamp(FIRST_MS, LAST_MS)
            .div_euclid(DAY_MS)
            .rem_euclid(7),
    );
    let month = nth(&MONTHS, month - 1);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads what [`to_iso`] and `JSON.stringify(date)` write. Other spellings of ISO 8601 are not needed and are `None`.
#[must_use]
pub fn parse_iso(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ];
    if bytes.len() != 24 || marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * 1000 + number(20, 23)?;
    let instant = days_before(year, month, day) * DAY_MS + time;
    // Writing it again catches the 31st of April.
    (to_iso(instant) == text).then_some(instant)
}

fn split(instant_ms: i64) -> Parts {
    let instant_ms = instant_ms.clamp(FIRST_MS, LAST_MS);
    let (days, rest) = (instant_ms.div_euclid(DAY_MS), instant_ms.rem_euclid(DAY_MS));
    // Years are counted from 1 March, so that the leap day is a year's last; 719468 days lie between year 0 and the epoch.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    Parts {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        hour: rest / 3_600_000,
        minute: rest / 60_000 % 60,
        second: rest / 1000 % 60,
        millisecond: rest % 1000,
    }
}

/// Days from the epoch to a date, by the same March years as [`split`].
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{FIRST_MS, LAST_MS, parse_iso, to_http, to_iso};

    #[test]
    fn writes_what_javascript_writes() {
        for (instant, iso, http) in [
            (
                0,
                "1970-01-01T00:00:00.000Z",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            (
                -1,
                "1969-12-31T23:59:59.999Z",
                "Wed, 31 Dec 1969 23:59:59 GMT",
            ),
            (
                951_782_400_000,
                "2000-02-29T00:00:00.000Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (
                4_107_542_400_000,
                "2100-03-01T00:00:00.000Z",
                "Mon, 01 Mar 2100 00:00:00 GMT",
            ),
            (
                1_795_339_157_084,
                "2026-11-22T09:19:17.084Z",
                "Sun, 22 Nov 2026 09:19:17 GMT",
            ),
            (
                FIRST_MS,
                "0000-01-01T00:00:00.000Z",
                "Sat, 01 Jan 0000 00:00:00 GMT",
            ),
            (
                i64::MAX,
                "9999-12-31T23:59:59.999Z",
                "Fri, 31 Dec 9999 23:59:59 GMT",
            ),
        ] {
            assert_eq!(to_iso(instant), iso);
            assert_eq!(to_http(instant), http);
            assert_eq!(parse_iso(iso), Some(instant.min(LAST_MS)));
        }
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T09:19:17Z",
            "2026-11-22T09:19:17.084+00:00",
            "2026-13-01T00:00:00.000Z",
            "2026-04-31T00:00:00.000Z",
            "2026-02-29T00:00:00.000Z",
            "2026-11-22T24:00:00.000Z",
            "+026-11-22T09:19:17.084Z",
            "2026-11-22T09:19:17.0ü4Z",
        ] {
            assert_eq!(parse_iso(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(instant in FIRST_MS..=LAST_MS) {
            assert_eq!(parse_iso(&to_iso(instant)), Some(instant));
        }
    }
}
