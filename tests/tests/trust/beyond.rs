//! More disks at fault than the promise allows: the partition is unavailable, by name, and nothing wrong is ever served.

use std::time::Duration;

use holdfast_client::{
    Producer, Record,
    admin::RecoverPartition,
    consumer::{Consumer, StartAt},
};
use holdfast_eventually::PATIENCE;
use holdfast_local::NodeName;
use holdfast_proto::{
    ids::{BrokerId, PartitionEpoch, PartitionIndex},
    v1::{DistrustReason, PartitionInfo},
};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::Restore,
    said::Said,
    stand::{BROKERS, Stand, partitions},
};

use crate::steps::{restore, until_isr, until_older, until_recognised, until_registered};

/// How long a client tries before the partition counts as unavailable.
const TRY: Duration = Duration::from_secs(2);

/// The two brokers that were in sync come back with older folders; the third lagged. Nobody is left who can lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_as_many_disks_at_fault_as_must_hold_a_record_nothing_is_served_until_an_operator_gives_it_up() {
    let mut stand = Stand::start().await;
    let [first, second, lagging] = BROKERS;
    stand.write(500).await;
    let copies = [first, second].map(|broker| (broker, stand.copy_running(broker)));
    stand.kill(lagging);
    until_isr(&stand, &[first, second]).await;
    let load = stand.load();
    for (broker, copy) in &copies {
        until_older(&stand, *broker, copy).await;
    }
    stand.take(load).await;
    for broker in [first, second] {
        stand.kill(broker);
    }
    stand.until_fenced().await;
    let said = Said::by_controllers(&stand.fixture.cluster);
    for (broker, copy) in &copies {
        restore(&stand, *broker, copy, Restore::Volume);
        stand.begin(*broker);
        until_recognised(&said, *broker).await;
    }
    stand.begin(lagging);
    for broker in BROKERS {
        until_registered(&stand, broker).await;
    }

    // As operators see it: who is not believed, and why.
    for info in stand.topic().await.partitions {
        assert_eq!((info.leader, info.isr.len(), info.elr.len()), (None, 0, 0), "{TOPIC}-{}", info.partition);
        assert_eq!(reasons(&info), [(first.number, DistrustReason::Folder), (second.number, DistrustReason::Folder)]);
    }
    // As clients do.
    let client = &stand.fixture.client;
    let producer = Producer::builder(client.clone()).delivery_timeout(TRY).max_block(TRY).build().await;
    let producer = producer.expect("the cluster gives a producer id");
    let topic = producer.topic(TOPIC).await.expect("the topic is known");
    let mut sent = Vec::new();
    for partition in partitions() {
        let record = Record::new(&topic).partition(PartitionIndex(partition)).value("nobody takes this");
        sent.push((partition, producer.enqueue(record).await.expect("the buffer has room")));
    }
    for (partition, delivery) in sent {
        let refused = delivery.await.expect_err("nobody leads");
        assert!(!refused.is_in_doubt(), "{refused}");
        println!("{TOPIC}-{partition}: {refused}");
    }
    let reading = Consumer::builder(client.clone()).assign_topic(TOPIC, StartAt::Earliest);
    let read = tokio::time::timeout(TRY, async { reading.build().await?.next_batch().await.transpose() }).await;
    assert!(!matches!(read, Ok(Ok(Some(_)))), "something was served: {read:?}");

    // Nor does time change it: what was acknowledged is waited for, and not overwritten.
    for broker in BROKERS {
        stand.fixture.cluster.restart(broker, PATIENCE).await.expect("it starts again");
        stand.fixture.cluster.wait_node(broker, PATIENCE).await.expect("the broker itself is well");
    }
    assert!(stand.topic().await.partitions.iter().all(|info| info.leader.is_none()), "a restart elected somebody");
    go_on_with(&mut stand, lagging).await;
}

/// The last resort: an operator lets every partition go on with the replica that lagged. What it lacks is given up, and
/// nothing else.
async fn go_on_with(stand: &mut Stand, broker: NodeName) {
    let admin = stand.fixture.client.admin();
    for partition in partitions().map(PartitionIndex) {
        let info = admin.describe_partition(TOPIC, partition).await.expect("it is known");
        let partition_epoch = PartitionEpoch(info.partition_epoch);
        let recovery =
            RecoverPartition { topic: TOPIC.to_owned(), partition, broker: BrokerId(broker.number), partition_epoch };
        let given_up = admin.recover_partition(&recovery).await.expect("it goes on");
        println!(
            "{TOPIC}-{partition} goes on with {broker}, given up from {:?} to {:?}",
            given_up.end, given_up.high_watermark
        );
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("the others copy it");
    let verdict = stand.read_back().await;
    assert!(verdict.lost > 0, "nothing was given up: the case proved nothing");
    let wrong = verdict.duplicated + verdict.reordered + verdict.corrupted + verdict.phantom;
    assert_eq!(wrong, 0, "{verdict:?}");
    let view = stand.fixture.cluster.describe().await.expect("a broker answers");
    assert_eq!(view.recoveries.len(), partitions().count(), "what was given up is kept");
    stand.write(500).await;
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("all are well");
    let batches = stand.compare().await.unwrap_or_else(|difference| panic!("{difference}"));
    println!("given up {} of {} records; {batches} batches equal", verdict.lost, verdict.acked);
}

/// Who is not believed, and why.
fn reasons(info: &PartitionInfo) -> Vec<(u32, DistrustReason)> {
    let mut reasons: Vec<_> =
        info.distrusted.iter().map(|distrusted| (distrusted.broker_id, distrusted.reason())).collect();
    reasons.sort_unstable_by_key(|(broker, _)| *broker);
    reasons
}
