//! Where partitions begin and end: what one of them cannot tell holds up, and hides, no other.

use std::time::Duration;

use futures::StreamExt;

use holdfast_client::{
    Client, Consumer, Error, ErrorCode, OffsetQuery, OffsetSpec, Record, StartAt,
    ids::{Offset, PartitionIndex},
};

use super::given::{builder, within};
use crate::fake::FakeCluster;

const P0: PartitionIndex = PartitionIndex(0);
const P1: PartitionIndex = PartitionIndex(1);

/// A topic `t` with as many records in each of its partitions as the partition's number, all led by broker 1.
async fn filled(cluster: &FakeCluster, partitions: u32) -> Client {
    cluster.add_topic("t", partitions);
    let client = cluster.client().await;
    let producer = builder(&client).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    for partition in 0..partitions {
        for _ in 0..partition {
            let record = Record::new(&topic).partition(PartitionIndex(partition)).value("x");
            within("a delivery", producer.send(record)).await.unwrap();
        }
    }
    client
}

/// A consumer that reads something else.
async fn elsewhere(cluster: &FakeCluster, client: &Client) -> Consumer {
    cluster.add_topic("other", 1);
    Consumer::builder(client.clone()).assign_topic("other", StartAt::Earliest).build().await.unwrap()
}

fn queries(topic: &str, partitions: u32) -> Vec<OffsetQuery> {
    let query = |index| {
        let (topic, partition) = (topic.to_owned(), PartitionIndex(index));
        OffsetQuery { topic, partition, spec: OffsetSpec::Latest }
    };
    (0..partitions).map(query).collect()
}

#[tokio::test]
async fn a_place_that_is_named_twice_takes_no_other_ones_offset() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 4).await;
    let mut consumer = elsewhere(&cluster, &client).await;
    let places = [2, 2, 3, 2, 1].map(|index| ("t", PartitionIndex(index), StartAt::Latest));
    let added = within("the answer", consumer.add_all(&places, Duration::from_secs(10))).await;
    let added: Vec<_> = added.into_iter().map(|offset| offset.unwrap().0).collect();
    assert_eq!(added, [2, 2, 3, 2, 1]);
    assert_eq!(consumer.assignment().count(), 4);
    assert_eq!(consumer.position("t", PartitionIndex(3)).unwrap(), Offset(3));
}

#[tokio::test]
async fn a_new_partition_without_a_leader_keeps_no_other_one_unread() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2).await;
    cluster.elect("t", 0, None);
    let mut consumer = elsewhere(&cluster, &client).await;
    let places = [P0, P1].map(|partition| ("t", partition, StartAt::Earliest));
    let added = within("the answer", consumer.add_all(&places, Duration::from_millis(500))).await;
    let error = added[0].as_ref().unwrap_err();
    assert!(error.is_retriable() && error.to_string().contains("t-0 has no leader now"), "{error}");
    assert_eq!(*added[1].as_ref().unwrap(), Offset(0));
    assert!(within("a record", consumer.next()).await.unwrap().is_ok());
}

#[tokio::test]
async fn an_unknown_topic_is_asked_for_a_few_times_however_many_partitions_are_named() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2).await;
    let mut consumer = elsewhere(&cluster, &client).await;
    let all = (0..100).map(|index| ("typo", PartitionIndex(index), StartAt::Earliest));
    let is_unknown = |error: &holdfast_client::ConsumeError| error.to_string().contains("unknown topic 'typo'");
    let calls = || cluster.state().metadata_calls;

    let before = calls();
    let error = within("the answer", Consumer::builder(client.clone()).assign(all.clone()).build()).await.unwrap_err();
    assert!(is_unknown(&error), "{error}");
    assert!(calls() - before <= 6, "{} times", calls() - before);

    let before = calls();
    let places: Vec<_> = all.chain([("t", P1, StartAt::Earliest)]).collect();
    let added = within("the answer", consumer.add_all(&places, Duration::from_secs(10))).await;
    assert!(added[..100].iter().all(|added| added.as_ref().is_err_and(is_unknown)), "{added:?}");
    added[100].as_ref().unwrap();
    assert!(calls() - before <= 6, "{} times", calls() - before);
}

#[tokio::test]
async fn that_nobody_answers_is_not_told_as_a_partition_without_a_leader() {
    let cluster = FakeCluster::start(1).await;
    let client = cluster.client().await;
    cluster.add_topic("t", 2);
    cluster.kill(1);
    let admin = client.admin();
    let found = within("the answer", admin.list_offsets_each(&queries("t", 2), Duration::from_millis(500))).await;
    for found in found {
        let error = found.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_topic_that_is_deleted_while_it_is_looked_up_is_named() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2).await;
    cluster.elect("t", 0, None);
    let looking = tokio::spawn({
        let client = client.clone();
        async move { client.admin().list_offsets_each(&queries("t", 2), Duration::from_secs(15)).await }
    });
    let calls = cluster.state().metadata_calls;
    cluster.wait_until("the client looks again", |state| state.metadata_calls > calls + 1).await;
    client.admin().delete_topic("t").await.unwrap();
    let found = within("the answer", looking).await.unwrap();
    let error = found[0].as_ref().unwrap_err();
    assert!(matches!(error, Error::UnknownTopic(_)), "{error}");
    assert_eq!(found[1].as_ref().unwrap().offset, Some(Offset(1)), "it was found before");
}

#[tokio::test]
async fn who_reads_from_the_beginning_needs_no_end() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 3).await;
    cluster.state().topics.get_mut("t").unwrap().partitions.iter_mut().for_each(|known| known.end_is_unknown = true);
    let reading = Consumer::builder(client.clone()).assign([("t", P1, StartAt::Earliest)]);
    let mut consumer = within("the start", reading.build()).await.unwrap();
    assert_eq!(within("a record", consumer.next()).await.unwrap().unwrap().partition, P1);
    let added = consumer.add("t", PartitionIndex(2), StartAt::Offset(Offset(1)));
    assert_eq!(within("the answer", added).await.unwrap(), Offset(1));
    assert_eq!(within("a record", consumer.next()).await.unwrap().unwrap().offset, Offset(1));
}

#[tokio::test]
async fn a_partition_that_never_tells_where_it_begins_stops_alone() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2).await;
    cluster.state().topics.get_mut("t").unwrap().partitions[0].damaged = true;
    let reading = Consumer::builder(client.clone()).assign_topic("t", StartAt::Earliest);
    let mut consumer = within("the start", reading.build()).await.unwrap();
    let (mut records, mut problems) = (0, Vec::new());
    while records < 1 || problems.is_empty() {
        match within("what comes", consumer.next()).await.unwrap() {
            Ok(message) => records += usize::from(message.partition == P1),
            Err(error) => problems.push((error.partition(), error.code())),
        }
    }
    assert_eq!(problems, [(Some(P0), Some(ErrorCode::LogDamaged))]);

    cluster.state().topics.get_mut("t").unwrap().partitions[1].damaged = true;
    let nothing = Consumer::builder(client).assign_topic("t", StartAt::Earliest).build();
    let error = within("the answer", nothing).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::LogDamaged), "{error}");
}

#[tokio::test]
async fn an_offset_that_no_partition_can_hold_is_refused_by_name() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2).await;
    let beyond = StartAt::Offset(Offset(1 << 63));
    let is_it = |error: &holdfast_client::ConsumeError| error.to_string().contains("t-0: offset 9223372036854775808");
    let assignment = [("t", P0, beyond), ("t", P1, StartAt::Earliest)];
    let mut consumer = Consumer::builder(client.clone()).assign(assignment).build().await.unwrap();
    let first = within("what comes", consumer.next()).await.unwrap();
    let second = within("what comes", consumer.next()).await.unwrap();
    assert_eq!([&first, &second].iter().filter(|next| next.is_ok()).count(), 1, "{first:?}, {second:?}");
    assert!(first.err().or(second.err()).is_some_and(|error| is_it(&error)));

    let error = within("the answer", consumer.seek("t", P0, beyond)).await.unwrap_err();
    assert!(is_it(&error), "{error}");
    let mut other = elsewhere(&cluster, &client).await;
    let error = within("the answer", other.add("t", P0, beyond)).await.unwrap_err();
    assert!(is_it(&error), "{error}");
}
