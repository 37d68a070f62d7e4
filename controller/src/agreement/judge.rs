//! Which hash counts, and who has another. Pure.

use std::collections::BTreeMap;

use holdfast_metadata::HistoryHash;

/// What follows from the answers of the voters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too few told a hash: ask again later.
    Wait,
    /// Most have this one, this controller among them; those named have another.
    Most { hash: HistoryHash, odd: Vec<u64> },
    /// Most have this one, and this controller has another.
    OwnIsOdd { hash: HistoryHash },
    /// There are several, and none of them is that of most.
    Split(BTreeMap<u64, HistoryHash>),
}

/// `own` is the Raft id of this controller; `hashes` has every voter, with `None` for one that told no hash.
pub(super) fn judge(own: u64, hashes: &BTreeMap<u64, Option<HistoryHash>>) -> Verdict {
    let told: BTreeMap<u64, HistoryHash> = hashes.iter().filter_map(|(id, hash)| Some((*id, (*hash)?))).collect();
    let count = |hash: &HistoryHash| told.values().filter(|other| *other == hash).count();
    let Some(hash) = told.values().copied().find(|hash| 2 * count(hash) > hashes.len()) else {
        let differ = told.values().any(|hash| count(hash) < told.len());
        return if differ { Verdict::Split(told) } else { Verdict::Wait };
    };
    match told.get(&own) {
        None => Verdict::Wait,
        Some(ours) if *ours != hash => Verdict::OwnIsOdd { hash },
        Some(_) => {
            Verdict::Most { hash, odd: told.iter().filter(|(_, other)| **other != hash).map(|(id, _)| *id).collect() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> HistoryHash {
        HistoryHash::from_bytes(&[number; 16]).expect("16 bytes")
    }

    #[track_caller]
    fn check(hashes: &[Option<u8>], expected: &Verdict) {
        let hashes = (1..).zip(hashes.iter().map(|told| told.map(hash))).collect();
        assert_eq!(judge(1, &hashes), *expected);
    }

    #[test]
    fn what_most_have_counts_also_against_oneself() {
        let most = |odd: &[u64]| Verdict::Most { hash: hash(7), odd: odd.to_vec() };
        check(&[Some(7)], &most(&[]));
        check(&[Some(7), Some(7), Some(7)], &most(&[]));
        check(&[Some(7), Some(8), Some(7)], &most(&[2]));
        check(&[Some(7), None, Some(7)], &most(&[]));
        check(&[Some(7), Some(7), Some(7), Some(8), Some(9)], &most(&[4, 5]));
        check(&[Some(8), Some(7), Some(7)], &Verdict::OwnIsOdd { hash: hash(7) });
    }

    #[test]
    fn without_a_majority_nobody_is_odd() {
        check(&[Some(7), None, None], &Verdict::Wait);
        check(&[None, None, None], &Verdict::Wait);
        check(&[None, Some(7), Some(7)], &Verdict::Wait);
        check(&[Some(7), Some(8), None], &Verdict::Split([(1, hash(7)), (2, hash(8))].into()));
        check(&[Some(7), Some(8), Some(9)], &Verdict::Split([(1, hash(7)), (2, hash(8)), (3, hash(9))].into()));
        check(&[Some(7), Some(7), None, None], &Verdict::Wait);
    }
}
