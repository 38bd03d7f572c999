//! MessagePack's timestamp extension, as the text that `JSON.stringify` makes of a JavaScript Date.

use crate::dispatch::Malformed;

/// JavaScript's last and, negated, first point in time.
const EPOCH_MS_MAX: i64 = 8_640_000_000_000_000;
const DAY_MS: i64 = 86_400_000;

/// The body of a timestamp extension of 32, 64 or 96 bits in milliseconds since 1970.
/// `None` is a time that a JavaScript Date cannot hold.
pub(crate) fn epoch_ms(body: &[u8]) -> Result<Option<i64>, Malformed> {
    let (seconds, nanoseconds) = if let Ok(bits) = <[u8; 4]>::try_from(body) {
        (i64::from(u32::from_be_bytes(bits)), 0)
    } else if let Ok(bits) = <[u8; 8]>::try_from(body) {
        let bits = u64::from_be_bytes(bits);
        // 30 bits of nanoseconds, 34 of seconds: neither can overflow its signed type.
        (
            (bits & 0x3_ffff_ffff).cast_signed(),
            (bits >> 34).cast_signed(),
        )
    } else if let Some((nanoseconds, seconds)) = body.split_first_chunk::<4>()
        && let Ok(seconds) = <[u8; 8]>::try_from(seconds)
    {
        (
            i64::from_be_bytes(seconds),
            i64::from(u32::from_be_bytes(*nanoseconds)),
        )
    } else {
        return Err(Malformed::new("a timestamp of an unknown length"));
    };
    Ok(seconds
        .checked_mul(1000)
        .and_then(|ms| ms.checked_add(nanoseconds / 1_000_000))
        .filter(|ms| ms.abs() <= EPOCH_MS_MAX))
}

/// `2023-11-14T22:13:20.000Z`; years outside 0–9999 have a sign and six digits.
pub(crate) fn to_iso(epoch_ms: i64) -> String {
    let (year, month, day) = civil(epoch_ms.div_euclid(DAY_MS));
    let ms = epoch_ms.rem_euclid(DAY_MS);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z",
        ms % 1000
    )
}

/// Days since 1970 as year, month and day of the proleptic Gregorian calendar. Years are counted
/// from March, so that the leap day is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(epoch_ms: i64, iso: &str) {
        assert_eq!(to_iso(epoch_ms), iso);
    }

    /// Expected values are Node's `new Date(ms).toISOString()`.
    #[test]
    fn dates_are_written_as_node_writes_them() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_700_000_000_000, "2023-11-14T22:13:20.000Z");
        check(951_782_400_123, "2000-02-29T00:00:00.123Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(253_402_300_800_000, "+010000-01-01T00:00:00.000Z");
        check(-62_198_755_200_000, "-000001-01-01T00:00:00.000Z");
        check(EPOCH_MS_MAX, "+275760-09-13T00:00:00.000Z");
        check(-EPOCH_MS_MAX, "-271821-04-20T00:00:00.000Z");
    }

    #[test]
    fn all_three_lengths_are_read() {
        assert_eq!(
            epoch_ms(&[0x65, 0x53, 0xf1, 0x00]),
            Ok(Some(1_700_000_000_000))
        );
        let with_ms = (500_000_000_u64 << 34) | 1_700_000_000;
        assert_eq!(
            epoch_ms(&with_ms.to_be_bytes()),
            Ok(Some(1_700_000_000_500))
        );
        let mut before = 999_000_000_u32.to_be_bytes().to_vec();
        before.extend((-1_i64).to_be_bytes());
        assert_eq!(epoch_ms(&before), Ok(Some(-1)));
        let mut never = 0_u32.to_be_bytes().to_vec();
        never.extend(i64::MAX.to_be_bytes());
        assert_eq!(epoch_ms(&never), Ok(None));
        assert!(epoch_ms(&[1, 2, 3]).is_err());
    }
}
