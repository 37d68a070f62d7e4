//! Idempotent producers that are remembered, over all partitions of a broker, and whose new ones are refused.
//!
//! A topic may have three times as many as then stay free for others: three quarters if it is alone, so that one in which
//! every request is a new producer takes nothing from the others.

use std::collections::{HashMap, HashSet};

use parking_lot::RwLock;

use holdfast_proto::ids::TopicId;

use super::shares::OF_FREE;

/// Topics that may have no more of them, as they were counted last.
#[derive(Debug, Default)]
pub struct KnownProducers(RwLock<Full>);

#[derive(Debug, Default)]
struct Full {
    /// There is no room for any topic.
    all: bool,
    topics: HashSet<TopicId>,
}

impl KnownProducers {
    /// So many are remembered of each topic, and `most` may be in all. True if there are too many of some topic.
    pub fn counted(&self, by_topic: &HashMap<TopicId, usize>, most: usize) -> bool {
        let full = Full::of(by_topic, most);
        let (was_some, is_some) = (self.0.read().is_some(), full.is_some());
        if is_some && !was_some {
            let topics: Vec<_> = full.topics.iter().take(10).map(ToString::to_string).collect();
            tracing::error!(
                ?topics,
                "new producers of these topics get TOO_MANY_PRODUCERS until others are idle for long (producers_max)"
            );
        } else if was_some && !is_some {
            tracing::info!("the producers are below producers_max again");
        }
        *self.0.write() = full;
        is_some
    }

    /// True while a new one of this topic is refused.
    pub fn is_full(&self, topic: TopicId) -> bool {
        let full = self.0.read();
        full.all || full.topics.contains(&topic)
    }
}

impl Full {
    /// Which topics have too many; pure.
    fn of(by_topic: &HashMap<TopicId, usize>, most: usize) -> Self {
        let free = most.saturating_sub(by_topic.values().sum());
        let topics = by_topic.iter().filter(|(_, count)| **count > OF_FREE * free).map(|(topic, _)| *topic).collect();
        Self { all: free == 0, topics }
    }

    fn is_some(&self) -> bool {
        self.all || !self.topics.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(number: u128) -> TopicId {
        TopicId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn one_topic_leaves_room_to_the_others() {
        let known = KnownProducers::default();
        let full = |counts: &[(u128, usize)], of| {
            known.counted(&counts.iter().map(|(number, count)| (topic(*number), *count)).collect(), 1_000);
            known.is_full(topic(of))
        };
        assert!(!full(&[(1, 750)], 1));
        assert!(full(&[(1, 751)], 1) && !full(&[(1, 751)], 2));
        assert!(full(&[(1, 751), (2, 200)], 2), "the next one has three quarters of the rest");
        assert!(full(&[(1, 500), (2, 500)], 3), "nothing is left");
        assert!(!full(&[], 1));
    }
}
