//! What a stock client of any language meets: refusals with their details, and what reflection tells.

use futures::{StreamExt, stream};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    limits::MAX_MESSAGE_BYTES,
    status::from_status,
    v1,
};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

fn record(bytes: usize) -> v1::PlainRecord {
    v1::PlainRecord { value: Some(vec![b'x'; bytes].into()), ..Default::default() }
}

fn produce(records: Vec<v1::PlainRecord>) -> v1::ProduceRecordsRequest {
    v1::ProduceRecordsRequest {
        topic: "t".to_owned(),
        partition: Some(0),
        records,
        timeout_ms: 1_500,
        ..Default::default()
    }
}

/// The error that a stock client reads out of a status.
fn detail(status: &Status) -> ErrorDetail {
    from_status(status).unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_which_nothing_was_taken_fails() {
    let rig = Rig::start().await;
    let mut brokers = rig.brokers(2).await;
    rig.controller.create_topic("t", 1, 2, &[]);
    let leading =
        until("it is led", async || rig.controller.image().topic_by_name("t")?.partitions().next()?.1.leader).await;
    let index = brokers.iter().position(|broker| broker.context().identity.broker_id == leading).unwrap();
    let client = Client::connect(&brokers[index]).await;
    assert_eq!(produce_until(&client, "t", 0, &["first"]).await, 0);
    let mut producer = client.producer();

    let status = soon("a refusal", producer.produce_records(produce(vec![record(2_000_000)]))).await.unwrap_err();
    let too_large = detail(&status);
    assert_eq!((status.code(), too_large.code), (Code::ResourceExhausted, ErrorCode::MessageTooLarge));
    assert_eq!((too_large.retriable, too_large.outcome), (false, Outcome::NotAppended));

    let mixed = produce(vec![record(1), record(2_000_000)]);
    let results = soon("an answer", producer.produce_records(mixed)).await.unwrap().into_inner().results;
    assert_eq!((results[0].offset, results[0].error.is_none()), (Some(1), true));
    assert_eq!(results[1].offset, None);
    assert_eq!(results[1].error.as_ref().unwrap().name, "MESSAGE_TOO_LARGE");

    let other = brokers.remove(1 - index);
    soon("the other is killed", other.kill()).await;
    let refused = until("too few replicas", async || {
        let refused = detail(&producer.produce_records(produce(vec![record(1), record(1)])).await.err()?);
        (refused.code == ErrorCode::NotEnoughReplicas).then_some(refused)
    })
    .await;
    assert_eq!((refused.retriable, refused.outcome), (true, Outcome::NotAppended));
    for broker in brokers {
        soon("the broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_offset_is_told_although_it_is_0() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    let results = until("it is taken", async || {
        Some(client.producer().produce_records(produce(vec![record(1)])).await.ok()?.into_inner().results)
    })
    .await;
    assert_eq!(results[0].offset, Some(0));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_too_large_is_refused_by_name_in_every_service() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let check = |status: Status| {
        let refused = detail(&status);
        assert_eq!((status.code(), refused.code), (Code::ResourceExhausted, ErrorCode::MessageTooLarge), "{status:?}");
        assert_eq!((refused.retriable, refused.outcome), (false, Outcome::NotAppended));
    };
    let large = 20 << 20;
    check(soon("a refusal", client.producer().produce_records(produce(vec![record(large)]))).await.unwrap_err());
    let name = "n".repeat(5 << 20);
    let create = v1::CreateTopicRequest { name: name.clone(), ..Default::default() };
    check(soon("a refusal", client.admin().create_topic(create)).await.unwrap_err());
    let fetch = v1::FetchRecordsRequest { topic: "n".repeat(large), ..Default::default() };
    check(soon("a refusal", client.consumer().fetch_records(fetch)).await.unwrap_err());

    // On a stream the refusal follows the answers to what came before.
    let mut producing = client.stream().await;
    producing.send("t", 0, batch(&["second"])).await;
    producing.send("t", 0, vec![0; large].into()).await;
    assert_eq!(producing.answer().await.error, None);
    check(soon("a refusal", producing.answers.message()).await.unwrap_err());
    let partition = v1::FetchPartition { topic: "n".repeat(large), ..Default::default() };
    let request = v1::FetchRequest { partitions: vec![partition], ..Default::default() };
    let requests = stream::iter([request]).chain(stream::pending());
    let mut consumer = client.consumer().max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut answers = soon("a stream", consumer.fetch(requests)).await.unwrap().into_inner();
    check(soon("a refusal", answers.message()).await.unwrap_err());
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_meaning_is_refused() {
    use v1::offset_query::Position;

    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let mut consumer = client.consumer();
    for position in [Position::Earliest(false), Position::Latest(false)] {
        let query = v1::OffsetQuery { topic: "t".to_owned(), position: Some(position), ..Default::default() };
        let queries = v1::ListOffsetsRequest { queries: vec![query] };
        let refused = detail(&soon("a refusal", consumer.list_offsets(queries)).await.unwrap_err());
        assert_eq!(refused.code, ErrorCode::InvalidRequest);
        assert!(refused.message.contains("is false"), "{refused}");
    }
    let fetch = v1::FetchRecordsRequest { topic: "t".to_owned(), max_wait_ms: 30_001, ..Default::default() };
    let refused = detail(&soon("a refusal", consumer.fetch_records(fetch)).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    assert!(refused.message.contains("30000"), "{refused}");
    let request = v1::FetchRequest { max_wait_ms: 30_001, ..Default::default() };
    let mut answers = soon("a stream", consumer.fetch(stream::iter([request]))).await.unwrap().into_inner();
    let refused = detail(&soon("a refusal", answers.message()).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_lists_what_is_served_and_knows_the_details_of_errors() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let wanted = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".to_owned()),
        MessageRequest::FileByFilename("google/protobuf/duration.proto".to_owned()),
        MessageRequest::FileContainingSymbol("google.protobuf.Any".to_owned()),
        MessageRequest::FileContainingSymbol("holdfast.v1.ProducerService".to_owned()),
    ];
    let requests = wanted.map(|wanted| ServerReflectionRequest { host: String::new(), message_request: Some(wanted) });
    let mut reflection = ServerReflectionClient::new(client.channel());
    let asked = reflection.server_reflection_info(stream::iter(requests));
    let mut answers = soon("reflection", asked).await.unwrap().into_inner();
    let services = soon("the services", answers.message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = services.message_response else {
        panic!("no list: {services:?}");
    };
    let mut names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let served = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "holdfast.v1.AdminService",
        "holdfast.v1.ConsumerService",
        "holdfast.v1.ProducerService",
    ];
    assert_eq!(names, served);
    for _ in 1..5 {
        let file = soon("a file", answers.message()).await.unwrap().unwrap();
        assert!(
            matches!(file.message_response, Some(MessageResponse::FileDescriptorResponse(_))),
            "{:?}",
            file.original_request
        );
    }
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_many_moves_comes_through() {
    const MOVES: u32 = 100_000;
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let one = |partition| v1::ReplicaMove {
        topic: "a-topic-with-a-name-of-some-length".to_owned(),
        partition,
        old_replicas: vec![1, 2, 3],
        new_replicas: vec![2, 3, 4],
    };
    rig.controller.set_plan((0..MOVES).map(one).collect());
    let mut admin = client.admin().max_decoding_message_size(MAX_MESSAGE_BYTES);
    let plan = soon("a plan", admin.plan_moves(v1::PlanMovesRequest::default())).await.unwrap().into_inner();
    assert_eq!(plan.moves.len(), MOVES as usize);
    soon("the broker stops", broker.stop()).await;
}
