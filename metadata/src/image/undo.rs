//! What a record replaced, so that records which turn out to be wrong can be taken back. Cheaper than a copy of the image
//! before each command: it holds what is touched and nothing else.

use std::sync::Arc;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, ClusterId, MetadataVersion, PartitionIndex, ProducerId, TopicId};

use super::{Image, Topic, lost_disks::LostDisks, recoveries::Recoveries};
use crate::{
    history::HistoryHash,
    record::{BrokerRegistration, PartitionState, Record},
    recovery::ControllerRecovery,
};

/// What stood where one record was applied. Taken back in the opposite order of the records.
pub(crate) enum Undo {
    Cluster(Option<ClusterId>),
    Broker {
        broker_id: BrokerId,
        registration: Option<BrokerRegistration>,
        draining: bool,
        controller_recoveries: Arc<Vec<ControllerRecovery>>,
    },
    MoveLimit(u64),
    Topic {
        topic_id: TopicId,
        topic: Option<Arc<Topic>>,
        deletion: Option<Deletion>,
        recoveries: Recoveries,
    },
    Partition {
        topic_id: TopicId,
        partition: PartitionIndex,
        state: Option<Arc<PartitionState>>,
    },
    NextProducerId(ProducerId),
    NextBrokerEpoch(BrokerEpoch),
    Version(MetadataVersion),
    PartitionRecovery(Recoveries),
    ControllerRecovery,
    LostDisk(LostDisks),
    History(Option<HistoryHash>),
}

/// A deletion that is new, and the id that is forgotten with it.
pub(crate) struct Deletion(Option<TopicId>);

impl Image {
    /// What [`Self::restore`] needs to take the record back that is about to be applied.
    pub(crate) fn before(&self, record: &Record) -> Undo {
        match record {
            Record::Cluster { .. } => Undo::Cluster(self.cluster_id),
            Record::Broker(BrokerRegistration { broker_id, .. })
            | Record::RemoveBroker { broker_id }
            | Record::BrokerDrain { broker_id, .. } => Undo::Broker {
                broker_id: *broker_id,
                registration: self.brokers.get(broker_id).cloned(),
                draining: self.draining.contains(broker_id),
                controller_recoveries: Arc::clone(&self.controller_recoveries),
            },
            Record::MoveLimit { .. } => Undo::MoveLimit(self.move_bytes_per_second),
            Record::Topic { topic_id, .. } | Record::TopicConfig { topic_id, .. } => self.before_topic(*topic_id, None),
            Record::RemoveTopic { topic_id } => {
                let is_new = !self.deleted_topics.ids().contains(topic_id);
                let deletion = is_new.then(|| Deletion(self.deleted_topics.next_to_go()));
                self.before_topic(*topic_id, deletion)
            }
            Record::Partition { topic_id, partition, .. } => Undo::Partition {
                topic_id: *topic_id,
                partition: *partition,
                state: self.topics.get(topic_id).and_then(|topic| topic.partitions.get(partition).cloned()),
            },
            Record::NextProducerId { .. } => Undo::NextProducerId(self.next_producer_id),
            Record::NextBrokerEpoch { .. } => Undo::NextBrokerEpoch(self.next_broker_epoch),
            Record::Version { .. } => Undo::Version(self.version),
            Record::PartitionRecovery(_) => Undo::PartitionRecovery(self.recoveries.clone()),
            Record::ControllerRecovery(_) => Undo::ControllerRecovery,
            Record::LostDisk(_) => Undo::LostDisk(self.lost_disks.clone()),
            Record::History { .. } => Undo::History(self.history),
        }
    }

    /// Takes the last record back that is not taken back yet.
    pub(crate) fn restore(&mut self, undo: Undo) {
        match undo {
            Undo::Cluster(cluster_id) => self.cluster_id = cluster_id,
            Undo::Broker { broker_id, registration, draining, controller_recoveries } => {
                self.controller_recoveries = controller_recoveries;
                let brokers = Arc::make_mut(&mut self.brokers);
                match registration {
                    Some(registration) => brokers.insert(broker_id, registration),
                    None => brokers.remove(&broker_id),
                };
                if draining {
                    self.draining.insert(broker_id);
                } else {
                    self.draining.remove(&broker_id);
                }
            }
            Undo::MoveLimit(bytes_per_second) => self.move_bytes_per_second = bytes_per_second,
            Undo::Topic { topic_id, topic, deletion, recoveries } => {
                self.recoveries = recoveries;
                self.restore_topic(topic_id, topic, deletion.as_ref());
            }
            Undo::Partition { topic_id, partition, state } => {
                let Some(topic) = self.topics.get_mut(&topic_id) else { return };
                let topic = Arc::make_mut(topic);
                if let Some(gone) = topic.partitions.remove(&partition) {
                    self.partition_count -= 1;
                    self.loads.remove(&gone);
                }
                if let Some(state) = state {
                    self.partition_count += 1;
                    self.loads.add(&state);
                    topic.partitions.insert(partition, state);
                }
            }
            Undo::NextProducerId(next) => self.next_producer_id = next,
            Undo::NextBrokerEpoch(next) => self.next_broker_epoch = next,
            Undo::Version(version) => self.version = version,
            Undo::PartitionRecovery(recoveries) => self.recoveries = recoveries,
            Undo::ControllerRecovery => {
                Arc::make_mut(&mut self.controller_recoveries).pop();
            }
            Undo::LostDisk(lost_disks) => self.lost_disks = lost_disks,
            Undo::History(history) => self.history = history,
        }
    }

    fn before_topic(&self, topic_id: TopicId, deletion: Option<Deletion>) -> Undo {
        let topic = self.topics.get(&topic_id).cloned();
        Undo::Topic { topic_id, topic, deletion, recoveries: self.recoveries.clone() }
    }

    fn restore_topic(&mut self, topic_id: TopicId, topic: Option<Arc<Topic>>, deletion: Option<&Deletion>) {
        if let Some(gone) = self.topics.remove(&topic_id) {
            self.partition_count -= gone.partitions.len();
            gone.partitions.values().for_each(|state| self.loads.remove(state));
            self.topic_ids.remove(&gone.name);
        }
        if let Some(topic) = topic {
            self.partition_count += topic.partitions.len();
            topic.partitions.values().for_each(|state| self.loads.add(state));
            self.topic_ids.insert(Arc::clone(&topic.name), topic_id);
            self.topics.insert(topic_id, topic);
        }
        if let Some(Deletion(gone)) = deletion {
            self.deleted_topics.take_back(*gone);
        }
    }
}
