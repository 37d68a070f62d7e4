//! The cluster's metadata as this broker applies it: a snapshot, then changes. Pure.
//!
//! Invariants: (1) records are applied in order of their index, without a gap, all of an index or none; (2) nothing is
//! applied before a snapshot, and no snapshot that is older than what was applied or than this start's registration; (3) what
//! does not fit changes nothing, and asks for a snapshot; (4) a session goes on from what was applied only under the hash
//! that came with it, if it is not older than the registration, and if everything fitted since.
//!
//! Why not older than the registration: a state from before may name this broker as the leader of an epoch in which it led
//! in an earlier start. It would lead on in that epoch, with a log that may have lost its unflushed end since, and other
//! records would stand where followers and consumers have seen some already.

use std::collections::BTreeSet;

use holdfast_metadata::{HistoryHash, Image, Record};
use holdfast_proto::ids::{MetadataIndex, TopicId, TopicPartition};

/// Records of one index, or of a snapshot.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The index that they lead to.
    pub index: MetadataIndex,
    /// The records, in order.
    pub records: Vec<Record>,
    /// The hash of all changes up to the index, as the controller told it.
    pub history: Option<HistoryHash>,
}

/// What changed, as far as it concerns replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Anything: a snapshot came, or another metadata version.
    All,
    /// These partitions, topics and settings alone.
    Some {
        /// Partitions with a new state.
        partitions: BTreeSet<TopicPartition>,
        /// Topics that were deleted or have new settings.
        topics: BTreeSet<TopicId>,
        /// True if the limit for moves is another.
        move_limit: bool,
    },
}

/// Why records were not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// The whole state came, and it is older than what is known to be committed. A controller that is behind says so for a
    /// moment; one that says so for long has lost what was committed.
    #[error("the state of index {came} came, and index {known} is known to be committed")]
    WentBack {
        /// Index of the state that came.
        came: MetadataIndex,
        /// Of what was applied before, or of this start's registration.
        known: MetadataIndex,
    },
    /// They do not follow what was applied before.
    #[error("{0}")]
    Other(String),
}

/// The image of one broker and what it was made of. See the module.
#[derive(Debug, Default)]
pub struct ImageFollower {
    image: Image,
    /// True once a snapshot was applied.
    is_informed: bool,
    /// The hash that came with the image's index; `None` if none did, or if something did not fit since.
    history: Option<HistoryHash>,
}

impl ImageFollower {
    /// The image as of the last change that was applied.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// From where a session may go on without a snapshot, with the hash as the proof of which history it is; `None` if it
    /// has to begin with one.
    pub fn resume_point(&self, registered_at: MetadataIndex) -> Option<(MetadataIndex, HistoryHash)> {
        let index = self.image.index();
        self.history.filter(|_| self.is_informed && index >= registered_at).map(|history| (index, history))
    }

    /// Applies a snapshot, if there is one, and changes, in order; or says why they do not fit. `registered_at` is the
    /// index of this start's registration.
    pub fn apply(
        &mut self,
        registered_at: MetadataIndex,
        snapshot: Option<Changes>,
        deltas: Vec<Changes>,
    ) -> Result<Changed, NotApplied> {
        // Until everything has fitted.
        let told = self.history.take();
        let mut history = told;
        let mut changed = Changed::nothing();
        let mut image = self.image.clone();
        let mut is_informed = self.is_informed;
        let begins = snapshot.is_some();
        if let Some(Changes { index, records, history: told }) = snapshot {
            if index < self.image.index() {
                return Err(NotApplied::WentBack { came: index, known: self.image.index() });
            }
            image = Image::from_records(index, &records).map_err(|error| NotApplied::Other(error.to_string()))?;
            (is_informed, history) = (true, told);
            changed = Changed::All;
        } else if !is_informed {
            return Err(NotApplied::Other("changes came before any snapshot".to_owned()));
        }
        for Changes { index, records, history: told } in deltas {
            // What a snapshot already holds may come again as a change.
            if index <= image.index() {
                continue;
            }
            if index.0 != image.index().0 + 1 {
                let message = format!("the changes of index {index} came after index {}", image.index());
                return Err(NotApplied::Other(message));
            }
            image.apply_all(index, &records).map_err(|error| NotApplied::Other(error.to_string()))?;
            changed.note(&records);
            history = told;
        }
        // Judged with the changes that came behind it: the snapshot itself may be one that others were sent before.
        let index = image.index();
        if begins && index < registered_at {
            return Err(NotApplied::WentBack { came: index, known: registered_at });
        }
        (self.image, self.is_informed, self.history) = (image, is_informed, history);
        Ok(changed)
    }
}

impl Changed {
    fn nothing() -> Self {
        Self::Some { partitions: BTreeSet::new(), topics: BTreeSet::new(), move_limit: false }
    }

    fn note(&mut self, records: &[Record]) {
        if records.iter().any(|record| matches!(record, Record::Version { .. })) {
            // What partitions are told depends on it.
            *self = Self::All;
        }
        let Self::Some { partitions, topics, move_limit } = self else { return };
        for record in records {
            match record {
                Record::Partition { topic_id, partition, .. } => {
                    partitions.insert(TopicPartition { topic_id: *topic_id, partition: *partition });
                }
                Record::RemoveTopic { topic_id } | Record::TopicConfig { topic_id, .. } => {
                    topics.insert(*topic_id);
                }
                Record::MoveLimit { .. } => *move_limit = true,
                Record::Cluster { .. }
                | Record::Broker(_)
                | Record::RemoveBroker { .. }
                | Record::Topic { .. }
                | Record::BrokerDrain { .. }
                | Record::NextProducerId { .. }
                | Record::NextBrokerEpoch { .. }
                | Record::Version { .. }
                | Record::PartitionRecovery(_)
                | Record::ControllerRecovery(_)
                | Record::LostDisk(_)
                | Record::History { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::BrokerId;
    use uuid::Uuid;

    use super::*;

    const REGISTERED_AT: MetadataIndex = MetadataIndex(5);

    fn topic() -> TopicId {
        TopicId(Uuid::from_u128(1))
    }

    fn changes(index: u64, records: Vec<Record>) -> Changes {
        Changes { index: MetadataIndex(index), records, history: hash(index) }
    }

    /// The hash of an index, as the tests have it.
    fn hash(index: u64) -> Option<HistoryHash> {
        HistoryHash::from_bytes(&u128::from(index).to_be_bytes())
    }

    fn removed() -> Record {
        Record::RemoveTopic { topic_id: topic() }
    }

    fn informed(index: u64) -> ImageFollower {
        let mut follower = ImageFollower::default();
        assert_eq!(follower.apply(REGISTERED_AT, Some(changes(index, Vec::new())), Vec::new()), Ok(Changed::All));
        follower
    }

    #[test]
    fn nothing_is_applied_before_a_snapshot_nor_an_older_one() {
        let mut follower = ImageFollower::default();
        assert!(follower.apply(REGISTERED_AT, None, vec![changes(1, Vec::new())]).is_err());
        assert_eq!(follower.image().index(), MetadataIndex(0));
        let mut follower = informed(7);
        assert!(follower.apply(REGISTERED_AT, Some(changes(6, Vec::new())), Vec::new()).is_err());
        assert_eq!(follower.image().index(), MetadataIndex(7));
        assert_eq!(
            follower.apply(REGISTERED_AT, Some(changes(7, Vec::new())), Vec::new()),
            Ok(Changed::All),
            "the same again is none older"
        );
    }

    #[test]
    fn no_state_from_before_the_registration_is_applied() {
        let mut follower = ImageFollower::default();
        let error = follower.apply(REGISTERED_AT, Some(changes(4, Vec::new())), Vec::new()).unwrap_err();
        assert_eq!(error, NotApplied::WentBack { came: MetadataIndex(4), known: REGISTERED_AT });
        assert_eq!(follower.image().index(), MetadataIndex(0));
        assert_eq!(follower.apply(REGISTERED_AT, Some(changes(5, Vec::new())), Vec::new()), Ok(Changed::All));
        let mut follower = ImageFollower::default();
        let shared = follower.apply(REGISTERED_AT, Some(changes(4, Vec::new())), vec![changes(5, Vec::new())]);
        assert_eq!(shared, Ok(Changed::All), "a snapshot that others were sent before, and what came since");
    }

    #[test]
    fn changes_that_a_snapshot_already_holds_are_not_applied_again() {
        let mut follower = informed(7);
        let changed = follower.apply(REGISTERED_AT, None, vec![changes(7, vec![removed()]), changes(8, Vec::new())]);
        assert_eq!(changed, Ok(Changed::nothing()));
        assert_eq!(follower.image().index(), MetadataIndex(8));
        assert!(follower.image().deleted_topics().is_empty());
        let changed = follower.apply(REGISTERED_AT, None, vec![changes(9, vec![removed()])]);
        let topics = [topic()].into();
        assert_eq!(changed, Ok(Changed::Some { partitions: BTreeSet::new(), topics, move_limit: false }));
        assert!(follower.image().deleted_topics().contains(&topic()));
    }

    #[test]
    fn a_session_goes_on_only_from_what_fitted_and_is_not_older_than_the_registration() {
        let follower = ImageFollower::default();
        assert_eq!(follower.resume_point(MetadataIndex(0)), None, "nothing was applied");
        let mut follower = informed(7);
        let point = |index| hash(index).map(|hash| (MetadataIndex(index), hash));
        assert_eq!(follower.resume_point(REGISTERED_AT), point(7));
        assert_eq!(follower.resume_point(MetadataIndex(8)), None, "it registered again since");
        follower.apply(REGISTERED_AT, None, vec![changes(8, Vec::new()), changes(9, Vec::new())]).expect("fits");
        assert_eq!(follower.resume_point(REGISTERED_AT), point(9));
        follower.apply(REGISTERED_AT, None, vec![changes(9, Vec::new())]).expect("known already");
        assert_eq!(follower.resume_point(REGISTERED_AT), point(9));
        assert!(follower.apply(REGISTERED_AT, None, vec![changes(11, Vec::new())]).is_err(), "a gap");
        assert_eq!(follower.image().index(), MetadataIndex(9));
        assert_eq!(follower.resume_point(REGISTERED_AT), None, "something did not fit: all is to come again");
        follower.apply(REGISTERED_AT, Some(changes(12, Vec::new())), Vec::new()).expect("fits");
        assert_eq!(follower.resume_point(REGISTERED_AT), point(12));
    }

    #[test]
    fn what_does_not_fit_changes_nothing_at_all() {
        let mut follower = informed(7);
        let of_no_broker = Record::RemoveBroker { broker_id: BrokerId(9) };
        let result =
            follower.apply(REGISTERED_AT, None, vec![changes(8, vec![removed()]), changes(9, vec![of_no_broker])]);
        assert!(result.is_err(), "{result:?}");
        assert_eq!(follower.image().index(), MetadataIndex(7));
        assert!(follower.image().deleted_topics().is_empty());
    }
}
