//! Any broker answers a single call: it asks the leader, once. And what was created is there when the answer comes.

use tonic::{Request, Status};

use holdfast_broker::life::start::Broker;
use holdfast_proto::{
    error::ErrorCode,
    forward,
    ids::{BrokerId, TopicId},
    status::from_status,
    v1::{self, offset_query::Position},
};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

/// Two brokers, and a topic of one replica with a record "a"; the leader's index among them.
async fn two_brokers() -> (Rig, Vec<Broker>, TopicId, usize) {
    let rig = Rig::start().await;
    let brokers = rig.brokers(2).await;
    let topic_id = rig.controller.create_topic("t", 1, 1, ONE);
    let leading =
        until("it is led", async || rig.controller.image().topic(topic_id)?.partitions().next()?.1.leader).await;
    let leader = brokers.iter().position(|broker| broker.context().identity.broker_id == leading).unwrap();
    produce_until(&Client::connect(&brokers[leader]).await, "t", 0, &["a"]).await;
    let knows = async || brokers[1 - leader].context().metadata.image().topic(topic_id).map(|_| ());
    until("the other has heard of it", knows).await;
    (rig, brokers, topic_id, leader)
}

fn fetch() -> v1::FetchRecordsRequest {
    v1::FetchRecordsRequest { topic: "t".to_owned(), max_wait_ms: 20_000, ..Default::default() }
}

fn list(topics: &[&str]) -> v1::ListOffsetsRequest {
    let query = |topic: &&str| v1::OffsetQuery {
        topic: (*topic).to_owned(),
        position: Some(Position::Latest(true)),
        ..Default::default()
    };
    v1::ListOffsetsRequest { queries: topics.iter().map(query).collect() }
}

fn code(status: &Status) -> ErrorCode {
    from_status(status).unwrap_or_else(|| panic!("no ErrorInfo: {status:?}")).code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_broker_gives_records_and_offsets() {
    let (_rig, brokers, _, leader) = two_brokers().await;
    let mut consumer = Client::connect(&brokers[1 - leader]).await.consumer();
    let fetched = soon("records", consumer.fetch_records(fetch())).await.unwrap().into_inner();
    assert_eq!(fetched.records[0].value.as_deref(), Some(b"a".as_slice()));
    assert_eq!((fetched.high_watermark, fetched.log_start_offset), (1, 0));
    let results = soon("offsets", consumer.list_offsets(list(&["t", "nowhere"]))).await.unwrap().into_inner().results;
    assert_eq!((results[0].offset, results[0].error.is_none()), (Some(1), true));
    assert_eq!(results[1].error.as_ref().unwrap().name, "UNKNOWN_TOPIC_OR_PARTITION");
    // A wait for what is not there yet is sent on too.
    let waits = v1::FetchRecordsRequest { fetch_offset: 1, ..fetch() };
    let mut waiting = consumer.clone();
    let waiting = tokio::spawn(async move { waiting.fetch_records(waits).await });
    produce_until(&Client::connect(&brokers[leader]).await, "t", 0, &["b"]).await;
    let fetched = soon("what was waited for", waiting).await.unwrap().unwrap().into_inner();
    assert_eq!(fetched.records[0].value.as_deref(), Some(b"b".as_slice()));
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_broker_says_which_offsets_there_are() {
    let (_rig, brokers, _, leader) = two_brokers().await;
    for broker in [&brokers[leader], &brokers[1 - leader]] {
        let mut consumer = Client::connect(broker).await.consumer();
        let beyond = v1::FetchRecordsRequest { fetch_offset: 7, ..fetch() };
        let refused = soon("a refusal", consumer.fetch_records(beyond)).await.unwrap_err();
        assert_eq!(code(&refused), ErrorCode::OffsetOutOfRange, "{refused:?}");
        assert!(refused.message().contains("holds 0 to 1"), "{refused:?}");
    }
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_on_goes_no_further_and_names_the_leader() {
    let (_rig, brokers, _, leader) = two_brokers().await;
    let mut consumer = Client::connect(&brokers[1 - leader]).await.consumer();
    let identity = &brokers[leader].context().identity;
    let named = format!("broker {} at {}", identity.broker_id, identity.addresses.client);
    let mut request = Request::new(fetch());
    request.metadata_mut().insert(forward::FORWARDED, "1".parse().unwrap());
    let refused = from_status(&soon("a refusal", consumer.fetch_records(request)).await.unwrap_err()).unwrap();
    assert_eq!(refused.code, ErrorCode::NotLeaderOrFollower);
    assert!(refused.message.contains(&named), "{refused}");
    let mut request = Request::new(list(&["t"]));
    request.metadata_mut().insert(forward::FORWARDED, "1".parse().unwrap());
    let answer = soon("an answer", consumer.list_offsets(request)).await.unwrap().into_inner();
    let error = answer.results[0].error.clone().unwrap();
    assert_eq!(error.name, "NOT_LEADER_OR_FOLLOWER");
    assert!(error.message.contains(&named), "{}", error.message);
    assert_eq!(error.leader.unwrap().broker_id, identity.broker_id.0);
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_gone_is_named_and_not_waited_for() {
    let (rig, mut brokers, _, leader) = two_brokers().await;
    let (gone, other) = (brokers.remove(leader), brokers.remove(0));
    let id = gone.context().identity.broker_id;
    // It dies unheard of.
    rig.controller.hold_changes();
    soon("it is killed", gone.kill()).await;
    let mut consumer = Client::connect(&other).await.consumer();
    let status = soon("a refusal", consumer.fetch_records(fetch())).await.unwrap_err();
    let refused = from_status(&status).unwrap();
    assert_eq!((refused.code, refused.retriable), (ErrorCode::BrokerNotAvailable, true));
    assert_eq!(refused.leader.map(|leader| leader.broker_id), Some(id));
    let status = soon("a refusal", consumer.list_offsets(list(&["t"]))).await.unwrap_err();
    assert_eq!(code(&status), ErrorCode::BrokerNotAvailable);
    rig.controller.release_changes();
    soon("the broker stops", other.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_another_id_is_neither_written_nor_read() {
    let (_rig, brokers, topic_id, leader) = two_brokers().await;
    let other = TopicId(uuid::Uuid::new_v4());
    for index in [leader, 1 - leader] {
        let client = Client::connect(&brokers[index]).await;
        for (id, expected) in [(topic_id, None), (other, Some(ErrorCode::UnknownTopicId))] {
            let topic_id = id.to_bytes();
            let record = v1::PlainRecord { value: Some("b".into()), ..Default::default() };
            let produce = v1::ProduceRecordsRequest {
                topic: "t".to_owned(),
                topic_id: topic_id.clone(),
                records: vec![record],
                ..Default::default()
            };
            let produced = soon("an answer", client.producer().produce_records(produce)).await;
            assert_eq!(produced.err().map(|status| code(&status)), expected);
            let fetch = v1::FetchRecordsRequest { topic_id: topic_id.clone(), ..fetch() };
            let fetched = soon("an answer", client.consumer().fetch_records(fetch)).await;
            assert_eq!(fetched.err().map(|status| code(&status)), expected);
            let mut offsets = list(&["t"]);
            offsets.queries[0].topic_id = topic_id.clone();
            let listed = soon("an answer", client.consumer().list_offsets(offsets)).await;
            assert_eq!(listed.err().map(|status| code(&status)), expected);
            let metadata = v1::GetMetadataRequest { topic_ids: vec![topic_id.clone()], ..Default::default() };
            let seen = soon("metadata", client.admin().get_metadata(metadata)).await.unwrap().into_inner();
            let (found, unknown) = (seen.topics.len(), seen.unknown_topic_ids);
            assert_eq!((found, unknown), if expected.is_none() { (1, vec![]) } else { (0, vec![topic_id]) });
        }
    }
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

fn create(name: &str, partition_count: u32) -> v1::CreateTopicRequest {
    let entry = |(key, value): &(&str, &str)| v1::ConfigEntry {
        key: (*key).to_owned(),
        value: Some((*value).to_owned()),
        is_default: false,
    };
    v1::CreateTopicRequest {
        name: name.to_owned(),
        partition_count,
        replication_factor: 1,
        configs: ONE.iter().map(entry).collect(),
        validate_only: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_created_is_served_when_the_answer_comes() {
    let rig = Rig::start().await;
    let brokers = rig.brokers(2).await;
    let client = Client::connect(&brokers[0]).await;
    for round in 0..5 {
        let name = format!("t{round}");
        let answer = soon("a topic", client.admin().create_topic(create(&name, 6))).await.unwrap().into_inner();
        let unserved = answer.warnings.iter().any(|warning| warning.contains("the change is made"));
        assert!(!unserved, "{:?}", answer.warnings);
        for info in answer.topic.unwrap().partitions {
            let id = BrokerId(info.leader.expect("it is led"));
            let leader = brokers.iter().find(|broker| broker.context().identity.broker_id == id).unwrap();
            let mut stream = Client::connect(leader).await.stream().await;
            assert_eq!(stream.produce(&name, info.partition, batch(&["a"])).await, Ok(0));
        }
    }
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_created_and_not_served_in_time_is_said() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    rig.controller.hold_changes();
    let answer = soon("a topic", client.admin().create_topic(create("t", 1))).await.unwrap().into_inner();
    assert!(answer.index > 0 && answer.topic.is_some());
    assert!(answer.warnings.iter().any(|warning| warning.contains("has not heard of it yet")), "{:?}", answer.warnings);
    rig.controller.release_changes();
    assert_eq!(produce_until(&client, "t", 0, &["a"]).await, 0);
    soon("the broker stops", broker.stop()).await;
}
