//! How long a process runs at least before it ends so that another start looks at one of its replicas. Pure.
//!
//! Such an end takes every other replica of the broker along for a while. The first comes at once; each further one within some
//! hours later than the one before, so that a replica that fails and comes back again and again has its say, and the others
//! their peace.

use holdfast_proto::ids::Millis;

/// How long a process runs that ends so a second time, ms; twice as long each further time.
const FIRST_MS: u64 = 30_000;
/// The longest that it runs, ms.
const MAX_MS: u64 = 3_600_000;

/// When a process may end so at the earliest, since its start, of which `before` ended so lately.
pub fn may_end_at(before: u32) -> Millis {
    let doublings = before.checked_sub(1);
    Millis(doublings.map_or(0, |doublings| FIRST_MS.saturating_mul(1 << doublings.min(20)).min(MAX_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_at_once_and_the_others_ever_later() {
        let at: Vec<u64> = [0, 1, 2, 3, 7, 8, 9, u32::MAX].into_iter().map(|before| may_end_at(before).0).collect();
        assert_eq!(at, [0, 30_000, 60_000, 120_000, 1_920_000, 3_600_000, 3_600_000, 3_600_000]);
    }
}
