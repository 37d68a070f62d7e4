//! What there is to read in an image.
//!
//! Lookups are by id or name; those that ask for a broker's partitions look at every partition.

use std::collections::BTreeMap;

use imbl::OrdSet;

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, MetadataIndex, MetadataVersion, PartitionIndex, ProducerId, TopicId,
    TopicPartition,
};

use super::{Image, Load, Topic};
use crate::{
    config::{Setting, TopicConfig},
    history::HistoryHash,
    limits::MAX_BROKERS,
    record::{BrokerRegistration, PartitionState},
    recovery::ControllerRecovery,
    trust::{LostDisk, PartitionRecovery},
};

impl Image {
    /// What operators gave up so that partitions went on, in the order in which they did: the newest
    /// [`crate::limits::MAX_RECOVERIES`], and the last of each partition.
    pub fn recoveries(&self) -> &[PartitionRecovery] {
        self.recoveries.all()
    }

    /// What was given up as the controllers went on from one of them, in the order in which it was.
    pub fn controller_recoveries(&self) -> &[ControllerRecovery] {
        &self.controller_recoveries
    }

    /// The disks of brokers that operators gave up, in the order in which they did: the newest
    /// [`crate::limits::MAX_LOST_DISKS`], and the last of each broker that is registered or expected. A broker's image does not
    /// hold them.
    pub fn lost_disks(&self) -> &[LostDisk] {
        self.lost_disks.all()
    }

    /// True if an operator gave up the disk of this registration. Where a recovery of the controllers says that the
    /// broker is there, that registration has another epoch since, and this is forgotten.
    pub fn has_lost_disk(&self, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> bool {
        self.lost_disks().iter().any(|lost| lost.broker_id == broker_id && lost.broker_epoch == broker_epoch)
    }

    /// True if this registration is from before the controllers were recovered: it counts for nothing since.
    pub fn is_from_before_recovery(&self, broker_epoch: BrokerEpoch) -> bool {
        self.controller_recoveries.last().is_some_and(|recovery| broker_epoch < recovery.first_broker_epoch)
    }

    /// The brokers that the last recovery of the controllers gave up, and that did not come back since: nobody waits for them by
    /// another one that does not say that they are there.
    pub fn given_up_brokers(&self) -> impl Iterator<Item = BrokerId> {
        let without = self.controller_recoveries.last().map_or(&[][..], |recovery| &recovery.without[..]);
        let is_away = |broker: &BrokerId| {
            self.broker(*broker).is_some_and(|broker| self.is_from_before_recovery(broker.broker_epoch))
        };
        without.iter().copied().filter(is_away)
    }

    /// The brokers that were not given up, then or since, and have not registered since the controllers were recovered: those
    /// that were registered before, then those that the recovery expects.
    pub fn unheard_brokers(&self) -> impl Iterator<Item = BrokerId> {
        let last = self.controller_recoveries.last();
        let (without, expected) = last.map_or((&[][..], &[][..]), |last| (&last.without[..], &last.expected[..]));
        let known = self
            .brokers
            .values()
            .filter(|broker| self.is_from_before_recovery(broker.broker_epoch) && !without.contains(&broker.broker_id))
            .map(|broker| (broker.broker_id, broker.broker_epoch));
        let unknown = expected.iter().filter_map(|broker| Some((*broker, self.expected_epoch(*broker)?)));
        let is_lost = |(broker, epoch): &(BrokerId, BrokerEpoch)| self.has_lost_disk(*broker, *epoch);
        known.chain(unknown).filter(move |broker| !is_lost(broker)).map(|(broker, _)| broker)
    }

    /// What stands for the registration of a broker that the last recovery of the controllers expects and that has none: an
    /// epoch that no broker ever got, another one for each recovery. `None` for any other broker.
    pub fn expected_epoch(&self, broker_id: BrokerId) -> Option<BrokerEpoch> {
        let last = self.controller_recoveries.last().filter(|last| last.expected.contains(&broker_id))?;
        self.broker(broker_id).is_none().then(|| BrokerEpoch(last.first_broker_epoch.0.saturating_sub(1)))
    }

    /// True if no broker ever got this epoch: it lies just below the first one since a recovery of the controllers, for
    /// the registration of a broker whose disk was given up before and that is said to be there, or for one that is
    /// expected. What was given out before ends far below it.
    pub fn is_raised_epoch(&self, broker_epoch: BrokerEpoch) -> bool {
        let is_below = |recovery: &ControllerRecovery| {
            let first = recovery.first_broker_epoch.0;
            (first.saturating_sub(MAX_BROKERS as u64)..first).contains(&broker_epoch.0)
        };
        self.controller_recoveries.iter().any(is_below)
    }

    /// Id of the cluster, once it is formed. A broker's image does not hold it.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// Index of the last change that is included.
    pub fn index(&self) -> MetadataIndex {
        self.index
    }

    /// The metadata version that is finalised; 1 in the beginning.
    pub fn version(&self) -> MetadataVersion {
        self.version
    }

    /// The hash of all changes up to the index; `None` on a broker, and of metadata that began before there was one.
    pub fn history(&self) -> Option<HistoryHash> {
        self.history
    }

    /// The brokers that registered and were not forgotten since, fenced ones included.
    pub fn brokers(&self) -> &BTreeMap<BrokerId, BrokerRegistration> {
        &self.brokers
    }

    /// Last registration of a broker, fenced or not; `None` if it never registered or was forgotten.
    pub fn broker(&self, broker_id: BrokerId) -> Option<&BrokerRegistration> {
        self.brokers.get(&broker_id)
    }

    /// The brokers whose last registration does not support this metadata version, fenced ones included.
    pub fn brokers_without(&self, version: MetadataVersion) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().filter(move |broker| !broker.versions.contains(version))
    }

    /// True while the broker is to be emptied.
    pub fn is_draining(&self, broker_id: BrokerId) -> bool {
        self.draining.contains(&broker_id)
    }

    /// Most bytes a second that each broker copies for moves; 0: no limit.
    pub fn move_bytes_per_second(&self) -> u64 {
        self.move_bytes_per_second
    }

    /// The topics by id.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.topics.values().map(AsRef::as_ref)
    }

    /// The topics by name.
    pub fn topics_by_name(&self) -> impl ExactSizeIterator<Item = &Topic> {
        self.topic_ids.values().map(|topic_id| self.topics[topic_id].as_ref())
    }

    /// A topic by its id; `None` if it was deleted or never there.
    pub fn topic(&self, topic_id: TopicId) -> Option<&Topic> {
        self.topics.get(&topic_id).map(AsRef::as_ref)
    }

    /// One topic by its name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Topic> {
        self.topic_ids.get(name).and_then(|topic_id| self.topic(*topic_id))
    }

    /// Ids of the topics that were deleted, the newest [`MAX_DELETED_TOPICS`](crate::limits::MAX_DELETED_TOPICS). A broker
    /// deletes the data of these, and of no other.
    pub fn deleted_topics(&self) -> &OrdSet<TopicId> {
        self.deleted_topics.ids()
    }

    /// State of a partition; `None` if its topic or its index is not there.
    pub fn partition(&self, tp: TopicPartition) -> Option<&PartitionState> {
        self.topic(tp.topic_id)?.partition(tp.partition)
    }

    /// All partitions, by topic id and index.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Topic, &PartitionState)> {
        self.topics().flat_map(|topic| {
            let topic_id = topic.id;
            topic.partitions().map(move |(partition, state)| (TopicPartition { topic_id, partition }, topic, state))
        })
    }

    /// The partitions that have a replica on the broker.
    pub fn partitions_of(
        &self,
        broker_id: BrokerId,
    ) -> impl Iterator<Item = (TopicPartition, &Topic, &PartitionState)> {
        self.partitions().filter(move |(_, _, state)| state.replicas.contains(&broker_id))
    }

    /// The partitions that the broker leads.
    pub fn partitions_led_by(
        &self,
        broker_id: BrokerId,
    ) -> impl Iterator<Item = (TopicPartition, &Topic, &PartitionState)> {
        self.partitions().filter(move |(_, _, state)| state.leader == Some(broker_id))
    }

    /// What a broker carries, kept as counts.
    pub fn load(&self, broker_id: BrokerId) -> Load {
        self.loads.of(broker_id)
    }

    /// Number of topics, deleted ones left out.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Number of partitions over all topics, kept as a count.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The first producer id that nobody was given yet.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The broker epoch that the next registration gets.
    pub fn next_broker_epoch(&self) -> BrokerEpoch {
        self.next_broker_epoch
    }
}

impl Topic {
    /// Id of the topic, never used again after its deletion.
    pub fn topic_id(&self) -> TopicId {
        self.id
    }

    /// Name of the topic; another topic can have it once this one is deleted.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings that differ from the defaults, as given.
    pub fn configs(&self) -> &BTreeMap<String, String> {
        &self.configs
    }

    /// The settings, defaults filled in.
    pub fn config(&self) -> &TopicConfig {
        &self.config
    }

    /// Every setting, sorted by key, as it is in force.
    pub fn settings(&self) -> Vec<Setting> {
        let entries = self.config.entries().into_iter();
        entries.map(|(key, value)| Setting { key, value, is_default: !self.configs.contains_key(key) }).collect()
    }

    /// State of one partition; `None` if the index is not below the number of partitions.
    pub fn partition(&self, partition: PartitionIndex) -> Option<&PartitionState> {
        self.partitions.get(&partition).map(AsRef::as_ref)
    }

    /// The partitions by index, which is dense from 0.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (PartitionIndex, &PartitionState)> {
        self.partitions.iter().map(|(partition, state)| (*partition, state.as_ref()))
    }

    /// What counts as min.insync.replicas for a partition: never more than it has replicas, and during a move never
    /// more than it had before or has after it.
    pub fn effective_min_isr(&self, state: &PartitionState) -> usize {
        self.config.effective_min_isr(state.replication_factor())
    }
}
