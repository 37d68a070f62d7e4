//! A topic in use by a producer: its partitions' queues, and the choice among them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;

use holdfast_proto::{
    batch::{self, RecordRef},
    error::ErrorCode,
    ids::{PartitionIndex, TopicId},
    partitioner::partition_for_key,
};

use super::{
    Error,
    batch_queue::{Appended, BatchQueue, ProducerIdentity, Rules},
    completion::Callback,
    outcomes::Outcomes,
    partition::PartitionQueue,
};

/// A topic as a producer writes to it. Names are looked up once, when the handle is made; cheap to clone.
///
/// It belongs to the producer that made it, and to one topic id: after the topic was deleted, sending to it fails
/// with [`Error::TopicGone`], also if another of its name was made.
#[derive(Clone, Debug)]
pub struct TopicHandle {
    pub(crate) queues: Arc<TopicQueues>,
}

impl TopicHandle {
    /// Name under which the handle was made.
    pub fn name(&self) -> &str {
        &self.queues.name
    }

    /// Id of the topic that the handle belongs to; a later one of the same name has another.
    pub fn id(&self) -> TopicId {
        self.queues.id
    }

    /// Number of its partitions, as far as the producer knows.
    pub fn partition_count(&self) -> usize {
        self.queues.partitions().len()
    }
}

/// The queues of one topic.
#[derive(Debug)]
pub(crate) struct TopicQueues {
    pub(crate) name: Arc<str>,
    pub(crate) id: TopicId,
    id_bytes: Bytes,
    partitions: ArcSwap<Vec<Arc<PartitionQueue>>>,
    sticky: AtomicUsize,
    /// Counts what may have given a partition a leader that can be reached.
    leader_changes: AtomicU64,
    /// That count when no partition had one; as long as it is the same, none has.
    none_led_at: AtomicU64,
    /// Largest batch that the topic takes; `usize::MAX` while that is not known.
    max_message_bytes: AtomicUsize,
    gone: AtomicBool,
}

impl TopicQueues {
    /// For a topic whose partitions come with the first [`Self::grow_to`].
    pub(crate) fn new(name: Arc<str>, id: TopicId, max_message_bytes: Option<usize>) -> Self {
        Self {
            name,
            id,
            id_bytes: id.to_bytes(),
            partitions: ArcSwap::default(),
            sticky: AtomicUsize::new(rand::random_range(0..1 << 16)),
            leader_changes: AtomicU64::new(0),
            none_led_at: AtomicU64::new(u64::MAX),
            max_message_bytes: AtomicUsize::new(max_message_bytes.unwrap_or(usize::MAX)),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn partitions(&self) -> Guard<Arc<Vec<Arc<PartitionQueue>>>> {
        self.partitions.load()
    }

    /// Largest batch that the topic takes, bytes; `usize::MAX` while that is not known.
    #[inline]
    pub(super) fn max_message_bytes(&self) -> usize {
        self.max_message_bytes.load(Ordering::Relaxed)
    }

    /// The topic takes batches of so many bytes, as a broker said; `None` if none did.
    pub(super) fn set_max_message_bytes(&self, max: Option<usize>) {
        self.max_message_bytes.store(max.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Adds queues until there are so many. Each partition gets one queue, however many tasks call this.
    pub(crate) fn grow_to(&self, count: usize, mut rules: Rules, identity: Option<ProducerIdentity>) {
        rules.batch_size_bytes = rules.batch_size_bytes.min(self.max_message_bytes());
        self.partitions.rcu(|known| {
            if known.len() >= count {
                return Arc::clone(known);
            }
            let mut grown = Vec::clone(known);
            grown.extend((known.len()..count).map(|index| {
                let partition = PartitionIndex(index as u32);
                let queue = BatchQueue::new(partition, rules, identity);
                PartitionQueue::new(Arc::clone(&self.name), self.id_bytes.clone(), partition, queue)
            }));
            Arc::new(grown)
        });
    }

    /// The topic was deleted, or created again.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// True once the topic was deleted, or created again.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The queue for a record: as it asks, by its key, or the one that keyless records go to now.
    #[inline]
    pub(crate) fn choose(
        &self,
        partition: Option<PartitionIndex>,
        key: Option<&[u8]>,
    ) -> Result<Arc<PartitionQueue>, Error> {
        if self.is_gone() {
            return Err(Error::TopicGone(self.name.to_string()));
        }
        let partitions = self.partitions.load();
        let index = match (partition, key) {
            (Some(partition), _) => partition.0 as usize,
            (None, Some(key)) => partition_for_key(key, partitions.len() as u32).0 as usize,
            (None, None) => self.sticky.load(Ordering::Relaxed) % partitions.len(),
        };
        partitions.get(index).cloned().ok_or_else(|| Error::UnknownPartition {
            topic: self.name.to_string(),
            partition: index as u32,
            count: partitions.len(),
        })
    }

    /// Appends to one of its queues, as [`PartitionQueue::append`]. What comes into a queue after the topic was found to
    /// be gone ends at once: nobody looks after the queue any more.
    #[inline]
    pub(crate) fn append(
        &self,
        outcomes: &Outcomes,
        queue: &Arc<PartitionQueue>,
        record: &RecordRef<'_>,
        reserved_bytes: usize,
        callback: &mut Option<Callback>,
        may_go_elsewhere: bool,
    ) -> Result<Option<Appended>, batch::Error> {
        let appended = queue.append(record, reserved_bytes, callback, may_go_elsewhere)?;
        // After the append: who found it gone either ends the record, or has told so here before its turn with the lock.
        if appended.is_some() && self.is_gone() {
            queue.update(outcomes, |queue| queue.fail_all(ErrorCode::UnknownTopicId));
        }
        Ok(appended)
    }

    /// A partition may have a leader now that can be reached.
    pub(crate) fn leaders_changed(&self) {
        self.leader_changes.fetch_add(1, Ordering::AcqRel);
    }

    /// A keyless record opened or filled a batch, or found no leader: the next ones go to another partition, one that has
    /// a leader if any has (KIP-480).
    pub(crate) fn move_on(&self, from: PartitionIndex) {
        let partitions = self.partitions.load();
        let count = partitions.len();
        let current = from.0 as usize;
        let next = self.next_led(current, &partitions).unwrap_or((current + 1) % count);
        self.sticky.store(next, Ordering::Relaxed);
    }

    /// The next partition whose leader can be reached. That there is none is remembered: while no broker can be reached, not
    /// every record looks at every partition.
    fn next_led(&self, current: usize, partitions: &[Arc<PartitionQueue>]) -> Option<usize> {
        let changes = self.leader_changes.load(Ordering::Acquire); // before the look: what changes meanwhile is looked at again
        if self.none_led_at.load(Ordering::Relaxed) == changes {
            return None;
        }
        let count = partitions.len();
        let has_leader = |index: &usize| partitions[*index].has_leader();
        let next = (1..=count).map(|step| (current + step) % count).find(has_leader);
        if next.is_none() {
            self.none_led_at.store(changes, Ordering::Relaxed);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{BrokerId, LeaderEpoch};

    use super::*;
    use crate::producer::{DeliveryFuture, memory::Memory, partition::PartitionLane};

    #[test]
    fn what_comes_into_a_queue_after_its_topic_is_gone_has_an_end() {
        let topic = TopicQueues::new(Arc::from("t"), TopicId::from_bytes(&[1; 16]).unwrap(), None);
        topic.grow_to(1, Rules::FOR_TESTS, None);
        let outcomes = Outcomes::new(Memory::new(100));
        assert!(outcomes.memory.try_reserve(10));
        let chosen = topic.choose(None, None).unwrap();
        topic.set_gone();
        chosen.update(&outcomes, |queue| queue.fail_all(ErrorCode::UnknownTopicId));
        let appended = topic.append(&outcomes, &chosen, &RecordRef::default(), 10, &mut None, false).unwrap().unwrap();
        let end = DeliveryFuture::new(appended.completion, appended.index).now().expect("nobody would end it");
        assert!(matches!(end, Err(Error::NotAppended { code: ErrorCode::UnknownTopicId })), "{end:?}");
        assert_eq!(outcomes.memory.used(), 0);
        assert!(matches!(topic.choose(None, None), Err(Error::TopicGone(_))));
    }

    #[test]
    fn that_no_partition_has_a_leader_is_looked_for_once_until_something_changes() {
        let topic = TopicQueues::new(Arc::from("t"), TopicId::from_bytes(&[1; 16]).unwrap(), None);
        topic.grow_to(3, Rules::FOR_TESTS, None);
        let next = || topic.next_led(0, &topic.partitions());
        assert_eq!(next(), None);
        let lane = Arc::new(PartitionLane::new(BrokerId(1)));
        topic.partitions()[2].assign(&Outcomes::new(Memory::new(1)), &lane, LeaderEpoch(1));
        assert_eq!(next(), None, "every record looks at every partition");
        topic.leaders_changed();
        assert_eq!(next(), Some(2));
        topic.move_on(PartitionIndex(0));
        assert_eq!(topic.choose(None, None).unwrap().partition, PartitionIndex(2));
    }

    #[test]
    fn a_partition_has_one_queue_whoever_adds_it() {
        for _ in 0..200 {
            let topic = TopicQueues::new(Arc::from("t"), TopicId::from_bytes(&[1; 16]).unwrap(), None);
            let grow = || {
                topic.grow_to(200, Rules::FOR_TESTS, None);
                Vec::clone(&topic.partitions())
            };
            let seen = std::thread::scope(|scope| {
                let tasks = [(); 4].map(|()| scope.spawn(grow));
                tasks.map(|task| task.join().unwrap())
            });
            for queues in seen {
                assert!(queues.iter().zip(topic.partitions().iter()).all(|(seen, is)| Arc::ptr_eq(seen, is)));
            }
        }
    }
}
