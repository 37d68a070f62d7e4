//! What entries of the log do that may not be committed, in words: as the controllers go on from one of them, they
//! count. Pure.

use holdfast_metadata::{AlterReplicas, AlterTopic, Command, Image, ReplicaMove, Topic, TopicConfig};
use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicId};

/// Partitions of one entry that are named.
const MAX_NAMED: usize = 5;

/// An entry that is not known to be committed, and that changes the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEntry {
    /// Its place in the log, counted from the cluster's first entry.
    pub index: u64,
    /// What it does, in one line, with the names of topics.
    pub text: String,
    /// True if somebody ordered it, false for what nodes do by themselves.
    pub is_ordered: bool,
}

impl OpenEntry {
    /// `image`: the metadata before it.
    pub(super) fn of(index: u64, command: &Command, image: &Image) -> Self {
        Self { index, text: text(command, image), is_ordered: is_ordered(command) }
    }
}

const fn is_ordered(command: &Command) -> bool {
    match command {
        Command::FormCluster { .. }
        | Command::UnregisterBroker { .. }
        | Command::CreateTopic(_)
        | Command::DeleteTopic { .. }
        | Command::AlterTopic(_)
        | Command::AlterReplicas(_)
        | Command::SetBrokerDrain { .. }
        | Command::FinalizeVersion(_)
        | Command::RecoverPartition(_)
        | Command::LoseDisk { .. } => true,
        Command::RegisterBroker(_)
        | Command::FenceBroker { .. }
        | Command::FenceBrokers { .. }
        | Command::UnfenceBroker { .. }
        | Command::BeginControlledShutdown { .. }
        | Command::AlterPartition(_)
        | Command::ElectLeaders { .. }
        | Command::AllocateProducerIds { .. }
        | Command::RenewFolderToken { .. }
        | Command::DistrustReplicas(_)
        | Command::BeginHistory
        | Command::CheckHistory { .. } => false,
    }
}

fn text(command: &Command, image: &Image) -> String {
    let name = |topic_id, partition: PartitionIndex| format!("{}-{partition}", topic_name(image, topic_id));
    match command {
        Command::DeleteTopic { topic_id } => format!("delete topic {}", topic_name(image, *topic_id)),
        Command::AlterTopic(alter) => topic_altered(alter, image),
        Command::AlterPartition(alter) => {
            let changes = alter.changes.iter().map(|change| {
                let isr = change.new_isr.iter().map(|member| member.broker_id);
                format!("{} to {}", name(change.topic_id, change.partition), brokers(isr))
            });
            format!("leader {} changes who is in sync: {}", alter.broker_id, some(changes))
        }
        Command::AlterReplicas(alter) => replicas_altered(alter, image),
        Command::DistrustReplicas(distrust) => {
            let replicas = distrust.replicas.iter().map(|replica| name(replica.topic_id, replica.partition));
            format!("distrust replicas of broker {}: {}", distrust.broker_id, some(replicas))
        }
        Command::RecoverPartition(recover) => {
            format!("recover partition {} with broker {}", name(recover.topic_id, recover.partition), recover.broker_id)
        }
        other => other.to_string(),
    }
}

fn topic_altered(alter: &AlterTopic, image: &Image) -> String {
    let topic = image.topic(alter.topic_id);
    let default = TopicConfig::default();
    let before = topic.map_or(&default, Topic::config);
    let settings = alter.configs.iter().filter_map(|(key, value)| {
        let (old, new) = (value_of(before, key), value.clone().unwrap_or_else(|| value_of(&default, key)));
        (old != new).then(|| format!("{key} {old} -> {new}"))
    });
    let partitions = alter.partition_count.map(|count| {
        let before = topic.map_or(0, |topic| topic.partitions().len());
        format!("{before} -> {count} partitions")
    });
    let changes: Vec<String> = settings.chain(partitions).collect();
    format!("alter topic {}: {}", topic_name(image, alter.topic_id), changes.join(", "))
}

/// The value of a setting that is in force; nothing for one that is not known.
fn value_of(config: &TopicConfig, key: &str) -> String {
    let found = config.entries().into_iter().find(|(known, _)| *known == key);
    found.map(|(_, value)| value).unwrap_or_default()
}

fn replicas_altered(alter: &AlterReplicas, image: &Image) -> String {
    let one = |to: &ReplicaMove| {
        let name = topic_name(image, to.topic_id);
        match &to.new_replicas[..] {
            [] => format!("{name}-{} back", to.partition),
            replicas => format!("{name}-{} to {}", to.partition, brokers(replicas.iter().copied())),
        }
    };
    let moves = (!alter.moves.is_empty()).then(|| format!("move replicas: {}", some(alter.moves.iter().map(one))));
    let limit = alter.move_bytes_per_second.map(|limit| match limit {
        0 => "no limit for moves".to_owned(),
        limit => format!("{limit} bytes a second for moves"),
    });
    moves.into_iter().chain(limit).collect::<Vec<_>>().join("; ")
}

/// The topic's name, or its id where it is not known.
fn topic_name(image: &Image, topic_id: TopicId) -> String {
    image.topic(topic_id).map_or_else(|| topic_id.to_string(), |topic| topic.name().to_owned())
}

fn brokers(ids: impl Iterator<Item = BrokerId>) -> String {
    ids.map(|broker| broker.to_string()).collect::<Vec<_>>().join(",")
}

/// The first [`MAX_NAMED`], and how many more there are.
fn some(items: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = items.collect();
    let named = all[..all.len().min(MAX_NAMED)].join(", ");
    match all.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_metadata::{AlterPartition, FinalizeVersion, IsrChange, IsrMember, Record, RecoverPartition};
    use holdfast_proto::ids::{BrokerEpoch, LeaderEpoch, MetadataVersion, PartitionEpoch};

    use super::*;

    const TOPIC: TopicId = TopicId(Uuid::from_u128(1));

    /// The topic `orders`, of which one replica in sync is enough.
    fn image() -> Image {
        let configs = [("min.insync.replicas".to_owned(), "1".to_owned())].into();
        let mut image = Image::default();
        for record in [
            Record::Topic { topic_id: TOPIC, name: "orders".to_owned() },
            Record::TopicConfig { topic_id: TOPIC, configs },
        ] {
            image.apply(&record).expect("it fits");
        }
        image
    }

    #[track_caller]
    fn check(command: &Command, text: &str, is_ordered: bool) {
        let expected = OpenEntry { index: 7, text: text.to_owned(), is_ordered };
        assert_eq!(OpenEntry::of(7, command, &image()), expected);
    }

    #[test]
    fn each_entry_is_told_with_the_names_and_the_values_of_before() {
        let configs = [
            ("flush.policy".to_owned(), Some("interval".to_owned())),
            ("min.insync.replicas".to_owned(), None),
            ("retention.ms".to_owned(), Some("604800000".to_owned())),
        ];
        let alter = AlterTopic { topic_id: TOPIC, configs: configs.into(), partition_count: Some(3) };
        let (policy, min_isr) = (
            value_of(&TopicConfig::default(), "flush.policy"),
            value_of(&TopicConfig::default(), "min.insync.replicas"),
        );
        let altered = format!(
            "alter topic orders: flush.policy {policy} -> interval, min.insync.replicas 1 -> {min_isr}, 0 -> 3 \
             partitions"
        );
        check(&Command::AlterTopic(alter), &altered, true);
        check(&Command::DeleteTopic { topic_id: TOPIC }, "delete topic orders", true);
        let unknown = TopicId(Uuid::from_u128(2));
        check(&Command::DeleteTopic { topic_id: unknown }, &format!("delete topic {unknown}"), true);
        let (broker_id, broker_epoch, partition) = (BrokerId(3), BrokerEpoch(5), PartitionIndex(0));
        let recover =
            RecoverPartition { topic_id: TOPIC, partition, broker_id, partition_epoch: PartitionEpoch(1), at_ms: 5 };
        check(&Command::RecoverPartition(recover), "recover partition orders-0 with broker 3", true);
        check(&Command::UnregisterBroker { broker_id }, "unregister broker 3", true);
        let lost = "give up the disk of broker 3, broker epoch 5";
        check(&Command::LoseDisk { broker_id, broker_epoch, at_ms: 5 }, lost, true);
        let finalize = FinalizeVersion { version: MetadataVersion(3), controllers: Vec::new() };
        check(&Command::FinalizeVersion(finalize), "finalise metadata version 3", true);
    }

    #[test]
    fn of_many_partitions_some_are_named() {
        let broker_id = BrokerId(3);
        let change = |partition| IsrChange {
            topic_id: TOPIC,
            partition: PartitionIndex(partition),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            new_isr: [3, 1].map(|n| IsrMember { broker_id: BrokerId(n), broker_epoch: BrokerEpoch(5) }).to_vec(),
            high_watermark: None,
            high_watermark_epoch: None,
        };
        let alter = |count| {
            let changes = (0..count).map(change).collect();
            Command::AlterPartition(AlterPartition { broker_id, broker_epoch: BrokerEpoch(5), changes })
        };
        check(&alter(1), "leader 3 changes who is in sync: orders-0 to 3,1", false);
        assert!(OpenEntry::of(7, &alter(7), &image()).text.ends_with("orders-4 to 3,1, and 2 more"));
        let to = |new_replicas| ReplicaMove { topic_id: TOPIC, partition: PartitionIndex(0), new_replicas };
        let moves = vec![to(vec![BrokerId(1), BrokerId(2)]), to(Vec::new())];
        let moved = AlterReplicas { moves, move_bytes_per_second: Some(0) };
        let text = "move replicas: orders-0 to 1,2, orders-0 back; no limit for moves";
        check(&Command::AlterReplicas(moved), text, true);
    }
}
