//! Topics are created, altered and deleted.
//!
//! A topic's id is chosen by the proposer and never used again; a deletion is by id, so that it can only mean what the
//! caller saw. Everything that is wrong with a request is reported at once, under the code of the first problem.

use std::collections::BTreeMap;

use holdfast_proto::{
    error::ErrorCode,
    ids::{LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId},
};

use super::{change::PartitionChange, election::Standings, placement, topic_warnings};
use crate::{
    command::{AlterTopic, CreateTopic},
    config::TopicConfig,
    image::{Image, Topic},
    limits::{MAX_PARTITIONS, MAX_PARTITIONS_PER_TOPIC, MAX_REPLICATION_FACTOR, MAX_TOPIC_NAME_BYTES},
    record::{PartitionState, Record},
    response::{Decision, Rejection, Response},
    version::TRUST,
};

/// What is wrong with a request.
#[derive(Default)]
struct Problems(Vec<Rejection>);

impl Problems {
    fn add(&mut self, code: ErrorCode, message: impl Into<String>) {
        self.0.push(Rejection::new(code, message));
    }

    /// One rejection for all of them.
    fn refuse(self) -> Result<(), Rejection> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let messages: Vec<&str> = self.0.iter().map(|problem| problem.message.as_str()).collect();
        Err(Rejection::new(first.code, messages.join("; ")))
    }
}

/// Creates a topic, with every replica in sync and the first one leading.
pub(crate) fn create(image: &Image, command: &CreateTopic) -> Decision {
    let CreateTopic { name, topic_id, partition_count, replication_factor, configs } = command;
    if let Some(answer) = created_before(image, command) {
        return answer;
    }
    let mut problems = Problems::default();
    if let Some(problem) = name_problem(name) {
        problems.add(ErrorCode::InvalidTopic, problem);
    }
    check_partition_count(image, 0, *partition_count, &mut problems);
    let config = check_config(configs, *replication_factor, &mut problems);
    let mut placed = Vec::new();
    if (1..=MAX_REPLICATION_FACTOR).contains(replication_factor) {
        placed = place(image, 0, *partition_count, *replication_factor, &mut problems);
    } else {
        problems.add(
            ErrorCode::InvalidReplicationFactor,
            format!("a replication factor is 1 to {MAX_REPLICATION_FACTOR}, not {replication_factor}"),
        );
    }
    problems.refuse()?;
    let warnings = topic_warnings::of(&config, configs, *replication_factor, topic_warnings::collision(image, name));

    let topic_id = *topic_id;
    let mut records = vec![Record::Topic { topic_id, name: name.clone() }];
    if !configs.is_empty() {
        records.push(Record::TopicConfig { topic_id, configs: configs.clone() });
    }
    records.extend(new_partitions(topic_id, 0, &placed));
    Ok((records, Response::TopicCreated { topic_id, partitions: placed, warnings }))
}

/// The answer if the topic's name or id is taken: the first one again if the same creation is repeated.
fn created_before(image: &Image, command: &CreateTopic) -> Option<Decision> {
    if let Some(topic) = image.topic_by_name(&command.name) {
        if topic.topic_id() != command.topic_id {
            let message = format!("topic {} exists", command.name);
            return Some(Err(Rejection::new(ErrorCode::TopicAlreadyExists, message)));
        }
        let partitions = topic.partitions().map(|(_, state)| state.clone()).collect();
        let response = Response::TopicCreated { topic_id: command.topic_id, partitions, warnings: Vec::new() };
        return Some(Ok((Vec::new(), response)));
    }
    let used = image.topic(command.topic_id).is_some() || image.deleted_topics().contains(&command.topic_id);
    used.then(|| {
        let message = format!("topic id {} was used before; ids are never used again", command.topic_id);
        Err(Rejection::new(ErrorCode::InvalidRequest, message))
    })
}

/// Deletes a topic for good.
pub(crate) fn delete(image: &Image, topic_id: TopicId) -> Decision {
    if image.deleted_topics().contains(&topic_id) {
        return Ok((Vec::new(), Response::TopicDeleted));
    }
    find(image, topic_id)?;
    Ok((vec![Record::RemoveTopic { topic_id }], Response::TopicDeleted))
}

/// Changes settings and adds partitions.
pub(crate) fn alter(image: &Image, command: &AlterTopic) -> Decision {
    let topic = find(image, command.topic_id)?;
    let topic_id = command.topic_id;
    let mut configs = topic.configs().clone();
    for (key, value) in &command.configs {
        match value {
            Some(value) => configs.insert(key.clone(), value.clone()),
            None => configs.remove(key),
        };
    }
    let mut problems = Problems::default();
    for key in command.configs.keys().filter(|key| command.configs[*key].is_none()) {
        if let Some(problem) = TopicConfig::key_problem(key) {
            problems.add(ErrorCode::InvalidConfig, format!("{key}: {problem}"));
        }
    }
    let (first, replication_factor) = size(topic);
    let config = check_config(&configs, replication_factor, &mut problems);
    let mut placed = Vec::new();
    if let Some(wanted) = command.partition_count {
        if wanted <= first {
            problems.add(
                ErrorCode::InvalidPartitions,
                format!("topic {} has {first} partitions; {wanted} is not more", topic.name()),
            );
        } else {
            check_partition_count(image, first, wanted, &mut problems);
            placed = place(image, first, wanted - first, replication_factor, &mut problems);
        }
    }
    problems.refuse()?;

    let mut records = Vec::new();
    if configs != *topic.configs() {
        records.extend(change_min_isr(image, topic, &config)?);
        records.push(Record::TopicConfig { topic_id, configs: configs.clone() });
    }
    records.extend(new_partitions(topic_id, first, &placed));
    let warnings = topic_warnings::of(&config, &configs, replication_factor, None);
    Ok((records, Response::TopicAltered { warnings }))
}

/// What another min.insync.replicas means for the partitions that are there.
///
/// A lower one may end the eligibility of replicas. A higher one changes no membership, but counts as a change of every
/// partition: a leader that has not heard of it cannot have an ISR change accepted, or it could acknowledge records
/// with fewer replicas than the ELR relies on.
///
/// While a partition has no leader neither is carried out: so many replicas hold each acknowledged record, and so many have
/// to be heard before one of them leads ([`super::election`]). Another number would elect without a word whom the rule refuses.
fn change_min_isr(image: &Image, topic: &Topic, config: &TopicConfig) -> Result<Vec<Record>, Rejection> {
    let standings = Standings::of(image);
    topic
        .partitions()
        .filter_map(|(partition, state)| {
            let min_isr = config.effective_min_isr(state.replication_factor());
            let now = topic.effective_min_isr(state);
            if min_isr != now && state.leader.is_none() && image.version() >= TRUST {
                return Some(Err(leaderless(topic, partition, now)));
            }
            let mut change = PartitionChange::with_config(&standings, config, state);
            if min_isr > now {
                change.force();
            }
            let changed = change.finish().transpose()?;
            Some(changed.map(|state| Record::Partition { topic_id: topic.topic_id(), partition, state }))
        })
        .collect()
}

fn leaderless(topic: &Topic, partition: PartitionIndex, min_isr: usize) -> Rejection {
    let name = topic.name();
    let message = format!(
        "min.insync.replicas: partition {name}-{partition} has no leader, and by this setting ({min_isr} now) one is elected \
         that lost nothing: change it once every partition of the topic is led. `holdfast cluster status` says what {name}-{partition} waits for"
    );
    Rejection::new(ErrorCode::LeaderNotAvailable, message)
}

fn find(image: &Image, topic_id: TopicId) -> Result<&Topic, Rejection> {
    image.topic(topic_id).ok_or_else(|| {
        Rejection::new(ErrorCode::UnknownTopicId, format!("unknown topic id '{topic_id}'; was it deleted?"))
    })
}

/// Number of partitions and replication factor of a topic. Moves can make partitions differ: the smallest counts.
fn size(topic: &Topic) -> (u32, u32) {
    let partitions = topic.partitions().len() as u32;
    let replicas = topic.partitions().map(|(_, state)| state.replication_factor() as u32).min();
    (partitions, replicas.unwrap_or(1))
}

/// What is wrong with a topic's name (Kafka's rules).
fn name_problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_TOPIC_NAME_BYTES {
        Some(format!("a topic's name has 1 to {MAX_TOPIC_NAME_BYTES} characters, not {}", name.len()))
    } else if name == "." || name == ".." {
        Some("a topic cannot be called . or ..".to_owned())
    } else {
        name.chars()
            .find(|c| !allowed(*c))
            .map(|c| format!("a topic's name has a-z, A-Z, 0-9, '.', '_' and '-' only, not {c:?}"))
    }
}

fn check_partition_count(image: &Image, now: u32, wanted: u32, problems: &mut Problems) {
    if !(1..=MAX_PARTITIONS_PER_TOPIC).contains(&wanted) {
        problems.add(
            ErrorCode::InvalidPartitions,
            format!("a topic has 1 to {MAX_PARTITIONS_PER_TOPIC} partitions, not {wanted}"),
        );
    } else if image.partition_count() + (wanted - now) as usize > MAX_PARTITIONS {
        problems.add(
            ErrorCode::PolicyViolation,
            format!(
                "{} more partitions would exceed the cluster's {MAX_PARTITIONS}; it has {}",
                wanted - now,
                image.partition_count()
            ),
        );
    }
}

/// The settings; the defaults if they are wrong.
fn check_config(configs: &BTreeMap<String, String>, replication_factor: u32, problems: &mut Problems) -> TopicConfig {
    let config = TopicConfig::parse(configs).unwrap_or_else(|errors| {
        for error in errors {
            problems.add(ErrorCode::InvalidConfig, error.to_string());
        }
        TopicConfig::from_stored(configs)
    });
    if configs.contains_key("min.insync.replicas") && config.min_insync_replicas > replication_factor {
        problems.add(
            ErrorCode::InvalidConfig,
            format!(
                "min.insync.replicas: {} is more than the replication factor {replication_factor}: nothing could ever be written",
                config.min_insync_replicas
            ),
        );
    }
    config
}

/// The states of new partitions; none if they cannot be placed.
fn place(
    image: &Image,
    first: u32,
    count: u32,
    replication_factor: u32,
    problems: &mut Problems,
) -> Vec<PartitionState> {
    if count > MAX_PARTITIONS_PER_TOPIC {
        return Vec::new();
    }
    match placement::place(image, first, count, replication_factor) {
        Ok(placed) => placed
            .into_iter()
            .map(|replicas| PartitionState {
                leader: replicas.first().copied(),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                isr: replicas.clone(),
                replicas,
                ..PartitionState::default()
            })
            .collect(),
        Err(live) => {
            let drained = image.brokers().keys().filter(|id| image.is_draining(**id)).map(ToString::to_string);
            let drained = match drained.collect::<Vec<String>>() {
                none if none.is_empty() => String::new(),
                some => format!(" that are not being drained; drained: {}", some.join(", ")),
            };
            let plural = if live == 1 { "" } else { "s" };
            problems.add(
                ErrorCode::InvalidReplicationFactor,
                format!("replication factor {replication_factor} is more than the {live} live broker{plural}{drained}"),
            );
            Vec::new()
        }
    }
}

fn new_partitions(topic_id: TopicId, first: u32, placed: &[PartitionState]) -> impl Iterator<Item = Record> {
    (first..).map(PartitionIndex).zip(placed).map(move |(partition, state)| Record::Partition {
        topic_id,
        partition,
        state: state.clone(),
    })
}
