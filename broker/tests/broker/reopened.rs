//! A log that takes nothing any more, where nobody else could take its place.

use std::{fs, io::Write, iter, pin::pin, sync::Arc, time::Duration};

use tokio::time::timeout;

use holdfast_broker::{life::start::Broker, partition::findings::Finding};
use holdfast_metadata::{Command, trust::DistrustReason};
use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicPartition};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

const TOPIC: &[(&str, &str)] = &[("min.insync.replicas", "1"), ("segment.bytes", "65536")];

/// One broker, and a partition on it with the record "a".
async fn with_one_record() -> (Rig, Broker, TopicPartition) {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let topic_id = rig.controller.create_topic("t", 1, 1, TOPIC);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["a"]).await;
    (rig, broker, TopicPartition { topic_id, partition: PartitionIndex(0) })
}

/// Produces large records until one is refused, as the log cannot begin a segment without its folder. Gives how many were
/// acknowledged.
async fn until_refused(broker: &Broker, topic: &str) -> usize {
    let mut stream = Client::connect(broker).await.stream().await;
    for acknowledged in 0..100 {
        let produced = stream.produce(topic, 0, batch(&[&"x".repeat(20_000)])).await;
        if let Err(error) = produced {
            assert_eq!(error, "OUTCOME_UNKNOWN", "it was not written, and nobody knows");
            return acknowledged;
        }
    }
    panic!("a log without a folder goes on for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_leader_whose_log_takes_nothing_more_asks_for_another_start() {
    let (rig, broker, partition) = with_one_record().await;
    let folder = rig.data_dir(1).join("partitions").join(partition.to_string());
    let away = rig.data_dir(1).join("away");
    fs::rename(&folder, &away).unwrap();
    let acknowledged = until_refused(&broker, "t").await;
    assert!(acknowledged > 0, "what is open takes records still");
    // No leadership is led twice.
    let fatal = soon("it ends", broker.failed()).await;
    assert_eq!(fatal.number(), 20, "{fatal}");
    broker.kill().await;
    fs::rename(&away, &folder).unwrap();
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["b"]).await;
    let read = client.read("t", 0, 0).await.unwrap();
    assert_eq!((read[0].as_str(), read.last().map(String::as_str)), ("a", Some("b")));
    assert!(read.len() >= acknowledged + 2, "{} records of {acknowledged} and two", read.len());
    let image = rig.controller.image();
    let state = image.partition(partition).unwrap();
    assert!(state.distrusted.is_empty() && broker.context().logs.data_dir.asides().unwrap().is_empty(), "{state:?}");
    soon("it stops", broker.stop()).await;
}

/// The replica closes alone, another leads, and it is copied again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_folder_was_removed_ends_no_broker() {
    let rig = Rig::start().await;
    let brokers = rig.brokers(2).await;
    let topic_id = rig.controller.create_topic("t", 1, 2, TOPIC);
    let partition = TopicPartition { topic_id, partition: PartitionIndex(0) };
    let state = || rig.controller.image().partition(partition).unwrap().clone();
    let leading = until("it is led", async || state().leader).await;
    let at = |broker: BrokerId| &brokers[broker.0 as usize - 1];
    produce_until(&Client::connect(at(leading)).await, "t", 0, &["a"]).await;
    until("both are in sync", async || (state().isr.len() == 2).then_some(())).await;
    let folder = rig.data_dir(leading.0).join("partitions").join(partition.to_string());
    fs::remove_dir_all(&folder).unwrap();
    let acknowledged = until_refused(at(leading), "t").await;
    let new = until("another leads", async || state().leader.filter(|leader| *leader != leading)).await;
    let client = Client::connect(at(new)).await;
    produce_until(&client, "t", 0, &["b"]).await;
    assert!(client.read("t", 0, 0).await.unwrap().len() >= acknowledged + 2);
    until("it is copied again", async || {
        let state = state();
        let is_halted = state.distrusted.iter().any(|distrusted| distrusted.reason == DistrustReason::Halted);
        assert!(!is_halted, "the log failed, and that is the reason: {state:?}");
        (state.isr.len() == 2 && folder.is_dir()).then_some(())
    })
    .await;
    for broker in brokers {
        soon("it stops", broker.stop()).await;
    }
}

/// Its log is sound in itself: but for what is noted the next start would vouch for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_halted_as_the_broker_stopped_is_not_vouched_for_by_the_next_start() {
    let (rig, broker, partition) = with_one_record().await;
    let context = Arc::clone(broker.context());
    let reader = context.partitions.get(partition).unwrap().reader.clone();
    context.findings.put(partition, Finding::halted(&reader, "it halted".to_owned()));
    drop((context, reader));
    // At once: it may be looked at before all is closed, meanwhile, or never.
    soon("it stops", broker.stop()).await;
    let broker = rig.broker(1).await;
    let image = rig.controller.image();
    let state = image.partition(partition).unwrap();
    assert_eq!(state.distrusted.len(), 1, "{state:?}");
    soon("it stops", broker.stop()).await;
}

/// What its next start finds says so, before anybody can elect it for what it held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_opened_again_in_doubt_asks_for_another_start() {
    let (rig, broker, partition) = with_one_record().await;
    let own = rig.controller.image().broker(BrokerId(1)).unwrap().broker_epoch;
    // It hears that nobody leads, and not that it leads again: a log of its own is opened again in place.
    rig.controller.run(&Command::FenceBroker { broker_id: BrokerId(1), broker_epoch: own }).unwrap();
    rig.controller.hold_changes();
    let context = Arc::clone(broker.context());
    let leader = || context.metadata.look().partition(partition).unwrap().leader;
    until("it hears that nobody leads", async || leader().is_none().then_some(())).await;
    let folder = rig.data_dir(1).join("partitions").join(partition.to_string());
    let log = folder.join("00000000000000000000.log");
    fs::OpenOptions::new().append(true).open(log).unwrap().write_all(b"not what was written").unwrap();
    let reader = context.partitions.get(partition).unwrap().reader.clone();
    context.findings.put(partition, Finding::dead(&reader, &holdfast_log::Error::Closed));
    drop((context, reader));
    let fatal = soon("it ends", broker.failed()).await;
    assert_eq!(fatal.number(), 20, "{fatal}");
    assert!(folder.join("doubt").exists(), "the next start says so: {fatal}");
    broker.kill().await;
}

/// What was found is noted after its log is closed, in turn with others that work on folders. A stop waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_until_what_was_found_of_a_replica_is_noted() {
    let (_rig, broker, partition) = with_one_record().await;
    let context = Arc::clone(broker.context());
    // All that work on folders are busy with something else.
    let busy: Vec<_> = iter::from_fn(|| context.logs.folders.try_place()).collect();
    let reader = context.partitions.get(partition).unwrap().reader.clone();
    context.findings.put(partition, Finding::halted(&reader, "it halted".to_owned()));
    until("it is looked at", async || context.partitions.get(partition).is_none().then_some(())).await;
    let mut stop = pin!(broker.stop());
    assert!(timeout(Duration::from_secs(1), &mut stop).await.is_err(), "the next start would vouch for it");
    assert!(context.logs.data_dir.distrusted(partition).is_none());
    drop(busy);
    soon("it stops", stop).await;
    assert!(context.logs.data_dir.distrusted(partition).is_some());
}
