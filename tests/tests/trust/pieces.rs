//! Parts of a broker's data are gone or changed while it was down.

use holdfast_eventually::PATIENCE;
use holdfast_local::NodeName;
use holdfast_proto::v1::TopicInfo;
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::Folder,
    said::{Said, are_deaf},
    stand::{BROKERS, Stand, partition_of, partitions},
};

use crate::all_variants;

/// What is done to one replica of a broker that does not run.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The partition's folder is gone.
    FolderGone,
    /// The file of its oldest segment is gone.
    SegmentGone,
    /// Half of the active segment is gone, cut at a batch border: what is left looks whole.
    Cut,
    /// A bit in the middle of the active segment is flipped.
    FlipActive,
}

impl Harm {
    const ALL: [Self; 4] = [Self::FolderGone, Self::SegmentGone, Self::Cut, Self::FlipActive];

    /// Harms the broker's replica of a partition of the topic.
    fn on(self, stand: &Stand, topic: &TopicInfo, broker: NodeName, partition: u32) {
        let id = partition_of(topic, partition);
        let replica = Folder::of(&stand.fixture.cluster, broker).partition(id);
        match self {
            Self::FolderGone => replica.vanish(),
            Self::SegmentGone => replica.lose_segment(),
            Self::Cut => println!("offsets {:?} of {TOPIC}-{partition} are gone on {broker}", replica.cut()),
            Self::FlipActive => println!("{TOPIC}-{partition} on {broker}: a bit flipped in {}", replica.flip_active()),
        }
    }

    /// What the broker says of the replica at its start.
    fn said(self) -> &'static str {
        match self {
            Self::FolderGone => "its folder is gone",
            Self::SegmentGone => "does not vouch for its replica",
            // What lies past the durable mark was never told: there nothing is damage, and the log is in doubt.
            Self::Cut | Self::FlipActive => "does not vouch for its replica|something was cut off at the end of a log",
        }
    }
}

/// A broker is killed; one replica that it led and one that it followed are harmed; it starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_a_part_is_copied_again_and_the_others_go_on() {
    let mut stand = Stand::start().await;
    for (number, harm) in Harm::ALL.into_iter().enumerate() {
        let broker = BROKERS[number % 3];
        let load = stand.load();
        load.flows(2_000).await;
        let (led, followed) = stand.led_and_followed(broker).await;
        let topic = stand.topic().await;
        stand.kill(broker);
        let said = Said::by(&stand.fixture.cluster, broker);
        for partition in [led, followed] {
            harm.on(&stand, &topic, broker, partition);
        }
        stand.begin(broker);
        for partition in [led, followed] {
            let id = partition_of(&topic, partition).to_string();
            println!("{}", said.until(&[harm.said(), &id]).await);
        }
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("{harm:?} on {broker}")).await;
    }
}

/// All brokers are killed, the replicas on one of them are harmed, and that one starts first: it must not lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_harmed_replica_that_is_there_first_does_not_lead() {
    let mut stand = Stand::start().await;
    let harms = if all_variants() { &Harm::ALL[..] } else { &[Harm::FolderGone, Harm::Cut] };
    for (number, harm) in harms.iter().enumerate() {
        // One of those that stay eligible.
        let broker = BROKERS[2 - number % 2];
        stand.write(2_000).await;
        let load = stand.load();
        load.flows(500).await;
        let said = Said::by(&stand.fixture.cluster, broker);
        let topic = stand.topic().await;
        stand.kill_all_brokers().await;
        for partition in partitions() {
            harm.on(&stand, &topic, broker, partition);
        }
        stand.begin(broker);
        for partition in partitions() {
            said.until(&[harm.said(), &partition_of(&topic, partition).to_string()]).await;
        }
        stand.begin_others(broker);
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("all killed, {harm:?} on {broker}, which is first")).await;
    }
}

/// The list of replicas is gone, and with it a partition's folder: nobody can tell any more that it was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_list_of_replicas_a_vanished_folder_counts_for_nothing_all_the_same() {
    let mut stand = Stand::start().await;
    let broker = BROKERS[2];
    stand.write(1_000).await;
    let topic = stand.topic().await;
    stand.kill_all_brokers().await;
    let said = Said::by(&stand.fixture.cluster, broker);
    if !are_deaf() {
        Folder::of(&stand.fixture.cluster, broker).lose_file("replicas");
    }
    for partition in [0, 1] {
        Harm::FolderGone.on(&stand, &topic, broker, partition);
    }
    stand.begin(broker);
    println!("{}", said.until(&["the list of replicas is lost"]).await);
    for other in &BROKERS[..2] {
        stand.begin(*other);
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it heals by itself");
    stand.write(500).await;
    stand.prove("list of replicas and two folders gone").await;
}
