//! One immutable picture of the cluster.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use holdfast_proto::{
    ids::{BrokerId, ClusterId, LeaderEpoch, MetadataIndex, PartitionEpoch, PartitionIndex, TopicId},
    v1,
};

/// A registered broker, alive or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Id that names the broker over all of its restarts.
    pub id: BrokerId,
    /// Its address for clients, `host:port`.
    pub address: String,
    /// Its rack or zone; empty if none is set.
    pub rack: String,
    /// True while it has no live session and leads nothing.
    pub fenced: bool,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The broker that leads; it may have lost the leadership since.
    pub broker: BrokerId,
    /// Epoch of its leadership.
    pub epoch: LeaderEpoch,
}

/// A partition as the last answer described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Its index in the topic, from 0.
    pub partition: PartitionIndex,
    /// Its leader; `None` while there is none.
    pub leader: Option<BrokerId>,
    /// Grows with each change of the leader: of two leaders that are named, the one with the higher epoch counts.
    pub leader_epoch: LeaderEpoch,
    /// Counts every change of its state.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync, the leader included.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas outside the ISR (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Those of `replicas` that a move brings in; empty while no move is under way.
    pub adding: Vec<BrokerId>,
    /// Those of `replicas` that leave once all others are in sync.
    pub removing: Vec<BrokerId>,
}

/// A topic that the client uses, with all of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Name, under which a later topic may be another one.
    pub name: Arc<str>,
    /// Id, which a topic that is deleted and created again does not keep.
    pub id: TopicId,
    /// Its partitions by index.
    pub partitions: Vec<PartitionView>,
}

/// The cluster as one answer described it, with the leaders that were learnt since.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// The cluster; `None` until a broker has answered.
    pub cluster_id: Option<ClusterId>,
    /// Index of the last metadata change that is included.
    pub index: MetadataIndex,
    /// All registered brokers, fenced ones included; a leader that a hint named may stand here without rack.
    pub brokers: BTreeMap<BrokerId, Broker>,
    /// The topics that the client uses, by name.
    pub topics: HashMap<Arc<str>, Arc<TopicView>>,
}

impl TopicView {
    /// The topic in a message of the cluster; `Err` names what is missing in that.
    pub fn from_message(info: v1::TopicInfo) -> Result<Self, &'static str> {
        let id = TopicId::from_bytes(&info.topic_id).ok_or("a topic id is not 16 bytes")?;
        let mut partitions: Vec<_> = info.partitions.into_iter().map(PartitionView::from_message).collect();
        partitions.sort_by_key(|partition| partition.partition);
        if partitions.iter().enumerate().any(|(index, partition)| partition.partition.0 as usize != index) {
            return Err("the partitions of a topic are not numbered from 0 on");
        }
        Ok(Self { name: info.name.into(), id, partitions })
    }

    /// The partition with this index.
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionView> {
        self.partitions.get(index.0 as usize)
    }
}

impl PartitionView {
    /// True while a move of its replicas is under way.
    pub fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    fn from_message(info: v1::PartitionInfo) -> Self {
        let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
        Self {
            partition: PartitionIndex(info.partition),
            leader: info.leader.map(BrokerId),
            leader_epoch: LeaderEpoch(info.leader_epoch),
            partition_epoch: PartitionEpoch(info.partition_epoch),
            replicas: ids(info.replicas),
            isr: ids(info.isr),
            elr: ids(info.elr),
            adding: ids(info.adding_replicas),
            removing: ids(info.removing_replicas),
        }
    }
}

impl Broker {
    pub(crate) fn from_message(info: v1::BrokerInfo) -> Self {
        Self { id: BrokerId(info.broker_id), address: info.client_address, rack: info.rack, fenced: info.fenced }
    }
}

impl ClusterView {
    /// Leader of the partition, if it has one and the topic is known.
    pub fn leader(&self, topic: &str, partition: PartitionIndex) -> Option<Leader> {
        let partition = self.topics.get(topic)?.partition(partition)?;
        Some(Leader { broker: partition.leader?, epoch: partition.leader_epoch })
    }

    /// Address of the broker for clients.
    pub fn address(&self, broker: BrokerId) -> Option<&str> {
        self.brokers.get(&broker).map(|broker| broker.address.as_str()).filter(|address| !address.is_empty())
    }

    /// Takes in a newer answer. Topics that were not asked for stay as they are; those that do not exist go.
    ///
    /// A leader that is known in a newer epoch than the answer's stays: the answer was overtaken by a hint.
    pub(crate) fn update(
        &mut self,
        index: MetadataIndex,
        brokers: impl IntoIterator<Item = Broker>,
        topics: Vec<TopicView>,
        unknown: &[String],
    ) {
        self.index = index;
        self.brokers = brokers.into_iter().map(|broker| (broker.id, broker)).collect();
        for name in unknown {
            self.topics.remove(name.as_str());
        }
        for mut topic in topics {
            if let Some(known) = self.topics.get(&topic.name).filter(|known| known.id == topic.id) {
                for (new, old) in topic.partitions.iter_mut().zip(&known.partitions) {
                    if old.leader_epoch > new.leader_epoch {
                        (new.leader, new.leader_epoch) = (old.leader, old.leader_epoch);
                    }
                }
            }
            self.topics.insert(Arc::clone(&topic.name), Arc::new(topic));
        }
    }

    /// Takes in the leader that a broker named; false if that is not news.
    pub(crate) fn apply_hint(&mut self, topic: &str, partition: PartitionIndex, leader: Leader, address: &str) -> bool {
        let Some(known) = self.topics.get(topic) else { return false };
        let Some(old) = known.partition(partition) else { return false };
        let news = leader.epoch > old.leader_epoch || (leader.epoch == old.leader_epoch && old.leader.is_none());
        if !news {
            return false;
        }
        let mut changed = TopicView::clone(known);
        let entry = &mut changed.partitions[partition.0 as usize];
        (entry.leader, entry.leader_epoch) = (Some(leader.broker), leader.epoch);
        self.topics.insert(Arc::clone(&changed.name), Arc::new(changed));
        if !address.is_empty() {
            let id = leader.broker;
            let broker = self.brokers.entry(id).or_insert_with(|| Broker {
                id,
                address: String::new(),
                rack: String::new(),
                fenced: false,
            });
            address.clone_into(&mut broker.address);
        }
        true
    }
}

#[cfg(test)]
impl ClusterView {
    /// Knows one topic, `t`, with one partition that this broker leads, and no address.
    pub(crate) fn with_leader(leader: Option<u32>, epoch: u32) -> Self {
        let mut view = Self::default();
        view.update(MetadataIndex(5), [], vec![tests::topic(leader, epoch)], &[]);
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn topic(leader: Option<u32>, epoch: u32) -> TopicView {
        TopicView {
            name: "t".into(),
            id: TopicId::from_bytes(&[1; 16]).unwrap(),
            partitions: vec![PartitionView {
                partition: PartitionIndex(0),
                leader: leader.map(BrokerId),
                leader_epoch: LeaderEpoch(epoch),
                partition_epoch: PartitionEpoch(0),
                replicas: vec![],
                isr: vec![],
                elr: vec![],
                adding: vec![],
                removing: vec![],
            }],
        }
    }

    fn leader(view: &ClusterView) -> Option<(u32, u32)> {
        view.leader("t", PartitionIndex(0)).map(|leader| (leader.broker.0, leader.epoch.0))
    }

    #[test]
    fn a_hint_counts_only_if_its_epoch_is_newer() {
        let mut view = ClusterView::with_leader(Some(1), 3);
        let hint = |broker, epoch| Leader { broker: BrokerId(broker), epoch: LeaderEpoch(epoch) };

        assert!(!view.apply_hint("t", PartitionIndex(0), hint(2, 3), "b:1"));
        assert!(!view.apply_hint("t", PartitionIndex(0), hint(2, 2), "b:1"));
        assert!(!view.apply_hint("u", PartitionIndex(0), hint(2, 9), "b:1"));
        assert_eq!(leader(&view), Some((1, 3)));

        assert!(view.apply_hint("t", PartitionIndex(0), hint(2, 4), "b:1"));
        assert_eq!(leader(&view), Some((2, 4)));
        assert_eq!(view.address(BrokerId(2)), Some("b:1"));
    }

    #[test]
    fn an_answer_does_not_take_back_a_newer_leader() {
        let mut view = ClusterView::default();
        view.update(MetadataIndex(5), [], vec![topic(Some(2), 4)], &[]);
        view.update(MetadataIndex(6), [], vec![topic(Some(1), 3)], &[]);
        assert_eq!(leader(&view), Some((2, 4)));
        view.update(MetadataIndex(7), [], vec![topic(None, 5)], &[]);
        assert_eq!(leader(&view), None);
        view.update(MetadataIndex(8), [], vec![], &["t".to_owned()]);
        assert!(view.topics.is_empty());
    }
}
