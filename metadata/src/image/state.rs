//! The state itself, and what records do to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::OrdMap;

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, LeaderEpoch, MetadataIndex, MetadataVersion, PartitionEpoch, PartitionIndex,
    ProducerId, TopicId, TopicPartition,
};

use super::{deleted::DeletedTopics, loads::Loads, lost_disks::LostDisks, recoveries::Recoveries};
use crate::{
    config::TopicConfig,
    history::HistoryHash,
    record::{BrokerRegistration, PartitionState, Record},
    recovery::ControllerRecovery,
    version,
};

/// The cluster's state. See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) version: MetadataVersion,
    pub(super) history: Option<HistoryHash>,
    pub(super) index: MetadataIndex,
    pub(super) brokers: Arc<BTreeMap<BrokerId, BrokerRegistration>>,
    pub(super) draining: BTreeSet<BrokerId>,
    pub(super) move_bytes_per_second: u64,
    pub(super) topics: OrdMap<TopicId, Arc<Topic>>,
    pub(super) topic_ids: OrdMap<Arc<str>, TopicId>,
    pub(super) deleted_topics: DeletedTopics,
    pub(super) recoveries: Recoveries,
    pub(super) controller_recoveries: Arc<Vec<ControllerRecovery>>,
    pub(super) lost_disks: LostDisks,
    pub(super) partition_count: usize,
    pub(super) loads: Loads,
    pub(super) next_producer_id: ProducerId,
    pub(super) next_broker_epoch: BrokerEpoch,
}

/// A topic with its settings and the states of its partitions. The copies of an image share it until it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub(super) id: TopicId,
    pub(super) name: Arc<str>,
    pub(super) configs: BTreeMap<String, String>,
    pub(super) config: TopicConfig,
    pub(super) partitions: OrdMap<PartitionIndex, Arc<PartitionState>>,
}

/// Why a record does not fit the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A record names a topic that is not there.
    #[error("a record names topic {0}, which the image does not hold")]
    UnknownTopic(TopicId),
    /// A topic is created a second time.
    #[error("topic {0} is created, but the image has held it already")]
    TopicIdUsed(TopicId),
    /// Two topics of one name.
    #[error("topic {0} is created under the name {1}, which another topic has")]
    NameTaken(TopicId, String),
    /// A partition without the one before it.
    #[error("partition {1} of topic {0} is created before partition {2}")]
    PartitionGap(TopicId, PartitionIndex, PartitionIndex),
    /// An epoch of a partition goes back.
    #[error(
        "partition {0} goes back from leader epoch {1}, partition epoch {2} to leader epoch {3}, partition epoch {4}"
    )]
    PartitionWentBack(TopicPartition, LeaderEpoch, PartitionEpoch, LeaderEpoch, PartitionEpoch),
    /// A broker epoch goes back.
    #[error("the broker epoch of {0} goes back from {1} to {2}")]
    BrokerWentBack(BrokerId, BrokerEpoch, BrokerEpoch),
    /// A broker is removed that is not there.
    #[error("broker {0} is removed, but the image does not hold it")]
    UnknownBroker(BrokerId),
    /// A counter goes back.
    #[error("the {0} goes back from {1} to {2}")]
    CounterWentBack(&'static str, u64, u64),
    /// The cluster's id changes.
    #[error("the cluster's id changes from {0} to {1}")]
    ClusterIdChanged(ClusterId, ClusterId),
    /// The index does not grow.
    #[error("records of index {1} come after those of index {0}")]
    IndexWentBack(MetadataIndex, MetadataIndex),
}

impl Default for Image {
    /// The state of nothing, at index 0.
    fn default() -> Self {
        Self {
            cluster_id: None,
            version: version::FIRST,
            history: Some(HistoryHash::START),
            index: MetadataIndex(0),
            brokers: Arc::default(),
            draining: BTreeSet::new(),
            move_bytes_per_second: 0,
            topics: OrdMap::new(),
            topic_ids: OrdMap::new(),
            deleted_topics: DeletedTopics::default(),
            recoveries: Recoveries::default(),
            controller_recoveries: Arc::default(),
            lost_disks: LostDisks::default(),
            partition_count: 0,
            loads: Loads::default(),
            next_producer_id: ProducerId(0),
            // 0 stays free, so that an unset field of a message is no broker epoch.
            next_broker_epoch: BrokerEpoch(1),
        }
    }
}

impl Image {
    /// Builds the image that a snapshot's records describe. Without a [`Record::History`] among them, as from the time
    /// before there was one or for a broker, the image has no hash, and gets none from later changes.
    pub fn from_records<'a>(
        index: MetadataIndex,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, Error> {
        let mut image = Self { index, history: None, ..Self::default() };
        for record in records {
            match record {
                // What may go went before the snapshot was made.
                Record::PartitionRecovery(recovery) => image.recoveries.add(recovery),
                record => image.apply(record)?,
            }
        }
        Ok(image)
    }

    /// Applies the records of one index together, or none of them.
    pub fn apply_all<'a>(
        &mut self,
        index: MetadataIndex,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), Error> {
        let mut next = self.clone();
        next.advance_to(index)?;
        let records: Vec<&Record> = records.into_iter().collect();
        for record in &records {
            next.apply(record)?;
        }
        next.remember(records);
        *self = next;
        Ok(())
    }

    /// Takes the changes that were applied at the present index into the hash of all changes, if there is one.
    pub(crate) fn remember<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) {
        self.history = self.history.map(|hash| hash.then(self.index, records));
    }

    /// The index moves on without a change, as for a log entry that holds no command.
    pub fn advance_to(&mut self, index: MetadataIndex) -> Result<(), Error> {
        if index <= self.index {
            return Err(Error::IndexWentBack(self.index, index));
        }
        self.index = index;
        Ok(())
    }

    /// Applies one record. On an error nothing has changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Cluster { cluster_id } => match self.cluster_id {
                Some(known) if known != *cluster_id => return Err(Error::ClusterIdChanged(known, *cluster_id)),
                _ => self.cluster_id = Some(*cluster_id),
            },
            Record::Broker(registration) => self.apply_broker(registration)?,
            Record::RemoveBroker { broker_id } => {
                if !self.brokers.contains_key(broker_id) {
                    return Err(Error::UnknownBroker(*broker_id));
                }
                Arc::make_mut(&mut self.brokers).remove(broker_id);
                self.draining.remove(broker_id);
                self.expect_no_more(*broker_id);
            }
            Record::BrokerDrain { broker_id, draining: true } => {
                self.draining.insert(*broker_id);
            }
            Record::BrokerDrain { broker_id, draining: false } => {
                self.draining.remove(broker_id);
            }
            Record::MoveLimit { bytes_per_second } => self.move_bytes_per_second = *bytes_per_second,
            Record::Topic { topic_id, name } => self.apply_topic(*topic_id, name)?,
            Record::RemoveTopic { topic_id } => {
                // Snapshots hold the removal alone, without the topic.
                if let Some(topic) = self.topics.remove(topic_id) {
                    self.topic_ids.remove(&topic.name);
                    self.partition_count -= topic.partitions.len();
                    topic.partitions.values().for_each(|state| self.loads.remove(state));
                }
                self.deleted_topics.insert(*topic_id);
                self.recoveries.prune(self.deleted_topics.ids());
            }
            Record::TopicConfig { topic_id, configs } => {
                let topic = self.topics.get_mut(topic_id).ok_or(Error::UnknownTopic(*topic_id))?;
                let topic = Arc::make_mut(topic);
                topic.config = TopicConfig::from_stored(configs);
                topic.configs.clone_from(configs);
            }
            Record::Partition { topic_id, partition, state } => self.apply_partition(*topic_id, *partition, state)?,
            Record::NextProducerId { next_producer_id } => {
                if *next_producer_id < self.next_producer_id {
                    let (old, new) = (self.next_producer_id.0 as u64, next_producer_id.0 as u64);
                    return Err(Error::CounterWentBack("next producer id", old, new));
                }
                self.next_producer_id = *next_producer_id;
            }
            Record::NextBrokerEpoch { next_broker_epoch } => {
                if *next_broker_epoch < self.next_broker_epoch {
                    let (old, new) = (self.next_broker_epoch.0, next_broker_epoch.0);
                    return Err(Error::CounterWentBack("next broker epoch", old, new));
                }
                self.next_broker_epoch = *next_broker_epoch;
            }
            Record::Version { version } => {
                if *version < self.version {
                    let (old, new) = (u64::from(self.version.0), u64::from(version.0));
                    return Err(Error::CounterWentBack("metadata version", old, new));
                }
                self.version = *version;
            }
            Record::PartitionRecovery(recovery) => {
                self.recoveries.add(recovery);
                self.recoveries.prune(self.deleted_topics.ids());
            }
            Record::ControllerRecovery(recovery) => {
                Arc::make_mut(&mut self.controller_recoveries).push(recovery.clone());
            }
            Record::LostDisk(lost) => {
                let (brokers, last) = (&self.brokers, self.controller_recoveries.last());
                let is_expected = |broker| last.is_some_and(|last| last.expected.contains(&broker));
                self.lost_disks.add(*lost, |broker| brokers.contains_key(&broker) || is_expected(broker));
            }
            Record::History { hash } => self.history = Some(*hash),
        }
        Ok(())
    }

    /// A broker is forgotten that has registered: no recovery of the controllers expects it again by that.
    fn expect_no_more(&mut self, broker_id: BrokerId) {
        if self.controller_recoveries.last().is_some_and(|last| last.expected.contains(&broker_id))
            && let Some(last) = Arc::make_mut(&mut self.controller_recoveries).last_mut()
        {
            last.expected.retain(|expected| *expected != broker_id);
        }
    }

    fn apply_broker(&mut self, registration: &BrokerRegistration) -> Result<(), Error> {
        let (broker_id, broker_epoch) = (registration.broker_id, registration.broker_epoch);
        if let Some(known) = self.brokers.get(&broker_id)
            && known.broker_epoch > broker_epoch
        {
            return Err(Error::BrokerWentBack(broker_id, known.broker_epoch, broker_epoch));
        }
        Arc::make_mut(&mut self.brokers).insert(broker_id, registration.clone());
        Ok(())
    }

    fn apply_topic(&mut self, topic_id: TopicId, name: &str) -> Result<(), Error> {
        if self.topics.contains_key(&topic_id) || self.deleted_topics.ids().contains(&topic_id) {
            return Err(Error::TopicIdUsed(topic_id));
        }
        if self.topic_ids.contains_key(name) {
            return Err(Error::NameTaken(topic_id, name.to_owned()));
        }
        let topic = Topic {
            id: topic_id,
            name: Arc::from(name),
            configs: BTreeMap::new(),
            config: TopicConfig::default(),
            partitions: OrdMap::new(),
        };
        self.topic_ids.insert(Arc::clone(&topic.name), topic_id);
        self.topics.insert(topic_id, Arc::new(topic));
        Ok(())
    }

    fn apply_partition(
        &mut self,
        topic_id: TopicId,
        partition: PartitionIndex,
        state: &PartitionState,
    ) -> Result<(), Error> {
        let topic = self.topics.get_mut(&topic_id).ok_or(Error::UnknownTopic(topic_id))?;
        if let Some(old) = topic.partitions.get(&partition) {
            if state.leader_epoch < old.leader_epoch || state.partition_epoch < old.partition_epoch {
                return Err(Error::PartitionWentBack(
                    TopicPartition { topic_id, partition },
                    old.leader_epoch,
                    old.partition_epoch,
                    state.leader_epoch,
                    state.partition_epoch,
                ));
            }
            self.loads.remove(old);
        } else {
            let next = PartitionIndex(topic.partitions.len() as u32);
            if partition != next {
                return Err(Error::PartitionGap(topic_id, partition, next));
            }
            self.partition_count += 1;
        }
        self.loads.add(state);
        Arc::make_mut(topic).partitions.insert(partition, Arc::new(state.clone()));
        Ok(())
    }

    /// The records of a snapshot: [`Image::from_records`] makes an equal image of them.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(cluster_id) = self.cluster_id {
            records.push(Record::Cluster { cluster_id });
        }
        if self.version != version::FIRST {
            records.push(Record::Version { version: self.version });
        }
        records.extend(self.history.map(|hash| Record::History { hash }));
        records.push(Record::NextBrokerEpoch { next_broker_epoch: self.next_broker_epoch });
        records.push(Record::NextProducerId { next_producer_id: self.next_producer_id });
        records.extend(self.brokers.values().cloned().map(Record::Broker));
        let draining = self.draining.iter();
        records.extend(draining.map(|broker_id| Record::BrokerDrain { broker_id: *broker_id, draining: true }));
        if self.move_bytes_per_second > 0 {
            records.push(Record::MoveLimit { bytes_per_second: self.move_bytes_per_second });
        }
        records.extend(self.deleted_topics.in_order().map(|topic_id| Record::RemoveTopic { topic_id }));
        records.extend(self.recoveries.all().iter().cloned().map(Record::PartitionRecovery));
        records.extend(self.controller_recoveries.iter().cloned().map(Record::ControllerRecovery));
        records.extend(self.lost_disks.all().iter().copied().map(Record::LostDisk));
        for topic in self.topics.values() {
            let topic_id = topic.id;
            records.push(Record::Topic { topic_id, name: topic.name.to_string() });
            if !topic.configs.is_empty() {
                records.push(Record::TopicConfig { topic_id, configs: topic.configs.clone() });
            }
            records.extend(topic.partitions.iter().map(|(partition, state)| Record::Partition {
                topic_id,
                partition: *partition,
                state: PartitionState::clone(state),
            }));
        }
        records
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
