//! Which replicas stand aside where those of one partition hold different batches, though each reads as it was appended. Pure.
//!
//! Nothing in the batches tells which of them were acknowledged. If more of the replicas in sync hold one other content than
//! hold the leader's, the leader's disk is the one at fault, and it resigns. Otherwise the leader's counts: consumers were
//! given it.

use std::collections::BTreeMap;

use holdfast_log::Digest;
use holdfast_proto::ids::BrokerId;

/// Who stands aside of the replicas that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The leader: most replicas hold what it does not.
    Leader,
    /// These followers; none if all are equal.
    Followers(Vec<BrokerId>),
}

/// Of the leader's digest and those of the followers that answered, of one range; `None` for one whose batches have other
/// borders.
pub fn verdict(own: Digest, followers: &[(BrokerId, Option<Digest>)]) -> Verdict {
    let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
    for digest in followers.iter().filter_map(|(_, digest)| *digest) {
        *holders.entry(digest.0).or_default() += 1;
    }
    let as_leader = 1 + holders.remove(&own.0).unwrap_or_default();
    if holders.into_values().max() > Some(as_leader) {
        return Verdict::Leader;
    }
    let differs = |(broker, digest): &(BrokerId, Option<Digest>)| (*digest != Some(own)).then_some(*broker);
    Verdict::Followers(followers.iter().filter_map(differs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All answers of up to four followers: equal, one of two other contents, or other borders.
    #[test]
    fn the_leader_resigns_only_to_more_replicas_that_agree() {
        let answers = [Some(Digest(0)), Some(Digest(1)), Some(Digest(2)), None];
        for count in 0..=4_u32 {
            for all in 0..answers.len().pow(count) {
                let followers: Vec<_> =
                    (0..count).map(|n| (BrokerId(n), answers[all / answers.len().pow(n) % answers.len()])).collect();
                let holders =
                    |wanted: u64| followers.iter().filter(|(_, digest)| *digest == Some(Digest(wanted))).count();
                let outvoted = holders(1).max(holders(2)) > 1 + holders(0);
                match verdict(Digest(0), &followers) {
                    Verdict::Leader => assert!(outvoted, "{followers:?}"),
                    Verdict::Followers(aside) => {
                        assert!(!outvoted, "{followers:?}");
                        let equal = followers.iter().filter(|(broker, _)| !aside.contains(broker));
                        assert!(equal.clone().all(|(_, digest)| *digest == Some(Digest(0))), "{followers:?}");
                        assert_eq!(equal.count(), holders(0));
                    }
                }
            }
        }
    }
}
