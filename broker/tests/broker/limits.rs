//! How much one request may make the broker build, answer or keep: past it a named error, and nothing is built.

use std::net::IpAddr;

use futures::StreamExt;
use tonic::Status;

use holdfast_broker::config::Config;
use holdfast_proto::{
    batch::ProducerStamp,
    error::ErrorCode,
    ids::{ProducerEpoch, ProducerId, Sequence},
    status::from_status,
    v1,
};

use crate::rig::{Client, Rig, batch, produce_until, soon, stamped, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

fn code(status: &Status) -> ErrorCode {
    assert!(status.message().len() < 300, "{} bytes of it are sent back", status.message().len());
    from_status(status).expect("an error of ours").code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_past_their_limit_are_refused_before_anything_is_made_of_them() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;

    let named = |count| v1::GetMetadataRequest { topics: vec!["t".to_owned(); count], ..Default::default() };
    let answer = soon("an answer", client.admin().get_metadata(named(50_000))).await.unwrap().into_inner();
    assert_eq!(answer.topics.len(), 1, "a topic is told once");
    let refused = soon("a refusal", client.admin().get_metadata(named(50_001))).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidRequest);

    let queries = v1::ListOffsetsRequest { queries: vec![v1::OffsetQuery::default(); 10_001] };
    let refused = soon("a refusal", client.consumer().list_offsets(queries)).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidRequest);

    let record = v1::PlainRecord { headers: vec![v1::Header::default(); 250_001], ..Default::default() };
    let call = v1::ProduceRecordsRequest { topic: "t".to_owned(), records: vec![record], ..Default::default() };
    let refused = soon("a refusal", client.producer().produce_records(call)).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidRequest);

    for (partition, count, expected) in [
        (v1::FetchPartition::default(), 10_001, ErrorCode::InvalidRequest),
        // Few entries, and more bytes than a request without records has.
        (v1::FetchPartition { topic: "t".repeat(5 << 20), ..Default::default() }, 1, ErrorCode::MessageTooLarge),
        (v1::FetchPartition { topic: "t".repeat(250), ..Default::default() }, 1, ErrorCode::InvalidTopic),
    ] {
        let fetch = v1::FetchRequest { partitions: vec![partition; count], ..Default::default() };
        let mut answers =
            soon("a stream", client.consumer().fetch(futures::stream::iter([fetch]))).await.unwrap().into_inner();
        let refused = soon("a refusal", answers.next()).await.expect("an answer").unwrap_err();
        assert_eq!(code(&refused), expected);
    }
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_too_long_is_not_repeated() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let query = v1::OffsetQuery {
        topic: "t".repeat(1 << 20),
        position: Some(v1::offset_query::Position::Earliest(true)),
        ..Default::default()
    };
    let mut consumer = client.consumer();
    let refused = consumer.list_offsets(v1::ListOffsetsRequest { queries: vec![query] });
    assert_eq!(code(&soon("a refusal", refused).await.unwrap_err()), ErrorCode::InvalidTopic);
    let fetch = v1::FetchRecordsRequest { topic: "t".repeat(1 << 20), ..Default::default() };
    let refused = soon("a refusal", client.consumer().fetch_records(fetch)).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidTopic);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_errors_are_told_in_one_answer_that_has_room() {
    const COUNT: usize = 10_000;
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let unknown = v1::FetchPartition { topic: "u".repeat(200), ..Default::default() };
    let fetch = v1::FetchRequest { partitions: vec![unknown; COUNT], ..Default::default() };
    let mut answers =
        soon("a stream", client.consumer().fetch(futures::stream::iter([fetch]))).await.unwrap().into_inner();
    let answer = soon("an answer", answers.next()).await.expect("an answer").unwrap();
    let failed =
        |one: &v1::FetchedPartition| one.error.as_ref().is_some_and(|e| e.name == "UNKNOWN_TOPIC_OR_PARTITION");
    assert!(answer.partitions.len() <= COUNT && answer.partitions.iter().all(failed));
    assert!(!answer.partitions.is_empty());
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetches_for_which_there_is_no_memory_are_refused_and_an_empty_one_has_nobody_to_tell() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let parked = &broker.context().fetching;
    let source = Some(IpAddr::from([127, 0, 0, 1]).into());
    let _all: Vec<_> = std::iter::from_fn(|| parked.park(source, 0).ok()).collect();
    let answer = async |partitions: Vec<v1::FetchPartition>| {
        let fetch = v1::FetchRequest { partitions, max_wait_ms: 1, ..Default::default() };
        let mut answers = client.consumer().fetch(futures::stream::iter([fetch])).await.unwrap().into_inner();
        soon("an answer", answers.next()).await.expect("an answer").unwrap()
    };
    assert_eq!(answer(Vec::new()).await.partitions, []);
    let named = v1::FetchPartition { topic: "t".to_owned(), ..Default::default() };
    let refused = answer(vec![named]).await.partitions[0].error.clone().expect("an error");
    assert_eq!(refused.name, "OVERLOADED");
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_produce_brings_little_beside_its_batch() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let padded = v1::ProduceRequest { topic: "t".repeat(5_000), batch: batch(&["a"]), ..Default::default() };
    let mut answers =
        soon("a stream", client.producer().produce(futures::stream::iter([padded]))).await.unwrap().into_inner();
    let refused = soon("a refusal", answers.next()).await.expect("an answer").unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidRequest);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_remembers_so_many_producers_of_a_topic_and_refuses_new_ones_past_that() {
    let rig = Rig::start().await;
    let broker = rig.broker_with(1, |config| Config { producers_max: 1_000, ..config }).await;
    rig.controller.create_topic("t", 50, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let mut stream = client.stream().await;
    let of = |id: i64, sequence: i32| {
        let stamp = ProducerStamp { id: ProducerId(id), epoch: ProducerEpoch(0), base_sequence: Sequence(sequence) };
        stamped(&["record"], Some(stamp))
    };
    for id in 0..750 {
        until("the partition is led", async || stream.produce("t", id as u32 % 50, of(id, 0)).await.ok()).await;
    }
    // They are counted once a second; what comes before is taken.
    let mut next = 750;
    let refused = until("a refusal", async || {
        next += 1;
        stream.produce("t", 0, of(next, 0)).await.err()
    });
    assert!(refused.await.contains("TOO_MANY_PRODUCERS"));
    stream.produce("t", 0, of(0, 1)).await.expect("one that is known goes on");
    rig.controller.create_topic("other", 1, 1, ONE);
    until("another topic has room", async || stream.produce("other", 0, of(0, 0)).await.ok()).await;
    stream.produce("t", 0, batch(&["record"])).await.expect("who has no number needs no memory");
    soon("the broker stops", broker.stop()).await;
}
