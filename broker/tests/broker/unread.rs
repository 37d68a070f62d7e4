//! Logs that cannot be read, though nothing is wrong with their records.

use std::{fs, path::PathBuf};

use holdfast_broker::life::start::Broker;
use holdfast_proto::ids::PartitionIndex;

use crate::rig::{Client, Rig, produce_until, soon, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

fn folder(rig: &Rig, topic: &str) -> PathBuf {
    let topic_id = rig.controller.image().topic_by_name(topic).unwrap().topic_id();
    rig.data_dir(1).join("partitions").join(format!("{topic_id}-0"))
}

/// As after a downgrade: every replica of every broker is of a newer version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_can_read_none_of_its_logs_ends_and_gives_none_up() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    for topic in ["a", "b"] {
        rig.controller.create_topic(topic, 1, 1, ONE);
    }
    let client = Client::connect(&broker).await;
    for topic in ["a", "b"] {
        produce_until(&client, topic, 0, &[topic]).await;
    }
    soon("it stops", broker.stop()).await;
    let files = ["a", "b"].map(|topic| folder(&rig, topic).join("partition.metadata"));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    for file in &files {
        fs::write(file, "version: 2\nname: x\n").unwrap();
    }
    for _ in 0..2 {
        let refused =
            async || Broker::start(rig.config(1)).await.err().filter(|fatal| !fatal.to_string().contains("in use"));
        let fatal = until("it ends", refused).await;
        assert_eq!(fatal.number(), 11, "{fatal}");
        assert!(fatal.to_string().contains("newer program"), "{fatal}");
    }
    for (file, bytes) in files.iter().zip(before) {
        fs::write(file, bytes).unwrap();
    }
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    for topic in ["a", "b"] {
        produce_until(&client, topic, 0, &["later"]).await;
        assert_eq!(client.read(topic, 0, 0).await.unwrap(), [topic, "later"]);
        let image = rig.controller.image();
        let state = image.topic_by_name(topic).unwrap().partition(PartitionIndex(0)).unwrap();
        assert!(state.distrusted.is_empty(), "{:?}", state.distrusted);
    }
    soon("it stops", broker.stop()).await;
}
