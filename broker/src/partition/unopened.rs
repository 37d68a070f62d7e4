//! Replicas whose logs cannot be opened, and why: what keeps them closed says nothing of their records, and they are tried
//! again and again. Noted by who tries, and told with each heartbeat: where another leads nothing else tells of them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use holdfast_proto::ids::TopicPartition;

/// Replicas that are named, at most.
const NAMED: usize = 100;
/// Characters of an error that are told.
const ERROR_CHARS: usize = 300;

/// Those of one broker, each with why.
#[derive(Debug, Default)]
pub struct Unopened(Mutex<BTreeMap<TopicPartition, String>>);

/// What is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many there are.
    pub count: u64,
    /// Why the first of them is not opened.
    pub error: String,
    /// The first of them.
    pub first: Vec<TopicPartition>,
}

impl Unopened {
    /// A log could not be opened, and is tried again.
    pub fn note(&self, partition: TopicPartition, error: &impl ToString) {
        let error = error.to_string().chars().take(ERROR_CHARS).collect();
        self.0.lock().insert(partition, error);
    }

    /// It is open by now, or not tried any more.
    pub fn settle(&self, partition: TopicPartition) {
        self.0.lock().remove(&partition);
    }

    /// All that are tried again, in order.
    pub fn all(&self) -> Vec<TopicPartition> {
        self.0.lock().keys().copied().collect()
    }

    /// Those that are tried again; `None` if there are none.
    pub fn told(&self) -> Option<Told> {
        let all = self.0.lock();
        let error = all.values().next()?.clone();
        Some(Told { count: all.len() as u64, error, first: all.keys().take(NAMED).copied().collect() })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn they_are_told_until_they_are_open() {
        let unopened = Unopened::default();
        let at = |index| TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(index) };
        assert_eq!(unopened.told(), None);
        for index in 0..150 {
            unopened.note(at(index), &format!("{index}{}", "x".repeat(400)));
        }
        unopened.note(at(0), &"again");
        let told = unopened.told().expect("some");
        assert_eq!((told.count, told.error.as_str(), told.first.len()), (150, "again", NAMED));
        assert_eq!(unopened.all().len(), 150);
        unopened.settle(at(0));
        let told = unopened.told().expect("some");
        assert_eq!((told.count, told.error.len(), told.first[0]), (149, ERROR_CHARS, at(1)));
        (1..150).for_each(|index| unopened.settle(at(index)));
        assert_eq!(unopened.told(), None);
    }
}
