//! Times and sizes on the command line: a number with its unit.

use std::{str::FromStr, time::Duration};

/// A number of bytes, as `1024`, `64KiB` or `1MB`. A bare number counts bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("'{text}' is not a size; write 100, 64KiB or 1MB, below 4GiB");
        let bytes = parse_bytes(text).ok_or_else(wrong)?;
        if (1.0..=f64::from(u32::MAX)).contains(&bytes) { Ok(Self(bytes as u32)) } else { Err(wrong()) }
    }
}

/// The size of a record's value: no topic takes a batch above 16 MiB.
pub(crate) fn parse_value_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    if size.0 <= 16_000_000 { Ok(size) } else { Err(format!("'{text}' is not a size of a value; write 16MB or less")) }
}

/// Bytes with or without a unit.
pub(crate) fn parse_bytes(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    Some(number * factor as f64)
}

/// A time above zero with its unit: ms, s, m, h, d. A bare number is refused: programs differ in what it counts.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    parse_pause(text).and_then(|time| {
        if time.is_zero() { Err(format!("'{text}' is not above zero; write 1ms or more")) } else { Ok(time) }
    })
}

/// A time with its unit that may be zero, at most 1,000 days.
pub(crate) fn parse_pause(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("'{text}' is not a time with its unit; write 500ms, 30s, 5m, 1h or 7d, at most 1000d");
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms <= 1_000 * DAY_MS).map(Duration::from_millis).ok_or_else(wrong)
}

/// The value of a topic's setting as the cluster takes it: what counts milliseconds or bytes may be given with a unit.
/// Anything else stays as it is; the cluster says what it thinks of it.
pub(crate) fn plain_value(key: &str, value: String) -> String {
    let has_unit = value.ends_with(|c: char| c.is_ascii_alphabetic());
    let number = match key.rsplit('.').next() {
        Some("ms") if has_unit => parse_pause(&value).ok().map(|time| time.as_millis().to_string()),
        Some("bytes") if has_unit => parse_bytes(&value).map(|bytes| format!("{bytes:.0}")),
        _ => None,
    };
    number.unwrap_or(value)
}

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let ms = |text| parse_duration(text).map(|time| time.as_millis());
        assert_eq!([ms("500ms"), ms("30s"), ms("5m"), ms("1h")], [Ok(500), Ok(30_000), Ok(300_000), Ok(3_600_000)]);
        assert_eq!((ms("7d"), parse_pause("0s")), (Ok(604_800_000), Ok(Duration::ZERO)));
        for text in ["", "5", "s", "-1s", "1w", "0s", "1001d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(ms(text).is_err(), "{text}");
        }
        assert!(parse_duration("30").unwrap_err().contains("30s"), "it says how");
    }

    #[test]
    fn settings_of_topics_may_have_units() {
        let check =
            |key: &str, value: &str, plain: &str| assert_eq!(plain_value(key, value.to_owned()), plain, "{key}");
        check("retention.ms", "7d", "604800000");
        check("retention.ms", "-1", "-1");
        check("segment.bytes", "64MiB", "67108864");
        check("retention.ms", "soon", "soon");
        check("flush.policy", "5s", "5s");
    }

    #[test]
    fn sizes_have_units_or_count_bytes() {
        let size = |text: &str| text.parse().map(|Size(bytes)| bytes);
        assert_eq!([size("100"), size("64KiB"), size("1.5MB")], [Ok(100), Ok(65_536), Ok(1_500_000)]);
        for text in ["", "0", "-1", "KiB", "4GiB", "1TB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(parse_value_size("16MB"), Ok(Size(16_000_000)));
        assert!(parse_value_size("16MiB").is_err());
    }
}
