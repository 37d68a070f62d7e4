//! Waits between attempts, cut by chance.

use std::time::Duration;

use super::retry::jittered;

/// How long to wait where the rule says `pause_ms`.
pub(super) fn cut(pause_ms: u64) -> Duration {
    Duration::from_secs_f64(jittered(pause_ms, rand::random_range(0.0..=1.0)) / 1_000.0)
}
