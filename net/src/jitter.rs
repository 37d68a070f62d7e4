//! Times that are cut by chance: callers that failed together do not come back together, and connections that were made
//! together do not end together.

use std::time::Duration;

/// Half to all of a pause, by chance. Never longer than the pause, so that a longest pause is one.
pub fn jittered(pause: Duration) -> Duration {
    between(pause / 2, pause)
}

/// A time from `least` to `most`, each as likely as another; `least` if `most` is not above it.
pub fn between(least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(rand::random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pauses_differ_and_keep_to_half_and_all() {
        let pause = Duration::from_secs(10);
        let cut: BTreeSet<_> = (0..50).map(|_| jittered(pause)).collect();
        assert!(cut.len() > 10, "{cut:?}");
        assert!(cut.iter().all(|cut| (pause / 2..=pause).contains(cut)), "{cut:?}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn an_empty_range_gives_its_begin() {
        let (short, long) = (Duration::from_millis(1), Duration::from_millis(2));
        assert_eq!([between(long, long), between(long, short)], [long, long]);
    }
}
