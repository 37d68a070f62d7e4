//! What a client may send by error or by malice: each a named error, nothing half done, the broker alive.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use holdfast_eventually::PATIENCE;
use holdfast_proto::{
    batch::{BatchBuilder, Compression, Header, RecordRef},
    error::ErrorCode,
    ids::TimestampMs,
    status::from_status,
    v1,
};

use crate::rig::{Client, Rig, batch, produce_until, soon};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_batches_are_refused_by_name_and_leave_no_trace() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    assert_eq!(produce_until(&client, "t", 0, &["first"]).await, 0);
    let mut stream = client.stream().await;
    let good = batch(&["a", "b"]);
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let mut two = good.to_vec();
    two.extend_from_slice(&good);
    let large = "x".repeat(2_000_000);
    let cases: Vec<(&str, Bytes)> = vec![
        ("CORRUPT_MESSAGE", flipped.into()),
        ("CORRUPT_MESSAGE", good.slice(..good.len() - 3)),
        ("INVALID_RECORD", two.into()),
        ("MESSAGE_TOO_LARGE", batch(&[&large])),
    ];
    for (expected, bytes) in cases.into_iter().chain(small_batches_that_grow()) {
        assert_eq!(stream.produce("t", 0, bytes).await, Err(expected.to_owned()));
    }
    for garbage in [Bytes::new(), Bytes::from_static(b"garbage"), Bytes::from(vec![0xff; 500])] {
        let name = stream.produce("t", 0, garbage).await.unwrap_err();
        assert!(["CORRUPT_MESSAGE", "INVALID_RECORD"].contains(&name.as_str()), "{name}");
    }
    assert_eq!(stream.produce("nowhere", 0, good.clone()).await, Err("UNKNOWN_TOPIC_OR_PARTITION".to_owned()));
    assert_eq!(stream.produce("t", 9, good.clone()).await, Err("UNKNOWN_TOPIC_OR_PARTITION".to_owned()));
    assert_eq!(stream.produce("t", u32::MAX, good.clone()).await, Err("INVALID_REQUEST".to_owned()));
    for (epoch, expected) in [(0, "FENCED_LEADER_EPOCH"), (99, "UNKNOWN_LEADER_EPOCH")] {
        let current = broker.context().partitions.all()[0].view().leader_epoch.unwrap().0;
        let request = v1::ProduceRequest {
            correlation_id: 99,
            topic: "t".to_owned(),
            leader_epoch: Some(epoch.min(current + 1)),
            batch: good.clone(),
            ..Default::default()
        };
        if epoch == 0 && current == 0 {
            continue;
        }
        stream.requests.send(request).await.unwrap();
        assert_eq!(stream.answer().await.error.unwrap().name, expected);
    }
    assert_eq!(stream.produce("t", 0, good).await, Ok(1), "nothing of all that was appended");
    soon("the broker stops", broker.stop()).await;
}

/// Few bytes that no reader could take into memory: one huge record, and one of very many headers.
fn small_batches_that_grow() -> Vec<(&'static str, Bytes)> {
    let built = |value: &[u8], headers: &[Header]| {
        let mut builder = BatchBuilder::new(Compression::Zstd);
        let record = RecordRef { timestamp: TimestampMs(1_000), key: None, value: Some(value), headers };
        builder.append(&record).unwrap();
        builder.build(None).unwrap()
    };
    let zeros = built(&vec![0; 65 << 20], &[]);
    let headers = built(&[], &vec![Header { key: String::new(), value: None }; 3_000_000]);
    assert!(zeros.len() < 100_000 && headers.len() < 100_000, "{} and {} bytes", zeros.len(), headers.len());
    vec![("MESSAGE_TOO_LARGE", zeros), ("MESSAGE_TOO_LARGE", headers)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_waits_behind_earlier_batches_of_its_partition() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let mut stream = client.stream().await;
    for round in 0..50 {
        let bytes = if round % 2 == 0 { batch(&["a"]) } else { Bytes::from_static(b"garbage") };
        stream.send("t", 0, bytes).await;
    }
    for expected in 1..=50 {
        assert_eq!(stream.answer().await.correlation_id, expected);
    }
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_calls_are_refused_by_name() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let code = |status: tonic::Status| from_status(&status).expect("an error of ours").code;
    let fetch = |topic: &str, fetch_offset| v1::FetchRecordsRequest {
        topic: topic.to_owned(),
        fetch_offset,
        ..Default::default()
    };
    let mut consumer = client.consumer();
    for (request, expected) in [
        (fetch("t", 1_000), ErrorCode::OffsetOutOfRange),
        (fetch("t", u64::MAX), ErrorCode::InvalidRequest),
        (fetch("nowhere", 0), ErrorCode::UnknownTopicOrPartition),
    ] {
        assert_eq!(code(consumer.fetch_records(request).await.unwrap_err()), expected);
    }
    let acks_none = v1::ProduceRecordsRequest {
        topic: "t".to_owned(),
        acks: v1::Acks::None.into(),
        records: vec![v1::PlainRecord::default()],
        ..Default::default()
    };
    assert_eq!(code(client.producer().produce_records(acks_none).await.unwrap_err()), ErrorCode::InvalidRequiredAcks);
    let half = v1::InitProducerIdRequest { producer_id: Some(5), producer_epoch: None };
    assert_eq!(code(client.producer().init_producer_id(half).await.unwrap_err()), ErrorCode::InvalidRequest);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_wire_harms_nobody_else() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let addresses = broker.context().identity.addresses.clone();
    for address in [&addresses.client, &addresses.peer] {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.write_all(&[0x5a; 5_000]).await.unwrap();
        let mut answer = Vec::new();
        // The broker closes the connection; whatever it says before that does not matter.
        let closed = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "the connection stands after garbage");
    }
    let client = Client::connect(&broker).await;
    assert_eq!(produce_until(&client, "t", 0, &["a"]).await, 0);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_no_replica() {
    use holdfast_proto::{convert::peer_header, ids::ClusterId, v1::replica_service_client::ReplicaServiceClient};
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let address = format!("http://{}", broker.context().identity.addresses.peer);
    let channel = tonic::transport::Channel::from_shared(address).unwrap().connect().await.unwrap();
    let ours = rig.controller.cluster_id;
    let theirs = ClusterId(uuid::Uuid::new_v4());
    for (header, expected) in [
        (None, ErrorCode::InvalidRequest),
        (Some(peer_header(theirs, 1, 2)), ErrorCode::InconsistentClusterId),
        (Some(peer_header(ours, 7, 2)), ErrorCode::WrongNode),
        (Some(peer_header(ours, 1, 1)), ErrorCode::StaleBrokerEpoch),
    ] {
        let hello = v1::FetchReplicaRequest { header, ..Default::default() };
        let mut client = ReplicaServiceClient::new(channel.clone());
        let refused = soon("an answer", client.fetch_replica(futures::stream::iter([hello]))).await;
        let error = refused.err().and_then(|status| from_status(&status)).expect("it is refused");
        assert_eq!(error.code, expected);
    }
    // The replicas' service is not on the clients' port.
    let client = Client::connect(&broker).await;
    let hello = v1::FetchReplicaRequest { header: Some(peer_header(ours, 1, 2)), ..Default::default() };
    let refused = ReplicaServiceClient::new(client.channel()).fetch_replica(futures::stream::iter([hello])).await;
    assert_eq!(refused.err().map(|status| status.code()), Some(tonic::Code::Unimplemented));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followers_stream_that_never_says_who_it_is_ends() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let address = format!("http://{}", broker.context().identity.addresses.peer);
    let channel = tonic::transport::Channel::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = v1::replica_service_client::ReplicaServiceClient::new(channel);
    let status = soon("an end", client.fetch_replica(futures::stream::pending())).await.unwrap_err();
    assert_eq!(from_status(&status).unwrap().code, ErrorCode::RequestTimedOut);
    soon("the broker stops", broker.stop()).await;
}
