//! The cluster's metadata as this broker applies it: a snapshot, then changes. Pure.
//!
//! Invariants: (1) records are applied in order of their index, all of an index or none; (2) nothing is applied before a
//! snapshot, and no snapshot that is older than what was applied; (3) what does not fit changes nothing, and asks for a
//! snapshot.

use std::collections::BTreeSet;

use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::{MetadataIndex, TopicId, TopicPartition};

/// Records of one index, or of a snapshot.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The index that they lead to.
    pub index: MetadataIndex,
    /// The records, in order.
    pub records: Vec<Record>,
}

/// What changed, as far as it concerns replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Anything: a snapshot came.
    All,
    /// These alone.
    Some {
        /// Partitions with a new state.
        partitions: BTreeSet<TopicPartition>,
        /// Topics that were deleted or have new settings.
        topics: BTreeSet<TopicId>,
        /// True if the limit for moves is another.
        move_limit: bool,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct ImageFollower {
    image: Image,
    /// True once a snapshot was applied.
    is_informed: bool,
}

impl ImageFollower {
    /// The image now.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Applies a snapshot, if there is one, and changes, in order; or says why they do not fit.
    pub fn apply(&mut self, snapshot: Option<Changes>, deltas: Vec<Changes>) -> Result<Changed, String> {
        let mut changed = Changed::nothing();
        let mut image = self.image.clone();
        let mut is_informed = self.is_informed;
        if let Some(Changes { index, records }) = snapshot {
            if index < self.image.index() {
                return Err(format!("a snapshot of index {index} came after index {}", self.image.index()));
            }
            image = Image::from_records(index, &records).map_err(|error| error.to_string())?;
            is_informed = true;
            changed = Changed::All;
        } else if !is_informed {
            return Err("changes came before any snapshot".to_owned());
        }
        for Changes { index, records } in deltas {
            // What a snapshot already holds may come again as a change.
            if index <= image.index() {
                continue;
            }
            image.apply_all(index, &records).map_err(|error| error.to_string())?;
            changed.note(&records);
        }
        (self.image, self.is_informed) = (image, is_informed);
        Ok(changed)
    }
}

impl Changed {
    fn nothing() -> Self {
        Self::Some { partitions: BTreeSet::new(), topics: BTreeSet::new(), move_limit: false }
    }

    fn note(&mut self, records: &[Record]) {
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
                | Record::NextBrokerEpoch { .. } => {}
            }
        }
    }
}
