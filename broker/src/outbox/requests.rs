//! What one source broker is told of this broker's followers, and which of their requests for records have no answer yet.
//! Pure.
//!
//! Place: under the lock of a [`SourcePositions`](super::SourcePositions). Invariants: (1) one position a partition: a newer one
//! replaces an older one, and a request for records that was not sent yet stays one, as long as the leader epoch is the
//! same; (2) every request, sent or not, is either answered or handed out by [`Requests::fail`] when the connection breaks,
//! each once: a follower never waits for an answer that cannot come.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::ids::{LeaderEpoch, TopicPartition};
use holdfast_replication::FetchPosition;

use super::latest::Latest;

/// Positions and requests of the followers of one source broker.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    waiting: Latest<TopicPartition, FetchPosition>,
    /// Requests for records that were sent and not answered, with the leader epoch that they named.
    unanswered: BTreeMap<TopicPartition, LeaderEpoch>,
}

impl Requests {
    /// True if no position waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A follower stands here now.
    pub fn put(&mut self, partition: TopicPartition, position: FetchPosition) {
        self.waiting.merge(partition, position, |waiting, newer| {
            let requested = waiting.wants_records && waiting.leader_epoch == newer.leader_epoch;
            *waiting = newer;
            waiting.wants_records |= requested;
        });
    }

    /// Takes every position to send it. The requests among them count as sent.
    pub fn take(&mut self) -> Vec<(TopicPartition, FetchPosition)> {
        let taken: Vec<_> = self.waiting.take_all().into_iter().collect();
        let requests = taken.iter().filter(|(_, position)| position.wants_records);
        self.unanswered.extend(requests.map(|(partition, position)| (*partition, position.leader_epoch)));
        taken
    }

    /// A request of this leader epoch was answered. A late answer to an older epoch's request answers no newer one.
    pub fn answered(&mut self, partition: TopicPartition, leader_epoch: LeaderEpoch) {
        if self.unanswered.get(&partition) == Some(&leader_epoch) {
            self.unanswered.remove(&partition);
        }
    }

    /// The connection broke, or could not be made: every request, sent or not, with the leader epoch that it named. The
    /// caller answers them with a failure.
    pub fn fail(&mut self) -> BTreeSet<(TopicPartition, LeaderEpoch)> {
        let sent = std::mem::take(&mut self.unanswered);
        let waiting = self.waiting.take_all().into_iter().filter(|(_, position)| position.wants_records);
        waiting.map(|(partition, position)| (partition, position.leader_epoch)).chain(sent).collect()
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{Offset, PartitionEpoch, PartitionIndex, TopicId};

    use super::*;

    fn tp(partition: u32) -> TopicPartition {
        TopicPartition { topic_id: TopicId(uuid::Uuid::nil()), partition: PartitionIndex(partition) }
    }

    fn position(leader_epoch: u32, end: u64, wants_records: bool) -> FetchPosition {
        FetchPosition {
            leader_epoch: LeaderEpoch(leader_epoch),
            partition_epoch: PartitionEpoch(1),
            fetch_offset: Offset(end),
            flushed_offset: Offset(end),
            last_fetched_epoch: None,
            log_start_offset: Some(Offset(0)),
            wants_records,
        }
    }

    #[test]
    fn a_request_outlives_a_newer_position_but_not_a_newer_leader() {
        let mut requests = Requests::default();
        requests.put(tp(0), position(1, 1, true));
        requests.put(tp(0), position(1, 2, false));
        requests.put(tp(1), position(1, 5, true));
        requests.put(tp(1), position(2, 5, false));
        assert_eq!(requests.take(), [(tp(0), position(1, 2, true)), (tp(1), position(2, 5, false))]);
        assert!(requests.is_empty() && requests.take().is_empty());
    }

    #[test]
    fn a_broken_connection_fails_every_request_once() {
        let mut requests = Requests::default();
        requests.put(tp(0), position(1, 1, true));
        requests.put(tp(2), position(1, 1, true));
        requests.take();
        requests.put(tp(1), position(1, 6, true));
        requests.put(tp(3), position(1, 6, false));
        requests.answered(tp(0), LeaderEpoch(0));
        requests.answered(tp(2), LeaderEpoch(1));
        assert_eq!(requests.fail(), BTreeSet::from([(tp(0), LeaderEpoch(1)), (tp(1), LeaderEpoch(1))]));
        assert!(requests.fail().is_empty());
    }
}
