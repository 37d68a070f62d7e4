//! Bytes of a running broker's sealed segments change: bits flip, or a whole, valid batch of another partition stands where
//! another one stood. Nobody reads anything wrong; the replica is set aside and copied again.

use holdfast_eventually::until;
use holdfast_local::NodeName;
use holdfast_proto::v1::TopicInfo;
use holdfast_tests::process::{
    fixture::Setup,
    folders::{Folder, Replica, misplace},
    said::{Said, are_deaf},
    stand::{BROKERS, Stand, partition_of, partitions},
};

use crate::all_variants;

/// What was just written is soon read from the disk, and from no cache.
const COLD: &str = "tail_cache_age_ms=100";

/// Reads everything again and again until the broker has set its replica aside. No reader may get anything wrong.
async fn until_found(stand: &Stand, said: &Said, replica: &str) {
    let found = || said.line(&["does not vouch for its replica", replica]);
    let line = until("the damage is found", async || {
        let verdict = stand.read_back().await;
        assert!(verdict.is_clean(), "{verdict:?}");
        found().or_else(|| are_deaf().then(String::new))
    })
    .await;
    println!("{line}");
}

/// Nothing scrubs: the first reader finds what the leader's disk has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_sealed_segment_is_found_by_the_first_who_reads_it() {
    let broker_settings: &[&str] = if are_deaf() { &[COLD] } else { &[COLD, "scrub_bytes_per_second=0"] };
    let mut stand = Stand::start_with(Setup { broker_settings, ..Setup::default() }).await;
    let rounds = if all_variants() { 6 } else { 1 };
    for round in 0..rounds {
        let broker = BROKERS[round % 3];
        stand.write(3_000).await;
        let (led, _) = stand.led_and_followed(broker).await;
        let id = stand.id(led).await;
        let said = Said::by(&stand.fixture.cluster, broker);
        println!("a bit flipped in {}", Folder::of(&stand.fixture.cluster, broker).partition(id).flip_sealed());
        until_found(&stand, &said, &id.to_string()).await;
        stand.write(500).await;
        stand.prove(&format!("a bit flipped in a sealed segment of {broker}")).await;
    }
}

/// What is done to a sealed segment.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// One bit of a batch is flipped.
    Flip,
    /// A valid batch of another partition, of the same offsets and length, stands in the place of one. At a leader this
    /// comes while its process is down: what a process has compared once it takes for right until the next scrub.
    Misplace,
}

/// Brokers scrub: also damage that no reader meets is found, at followers too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_finds_flipped_bits_and_misplaced_batches_on_leaders_and_followers() {
    let broker_settings: &[&str] = if are_deaf() { &[COLD] } else { &[COLD, "scrub_interval_ms=500"] };
    let mut stand = Stand::start_with(Setup { broker_settings, ..Setup::default() }).await;
    let rounds = if all_variants() { 3 } else { 1 };
    for round in 0..rounds {
        for (step, (harm, leads)) in
            [(Harm::Flip, false), (Harm::Misplace, true), (Harm::Misplace, false)].into_iter().enumerate()
        {
            let broker = BROKERS[(round + step) % 3];
            stand.write(2_000).await;
            let (led, followed) = stand.led_and_followed(broker).await;
            let partition = if leads { led } else { followed };
            let id = stand.id(partition).await;
            let said = Said::by(&stand.fixture.cluster, broker);
            match harm {
                Harm::Flip => {
                    println!(
                        "a bit flipped in {}",
                        Folder::of(&stand.fixture.cluster, broker).partition(id).flip_sealed()
                    );
                }
                Harm::Misplace => {
                    let topic = stand.topic().await;
                    if leads {
                        stand.kill(broker);
                    }
                    put_another_partitions_batch(&stand, &topic, broker, partition);
                    if leads {
                        stand.begin(broker);
                    }
                }
            }
            until_found(&stand, &said, &id.to_string()).await;
            stand.write(500).await;
            let role = if leads { "leader" } else { "follower" };
            stand.prove(&format!("{harm:?} on {broker}, a {role}")).await;
        }
    }
}

/// Puts a batch of any other partition into the broker's replica of this one.
fn put_another_partitions_batch(stand: &Stand, topic: &TopicInfo, broker: NodeName, partition: u32) {
    let folder = Folder::of(&stand.fixture.cluster, broker);
    let replica = |index| -> Replica { folder.partition(partition_of(topic, index)) };
    let found = partitions().filter(|other| *other != partition).find_map(|other| {
        let batch = misplace(&replica(other), &replica(partition))?;
        Some(format!("partition {other}: {batch}"))
    });
    println!(
        "in partition {partition} stands a batch of {}",
        found.expect("two batches have the same offsets and length")
    );
}
