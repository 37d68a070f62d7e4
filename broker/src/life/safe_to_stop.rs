//! Whether another broker may be stopped next, as far as this one is concerned: what the probe `safe-to-stop-next` says.
//!
//! A rolling update and a disruption budget stop one broker after another. They must wait until the one that came back
//! carries its share again, or two in a row take a partition below min.insync.replicas. Pure: a function of the image.
//!
//! A partition with a replica here holds the next stop up, unless one of these is true:
//!
//! 1. This replica is in the ISR: it is back.
//! 2. The partition has no leader. It is offline, and waiting *here* brings nobody else back: after a cold start of all,
//!    or with other brokers down for good, a roll that waited would never end.
//! 3. The ISR has a member to spare: another may stop, and min.insync.replicas still stand.
//! 4. This replica is being added by a move. That may take hours, and the others carry the partition as before.
//!
//! What other brokers lack is theirs to say: each answers for its own replicas, so one lost for good holds no roll up
//! anywhere but at itself.

use holdfast_metadata::{Image, PartitionState, Topic};
use holdfast_proto::ids::{BrokerId, TopicPartition};

/// Partitions that are named in the log; more say nothing new.
const NAMED: usize = 5;

/// The partitions that hold the next stop up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Number of partitions, those without a name in `named` included.
    pub count: usize,
    /// Some of them by name, with what they lack.
    pub named: Vec<String>,
}

/// What holds a stop of another broker up, as far as the replicas on `broker` say.
pub fn blockers(image: &Image, broker: BrokerId) -> Blockers {
    let mut blockers = Blockers::default();
    for (partition, topic, state) in image.partitions_of(broker) {
        if blocks(topic.effective_min_isr(state), state, broker) {
            blockers.count += 1;
            if blockers.named.len() < NAMED {
                blockers.named.push(describe(partition, topic, state));
            }
        }
    }
    blockers
}

fn blocks(min_isr: usize, state: &PartitionState, broker: BrokerId) -> bool {
    let is_back = state.isr.contains(&broker);
    let is_offline = state.leader.is_none();
    let has_one_to_spare = state.isr.len() > min_isr;
    let is_moving_here = state.adding.contains(&broker);
    !(is_back || is_offline || has_one_to_spare || is_moving_here)
}

fn describe(partition: TopicPartition, topic: &Topic, state: &PartitionState) -> String {
    let min_isr = topic.effective_min_isr(state);
    let isr: Vec<String> = state.isr.iter().map(ToString::to_string).collect();
    format!("{}-{} (ISR {}, min {min_isr})", topic.name(), partition.partition, isr.join(","))
}

#[cfg(test)]
#[path = "safe_to_stop_tests.rs"]
mod tests;
