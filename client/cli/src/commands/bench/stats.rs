//! Latencies and rates, as they are told.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use holdfast_checker::text::grouped;

/// Latencies in microseconds, up to ten minutes, to three digits.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// The percentiles that are told, with their names in JSON.
const PERCENTILES: [(f64, &str); 5] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p999"), (99.99, "p9999")];

const MAX_US: u64 = 600_000_000;

impl Latencies {
    pub(super) fn new() -> Self {
        // The bounds are constants that it accepts.
        Self(
            Histogram::new_with_bounds(1, MAX_US, 3)
                .unwrap_or_else(|_| Histogram::new(3).unwrap_or_else(|_| unreachable!())),
        )
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record((latency.as_micros() as u64).clamp(1, MAX_US));
    }

    pub(super) fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _same_bounds = self.0.add(&other.0);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn json(&self) -> Value {
        let mut json = json!({ "count": self.0.len(), "mean": self.0.mean() / 1_000.0, "max": ms(self.0.max()) });
        for (percentile, name) in PERCENTILES {
            json[name] = json!(ms(self.0.value_at_percentile(percentile)));
        }
        json
    }

    /// As p50 1.2 ms, p90 …
    pub(super) fn text(&self) -> String {
        let mut parts: Vec<_> = PERCENTILES
            .iter()
            .map(|(percentile, _)| {
                let name = format!("p{percentile}");
                format!("{name} {:.2} ms", ms(self.0.value_at_percentile(*percentile)))
            })
            .collect();
        parts.push(format!("max {:.2} ms", ms(self.0.max())));
        parts.join(", ")
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// How much in how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
}

impl Throughput {
    fn seconds(&self) -> f64 {
        self.elapsed.as_secs_f64().max(1e-6)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "records": self.records,
            "bytes": self.bytes,
            "seconds": self.seconds(),
            "records_per_s": self.records as f64 / self.seconds(),
            "mb_per_s": self.bytes as f64 / 1e6 / self.seconds(),
        })
    }

    pub(super) fn text(&self) -> String {
        format!(
            "{} records in {:.2} s: {} records/s, {:.1} MB/s",
            grouped(self.records),
            self.seconds(),
            grouped((self.records as f64 / self.seconds()) as u64),
            self.bytes as f64 / 1e6 / self.seconds()
        )
    }
}

/// The middle of some durations; the mean of the two middle ones for an even number.
pub(super) fn median(durations: &[Duration]) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    match sorted.len() {
        0 => Duration::ZERO,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut latencies = Latencies::new();
        for ms in 1..=1_000 {
            latencies.record(Duration::from_millis(ms));
        }
        let json = latencies.json();
        assert!((json["p50"].as_f64().unwrap() - 500.0).abs() < 1.0, "{json}");
        assert!((json["p999"].as_f64().unwrap() - 999.5).abs() < 1.5, "{json}");
        assert_eq!(latencies.count(), 1_000);
        assert!(latencies.text().starts_with("p50 500"), "{}", latencies.text());
    }

    #[test]
    fn a_median_is_the_middle() {
        let ms = |numbers: &[u64]| numbers.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
        assert_eq!(median(&ms(&[3, 1, 2])).as_millis(), 2);
        assert_eq!(median(&ms(&[4, 1, 3, 2])).as_micros(), 2_500);
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
