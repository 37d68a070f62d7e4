//! Whether a topic keeps a run's records until they are compared: where retention removes them first, the account would call
//! them lost. Pure: no IO, no clock.

use std::time::Duration;

use super::{flags::LoadFlags, kept::Limits, starts::named};
use crate::exit::{Failure, Result};

/// How long reading everything back may take.
const READING: Duration = Duration::from_mins(1);
/// How long a run is taken to go on that has no end.
const ENDLESS: Duration = Duration::from_hours(1);
/// What a record takes beside its value, about: key, headers and its share of the batch.
const RECORD_OVERHEAD_BYTES: u64 = 100;

/// Refuses a run that the topic does not keep whole. `partitions`: that it has.
pub(super) fn check(topic: &str, limits: Limits, partitions: u64, flags: &LoadFlags) -> Result {
    let time = flags.duration.unwrap_or(ENDLESS) + READING;
    let too_short = limits.ms.is_some_and(|ms| u128::from(ms) < time.as_millis());
    let record = u64::from(flags.size.0) + RECORD_OVERHEAD_BYTES;
    let total = flags
        .duration
        .map(|duration| u64::from(flags.rate).saturating_mul(duration.as_secs() + 1).saturating_mul(record));
    let too_small = limits.bytes.is_some_and(|bytes| total.is_none_or(|total| total / partitions.max(1) > bytes));
    if !too_short && !too_small {
        return Ok(());
    }
    let needed = match total {
        _ if too_short => format!("{} s with the reading", time.as_secs()),
        Some(total) => format!("about {} bytes in a partition", total / partitions.max(1)),
        None => "room without end, as it has no --duration".to_owned(),
    };
    Err(Failure::usage(format!(
        "{topic} keeps less than this audit writes ({}; it needs {needed}): records would expire before they are compared, and \
         nothing could tell that from a loss. Audit a topic that keeps more, as with --create -c retention.ms=-1 -c \
         retention.bytes=-1",
        named(limits).join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        flags: LoadFlags,
    }

    fn checked(limits: Limits, partitions: u64, more: &[&str]) -> Result {
        let flags = Flags::try_parse_from([&["audit", "-t", "a"], more].concat()).expect("they are flags").flags;
        check("a", limits, partitions, &flags)
    }

    #[test]
    fn what_would_expire_before_it_is_compared_is_refused() {
        let age = |ms| Limits { ms: Some(ms), bytes: None };
        let short = ["--duration", "10s"];
        checked(Limits::default(), 1, &[]).expect("it keeps everything");
        checked(age(70_000), 1, &short).expect("ten seconds, and a minute to read");
        let refused = checked(age(69_999), 1, &short).expect_err("it would expire").message;
        assert!(
            refused.starts_with("a keeps less than this audit writes (retention.ms=69999; it needs 70 s"),
            "{refused}"
        );
        checked(age(7 * 24 * 3_600_000), 1, &[]).expect("the default");
        assert!(checked(age(60_000), 1, &[]).is_err(), "it has no end");
    }

    #[test]
    fn what_is_more_than_a_partition_keeps_is_refused() {
        let size = |bytes| Limits { ms: None, bytes: Some(bytes) };
        let load = ["--duration", "9s", "--rate", "100", "--size", "900"];
        checked(size(1_000_000), 1, &load).expect("ten seconds of 100 records of 1,000 bytes");
        assert!(checked(size(999_999), 1, &load).is_err());
        checked(size(500_000), 2, &load).expect("half of it in each");
        let refused = checked(size(1 << 40), 2, &[]).expect_err("it has no end").message;
        assert!(refused.contains("retention.bytes=1099511627776; it needs room without end"), "{refused}");
    }
}
