//! The flags of a load and of the later check.

use std::time::Duration;

use clap::Args;

use holdfast_local::Setting;

/// What a load is like, and the topic that it writes to.
#[derive(Debug, Args)]
pub(super) struct LoadFlags {
    /// The topic.
    #[arg(short, long, value_name = "TOPIC", required = true)]
    pub(super) topic: Option<String>,
    /// Make the topic, if it is not there.
    #[arg(long)]
    pub(super) create: bool,
    /// Partitions of the topic that is made [default: the cluster's].
    #[arg(short, long, value_name = "N", requires = "create", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) partitions: Option<u32>,
    /// Replicas of the topic that is made [default: the cluster's].
    #[arg(short, long, visible_alias = "replicas", value_name = "N", requires = "create")]
    pub(super) replication_factor: Option<u32>,
    /// A setting of the topic that is made.
    #[arg(short, long = "config", value_name = "KEY=VALUE", requires = "create")]
    pub(super) configs: Vec<Setting>,
    /// How long to produce, as 500ms, 30s, 5m, 1h [default: until Ctrl-C or SIGTERM].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Records a second, of all producers together.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) rate: u32,
    /// Size of a record's value, bytes.
    #[arg(short, long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=900_000))]
    pub(super) size: u32,
    /// Producers, each with connections of its own; each writes to all partitions.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) producers: u32,
    /// How long a record may be on its way, retries included. Then it is refused, or in doubt.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub(super) delivery_timeout: Duration,
    /// How long the cluster is awaited at the start.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(super) patience: Duration,
}

/// What is checked later.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The topic.
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) topic: String,
    /// How many records must be there at least.
    #[arg(long, value_name = "N")]
    pub(super) expect: Option<u64>,
    /// Accept keys without a last word: runs that were killed, or still go on.
    #[arg(long)]
    pub(super) allow_unfinished: bool,
    /// How long the cluster is awaited at the start.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(super) patience: Duration,
}

/// A time with its unit: ms, s, m, h.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let problem = || format!("'{text}' is no time; write 500ms, 30s, 5m or 1h");
    let number: u64 = text[..at].parse().map_err(|_| problem())?;
    let unit_ms = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(problem()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let ms = |text| parse_duration(text).map(|time| time.as_millis());
        assert_eq!([ms("500ms"), ms("30s"), ms("5m"), ms("1h")], [Ok(500), Ok(30_000), Ok(300_000), Ok(3_600_000)]);
        for text in ["", "5", "s", "-1s", "1d", "0s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }
}
