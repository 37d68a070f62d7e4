//! What entries of the log do that may not be committed, in words: as the controllers go on from one of them, they
//! count. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_metadata::{AlterReplicas, AlterTopic, Command, Image, Record, ReplicaMove, Topic, TopicConfig};
use holdfast_proto::ids::{PartitionIndex, TopicId};

use crate::listing::{list, some};

/// Entries that are told.
const MAX_TOLD: usize = 50;
/// Partitions of one entry that are named.
const MAX_NAMED: usize = 5;
/// Brokers of one entry that are named.
const MAX_BROKERS_NAMED: usize = 10;
/// The setting that says how many replicas acknowledge.
const MIN_ISR: &str = "min.insync.replicas";

/// How much an entry matters. The order is that in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Somebody ordered it, and it may cost acknowledged records, or cannot be taken back.
    Grave,
    /// Somebody ordered it, or may have.
    Ordered,
    /// Nodes do it by themselves.
    Own,
}

/// An entry that is not known to be committed, and that changes the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEntry {
    /// Its place in the log, counted from the cluster's first entry.
    pub index: u64,
    /// What it does, with the names of topics.
    pub text: String,
    /// How much it matters.
    pub weight: Weight,
}

/// Such entries: of each weight the newest 50, and how many there are. As a rule there are few, but where nothing is
/// known of what is committed all behind the snapshot are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenEntries {
    kept: BTreeMap<Weight, VecDeque<OpenEntry>>,
    count: usize,
}

impl OpenEntries {
    /// Takes the next one in.
    pub fn add(&mut self, entry: OpenEntry) {
        let kept = self.kept.entry(entry.weight).or_default();
        kept.push_back(entry);
        if kept.len() > MAX_TOLD {
            kept.pop_front();
        }
        self.count += 1;
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those that are told, at most 50, in their order, and how many are not: what matters more goes before, and of the
    /// same weight what is newer.
    pub fn told(&self) -> (Vec<&OpenEntry>, usize) {
        let newest = self.kept.values().flat_map(|kept| kept.iter().rev());
        let mut told: Vec<&OpenEntry> = newest.take(MAX_TOLD).collect();
        told.sort_by_key(|entry| entry.index);
        let more = self.count - told.len();
        (told, more)
    }
}

impl OpenEntry {
    /// `before`: the metadata before it. `records`: what it made of that; of an entry that decides item by item only
    /// what was accepted is told. `None` if it changes nothing that counts.
    pub(super) fn of(index: u64, command: &Command, before: &Image, records: &[Record]) -> Option<Self> {
        let text = text(command, before, records);
        (!records.is_empty() && !text.is_empty()).then(|| Self { index, text, weight: weight(command, before) })
    }
}

fn weight(command: &Command, before: &Image) -> Weight {
    match command {
        Command::UnregisterBroker { .. }
        | Command::FinalizeVersion(_)
        | Command::RecoverPartition(_)
        | Command::LoseDisk { .. } => Weight::Grave,
        Command::AlterTopic(alter) if changes(alter, before).iter().any(|(key, ..)| *key == MIN_ISR) => Weight::Grave,
        Command::FormCluster { .. }
        | Command::CreateTopic(_)
        | Command::DeleteTopic { .. }
        | Command::AlterTopic(_)
        | Command::AlterReplicas(_)
        | Command::SetBrokerDrain { .. }
        | Command::ElectLeaders { .. } => Weight::Ordered,
        Command::RegisterBroker(_)
        | Command::FenceBroker { .. }
        | Command::FenceBrokers { .. }
        | Command::UnfenceBroker { .. }
        | Command::BeginControlledShutdown { .. }
        | Command::AlterPartition(_)
        | Command::AllocateProducerIds { .. }
        | Command::RenewFolderToken { .. }
        | Command::DistrustReplicas(_)
        | Command::BeginHistory
        | Command::CheckHistory { .. } => Weight::Own,
    }
}

/// What it does; empty if that is nothing.
fn text(command: &Command, image: &Image, records: &[Record]) -> String {
    let name = |topic_id, partition: PartitionIndex| format!("{}-{partition}", topic_name(image, topic_id));
    match command {
        Command::FenceBrokers { .. } => {
            let fenced = records.iter().filter_map(|record| match record {
                Record::Broker(broker) => Some(broker.broker_id.to_string()),
                _ => None,
            });
            format!("fence brokers {}", some(fenced, MAX_BROKERS_NAMED))
        }
        Command::DeleteTopic { topic_id } => format!("delete topic {}", topic_name(image, *topic_id)),
        Command::AlterTopic(alter) => topic_altered(alter, image),
        Command::AlterPartition(alter) => {
            let changes = records.iter().filter_map(|record| match record {
                Record::Partition { topic_id, partition, state } => {
                    Some(format!("{} to {}", name(*topic_id, *partition), list(&state.isr, ",")))
                }
                _ => None,
            });
            format!("leader {} changes who is in sync: {}", alter.broker_id, some(changes, MAX_NAMED))
        }
        Command::AlterReplicas(alter) => replicas_altered(alter, image, records),
        Command::DistrustReplicas(distrust) => {
            let replicas = partitions(records).into_iter().map(|(topic_id, partition)| name(topic_id, partition));
            format!("distrust replicas of broker {}: {}", distrust.broker_id, some(replicas, MAX_NAMED))
        }
        Command::RecoverPartition(recover) => {
            format!("recover partition {} with broker {}", name(recover.topic_id, recover.partition), recover.broker_id)
        }
        other => other.to_string(),
    }
}

/// The settings that get another value: key, the old value and the new one.
fn changes<'a>(alter: &'a AlterTopic, image: &Image) -> Vec<(&'a str, String, String)> {
    let default = TopicConfig::default();
    let before = image.topic(alter.topic_id).map_or(&default, Topic::config);
    let settings = alter.configs.iter().map(|(key, value)| {
        let new = value.clone().unwrap_or_else(|| value_of(&default, key));
        (key.as_str(), value_of(before, key), new)
    });
    settings.filter(|(_, old, new)| old != new).collect()
}

fn topic_altered(alter: &AlterTopic, image: &Image) -> String {
    let settings = changes(alter, image).into_iter().map(|(key, old, new)| format!("{key} {old} -> {new}"));
    let partitions = alter.partition_count.map(|count| {
        let before = image.topic(alter.topic_id).map_or(0, |topic| topic.partitions().len());
        format!("{before} -> {count} partitions")
    });
    let changes: Vec<String> = settings.chain(partitions).collect();
    match &changes[..] {
        // It writes out what is in force by default.
        [] => String::new(),
        changes => format!("alter topic {}: {}", topic_name(image, alter.topic_id), changes.join(", ")),
    }
}

/// The value of a setting that is in force; nothing for one that is not known.
fn value_of(config: &TopicConfig, key: &str) -> String {
    let found = config.entries().into_iter().find(|(known, _)| *known == key);
    found.map(|(_, value)| value).unwrap_or_default()
}

fn replicas_altered(alter: &AlterReplicas, image: &Image, records: &[Record]) -> String {
    let one = |to: &ReplicaMove| {
        let name = topic_name(image, to.topic_id);
        match &to.new_replicas[..] {
            [] => format!("{name}-{} back", to.partition),
            replicas => format!("{name}-{} to {}", to.partition, list(replicas, ",")),
        }
    };
    // A partition that is named twice is moved by the first of both.
    let mut accepted = partitions(records);
    let moved = alter.moves.iter().filter(|to| accepted.remove(&(to.topic_id, to.partition)));
    let moved: Vec<String> = moved.map(one).collect();
    let moves = (!moved.is_empty()).then(|| format!("move replicas: {}", some(moved.into_iter(), MAX_NAMED)));
    let limit = records.iter().find_map(|record| match record {
        Record::MoveLimit { bytes_per_second: 0 } => Some("no limit for moves".to_owned()),
        Record::MoveLimit { bytes_per_second } => Some(format!("{bytes_per_second} bytes a second for moves")),
        _ => None,
    });
    moves.into_iter().chain(limit).collect::<Vec<_>>().join("; ")
}

/// The partitions that got another state.
fn partitions(records: &[Record]) -> BTreeSet<(TopicId, PartitionIndex)> {
    let changed = records.iter().filter_map(|record| match record {
        Record::Partition { topic_id, partition, .. } => Some((*topic_id, *partition)),
        _ => None,
    });
    changed.collect()
}

/// The topic's name, or its id where it is not known.
fn topic_name(image: &Image, topic_id: TopicId) -> String {
    image.topic(topic_id).map_or_else(|| topic_id.to_string(), |topic| topic.name().to_owned())
}

#[cfg(test)]
#[path = "open_entries_tests.rs"]
mod tests;
