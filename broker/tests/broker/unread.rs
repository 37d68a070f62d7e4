//! Logs that cannot be read, though nothing is wrong with their records.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use holdfast_broker::life::start::Broker;
use holdfast_metadata::{Command, PartitionState};
use holdfast_proto::ids::{BrokerId, Millis, PartitionIndex, TopicPartition};

use crate::{
    rig::{Client, Rig, produce_until, soon, until},
    told::told,
};

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
        let state = state(&rig, topic);
        assert!(state.distrusted.is_empty(), "{:?}", state.distrusted);
    }
    soon("it stops", broker.stop()).await;
}

/// One log is of a newer program, as after a part of an upgrade, and no other broker has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_can_read_some_of_its_logs_serves_these_and_gives_none_up() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    for topic in ["a", "b"] {
        rig.controller.create_topic(topic, 1, 1, ONE);
        produce_until(&client, topic, 0, &[topic]).await;
    }
    soon("it stops", broker.stop()).await;
    let file = folder(&rig, "a").join("partition.metadata");
    let before = fs::read(&file).unwrap();
    fs::write(&file, "version: 2\nname: x\n").unwrap();
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    produce_until(&client, "b", 0, &["later"]).await;
    assert_eq!(client.read("b", 0, 0).await.unwrap(), ["b", "later"]);
    let state = || state(&rig, "a");
    let waits = state();
    assert_eq!((waits.leader, waits.elr.as_slice()), (None, &[BrokerId(1)][..]), "{waits:?}");
    assert!(waits.distrusted.is_empty() && waits.claims[0].unread, "{waits:?}");
    let in_state = |state| told(&broker, "holdfast_broker_replicas", &[state]);
    assert_eq!((in_state("open"), in_state("unread")), (Some(1), Some(1)));
    let trouble = ["a", "0", "unread", "opened_again"];
    assert_eq!(told(&broker, "holdfast_broker_replica_trouble", &trouble), Some(1));
    assert!(
        fs::read(folder(&rig, "a").join("00000000000000000000.log")).is_ok_and(|log| !log.is_empty()),
        "it is kept"
    );
    // It is tried again. Nobody else has it, so a start has to say what it holds.
    fs::write(&file, before).unwrap();
    let fatal = soon("it can be read", broker.failed()).await;
    assert_eq!(fatal.number(), 20, "{fatal}");
    broker.kill().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    produce_until(&client, "a", 0, &["later"]).await;
    assert_eq!(client.read("a", 0, 0).await.unwrap(), ["a", "later"]);
    assert!(state().claims.is_empty());
    soon("it stops", broker.stop()).await;

    // It comes and goes: that does not take the others along each time at once.
    let before = fs::read(&file).unwrap();
    fs::write(&file, "version: 2\nname: x\n").unwrap();
    let broker = rig.broker(1).await;
    assert!(broker.context().may_end_at > Millis(20_000), "{:?}", broker.context().may_end_at);
    fs::write(&file, before).unwrap();
    let topic_id = rig.controller.image().topic_by_name("a").unwrap().topic_id();
    let a = TopicPartition { topic_id, partition: PartitionIndex(0) };
    until("it can be read", async || broker.context().partitions.get(a).map(drop)).await;
    rig.controller.create_topic("c", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    for topic in ["b", "c"] {
        produce_until(&client, topic, 0, &["goes on"]).await;
    }
    assert_eq!(broker.context().state.reason(), None);
    soon("it stops", broker.stop()).await;
}

/// Controllers that were restored from an older copy do not know the leadership that only the late replica has records of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_read_late_finds_metadata_that_has_gone_back() {
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
    let earlier = rig.controller.image();
    let files: Vec<_> = fs::read_dir(folder(&rig, "b")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<_> = files.iter().map(|path| (path, fs::read(path).unwrap())).collect();
    for _ in 0..4 {
        let broker = rig.broker(1).await;
        produce_until(&Client::connect(&broker).await, "a", 0, &["later"]).await;
        soon("it stops", broker.stop()).await;
    }
    // Of the two logs that which can be read knows of no later leadership.
    for (path, bytes) in &kept {
        fs::write(path, bytes).unwrap();
    }
    let file = folder(&rig, "a").join("partition.metadata");
    let before = fs::read(&file).unwrap();
    fs::write(&file, "version: 2\nname: x\n").unwrap();
    rig.controller.go_back_to(earlier);
    let broker = rig.broker(1).await;
    produce_until(&Client::connect(&broker).await, "b", 0, &["goes on"]).await;
    fs::write(&file, before).unwrap();
    let fatal = soon("it can be read", broker.failed()).await;
    assert_eq!(fatal.number(), 19, "{fatal}");
    broker.kill().await;
}

/// Partition 0 of a topic, as the controller has it.
fn state(rig: &Rig, topic: &str) -> PartitionState {
    rig.controller.image().topic_by_name(topic).unwrap().partition(PartitionIndex(0)).unwrap().clone()
}

/// Brokers 1 and 2 are in sync with topics `a`, which holds a record, and `b`; then broker 1 stops. The other one.
async fn one_stops_in_sync(rig: &Rig) -> Broker {
    let (first, second) = (rig.broker(1).await, rig.broker(2).await);
    for topic in ["a", "b"] {
        rig.controller.create_topic(topic, 1, 2, ONE);
    }
    let leading = until("it is led", async || state(rig, "a").leader).await;
    let client = Client::connect(if leading == BrokerId(1) { &first } else { &second }).await;
    produce_until(&client, "a", 0, &["a"]).await;
    let in_sync = || state(rig, "a").isr.len() + state(rig, "b").isr.len();
    until("both are in sync", async || (in_sync() == 4).then_some(())).await;
    soon("it stops", first.stop()).await;
    second
}

/// The same where another broker leads: it copies what it lacks, and needs no other start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_can_be_read_later_follows_with_what_it_has() {
    let rig = Rig::start().await;
    let second = one_stops_in_sync(&rig).await;
    let state = |topic: &str| state(&rig, topic);
    let file = folder(&rig, "a").join("partition.metadata");
    let before = fs::read(&file).unwrap();
    fs::write(&file, "version: 2\nname: x\n").unwrap();
    let leader = Client::connect(&second).await;
    produce_until(&leader, "a", 0, &["b"]).await;
    let first = rig.broker(1).await;
    until("it follows where it can", async || (state("b").isr.len() == 2).then_some(())).await;
    assert_eq!(state("a").isr, [BrokerId(2)]);
    let topic_id = rig.controller.image().topic_by_name("a").unwrap().topic_id();
    let a = TopicPartition { topic_id, partition: PartitionIndex(0) };
    assert!(first.context().partitions.get(a).is_none(), "nothing else takes its place");
    fs::write(&file, before).unwrap();
    until("it is in sync again", async || (state("a").isr.len() == 2).then_some(())).await;
    assert!(state("a").distrusted.is_empty() && first.context().logs.data_dir.asides().unwrap().is_empty());
    soon("it stops", first.stop()).await;
    soon("it stops", second.stop()).await;
}

/// The deletion of a topic waits for no replica that cannot be read: one of which that is found while it is held, and one that
/// a start comes too late for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_cannot_be_read_is_deleted_with_its_topic() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    for topic in ["kept", "held", "late"] {
        rig.controller.create_topic(topic, 1, 1, ONE);
        produce_until(&client, topic, 0, &[topic]).await;
    }
    soon("it stops", broker.stop()).await;
    let folders = ["held", "late"].map(|topic| folder(&rig, topic));
    for folder in &folders {
        fs::write(folder.join("partition.metadata"), "version: 2\nname: x\n").unwrap();
    }
    let delete = |topic: &str| {
        let topic_id = rig.controller.image().topic_by_name(topic).unwrap().topic_id();
        rig.controller.run(&Command::DeleteTopic { topic_id }).unwrap();
    };
    delete("late");
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    produce_until(&client, "kept", 0, &["later"]).await;
    until("the late one is gone", async || (!folders[1].exists()).then_some(())).await;
    assert!(folders[0].exists(), "its topic is there");
    delete("held");
    until("the other is gone", async || (!folders[0].exists()).then_some(())).await;
    assert_eq!(client.read("kept", 0, 0).await.unwrap(), ["kept", "later"]);
    soon("it stops", broker.stop()).await;
}

/// The disk does not read a file without which the log cannot be opened, however often it is asked, and another leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_the_disk_does_not_let_open_is_copied_again() {
    let rig = Rig::start().await;
    let second = one_stops_in_sync(&rig).await;
    let state = |topic: &str| state(&rig, topic);
    let file = folder(&rig, "a").join("partition.metadata");
    fs::remove_file(&file).unwrap();
    symlink("/proc/self/mem", &file).unwrap();
    assert_eq!(fs::read(&file).unwrap_err().raw_os_error(), Some(5), "as of a disk that fails");
    let first = rig.broker(1).await;
    until("it is copied again", async || (state("a").isr.len() == 2).then_some(())).await;
    assert_eq!(first.context().logs.data_dir.asides().unwrap().len(), 1, "what is left of it is kept");
    assert!(fs::read_to_string(&file).is_ok_and(|text| text.starts_with("version")), "it is a new one");
    soon("it stops", first.stop()).await;
    soon("it stops", second.stop()).await;
}

/// Each of its replicas is one that the disk does not let open, or has vanished: that is no cause that is one for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_whose_disk_fails_each_replica_starts_and_copies_them_again() {
    let rig = Rig::start().await;
    let second = one_stops_in_sync(&rig).await;
    for topic in ["a", "b"] {
        let file = folder(&rig, topic).join("partition.metadata");
        fs::remove_file(&file).unwrap();
        symlink("/proc/self/mem", &file).unwrap();
    }
    let first = rig.broker(1).await;
    let are_in_sync = || ["a", "b"].iter().all(|topic| state(&rig, topic).isr.len() == 2);
    until("both are copied again", async || are_in_sync().then_some(())).await;
    soon("it stops", first.stop()).await;
    fs::write(folder(&rig, "a").join("partition.metadata"), "version: 2\nname: x\n").unwrap();
    fs::remove_dir_all(folder(&rig, "b")).unwrap();
    let first = rig.broker(1).await;
    until("the one that is gone is copied again", async || (state(&rig, "b").isr.len() == 2).then_some(())).await;
    assert_eq!(state(&rig, "a").isr, [BrokerId(2)], "the other waits");
    soon("it stops", first.stop()).await;
    soon("it stops", second.stop()).await;
}
