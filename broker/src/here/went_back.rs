//! Since when all that controllers have to say is older than what this broker knows. Pure.
//!
//! A controller that is behind says that now and then, and the next one is up to date: only evidence that goes on without a
//! pause proves that metadata is lost. Two moments with a silence between them prove nothing of the time between.

use holdfast_proto::ids::Millis;

/// Evidence that metadata went back. See the module.
#[derive(Clone, Copy, Debug)]
pub struct WentBack {
    longest_pause_ms: u64,
    /// Its first and its latest moment.
    seen: Option<(Millis, Millis)>,
}

impl WentBack {
    /// Evidence that comes `longest_pause_ms` after the one before, or later, begins again.
    pub fn new(longest_pause_ms: u64) -> Self {
        Self { longest_pause_ms, seen: None }
    }

    /// Older metadata came again. Returns for how long nothing else did, ms.
    pub fn again(&mut self, now: Millis) -> u64 {
        let first =
            self.seen.filter(|(_, latest)| now.since(*latest) < self.longest_pause_ms).map_or(now, |(first, _)| first);
        self.seen = Some((first, now));
        now.since(first)
    }

    /// Metadata came that follows what is known.
    pub fn follows(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_evidence_without_a_pause_counts() {
        let mut went_back = WentBack::new(1_000);
        let times = [0, 900, 1_800, 3_000, 3_500].map(|now| went_back.again(Millis(now)));
        assert_eq!(times, [0, 900, 1_800, 0, 500], "it was silent before the fourth");
        went_back.follows();
        assert_eq!(went_back.again(Millis(3_600)), 0);
    }
}
