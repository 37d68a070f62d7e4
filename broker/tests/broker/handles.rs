//! A broker that may have few files open: what is new does without, what is there goes on.

use holdfast_metadata::Command;

use crate::{
    process::{BrokerProcess, Steady},
    rig::{Rig, batch, until},
};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_for_which_no_handles_are_left_wait_and_take_nothing_from_the_others() {
    let rig = Rig::start().await;
    let mut broker = BrokerProcess::start_with_files(&rig, 300).await;
    rig.controller.create_topic("few", 20, 1, ONE);
    let steady = Steady::start(&broker, "few").await;
    let topic_id = rig.controller.create_topic("many", 300, 1, ONE);
    let mut stream = broker.client().await.stream().await;
    let mut served = Vec::new();
    for partition in 0..300 {
        if stream.produce("many", partition, batch(&["record"])).await.is_ok() {
            served.push(partition);
        }
    }
    assert!(served.len() < 200, "the limit bites: {}", served.len());
    steady.flows(100).await;
    assert!(broker.is_alive());

    rig.controller.run(&Command::DeleteTopic { topic_id }).unwrap();
    rig.controller.create_topic("late", 1, 1, ONE);
    until("handles are free again", async || stream.produce("late", 0, batch(&["record"])).await.ok()).await;
    steady.stop(&broker, "few").await;
    assert!(broker.is_alive());
}
