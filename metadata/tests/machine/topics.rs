//! Topics: creation, alteration, deletion, and what is said about bad requests.

use uuid::Uuid;

use holdfast_metadata::{
    AlterTopic, Command, CreateTopic, Record, Response, decide,
    limits::{MAX_PARTITIONS_PER_TOPIC, MAX_REPLICATION_FACTOR},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, configs, show};

fn create(name: &str, id: u128, partition_count: u32, replication_factor: u32, entries: &[(&str, &str)]) -> Command {
    Command::CreateTopic(CreateTopic {
        name: name.to_owned(),
        topic_id: TopicId(Uuid::from_u128(id)),
        partition_count,
        replication_factor,
        configs: configs(entries),
    })
}

fn alter(topic_id: TopicId, entries: &[(&str, Option<&str>)], partition_count: Option<u32>) -> Command {
    let configs = entries.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect();
    Command::AlterTopic(AlterTopic { topic_id, configs, partition_count })
}

fn warnings(response: Response) -> Vec<String> {
    match response {
        Response::TopicCreated { warnings, .. } | Response::TopicAltered { warnings } => warnings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_is_created_with_its_leaders() {
    let mut c = Cluster::new(3);
    let command = create("orders", 7, 3, 3, &[("retention.ms", "1000")]);
    let validated = decide(&c.image, &command);
    let (records, response) = c.ok(&command);
    assert_eq!(validated.records, records, "validation foretells the creation");
    let topic_id = TopicId(Uuid::from_u128(7));
    assert_eq!(records[0], Record::Topic { topic_id, name: "orders".into() });
    assert_eq!(records[1], Record::TopicConfig { topic_id, configs: configs(&[("retention.ms", "1000")]) });
    let Response::TopicCreated { partitions, warnings, .. } = response else { panic!("{response:?}") };
    assert_eq!(
        partitions.iter().map(show).collect::<Vec<_>>(),
        ["1 @0/0 isr 1,2,3 elr -", "2 @0/0 isr 2,3,1 elr -", "3 @0/0 isr 3,1,2 elr -"]
    );
    assert_eq!(warnings, Vec::<String>::new());
    let topic = c.image.topic_by_name("orders").expect("there");
    assert_eq!((topic.topic_id(), topic.config().retention_ms), (topic_id, Some(1000)));
    // The same creation again is answered again; another one of that name is refused.
    assert!(matches!(c.ok(&command), (records, Response::TopicCreated { .. }) if records.is_empty()));
    assert_eq!(c.refused(&create("orders", 8, 1, 1, &[])).code, ErrorCode::TopicAlreadyExists);
}

#[test]
fn names_follow_kafkas_rules() {
    let mut c = Cluster::new(1);
    for (n, good) in ["a", "a.b_c-D9", "...", &"x".repeat(249)].into_iter().enumerate() {
        c.ok(&create(good, n as u128, 1, 1, &[]));
    }
    for bad in ["", ".", "..", "a b", "a/b", "ä", "a\n", &"x".repeat(250)] {
        assert_eq!(c.refused(&create(bad, 99, 1, 1, &[])).code, ErrorCode::InvalidTopic, "{bad:?}");
    }
    let told = warnings(c.ok(&create("a_b.c-D9", 100, 1, 1, &[])).1);
    assert_eq!(told[1], "In metrics, where '.' is '_', the name is the same as that of a.b_c-D9.");
}

#[test]
fn a_bad_creation_is_refused_with_everything_that_is_wrong() {
    let mut c = Cluster::new(2);
    let rejection = c.refused(&create("bad name", 1, 0, 3, &[("min.insync.replicas", "4"), ("retentoin.ms", "1")]));
    assert_eq!(rejection.code, ErrorCode::InvalidTopic);
    assert_eq!(
        rejection.message,
        "a topic's name has a-z, A-Z, 0-9, '.', '_' and '-' only, not ' '; \
         a topic has 1 to 10000 partitions, not 0; \
         retentoin.ms: unknown setting; did you mean retention.ms?; \
         min.insync.replicas: 4 is more than the replication factor 3: nothing could ever be written; \
         replication factor 3 is more than the 2 live brokers"
    );
    let code = |c: &mut Cluster, command: &Command| c.refused(command).code;
    assert_eq!(code(&mut c, &create("t", 1, 1, 0, &[])), ErrorCode::InvalidReplicationFactor);
    assert_eq!(code(&mut c, &create("t", 1, 1, MAX_REPLICATION_FACTOR + 1, &[])), ErrorCode::InvalidReplicationFactor);
    assert_eq!(code(&mut c, &create("t", 1, MAX_PARTITIONS_PER_TOPIC + 1, 1, &[])), ErrorCode::InvalidPartitions);
    assert_eq!(code(&mut c, &create("t", 1, u32::MAX, 1, &[])), ErrorCode::InvalidPartitions);
    assert_eq!(code(&mut c, &create("t", 1, 1, 1, &[("min.insync.replicas", "2")])), ErrorCode::InvalidConfig);
}

#[test]
fn fenced_and_leaving_brokers_get_no_replicas() {
    let mut c = Cluster::new(4);
    c.fence(2);
    c.leave(3);
    let t = c.topic("t", 4, 2, &[]);
    let topic = c.image.topic(t).expect("there");
    assert!(topic.partitions().all(|(_, state)| state.replicas.iter().all(|broker| [1, 4].contains(&broker.0))));
    let rejection = c.refused(&create("u", 1, 1, 3, &[]));
    assert_eq!(rejection.code, ErrorCode::InvalidReplicationFactor);
    assert_eq!(rejection.message, "replication factor 3 is more than the 2 live brokers");
}

#[test]
fn risks_are_told() {
    let mut c = Cluster::new(3);
    let mut told =
        |id, replicas, entries: &[(&str, &str)]| warnings(c.ok(&create(&format!("t{id}"), id, 1, replicas, entries)).1);
    assert_eq!(told(1, 3, &[]), Vec::<String>::new());
    assert!(told(2, 1, &[])[0].starts_with("One replica"));
    assert!(told(3, 2, &[])[0].contains("one failure stops writes"));
    assert!(told(4, 3, &[("min.insync.replicas", "1")])[0].contains("one disk only"));
    assert!(told(5, 3, &[("flush.policy", "interval"), ("flush.ms", "5")])[0].contains("can lose"));
    assert!(told(6, 3, &[("flush.ms", "5")])[0].contains("no effect"));
}

#[test]
fn settings_change_and_go_back() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[("retention.ms", "1000"), ("segment.ms", "2000")]);
    let (records, _) = c.ok(&alter(t, &[("retention.ms", None), ("retention.bytes", Some("5"))], None));
    let left = configs(&[("retention.bytes", "5"), ("segment.ms", "2000")]);
    assert_eq!(records, [Record::TopicConfig { topic_id: t, configs: left }]);
    assert_eq!(c.ok(&alter(t, &[("retention.bytes", Some("5"))], None)).0, [], "nothing changes");
    let rejection = c.refused(&alter(t, &[("retension.ms", None), ("segment.ms", Some("x"))], Some(1)));
    assert_eq!(
        rejection.message,
        "retension.ms: unknown setting; did you mean retention.ms?; \
         segment.ms: 'x' is not a whole number; allowed: 100 or more; \
         topic t has 1 partitions; 1 is not more"
    );
    let gone = alter(TopicId(Uuid::from_u128(1)), &[], None);
    assert_eq!(c.refused(&gone).code, ErrorCode::UnknownTopicId);
}

#[test]
fn partitions_are_added_in_the_round() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 2, 2, &[]);
    let (records, _) = c.ok(&alter(t, &[], Some(4)));
    let added: Vec<(u32, String)> = records
        .iter()
        .map(|record| match record {
            Record::Partition { partition, state, .. } => (partition.0, show(state)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(added, [(2, "3 @0/0 isr 3,1 elr -".to_owned()), (3, "1 @0/0 isr 1,3 elr -".to_owned())]);
    assert_eq!(c.refused(&alter(t, &[], Some(4))).code, ErrorCode::InvalidPartitions);
    c.fence(1);
    c.fence(2);
    assert_eq!(c.refused(&alter(t, &[], Some(5))).code, ErrorCode::InvalidReplicationFactor);
}

#[test]
fn a_lower_min_isr_ends_eligibility_at_once() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    c.fence(1);
    c.fence(2);
    assert_eq!(c.shown(t), "3 @2/2 isr 3 elr 2");
    let (records, _) = c.ok(&alter(t, &[("min.insync.replicas", Some("1"))], None));
    assert!(matches!(records[0], Record::Partition { partition: PartitionIndex(0), .. }), "{records:?}");
    assert_eq!(c.shown(t), "3 @2/3 isr 3 elr -");
}

#[test]
fn a_higher_min_isr_must_be_known_before_the_isr_changes() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "1")]);
    // The leader has proposed to go on alone; meanwhile min ISR is raised. If the proposal held, the leader would
    // acknowledge alone while 2 and 3 are taken for eligible.
    let proposal = c.proposal(t, &[1]);
    c.ok(&alter(t, &[("min.insync.replicas", Some("2"))], None));
    assert_eq!(c.shown(t), "1 @0/1 isr 1,2,3 elr -");
    assert_eq!(c.propose(proposal), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(c.alter(t, &[1]).as_deref(), Ok("1 @0/2 isr 1 elr 2,3"));
}

#[test]
fn a_deletion_is_by_id_and_for_good() {
    let mut c = Cluster::new(1);
    let t = c.topic("t", 2, 1, &[]);
    let command = Command::DeleteTopic { topic_id: t };
    assert_eq!(c.ok(&command).0, [Record::RemoveTopic { topic_id: t }]);
    assert_eq!((c.image.topic_count(), c.image.partition_count()), (0, 0));
    assert!(c.image.records().contains(&Record::RemoveTopic { topic_id: t }), "brokers that were away learn of it");
    assert_eq!(c.ok(&command), (vec![], Response::TopicDeleted));
    let unknown = Command::DeleteTopic { topic_id: TopicId(Uuid::from_u128(1)) };
    assert_eq!(c.refused(&unknown).code, ErrorCode::UnknownTopicId);
    assert_eq!(c.refused(&create("t", t.0.as_u128(), 1, 1, &[])).code, ErrorCode::InvalidRequest);
    assert_ne!(c.topic("t", 1, 1, &[]), t);
}
