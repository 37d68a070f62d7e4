//! Which brokers get the replicas of new partitions: the live ones that are not being drained.
//!
//! Leaders go round the live brokers, beginning with the one that has fewest; followers go round too, shifted by one
//! more each time the leaders have gone round, so that no two brokers share all their partitions (the classic
//! placement of Kafka). If every live broker names a rack, the brokers are ordered so that neighbours differ in rack,
//! and a partition takes a rack a second time only after all racks. The same image and command give the same replicas.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::ids::BrokerId;

use crate::image::Image;

/// Replicas for `count` partitions, the preferred leader first. `first` is the index of the first of them.
/// `Err` is the number of live brokers, when there are fewer than replicas are wanted.
pub(crate) fn place(
    image: &Image,
    first: u32,
    count: u32,
    replication_factor: u32,
) -> Result<Vec<Vec<BrokerId>>, usize> {
    let ring = Ring::of(image);
    if ring.brokers.len() < replication_factor as usize {
        return Err(ring.brokers.len());
    }
    let start = ring.least_preferred(image);
    (0..count as usize)
        .map(|n| ring.replicas(start + n, (first as usize + n) / ring.brokers.len(), replication_factor as usize))
        .collect::<Option<_>>()
        .ok_or(ring.brokers.len())
}

/// The live brokers in the order in which partitions go round them, with their racks.
struct Ring<'a> {
    brokers: Vec<(BrokerId, Option<&'a str>)>,
    racks: usize,
}

impl<'a> Ring<'a> {
    fn of(image: &'a Image) -> Self {
        let live: Vec<(BrokerId, Option<&str>)> = image
            .brokers()
            .values()
            .filter(|broker| broker.is_active() && !image.is_draining(broker.broker_id))
            .map(|broker| (broker.broker_id, broker.rack.as_deref()))
            .collect();
        if live.iter().any(|(_, rack)| rack.is_none()) {
            // Half of the racks would steer replicas to wherever the known ones are.
            return Self { brokers: live.into_iter().map(|(broker, _)| (broker, None)).collect(), racks: 0 };
        }
        let mut by_rack: BTreeMap<&str, Vec<BrokerId>> = BTreeMap::new();
        for (broker, rack) in live {
            by_rack.entry(rack.unwrap_or_default()).or_default().push(broker);
        }
        let largest = by_rack.values().map(Vec::len).max().unwrap_or(0);
        let brokers = (0..largest)
            .flat_map(|n| by_rack.iter().filter_map(move |(rack, brokers)| Some((*brokers.get(n)?, Some(*rack)))))
            .collect();
        Self { brokers, racks: by_rack.len() }
    }

    /// Position of the broker that is the preferred leader of fewest partitions; the first of equals.
    fn least_preferred(&self, image: &Image) -> usize {
        let mut load: BTreeMap<BrokerId, usize> = BTreeMap::new();
        for (_, _, state) in image.partitions() {
            *load.entry(state.replicas[0]).or_default() += 1;
        }
        let load_of = |position: &usize| load.get(&self.brokers[*position].0).copied().unwrap_or(0);
        (0..self.brokers.len()).min_by_key(load_of).unwrap_or(0)
    }

    /// The replicas of one partition: the leader at `position`, the followers `shift` further on. `None` if there are
    /// fewer brokers.
    fn replicas(&self, position: usize, shift: usize, count: usize) -> Option<Vec<BrokerId>> {
        let n = self.brokers.len();
        let mut replicas = vec![self.brokers[position % n].0];
        let mut racks: BTreeSet<Option<&str>> = BTreeSet::from([self.brokers[position % n].1]);
        // One more round than there are racks at most: the first takes fresh racks, the next whatever is left.
        while replicas.len() < count {
            let before = replicas.len();
            for step in 0..n - 1 {
                let (broker, rack) = self.brokers[(position + 1 + (shift + step) % (n - 1)) % n];
                let fresh_rack = self.racks == 0 || racks.len() == self.racks || !racks.contains(&rack);
                if replicas.len() < count && fresh_rack && !replicas.contains(&broker) {
                    replicas.push(broker);
                    racks.insert(rack);
                }
            }
            if replicas.len() == before {
                return None;
            }
        }
        Some(replicas)
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
