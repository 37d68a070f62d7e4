use tonic::{Request, Status, metadata::MetadataValue};
use uuid::Uuid;

use holdfast_controller::config::Config;
use holdfast_proto::{
    convert::peer_header,
    error::ErrorCode,
    ids::ClusterId,
    status::from_status,
    v1::{
        AlterTopicRequest, ConfigEntry, CreateTopicRequest, DeleteTopicRequest, DescribeClusterRequest,
        DescribeTopicConfigRequest, GetMetadataRequest, RegisterBrokerRequest,
    },
};

use crate::{
    broker::{Broker, Disk},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

fn with_broker() -> (Quorum, Broker) {
    let quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    eventually("a live broker", || {
        let image = quorum.node(quorum.active()).node().view().image();
        image.brokers().values().any(|broker| !broker.fenced).then_some(())
    });
    quorum.converge();
    (quorum, broker)
}

fn topic(name: &str) -> CreateTopicRequest {
    CreateTopicRequest { name: name.to_owned(), replication_factor: 1, ..CreateTopicRequest::default() }
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> ErrorCode {
    from_status(&result.expect_err("a refusal")).expect("our error").code
}

#[test]
fn writes_on_any_controller_and_reads_with_their_index() {
    let (quorum, _broker) = with_broker();
    let passive = quorum.passive();
    let mut admin = quorum.admin(passive);
    let created = quorum.block_on(admin.create_topic(topic("t"))).expect("forwarded").into_inner();
    assert_eq!(created.topic.as_ref().expect("a topic").partitions.len(), 6, "the cluster's default");
    assert!(created.index > 0);
    let request = GetMetadataRequest {
        topics: vec!["t".to_owned(), "u".to_owned()],
        min_index: created.index,
        ..GetMetadataRequest::default()
    };
    let read = quorum.block_on(admin.get_metadata(request)).expect("a read").into_inner();
    assert!(read.index >= created.index);
    assert_eq!(read.topics, [created.topic.expect("a topic")]);
    assert_eq!(read.unknown_topics, ["u"]);

    let alter = AlterTopicRequest {
        name: "t".to_owned(),
        configs: vec![ConfigEntry {
            key: "retention.ms".to_owned(),
            value: Some("1000".to_owned()),
            is_default: false,
        }],
        ..AlterTopicRequest::default()
    };
    let altered = quorum.block_on(admin.alter_topic(alter)).expect("altered").into_inner();
    eventually("the change here", || {
        (quorum.node(passive).node().view().image().index().0 >= altered.index).then_some(())
    });
    let configs = DescribeTopicConfigRequest { name: "t".to_owned() };
    let configs = quorum.block_on(admin.describe_topic_config(configs)).expect("configs").into_inner().configs;
    let retention = configs.iter().find(|entry| entry.key == "retention.ms").expect("the key");
    assert_eq!((retention.value.as_deref(), retention.is_default), (Some("1000"), false));

    let delete = DeleteTopicRequest { name: "t".to_owned(), topic_id: bytes::Bytes::new() };
    quorum.block_on(admin.delete_topic(delete.clone())).expect("deleted");
    assert_eq!(code(quorum.block_on(admin.delete_topic(delete))), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn a_deletion_by_id_means_what_was_seen_and_not_what_has_its_name_now() {
    let (quorum, _broker) = with_broker();
    let mut admin = quorum.admin(quorum.passive());
    let mut create = || {
        let created = quorum.block_on(admin.create_topic(topic("t"))).expect("created").into_inner();
        created.topic.expect("a topic").topic_id
    };
    let seen = create();
    let mut admin = quorum.admin(quorum.passive());
    let mut delete = |topic_id: &bytes::Bytes| {
        let request = DeleteTopicRequest { name: "t".to_owned(), topic_id: topic_id.clone() };
        quorum.block_on(admin.delete_topic(request))
    };
    delete(&seen).expect("deleted");
    let made_again = create();
    assert_eq!(code(delete(&seen)), ErrorCode::UnknownTopicId);
    assert_eq!(quorum.node(quorum.active()).node().view().image().topic_count(), 1);
    delete(&made_again).expect("deleted");
}

#[test]
fn validation_alone_changes_nothing() {
    let (quorum, _broker) = with_broker();
    let mut admin = quorum.admin(quorum.passive());
    let request = CreateTopicRequest { validate_only: true, ..topic("t") };
    let answer = quorum.block_on(admin.create_topic(request)).expect("valid").into_inner();
    assert_eq!(answer.index, 0);
    assert!(answer.topic.expect("a topic").topic_id.is_empty());
    let bad = CreateTopicRequest { validate_only: true, replication_factor: 9, ..topic("t") };
    assert_eq!(code(quorum.block_on(admin.create_topic(bad))), ErrorCode::InvalidReplicationFactor);
    assert_eq!(quorum.node(quorum.active()).node().view().image().topic_count(), 0);
}

#[test]
fn the_cluster_is_described_by_each() {
    let (quorum, _broker) = with_broker();
    let active = quorum.node(quorum.active()).node().id();
    for at in 0..3 {
        let mut admin = quorum.admin(at);
        let answer =
            quorum.block_on(admin.describe_cluster(DescribeClusterRequest {})).expect("an answer").into_inner();
        assert_eq!(answer.cluster_id, quorum.cluster_id().to_bytes());
        assert_eq!(answer.active_controller, Some(active));
        assert_eq!(answer.controllers.len(), 3);
        assert_eq!(answer.brokers.len(), 1);
        assert!(answer.index > 0 && answer.term > 0);
    }
}

#[test]
fn what_is_sent_to_the_wrong_controller_names_the_right_one() {
    let (quorum, _broker) = with_broker();
    let (active, passive) = (quorum.active(), quorum.passive());
    let request = |cluster, target| RegisterBrokerRequest {
        header: Some(peer_header(cluster, target, 7)),
        broker_id: 7,
        ..RegisterBrokerRequest::default()
    };
    let mut client = quorum.controller(passive);
    let refused = quorum.block_on(client.register_broker(request(quorum.cluster_id(), 0))).expect_err("refused");
    let detail = from_status(&refused).expect("our error");
    assert_eq!(detail.code, ErrorCode::NotController);
    assert_eq!(detail.controller.expect("a hint").address, quorum.addresses[active]);
    let other = ClusterId(Uuid::from_u128(1));
    assert_eq!(code(quorum.block_on(client.register_broker(request(other, 0)))), ErrorCode::InconsistentClusterId);
    let wrong_node = request(quorum.cluster_id(), 12);
    assert_eq!(code(quorum.block_on(client.register_broker(wrong_node))), ErrorCode::WrongNode);
    let mut admin = quorum.admin(passive);
    let mut forwarded = Request::new(topic("t"));
    forwarded.metadata_mut().insert("holdfast-forwarded", MetadataValue::from_static("1"));
    assert_eq!(code(quorum.block_on(admin.create_topic(forwarded))), ErrorCode::NotController, "no second hop");
}

#[test]
fn a_controller_without_a_majority_refuses_writes_and_answers_reads() {
    let (mut quorum, _broker) = with_broker();
    let active = quorum.active();
    for at in (0..3).filter(|at| *at != active) {
        quorum.kill(at);
    }
    eventually("the lease to end", || (!quorum.node(active).node().is_active()).then_some(()));
    let mut admin = quorum.admin(active);
    let refused = quorum.block_on(admin.create_topic(topic("t")));
    assert_eq!(code(refused), ErrorCode::NotController);
    let request = GetMetadataRequest { all_topics: true, ..GetMetadataRequest::default() };
    let read = quorum.block_on(admin.get_metadata(request)).expect("a read").into_inner();
    assert_eq!(read.brokers.len(), 1);
}

#[test]
fn health_and_reflection_are_served() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let quorum = Quorum::formed(3, same);
    for at in 0..3 {
        let mut health = HealthClient::new(quorum.channel(at));
        for service in ["started", "live", "ready", "safe-to-stop-next", ""] {
            eventually(service, || {
                let request = HealthCheckRequest { service: service.to_owned() };
                let answer = quorum.block_on(health.check(request)).ok()?.into_inner();
                (answer.status == ServingStatus::Serving as i32).then_some(())
            });
        }
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(quorum.channel(0));
    let services = quorum.block_on(async {
        let answers = reflection.server_reflection_info(tokio_stream::iter([request])).await.expect("reflection");
        answers.into_inner().message().await.expect("a message").expect("an answer")
    });
    let Some(MessageResponse::ListServicesResponse(list)) = services.message_response else {
        panic!("{services:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for wanted in ["holdfast.v1.AdminService", "holdfast.v1.ControllerService", "grpc.health.v1.Health"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert!(!names.contains(&"holdfast.v1.ProducerService"), "not served here: {names:?}");
}

#[test]
fn garbage_is_a_named_error_and_harms_nothing() {
    use holdfast_proto::v1::{AppendEntriesRequest, RaftEnvelope, raft_service_client::RaftServiceClient};
    use std::io::Write as _;
    let quorum = Quorum::formed(1, same);
    let mut raft = RaftServiceClient::new(quorum.channel(0));
    let id = quorum.node(0).node().id();
    let envelope = |format, body: &'static [u8]| AppendEntriesRequest {
        envelope: Some(RaftEnvelope {
            header: Some(peer_header(quorum.cluster_id(), id, 1)),
            format,
            body: bytes::Bytes::from_static(body),
            ..RaftEnvelope::default()
        }),
    };
    for request in [AppendEntriesRequest { envelope: None }, envelope(1, b"{\"vote\":"), envelope(9, b"{}")] {
        assert_eq!(code(quorum.block_on(raft.append_entries(request))), ErrorCode::InvalidRequest);
    }
    let mut raw = std::net::TcpStream::connect(&quorum.addresses[0]).expect("a connection");
    raw.write_all(&[0x5a; 4_096]).expect("garbage sent");
    let mut client = quorum.controller(0);
    let short = RegisterBrokerRequest {
        header: Some(peer_header(quorum.cluster_id(), 0, 1)),
        broker_id: 1,
        directory_id: bytes::Bytes::from_static(b"short"),
        ..RegisterBrokerRequest::default()
    };
    assert_eq!(code(quorum.block_on(client.register_broker(short))), ErrorCode::InvalidRequest);
    assert!(quorum.node(0).node().is_active());
}
