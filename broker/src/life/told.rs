//! Which followers were told that they differ from their leader, so that one that differs after it was copied again is not
//! copied for ever. Pure.
//!
//! Who was told counts for one leadership and one registration of the follower: another start of it may know nothing of what
//! it was told. A whole comparison that finds nothing ends it: what differs later is another fault, as of a disk that
//! misplaces a batch now and then.
//!
//! Of one whose answer does not come it is not known whether it has looked: it is told again, some times. If it has looked each
//! time it was copied as often, and no oftener.

use std::collections::BTreeMap;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, LeaderEpoch, TopicPartition};

/// In which leadership, and which registration of the follower.
pub(super) type Since = (LeaderEpoch, Option<BrokerEpoch>);

/// How often one whose answers do not come is told at most.
const MAX_UNANSWERED: u32 = 3;

/// Followers that were told; at most one entry for each that is led here.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(TopicPartition, BrokerId), (Since, Heard)>);

/// What a follower said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Looked,
    /// Nothing, as often as this.
    Nothing(u32),
}

impl Told {
    /// True if the follower has looked, and nothing was equal since; or if it must have by now.
    pub(super) fn has_looked(&self, partition: TopicPartition, follower: BrokerId, since: Since) -> bool {
        let told = self.0.get(&(partition, follower)).filter(|(when, _)| *when == since);
        told.is_some_and(|(_, heard)| match heard {
            Heard::Looked => true,
            Heard::Nothing(times) => *times >= MAX_UNANSWERED,
        })
    }

    /// The follower was told, and its answer did not come.
    pub(super) fn unanswered(&mut self, partition: TopicPartition, follower: BrokerId, since: Since) {
        let told = self.0.entry((partition, follower)).or_insert((since, Heard::Nothing(0)));
        *told = match *told {
            (when, Heard::Nothing(times)) if when == since => (since, Heard::Nothing(times + 1)),
            (when, Heard::Looked) if when == since => *told,
            _ => (since, Heard::Nothing(1)),
        };
    }

    /// The follower has looked, and stands aside.
    pub(super) fn looked(&mut self, partition: TopicPartition, follower: BrokerId, since: Since) {
        self.0.insert((partition, follower), (since, Heard::Looked));
    }

    /// All that the follower holds was compared, and is equal.
    pub(super) fn is_equal(&mut self, partition: TopicPartition, follower: BrokerId) {
        self.0.remove(&(partition, follower));
    }

    /// Keeps those of partitions that are open here.
    pub(super) fn retain(&mut self, is_open: impl Fn(TopicPartition) -> bool) {
        self.0.retain(|(partition, _), _| is_open(*partition));
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    const FOLLOWER: BrokerId = BrokerId(2);
    const SINCE: Since = (LeaderEpoch(3), Some(BrokerEpoch(7)));

    fn tp(n: u32) -> TopicPartition {
        TopicPartition { topic_id: TopicId(uuid::Uuid::from_u128(1)), partition: PartitionIndex(n) }
    }

    #[test]
    fn a_follower_is_told_once_in_a_leadership_and_a_registration() {
        let mut told = Told::default();
        assert!(!told.has_looked(tp(0), FOLLOWER, SINCE));
        told.looked(tp(0), FOLLOWER, SINCE);
        assert!(told.has_looked(tp(0), FOLLOWER, SINCE));
        assert!(!told.has_looked(tp(1), FOLLOWER, SINCE) && !told.has_looked(tp(0), BrokerId(3), SINCE));
        assert!(!told.has_looked(tp(0), FOLLOWER, (LeaderEpoch(4), SINCE.1)), "another leadership");
        assert!(!told.has_looked(tp(0), FOLLOWER, (SINCE.0, Some(BrokerEpoch(8)))), "another start of it");
    }

    #[test]
    fn one_whose_answers_do_not_come_is_told_some_times() {
        let mut told = Told::default();
        for _ in 0..MAX_UNANSWERED {
            assert!(!told.has_looked(tp(0), FOLLOWER, SINCE));
            told.unanswered(tp(0), FOLLOWER, SINCE);
        }
        assert!(told.has_looked(tp(0), FOLLOWER, SINCE), "it may have been copied as often");
        let later = (LeaderEpoch(4), SINCE.1);
        assert!(!told.has_looked(tp(0), FOLLOWER, later));
        told.unanswered(tp(0), FOLLOWER, later);
        assert!(!told.has_looked(tp(0), FOLLOWER, later), "the count begins again");
        told.looked(tp(0), FOLLOWER, later);
        told.unanswered(tp(0), FOLLOWER, later);
        assert!(told.has_looked(tp(0), FOLLOWER, later), "it has, whatever is lost later");
        told.unanswered(tp(1), FOLLOWER, SINCE);
        told.is_equal(tp(1), FOLLOWER);
        assert!((1..MAX_UNANSWERED).all(|_| {
            told.unanswered(tp(1), FOLLOWER, SINCE);
            !told.has_looked(tp(1), FOLLOWER, SINCE)
        }));
    }

    #[test]
    fn one_that_was_equal_since_is_told_again() {
        let mut told = Told::default();
        told.looked(tp(0), FOLLOWER, SINCE);
        told.looked(tp(1), FOLLOWER, SINCE);
        told.is_equal(tp(0), FOLLOWER);
        assert!(!told.has_looked(tp(0), FOLLOWER, SINCE) && told.has_looked(tp(1), FOLLOWER, SINCE));
        told.retain(|partition| partition != tp(1));
        assert!(!told.has_looked(tp(1), FOLLOWER, SINCE));
    }
}
