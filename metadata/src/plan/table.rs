//! The partitions with the replicas that they are planned to have, and the loads that come of it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use holdfast_proto::ids::{BrokerId, TopicId, TopicPartition};

use super::PlannedMove;
use crate::{image::Image, record::PartitionState};

/// A partition with its present state and the replicas that the plan gives it so far.
struct Row<'a> {
    tp: TopicPartition,
    topic: &'a str,
    state: &'a PartitionState,
    target: Vec<BrokerId>,
}

/// See the module. Rows stand by topic name and partition.
pub(super) struct Table<'a> {
    rows: Vec<Row<'a>>,
    /// The brokers that may be given replicas, with their racks; without racks unless all of them name one.
    takers: BTreeMap<BrokerId, Option<&'a str>>,
    /// Racks of all registered brokers, if racks count.
    racks: BTreeMap<BrokerId, &'a str>,
    held: BTreeMap<BrokerId, BTreeMap<TopicId, BTreeSet<usize>>>,
    load: BTreeMap<BrokerId, usize>,
    preferred: BTreeMap<BrokerId, usize>,
}

impl<'a> Table<'a> {
    /// The present state, moves under way counted as done. `drain` are to take nothing, like those that are marked.
    pub(super) fn of(image: &'a Image, drain: &BTreeSet<BrokerId>) -> Self {
        let takes = |broker: &BrokerId| !image.is_draining(*broker) && !drain.contains(broker);
        let active = image.brokers().values().filter(|broker| broker.is_active() && takes(&broker.broker_id));
        let takers: BTreeMap<BrokerId, Option<&str>> =
            active.map(|broker| (broker.broker_id, broker.rack.as_deref())).collect();
        let mut racks = BTreeMap::new();
        if takers.values().all(Option::is_some) {
            let named = image.brokers().values().filter_map(|broker| Some((broker.broker_id, broker.rack.as_deref()?)));
            racks.extend(named);
        }
        let rows = image.topics_by_name().flat_map(|topic| {
            topic.partitions().map(move |(partition, state)| Row {
                tp: TopicPartition { topic_id: topic.topic_id(), partition },
                topic: topic.name(),
                state,
                target: state.target().to_vec(),
            })
        });
        let (load, preferred) = (BTreeMap::new(), BTreeMap::new());
        let mut table = Self { rows: rows.collect(), takers, racks, held: BTreeMap::new(), load, preferred };
        for row in 0..table.rows.len() {
            let target = table.rows[row].target.clone();
            *table.preferred.entry(target[0]).or_default() += 1;
            for broker in target {
                table.gain(row, broker);
            }
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn name(&self, row: usize) -> String {
        format!("{}-{}", self.rows[row].topic, self.rows[row].tp.partition)
    }

    pub(super) fn target(&self, row: usize) -> &[BrokerId] {
        &self.rows[row].target
    }

    pub(super) fn is_leaderless(&self, row: usize) -> bool {
        self.rows[row].state.leader.is_none()
    }

    /// True if only a drain may change it: it is moving already, or cannot move.
    pub(super) fn is_fixed(&self, row: usize) -> bool {
        self.is_leaderless(row) || self.rows[row].state.is_moving()
    }

    /// True if the plan changes it.
    pub(super) fn is_changed(&self, row: usize) -> bool {
        self.rows[row].target != self.rows[row].state.target()
    }

    /// The brokers that may be given replicas.
    pub(super) fn takers(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.takers.keys().copied()
    }

    /// True if the broker may be given replicas.
    pub(super) fn takes(&self, broker: BrokerId) -> bool {
        self.takers.contains_key(&broker)
    }

    /// Replicas on the broker.
    pub(super) fn load(&self, broker: BrokerId) -> usize {
        self.load.get(&broker).copied().unwrap_or(0)
    }

    /// Partitions whose preferred leader it is.
    pub(super) fn preferred(&self, broker: BrokerId) -> usize {
        self.preferred.get(&broker).copied().unwrap_or(0)
    }

    /// Puts `to` at the place of `from`.
    pub(super) fn replace(&mut self, row: usize, from: BrokerId, to: BrokerId) {
        let target = &mut self.rows[row].target;
        let place = target.iter().position(|broker| *broker == from);
        let Some(place) = place.filter(|_| !target.contains(&to)) else {
            panic!("{to} is to take the place of {from} among {target:?}");
        };
        target[place] = to;
        if place == 0 {
            self.count_preferred(from, to);
        }
        let topic_id = self.rows[row].tp.topic_id;
        if let Some(rows) = self.held.get_mut(&from).and_then(|topics| topics.get_mut(&topic_id)) {
            rows.remove(&row);
        }
        self.load.entry(from).and_modify(|load| *load -= 1);
        self.gain(row, to);
    }

    /// Makes a replica the preferred leader, in exchange with the present one.
    pub(super) fn prefer(&mut self, row: usize, broker: BrokerId) {
        let target = &mut self.rows[row].target;
        let Some(place) = target.iter().position(|member| *member == broker) else {
            panic!("{broker} is to be preferred, but is not among {target:?}");
        };
        let before = target[0];
        target.swap(0, place);
        self.count_preferred(before, broker);
    }

    /// Where a replica goes best that has to leave `from`: apart in racks, then to the least loaded.
    pub(super) fn best_taker(&self, row: usize, from: BrokerId) -> Option<BrokerId> {
        let target = self.target(row);
        let crowd = |broker: BrokerId| {
            let rack = self.racks.get(&broker);
            target.iter().filter(|member| **member != from && rack.is_some() && self.racks.get(*member) == rack).count()
        };
        let leads = target.first() == Some(&from);
        self.takers().filter(|broker| !target.contains(broker)).min_by_key(|broker| {
            let preferred = if leads { self.preferred(*broker) } else { 0 };
            (crowd(*broker), self.load(*broker), preferred, *broker)
        })
    }

    /// A replica that shares its rack, and a broker in a rack without any.
    pub(super) fn rack_repair(&self, row: usize) -> Option<(BrokerId, BrokerId)> {
        let target = self.target(row);
        let used: Vec<&str> = target.iter().filter_map(|broker| self.racks.get(broker).copied()).collect();
        let fresh = |broker: &BrokerId| self.racks.get(broker).is_some_and(|rack| !used.contains(rack));
        let to = self.takers().filter(fresh).min_by_key(|broker| (self.load(*broker), *broker))?;
        let shares = |broker: &BrokerId| {
            let rack = self.racks.get(broker);
            rack.is_some_and(|rack| used.iter().filter(|other| *other == rack).count() > 1)
        };
        let sharing = target.iter().copied().filter(|broker| self.takes(*broker) && shares(broker));
        let from = sharing.max_by_key(|broker| (self.load(*broker), *broker))?;
        Some((from, to))
    }

    /// A partition of which `from` can give its replica to `to`.
    pub(super) fn transferable(&self, from: BrokerId, to: BrokerId) -> Option<usize> {
        let gives_lead = self.preferred(from) > self.preferred(to);
        let has =
            |topic_id: &TopicId| self.held.get(&to).and_then(|topics| topics.get(topic_id)).map_or(0, BTreeSet::len);
        let mut topics: Vec<(&TopicId, &BTreeSet<usize>)> = self.held.get(&from)?.iter().collect();
        topics.sort_by_key(|(topic_id, rows)| Reverse((rows.len() as i64 - has(topic_id) as i64, **topic_id)));
        topics.into_iter().find_map(|(_, rows)| {
            let mut fitting = rows.iter().copied().filter(|row| self.may_transfer(*row, from, to)).peekable();
            let first = fitting.peek().copied()?;
            Some(fitting.find(|row| (self.target(*row)[0] == from) == gives_lead).unwrap_or(first))
        })
    }

    fn may_transfer(&self, row: usize, from: BrokerId, to: BrokerId) -> bool {
        let target = self.target(row);
        if self.is_fixed(row) || target.contains(&to) {
            return false;
        }
        let rest: BTreeSet<&str> = target
            .iter()
            .filter(|broker| **broker != from)
            .filter_map(|broker| self.racks.get(broker).copied())
            .collect();
        let adds = |broker: BrokerId| self.racks.get(&broker).is_some_and(|rack| !rest.contains(rack));
        adds(to) || !adds(from)
    }

    fn gain(&mut self, row: usize, broker: BrokerId) {
        let topic_id = self.rows[row].tp.topic_id;
        self.held.entry(broker).or_default().entry(topic_id).or_default().insert(row);
        *self.load.entry(broker).or_default() += 1;
    }

    fn count_preferred(&mut self, from: BrokerId, to: BrokerId) {
        self.preferred.entry(from).and_modify(|count| *count -= 1);
        *self.preferred.entry(to).or_default() += 1;
    }

    /// The rows whose replicas differ from what they had at first, as moves.
    pub(super) fn moves(&self) -> Vec<PlannedMove> {
        let changed = (0..self.len()).filter(|row| self.is_changed(*row));
        changed
            .map(|row| PlannedMove {
                partition: self.rows[row].tp,
                topic: self.rows[row].topic.to_owned(),
                old_replicas: self.rows[row].state.replicas.clone(),
                new_replicas: self.rows[row].target.clone(),
            })
            .collect()
    }
}
