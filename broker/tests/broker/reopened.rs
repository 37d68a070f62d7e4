//! A log that takes nothing any more, where nobody else could take its place.

use std::sync::Arc;

use holdfast_broker::{life::start::Broker, partition::findings::Finding};
use holdfast_proto::ids::{PartitionIndex, TopicPartition};

use crate::rig::{Client, Rig, produce_until, soon};

/// One broker, and a partition on it with the record "a".
async fn with_one_record() -> (Rig, Broker, TopicPartition) {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let topic_id = rig.controller.create_topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["a"]).await;
    (rig, broker, TopicPartition { topic_id, partition: PartitionIndex(0) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_leader_whose_log_takes_nothing_more_asks_for_another_start() {
    let (rig, broker, partition) = with_one_record().await;
    let context = Arc::clone(broker.context());
    let before = context.partitions.get(partition).unwrap();
    context.findings.put(partition, Finding::dead(&before.reader, &holdfast_log::Error::Closed));
    // No leadership is led twice.
    let fatal = soon("it ends", broker.failed()).await;
    assert_eq!(fatal.number(), 20, "{fatal}");
    drop((context, before));
    broker.kill().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["b"]).await;
    assert_eq!(client.read("t", 0, 0).await.unwrap(), ["a", "b"]);
    let image = rig.controller.image();
    let state = image.partition(partition).unwrap();
    assert!(state.distrusted.is_empty() && broker.context().logs.data_dir.asides().unwrap().is_empty(), "{state:?}");
    soon("it stops", broker.stop()).await;
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
