//! How fast brokers may copy for moves, as people write it: `50MB/s`, `none`.

use std::{fmt, str::FromStr};

use holdfast_checker::text::bytes;

use crate::units::parse_bytes;

/// Most bytes a second that each broker copies for moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Bytes a second; 0: no limit.
    pub bytes_per_second: u64,
}

impl FromStr for Throttle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self { bytes_per_second: 0 });
        }
        let wrong = || format!("'{text}' is not a rate; write 50MB/s, 800kB/s, 1GiB/s, or none");
        let rate = text.strip_suffix("/s").unwrap_or(text).trim();
        let bytes = parse_bytes(rate).ok_or_else(wrong)?;
        // Below that a broker would copy nothing for minutes; above it nothing is limited.
        if !(1.0..1e15).contains(&bytes) {
            return Err(wrong());
        }
        Ok(Self { bytes_per_second: bytes as u64 })
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes_per_second {
            0 => f.write_str("no limit"),
            limit => write!(f, "{}/s", bytes(limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_the_usual_units() {
        for (text, expected) in [
            ("none", 0),
            ("50MB/s", 50_000_000),
            ("50MB", 50_000_000),
            ("1.5 GB/s", 1_500_000_000),
            ("800kB/s", 800_000),
            ("1MiB/s", 1 << 20),
            ("4096", 4_096),
        ] {
            assert_eq!(text.parse(), Ok(Throttle { bytes_per_second: expected }), "{text}");
        }
        for text in ["", "fast", "MB/s", "-1MB/s", "0", "0.1", "5 pounds", "1.2.3MB", "nan", "1e9"] {
            assert!(text.parse::<Throttle>().is_err(), "{text}");
        }
    }

    #[test]
    fn they_are_shown_as_they_are_written() {
        assert_eq!(Throttle { bytes_per_second: 50_000_000 }.to_string(), "50.0 MB/s");
        assert_eq!(Throttle { bytes_per_second: 0 }.to_string(), "no limit");
    }
}
