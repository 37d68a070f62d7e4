//! The shape of a simulated cluster, chosen by the seed: how many of everything, and how slow.

use fastrand::Rng;

/// Shape of one run.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Brokers, 1 to 5.
    pub brokers: u32,
    /// The topics that are made at the start.
    pub topics: Vec<TopicShape>,
    /// One flush in so many is slow; more are as the link's.
    pub slow_disk_one_in: u8,
    /// How long a slow flush takes at most, ms.
    pub slow_disk_ms: u64,
    /// How long a slow message takes at most, ms.
    pub slow_link_ms: u64,
    /// Topics may have `flush.policy=interval`. Then no power fails: what the kernel holds stays.
    pub has_interval: bool,
    /// Disks are lost, put back and damaged more often than in other runs, and every topic has a second copy.
    pub has_bad_disks: bool,
    /// Retention by time of all topics, ms; clocks are set in such runs.
    pub retention_ms: Option<u64>,
    /// Faults in the run.
    pub faults: u32,
}

/// Shape of one topic.
#[derive(Clone, Copy, Debug)]
pub struct TopicShape {
    /// Partitions, 1 to 64 in all.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u32,
    /// `min.insync.replicas` as it is set; never more than the replicas.
    pub min_isr: u32,
}

impl Shape {
    /// The shape of a seed: small ones are common, so that many seeds can be run.
    pub fn choose(rng: &mut Rng) -> Self {
        let has_bad_disks = rng.u8(..3) == 0;
        let brokers = [1, 2, 3, 3, 3, 4, 5, 5][rng.usize(usize::from(has_bad_disks)..8)];
        let count = 1 + usize::from(rng.u8(..3) == 0);
        // One run in forty has many partitions.
        let most = if rng.u8(..40) == 0 { 64 } else { 4 };
        let topics = (0..count).map(|_| {
            let least = 1 + u32::from(has_bad_disks);
            let replication_factor = rng.u32(least..=brokers);
            let replication_factor = if brokers >= 3 && rng.bool() { 3 } else { replication_factor };
            let min_isr = rng.u32(least..=replication_factor.min(3));
            let min_isr = if replication_factor == 3 && rng.bool() { 2 } else { min_isr };
            TopicShape { partitions: rng.u32(1..=most) / count as u32 + 1, replication_factor, min_isr }
        });
        let topics: Vec<TopicShape> = topics.collect();
        let is_large = topics.iter().map(|topic| topic.partitions).sum::<u32>() > 8;
        Self {
            brokers,
            topics,
            slow_disk_one_in: [20, 20, 3][rng.usize(..3)],
            slow_disk_ms: [300, 300, 1_500][rng.usize(..3)],
            slow_link_ms: [150, 150, 900][rng.usize(..3)],
            has_interval: rng.u8(..8) == 0 && !has_bad_disks,
            has_bad_disks,
            retention_ms: (rng.u8(..4) == 0).then(|| rng.u64(1_500..4_000)),
            faults: if is_large { 6 } else { 25 },
        }
    }

    /// The shape of runs in which more disks are at fault than the promise allows for: three replicas, min ISR 2.
    pub fn beyond(rng: &mut Rng) -> Self {
        let topic = TopicShape { partitions: rng.u32(1..=2), replication_factor: 3, min_isr: 2 };
        Self {
            brokers: 3,
            topics: vec![topic],
            has_interval: false,
            has_bad_disks: false,
            retention_ms: None,
            faults: rng.u32(2..6),
            ..Self::choose(rng)
        }
    }

    /// Numbers of the brokers, from 1 on.
    pub fn brokers(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.brokers
    }
}
