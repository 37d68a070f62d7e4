//! The longest pause between acknowledgements.
//!
//! A pause counts only while something waits: it begins with the last acknowledgement of the partition, or when the
//! record was sent, whichever came later. So an idle partition has no pause, and a load that stops has none either.

use std::time::{Duration, Instant};

/// Measures the pauses of one partition.
#[derive(Clone, Copy, Debug, Default)]
pub struct PauseMeter {
    last: Option<Instant>,
    longest: Duration,
}

impl PauseMeter {
    /// Notes that a record that was sent at `sent` is acknowledged at `now`. Gives the pause that this ended.
    pub fn acked(&mut self, sent: Instant, now: Instant) -> Duration {
        let since = self.last.map_or(sent, |last| last.max(sent));
        let pause = now.saturating_duration_since(since);
        self.longest = self.longest.max(pause);
        self.last = Some(now);
        pause
    }

    /// The longest pause so far.
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_only_while_something_waits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = PauseMeter::default();
        assert_eq!(meter.acked(at(0), at(3)).as_millis(), 3, "from the send, as nothing came before");
        assert_eq!(meter.acked(at(1), at(5)).as_millis(), 2, "from the last ack");
        assert_eq!(meter.acked(at(5_000), at(5_004)).as_millis(), 4, "nothing waited in between");
        assert_eq!(meter.acked(at(5_001), at(5_904)).as_millis(), 900);
        assert_eq!(meter.longest().as_millis(), 900);
    }
}
