//! Every record once and in order, or a named error.

use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;

use holdfast_client::{
    Client, ClientConfig, Compression, ConsumeError, Consumer, ErrorCode, Producer, Record, StartAt,
    ids::{Offset, PartitionIndex, TimestampMs},
};
use holdfast_proto::batch::{BatchBuilder, RecordRef};

use super::given::{builder, numbers, within};
use crate::fake::{FakeCluster, FakePartition, FetchFault, ProduceFault};

const P0: PartitionIndex = PartitionIndex(0);

/// A topic `t` with so many records in partition 0, ten a batch, each at its number as time.
async fn filled(cluster: &FakeCluster, records: usize) -> Client {
    cluster.add_topic("t", 1);
    let client = cluster.client().await;
    let producer = builder(&client).build().await.unwrap();
    append(&producer, 0..records).await;
    producer.close(Duration::from_secs(5)).await;
    client
}

async fn append(producer: &Producer, numbers: std::ops::Range<usize>) {
    let topic = producer.topic("t").await.unwrap();
    for first in numbers.clone().step_by(10) {
        let mut futures = Vec::new();
        for number in first..(first + 10).min(numbers.end) {
            let value = number.to_string();
            let record = Record::new(&topic).partition(P0).timestamp(TimestampMs(number as i64)).value(&value);
            futures.push(producer.enqueue(record).await.unwrap());
        }
        within("all", futures::future::try_join_all(futures)).await.unwrap();
    }
}

async fn consumer(client: &Client, start: StartAt) -> Consumer {
    Consumer::builder(client.clone()).assign([("t", P0, start)]).build().await.unwrap()
}

/// The next so many values.
async fn read(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let message = within("a message", consumer.next()).await.unwrap().unwrap();
        values.push(String::from_utf8(message.value.unwrap().to_vec()).unwrap());
    }
    values
}

async fn read_error(consumer: &mut Consumer) -> ConsumeError {
    loop {
        if let Err(error) = within("an error", consumer.next()).await.unwrap() {
            return error;
        }
    }
}

#[tokio::test]
async fn everything_is_read_once_in_order_and_then_what_comes() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 95).await;
    let mut consumer = consumer(&client, StartAt::Earliest).await;
    assert!(!consumer.is_at_end("t", P0).unwrap());
    assert_eq!(read(&mut consumer, 95).await, numbers(95));
    assert!(consumer.is_at_end("t", P0).unwrap());
    assert_eq!(consumer.position("t", P0).unwrap(), Offset(95));
    assert_eq!(consumer.end_offsets(Duration::from_secs(5)).await.unwrap(), [Offset(95)]);

    let producer = builder(&client).build().await.unwrap();
    append(&producer, 95..120).await;
    assert_eq!(read(&mut consumer, 25).await, numbers(120)[95..]);
    assert_eq!(consumer.lag("t", P0).unwrap(), Some(0));
}

#[tokio::test]
async fn the_end_of_an_empty_partition_is_known() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 0).await;
    let consumer = consumer(&client, StartAt::Earliest).await;
    assert!(consumer.is_at_end("t", P0).unwrap());
}

#[tokio::test]
async fn batches_and_messages_can_be_mixed() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 40).await;
    let mut consumer = consumer(&client, StartAt::Offset(Offset(3))).await;
    assert_eq!(read(&mut consumer, 1).await, ["3"]);
    let mut next = 4;
    while next < 40 {
        let batch = within("a batch", consumer.next_batch()).await.unwrap().unwrap();
        for record in batch.records {
            assert_eq!(record.offset, Offset(next));
            next += 1;
        }
        assert_eq!(consumer.position("t", P0).unwrap(), Offset(next));
    }
}

#[tokio::test]
async fn a_gap_is_an_error_and_seeking_goes_on() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 30).await;
    cluster.script_fetch([FetchFault::SkipFirstBatch]);
    let mut consumer = consumer(&client, StartAt::Earliest).await;
    let error = read_error(&mut consumer).await;
    assert!(matches!(error, ConsumeError::DataLoss { expected: Offset(0), .. }), "{error}");
    assert!(within("the end", consumer.next()).await.is_none(), "a partition that failed gives nothing more");
    consumer.seek("t", P0, StartAt::Earliest).await.unwrap();
    assert_eq!(read(&mut consumer, 30).await, numbers(30));
}

#[tokio::test]
async fn damage_is_fetched_again_once_and_then_named() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 20).await;
    cluster.script_fetch([FetchFault::FlipByte]);
    let mut once = consumer(&client, StartAt::Earliest).await;
    assert_eq!(read(&mut once, 20).await, numbers(20));

    cluster.script_fetch([FetchFault::FlipByte, FetchFault::FlipByte]);
    let mut twice = consumer(&client, StartAt::Earliest).await;
    let error = read_error(&mut twice).await;
    let ConsumeError::Corrupt { offset: Offset(0), next_offset: Some(next), .. } = error else { panic!("{error}") };
    assert_eq!((next, error.code()), (Offset(10), Some(ErrorCode::CorruptMessage)));
    assert!(error.to_string().contains("begins at offset 10"), "{error}");
    twice.seek("t", P0, StartAt::Offset(next)).await.unwrap();
    assert_eq!(read(&mut twice, 10).await, numbers(20)[10..]);
}

#[tokio::test]
async fn a_partition_that_came_later_is_added_to_what_is_read() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 20).await;
    let mut consumer = consumer(&client, StartAt::Earliest).await;
    assert_eq!(read(&mut consumer, 20).await, numbers(20));
    let partition = FakePartition { leader: Some(1), ..FakePartition::default() };
    cluster.state().topics.get_mut("t").unwrap().partitions.push(partition);
    let missing = within("the answer", consumer.add("t", PartitionIndex(2), StartAt::Earliest)).await.unwrap_err();
    assert!(missing.to_string().contains("unknown partition '2' of t"), "{missing}");
    within("the answer", consumer.add("t", PartitionIndex(1), StartAt::Earliest)).await.unwrap();
    let producer = builder(&client).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let record = Record::new(&topic).partition(PartitionIndex(1)).value("new");
    within("a delivery", producer.send(record)).await.unwrap();
    assert_eq!(read(&mut consumer, 1).await, ["new"]);
}

#[tokio::test]
async fn a_beginning_that_is_deleted_before_it_is_read_is_the_new_beginning() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 40).await;
    cluster.script_fetch([FetchFault::DeleteFirstBatch]);
    let mut consumer = consumer(&client, StartAt::Earliest).await;
    assert_eq!(read(&mut consumer, 30).await, numbers(40)[10..]);
    assert_eq!(consumer.position("t", P0).unwrap(), Offset(40));
}

#[tokio::test]
async fn an_offset_out_of_range_is_an_error_and_no_reset() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 20).await;
    let mut consumer = consumer(&client, StartAt::Offset(Offset(21))).await;
    let error = read_error(&mut consumer).await;
    assert!(
        matches!(error, ConsumeError::OffsetOutOfRange { offset: Offset(21), high_watermark: Offset(20), .. }),
        "{error}"
    );
    assert_eq!(consumer.position("t", P0).unwrap(), Offset(21));
    consumer.seek("t", P0, StartAt::Latest).await.unwrap();
    append(&builder(&client).build().await.unwrap(), 20..21).await;
    assert_eq!(read(&mut consumer, 1).await, ["20"]);
}

#[tokio::test]
async fn seeking_goes_to_offsets_times_and_ends() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 50).await;
    let mut consumer = consumer(&client, StartAt::Timestamp(TimestampMs(17))).await;
    assert_eq!(read(&mut consumer, 2).await, ["17", "18"]);
    consumer.seek("t", P0, StartAt::Offset(Offset(42))).await.unwrap();
    assert_eq!(read(&mut consumer, 2).await, ["42", "43"]);
    consumer.seek("t", P0, StartAt::Earliest).await.unwrap();
    assert_eq!(read(&mut consumer, 50).await, numbers(50));
    let late = consumer.seek("t", P0, StartAt::Timestamp(TimestampMs(1_000))).await.unwrap();
    assert_eq!(late, Offset(50));
    let wrong = consumer.seek("t", PartitionIndex(9), StartAt::Earliest).await.unwrap_err();
    assert!(matches!(wrong, ConsumeError::NotAssigned { .. }), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_streams_refusals_and_new_leaders_are_followed_without_a_gap() {
    let cluster = FakeCluster::start(3).await;
    let client = filled(&cluster, 300).await;
    cluster.script_fetch([
        FetchFault::Break,
        FetchFault::Refuse(ErrorCode::OffsetNotAvailable),
        FetchFault::Serve,
        FetchFault::Break,
        FetchFault::Refuse(ErrorCode::UnknownLeaderEpoch),
    ]);
    let builder = Consumer::builder(client.clone()).assign_topic("t", StartAt::Earliest);
    let mut consumer = builder.partition_max_bytes(1 << 10).fetch_max_bytes(1 << 10).build().await.unwrap();
    let mut values = read(&mut consumer, 100).await;
    cluster.elect("t", 0, Some(2));
    values.extend(read(&mut consumer, 100).await);
    cluster.elect("t", 0, Some(3));
    cluster.kill(2);
    values.extend(read(&mut consumer, 100).await);
    assert_eq!(values, numbers(300));
}

#[tokio::test]
async fn a_paused_partition_waits_and_loses_nothing() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("u", 1);
    let client = filled(&cluster, 30).await;
    let producer = builder(&client).build().await.unwrap();
    let other = producer.topic("u").await.unwrap();
    within("a delivery", producer.send(Record::new(&other).value("u"))).await.unwrap();
    let assignment = [("t", P0, StartAt::Earliest), ("u", P0, StartAt::Latest)];
    let mut consumer = Consumer::builder(client).assign(assignment).build().await.unwrap();
    assert_eq!(read(&mut consumer, 5).await, numbers(5));
    consumer.pause("t", P0).unwrap();
    within("a delivery", producer.send(Record::new(&other).value("v"))).await.unwrap();
    assert_eq!(read(&mut consumer, 1).await, ["v"]);
    consumer.resume("t", P0).unwrap();
    assert_eq!(read(&mut consumer, 25).await, numbers(30)[5..]);
}

#[tokio::test]
async fn a_slow_caller_is_not_fetched_for_beyond_the_bound() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 2_000).await;
    let builder = Consumer::builder(client).assign([("t", P0, StartAt::Earliest)]);
    let small = 1 << 10;
    let mut consumer =
        builder.partition_max_bytes(small).fetch_max_bytes(small).prefetch_bytes(small).build().await.unwrap();
    assert_eq!(read(&mut consumer, 1).await, ["0"]);
    let whole = within("the rest", read(&mut consumer, 1_999)).await;
    assert_eq!(whole, numbers(2_000)[1..]);
    let requests = cluster.state().fetch_requests;
    assert!(requests >= 10, "{requests} requests for what needs many answers of {small} bytes");
}

#[tokio::test]
async fn a_batch_that_the_client_cannot_take_is_an_error_and_is_not_asked_for_again_and_again() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 10).await;
    let mut large = BatchBuilder::new(Compression::None);
    large.append(&RecordRef { value: Some(&vec![b'x'; 18 << 20]), ..RecordRef::default() }).unwrap();
    cluster.state().topics.get_mut("t").unwrap().partitions[0].append(&large.build(None).unwrap(), usize::MAX).unwrap();
    append(&builder(&client).build().await.unwrap(), 11..12).await;
    let config = ClientConfig { max_message_bytes: 17 << 20, ..cluster.config() };
    let mut consumer = consumer(&Client::connect(config).await.unwrap(), StartAt::Earliest).await;
    assert_eq!(read(&mut consumer, 10).await, numbers(10));
    let error = read_error(&mut consumer).await;
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
    assert!(cluster.state().fetch_requests < 10, "{} requests", cluster.state().fetch_requests);
    consumer.seek("t", P0, StartAt::Offset(Offset(11))).await.unwrap();
    assert_eq!(read(&mut consumer, 1).await, ["11"]);

    let small = ClientConfig { max_message_bytes: 10 << 20, ..cluster.config() };
    let small = Consumer::builder(Client::connect(small).await.unwrap()).assign_topic("t", StartAt::Earliest);
    let error = small.build().await.unwrap_err();
    assert!(error.to_string().contains("max_message_bytes"), "{error}");
}

#[tokio::test]
async fn streams_that_open_and_break_each_time_are_opened_after_pauses_that_grow() {
    let cluster = FakeCluster::start(1).await;
    filled(&cluster, 10).await;
    let config = ClientConfig { retry_backoff_max: Duration::from_millis(400), ..cluster.config() };
    let client = Client::connect(config).await.unwrap();
    // 5, 10, 20 and so on up to 5 of 400 ms, each cut by half at most.
    let least = Duration::from_millis(1_300);
    cluster.script_fetch([FetchFault::Break; 12]);
    let start = Instant::now();
    let mut reading = consumer(&client, StartAt::Earliest).await;
    assert_eq!(read(&mut reading, 10).await, numbers(10));
    assert!(start.elapsed() >= least, "12 streams in {:?}", start.elapsed());

    let producer = builder(&client).build().await.unwrap();
    cluster.script([ProduceFault::LoseAndBreak; 12]);
    let start = Instant::now();
    append(&producer, 10..11).await;
    assert!(start.elapsed() >= least, "12 streams in {:?}", start.elapsed());
}

#[tokio::test]
async fn seeking_in_a_topic_that_was_created_again_is_refused_by_name() {
    for is_known in [true, false] {
        let cluster = FakeCluster::start(1).await;
        let client = filled(&cluster, 20).await;
        cluster.script_fetch([FetchFault::SkipFirstBatch]);
        let mut consumer = consumer(&client, StartAt::Earliest).await;
        let error = read_error(&mut consumer).await;
        assert!(matches!(error, ConsumeError::DataLoss { .. }), "{error}");
        client.admin().delete_topic("t").await.unwrap();
        filled(&cluster, 20).await;
        if is_known {
            let asked = consumer.add("t", PartitionIndex(9), StartAt::Earliest); // looks at the topic as it is now
            within("the answer", asked).await.unwrap_err();
        }
        let sought = within("the answer", consumer.seek("t", P0, StartAt::Earliest)).await;
        let error = match sought {
            Err(error) => error,
            Ok(_) if is_known => panic!("the client knows that it is another topic"),
            Ok(_) => read_error(&mut consumer).await,
        };
        assert!(matches!(error, ConsumeError::TopicGone(_)), "{error}");
    }
}

#[tokio::test]
async fn a_partition_without_a_leader_holds_up_no_other_and_begins_where_it_was_to_begin() {
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for start in [StartAt::Earliest, StartAt::Latest, StartAt::Timestamp(TimestampMs(now))] {
        let cluster = FakeCluster::start(2).await;
        cluster.add_topic("t", 2);
        let client = cluster.client().await;
        let producer = builder(&client).build().await.unwrap();
        let topic = producer.topic("t").await.unwrap();
        let send = async |partition, value, timestamp| {
            let record = Record::new(&topic).partition(PartitionIndex(partition)).value(value);
            within("a delivery", producer.send(record.timestamp(TimestampMs(timestamp)))).await.unwrap();
        };
        send(1, "before", 1).await;
        cluster.elect("t", 1, None);
        let reader = Consumer::builder(client.clone()).assign_topic("t", start);
        let mut consumer = within("the start", reader.start_timeout(Duration::from_millis(500)).build()).await.unwrap();
        let offline = PartitionIndex(1);
        assert_eq!(consumer.high_watermark("t", offline).unwrap(), None);
        consumer.pause("t", offline).unwrap();
        consumer.resume("t", offline).unwrap();
        send(0, "there", now).await;
        assert_eq!(read(&mut consumer, 1).await, ["there"], "{start:?}");
        cluster.elect("t", 1, Some(2));
        send(1, "since", now + 60_000).await; // before the consumer asks where the end is
        let expected: &[&str] = if start == StartAt::Earliest { &["before", "since"] } else { &["since"] };
        assert_eq!(read(&mut consumer, expected.len()).await, expected, "{start:?}");
        assert_eq!(consumer.position("t", offline).unwrap(), Offset(2));

        for partition in [0, 1] {
            cluster.elect("t", partition, None);
        }
        let nothing = Consumer::builder(client).assign_topic("t", start).start_timeout(Duration::from_millis(500));
        let error = within("the answer", nothing.build()).await.unwrap_err();
        assert!(error.is_retriable(), "{error}");
    }
}

#[tokio::test]
async fn a_deleted_topic_is_named() {
    let cluster = FakeCluster::start(1).await;
    let client = filled(&cluster, 10).await;
    let mut consumer = consumer(&client, StartAt::Latest).await;
    client.admin().delete_topic("t").await.unwrap();
    cluster.look_again();
    let error = read_error(&mut consumer).await;
    assert!(matches!(error, ConsumeError::TopicGone(_)), "{error}");
}
