//! Administration, and the client's start.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use holdfast_client::{
    Client, ClientConfig, Error, ErrorCode, NewTopic, OffsetQuery, OffsetSpec, TopicChange,
    admin::{Move, Presence},
    ids::{BrokerId, PartitionIndex},
};

use super::given::within;
use crate::fake::FakeCluster;

#[tokio::test]
async fn topics_are_created_listed_and_deleted() {
    let cluster = FakeCluster::start(2).await;
    let admin = cluster.client().await.admin();
    let created = admin.create_topic(NewTopic::new("orders").partitions(3)).await.unwrap();
    assert_eq!(created.topic.unwrap().partitions.len(), 3);
    let again = admin.create_topic(NewTopic::new("orders").partitions(3)).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(!again.is_in_doubt() && !again.is_retriable());
    assert_eq!(admin.list_topics().await.unwrap()[0].name.as_ref(), "orders");
    assert_eq!(admin.describe_topic("orders").await.unwrap().partitions.len(), 3);
    admin.delete_topic("orders").await.unwrap();
    assert!(matches!(admin.describe_topic("orders").await, Err(Error::UnknownTopic(_))));
}

#[tokio::test]
async fn a_topic_that_was_created_again_meanwhile_is_not_the_one_that_is_deleted() {
    let cluster = FakeCluster::start(1).await;
    let admin = cluster.client().await.admin();
    let create = || admin.create_topic(NewTopic::new("orders").partitions(1));
    let first = create().await.unwrap().topic.unwrap();
    admin.delete_topic("orders").await.unwrap();
    let second = create().await.unwrap().topic.unwrap();
    let error = within("the answer", admin.delete_this_topic(&first)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicId), "{error}");
    assert!(!error.is_in_doubt(), "{error}");
    assert_eq!(admin.describe_topic("orders").await.unwrap().id, second.id);
    admin.delete_this_topic(&second).await.unwrap();
}

#[tokio::test]
async fn a_change_that_may_have_happened_is_not_repeated() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let admin = cluster.client().await.admin();
    // NO_QUORUM leaves the outcome of a change open.
    let error = within("the answer", admin.alter_topic(TopicChange::new("t").partitions(9))).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoQuorum));
    assert!(error.is_in_doubt());
}

#[tokio::test]
async fn what_is_not_there_is_told_at_once_and_nothing_is_in_doubt() {
    let cluster = FakeCluster::start(2).await;
    let config = ClientConfig { admin_timeout: Duration::from_mins(10), ..cluster.config() };
    let admin = Client::connect(config).await.unwrap().admin();
    let change = TopicChange::new("nosuch").set("retention.ms", "5");
    for error in [
        within("the answer to a change", admin.alter_topic(change)).await.unwrap_err(),
        within("the answer to a deletion", admin.delete_topic("nosuch")).await.unwrap_err(),
        within("the answer to a read", admin.topic_config("nosuch")).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
        assert!(!error.is_in_doubt(), "{error}");
    }
}

#[tokio::test]
async fn what_is_tried_until_the_end_ends_with_what_it_met() {
    let cluster = FakeCluster::start(1).await;
    let config = ClientConfig { admin_timeout: Duration::from_millis(300), ..cluster.config() };
    let admin = Client::connect(config).await.unwrap().admin();
    cluster.kill(1);
    let error = within("the answer to a read", admin.describe_cluster()).await.unwrap_err();
    assert!(error.to_string().contains("the broker is dead"), "{error}");
    assert!(!error.is_in_doubt(), "a read changes nothing: {error}");
}

/// A broker that is gone stands among the addresses, where nobody listens.
fn with_a_gone_broker(cluster: &FakeCluster) -> ClientConfig {
    let mut config = cluster.config();
    config.bootstrap.insert(0, "127.0.0.1:1".to_owned());
    cluster.state().brokers.insert(9, "127.0.0.1:1".to_owned());
    config
}

#[tokio::test]
async fn where_no_connection_is_made_nothing_is_done_and_another_is_asked() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    for _ in 0..4 {
        // A client of its own each time: the addresses begin anywhere.
        let admin = Client::connect(with_a_gone_broker(&cluster)).await.unwrap().admin();
        within("the answer to a read", admin.describe_cluster()).await.unwrap();
        for error in [
            within("a change", admin.alter_topic(TopicChange::new("t").partitions(9))).await.unwrap_err(),
            within("a removal", admin.remove_broker(BrokerId(1))).await.unwrap_err(),
        ] {
            assert_eq!(error.code(), Some(ErrorCode::NoQuorum), "it was asked, and says this: {error}");
        }
        within("a creation", admin.create_topic(NewTopic::new("u").partitions(1))).await.unwrap();
        within("a deletion", admin.delete_topic("u")).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_broker_said_is_told_and_not_that_another_is_gone() {
    let cluster = FakeCluster::start(1).await;
    for _ in 0..4 {
        let config = ClientConfig { admin_timeout: Duration::from_millis(400), ..with_a_gone_broker(&cluster) };
        let admin = Client::connect(config).await.unwrap().admin();
        let drained = within("the answer", admin.set_broker_drain(BrokerId(1), true)).await.unwrap_err();
        assert_eq!(drained.code(), Some(ErrorCode::NoQuorum), "{drained}");
    }
}

#[tokio::test]
async fn moves_that_may_have_begun_are_not_begun_again() {
    let cluster = FakeCluster::start(1).await;
    let admin = cluster.client().await.admin();
    let moves = [Move::to("t", PartitionIndex(0), [BrokerId(2), BrokerId(1)])];
    let error = within("the answer", admin.alter_replicas(&moves, None)).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    let error = within("the answer", admin.remove_broker(BrokerId(1))).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
}

#[tokio::test]
async fn calls_pass_by_a_dead_broker() {
    let cluster = FakeCluster::start(3).await;
    let client = cluster.client().await;
    cluster.kill(1);
    cluster.kill(3);
    for _ in 0..5 {
        within("the answer", client.admin().describe_cluster()).await.unwrap();
    }
}

#[tokio::test]
async fn offsets_are_looked_up_at_their_leaders() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 3);
    let admin = cluster.client().await.admin();
    let query = |partition, spec| OffsetQuery { topic: "t".to_owned(), partition: PartitionIndex(partition), spec };
    let queries = [query(2, OffsetSpec::Earliest), query(0, OffsetSpec::Latest), query(1, OffsetSpec::Latest)];
    let found = within("the answer", admin.list_offsets(&queries)).await.unwrap();
    assert!(found.iter().all(|found| found.offset.unwrap().0 == 0));
    let wrong = within("the answer", admin.list_offsets(&[query(3, OffsetSpec::Latest)])).await.unwrap_err();
    assert!(matches!(wrong, Error::UnknownPartition { partition: 3, count: 3, .. }), "{wrong}");
}

#[tokio::test]
async fn a_partition_without_a_leader_hides_no_other() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 3);
    cluster.elect("t", 1, None);
    let admin = cluster.client().await.admin();
    let query = |partition| OffsetQuery {
        topic: "t".to_owned(),
        partition: PartitionIndex(partition),
        spec: OffsetSpec::Latest,
    };
    let within_time = Duration::from_millis(300);
    let found = within("the answer", admin.list_offsets_each(&[0, 1, 2].map(query), within_time)).await;
    let error = found[1].as_ref().unwrap_err();
    assert!(error.to_string().contains("t-1 has no leader now"), "{error}");
    assert!(found[0].is_ok() && found[2].is_ok(), "{found:?}");

    let gone = OffsetQuery { topic: "gone".to_owned(), ..query(0) };
    let found = within("the answer", admin.list_offsets_each(&[gone, query(0), query(3)], within_time)).await;
    assert!(matches!(found[0], Err(Error::UnknownTopic(_))) && found[1].is_ok(), "{found:?}");
    assert!(matches!(found[2], Err(Error::UnknownPartition { .. })), "{found:?}");
}

#[tokio::test]
async fn an_address_that_a_broker_tells_and_nobody_reaches_is_named_with_its_origin() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let config = ClientConfig { admin_timeout: Duration::from_millis(500), ..cluster.config() };
    let told_by = config.bootstrap[0].clone();
    cluster.state().brokers.insert(1, "127.0.0.1:1".to_owned());
    let admin = Client::connect(config).await.unwrap().admin();
    let query = OffsetQuery { topic: "t".to_owned(), partition: PartitionIndex(0), spec: OffsetSpec::Latest };
    let error = within("the answer", admin.list_offsets(&[query])).await.unwrap_err();
    let text = error.to_string();
    for part in ["broker 1", "127.0.0.1:1", &format!("learnt from {told_by}"), "client_advertised_address"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert!(!error.is_in_doubt());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_named() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let config = ClientConfig {
        connect_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(300),
        ..ClientConfig::new([address.clone()])
    };
    let error = within("the answer", Client::connect(config)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{address} takes the connection and says nothing")), "{error}");
}

#[tokio::test]
async fn a_process_that_answers_is_told_from_one_that_is_silent_and_from_nobody() {
    let cluster = FakeCluster::start(1).await;
    let admin = cluster.client().await.admin();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses: Vec<_> = cluster.state().brokers.values().cloned().collect();
    let silent = mute.local_addr().unwrap().to_string();
    let of = async |address: &str| within("the answer", admin.presence(address)).await.unwrap();
    assert_eq!(of(&addresses[0]).await, Some(Presence::Answers));
    assert_eq!(of(&silent).await, Some(Presence::Silent));
    assert_eq!(of("127.0.0.1:1").await, Some(Presence::Nobody));
    let config = ClientConfig { one_address: true, ..cluster.config() };
    let admin = Client::connect(config).await.unwrap().admin();
    assert_eq!(within("the answer", admin.presence(&silent)).await.unwrap(), None, "all lead to the same broker");
}

/// One address that stands for several brokers, of which the first two that are met are gone.
#[tokio::test]
async fn a_bootstrap_address_that_fails_at_first_is_asked_again() {
    let cluster = FakeCluster::start(1).await;
    let config = cluster.config();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bootstrap = vec![service.local_addr().unwrap().to_string()];
    let broker = config.bootstrap[0].clone();
    let serving = tokio::spawn(async move {
        for _ in 0..2 {
            drop(service.accept().await.unwrap());
        }
        let (mut near, _) = service.accept().await.unwrap();
        let mut far = TcpStream::connect(broker).await.unwrap();
        let _ended_by_a_side = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let client = within("a connection", Client::connect(ClientConfig { bootstrap, ..config })).await.unwrap();
    assert!(client.cluster_id().is_some());
    serving.abort();
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let config = ClientConfig { connect_timeout: Duration::from_millis(500), ..ClientConfig::new(["127.0.0.1:1"]) };
    let error = within("the answer", Client::connect(config)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tried: 1, .. }), "{error}");
    assert!(error.is_retriable() && !error.is_in_doubt());
}
