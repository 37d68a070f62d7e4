//! Which replicas stand aside where those of one partition hold different batches, though each reads as it was appended. Pure.
//!
//! Nothing in the batches tells which of them were acknowledged. If more of the replicas in sync hold one other content than
//! hold the leader's, the leader's disk is the one at fault, and it resigns. Otherwise the leader's counts: consumers were
//! given it. Of those whose batches have other borders nothing is known but that they differ: they may hold one content, and
//! outvote the leader by it. Nobody stands aside before most of the replicas agree or all have answered: one that is away may be the third
//! that decides, and what a replica held is gone once it is copied again.

use std::collections::BTreeMap;

use holdfast_log::Digest;
use holdfast_proto::ids::BrokerId;

/// Who stands aside of the replicas that differ, if that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The leader: most replicas hold what it does not.
    Leader,
    /// These followers; none if all are equal.
    Followers(Vec<BrokerId>),
    /// Nobody yet: too few answered.
    Undecided,
    /// Nobody by this range: too many have other borders there. One that ends where all have a border may tell.
    OtherBorders,
}

/// Of the leader's digest and those of the followers that answered, of one range of a partition with so many `replicas`;
/// `None` for one whose batches have other borders.
pub fn verdict(own: Digest, followers: &[(BrokerId, Option<Digest>)], replicas: usize) -> Verdict {
    let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
    for digest in followers.iter().filter_map(|(_, digest)| *digest) {
        *holders.entry(digest.0).or_default() += 1;
    }
    let as_leader = 1 + holders.remove(&own.0).unwrap_or_default();
    let against = holders.into_values().max().unwrap_or_default();
    let unknown = followers.iter().filter(|(_, digest)| digest.is_none()).count();
    let is_settled = followers.len() + 1 >= replicas || against.max(as_leader) * 2 > replicas;
    if !is_settled {
        return Verdict::Undecided;
    }
    if against > as_leader {
        return Verdict::Leader;
    }
    if unknown > as_leader {
        return Verdict::OtherBorders;
    }
    let differs = |(broker, digest): &(BrokerId, Option<Digest>)| (*digest != Some(own)).then_some(*broker);
    Verdict::Followers(followers.iter().filter_map(differs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_away_may_decide() {
        let differs = (BrokerId(1), Some(Digest(1)));
        assert_eq!(verdict(Digest(0), &[differs], 3), Verdict::Undecided);
        assert_eq!(verdict(Digest(0), &[differs, (BrokerId(2), Some(Digest(1)))], 3), Verdict::Leader);
        assert_eq!(verdict(Digest(0), &[differs], 2), Verdict::Followers(vec![BrokerId(1)]), "all answered");
        let most = [differs, (BrokerId(2), Some(Digest(0))), (BrokerId(3), Some(Digest(0)))];
        assert_eq!(verdict(Digest(0), &most, 5), Verdict::Followers(vec![BrokerId(1)]), "three of five agree");
    }

    /// All answers of up to four followers, of which some may be away: equal, one of two other contents, or other borders.
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
                let unknown = followers.iter().filter(|(_, digest)| digest.is_none()).count();
                for away in 0..=2 {
                    match verdict(Digest(0), &followers, followers.len() + 1 + away) {
                        Verdict::Leader => assert!(outvoted, "{followers:?}"),
                        Verdict::Followers(aside) => {
                            assert!(!outvoted, "{followers:?}");
                            let equal = followers.iter().filter(|(broker, _)| !aside.contains(broker));
                            assert!(equal.clone().all(|(_, digest)| *digest == Some(Digest(0))), "{followers:?}");
                            assert_eq!(equal.count(), holders(0));
                            assert!(unknown <= 1 + holders(0), "they may agree: {followers:?}");
                        }
                        Verdict::OtherBorders => assert!(!outvoted && unknown > 1 + holders(0), "{followers:?}"),
                        // Those that are away could give another content as many holders as the most have.
                        Verdict::Undecided => {
                            let most = holders(1).max(holders(2)).max(1 + holders(0));
                            assert!(away > 0 && most * 2 <= followers.len() + 1 + away, "{followers:?}");
                        }
                    }
                }
            }
        }
    }
}
