//! The majority of the controllers is lost for good, and an operator goes on from the one that is left.

use std::process::Command;

use holdfast_client::NewTopic;
use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, Programs, Role};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::{Folder, Restore},
    said::Said,
    stand::{BROKERS, Stand},
};

use crate::steps::{CONTROLLERS, until_isr};

/// A topic that the controller that is left does not know.
const LATE: &str = "late";
/// The order to go on, with all brokers that there are.
const ACCEPT: [&str; 4] = ["--accept-loss", "--brokers", "1,2,3", "--yes"];

/// Runs `holdfast-controller recover` on the folder of a node; its exit code, and all that it says.
fn recover(stand: &Stand, node: NodeName, more: &[&str]) -> (Option<i32>, String) {
    let programs = Programs::find().expect("the programs were built");
    let mut command = Command::new(programs.of(Role::Controller));
    command.args(["recover", "--data-dir"]).arg(stand.fixture.cluster.data_dir(node)).args(more);
    let output = command.output().expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    println!("$ recover {node} {more:?}: {:?}\n{text}", output.status.code());
    (output.status.code(), text)
}

/// One controller is down while a broker falls out of the ISR, more is acknowledged, and a topic comes to be. Then the other
/// two lose their folders. By the metadata that is left the broker that lags is in sync; and it comes back first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_go_on_from_one_that_lags_and_no_acknowledged_record_is_lost() {
    let mut stand = Stand::start().await;
    let [left, lost, lost_too] = CONTROLLERS;
    let [lagging, second, third] = BROKERS;
    stand.write(500).await;
    assert_eq!(recover(&stand, left, &ACCEPT).0, Some(11), "it runs");
    stand.kill(left);
    stand.kill(lagging);
    until_isr(&stand, &[second, third]).await;
    stand.write(1_000).await;
    let late = NewTopic::new(LATE).partitions(1).replication_factor(2);
    stand.fixture.client.admin().create_topic(late).await.expect("the topic is created");
    for node in [lost, lost_too, second, third] {
        stand.kill(node);
    }
    for node in [lost, lost_too] {
        Folder::of(&stand.fixture.cluster, node).remove();
    }

    assert_eq!(recover(&stand, lagging, &[]).0, Some(11), "a broker's folder");
    assert_eq!(recover(&stand, lost, &[]).0, Some(11), "no folder");
    let (code, text) = recover(&stand, left, &[]);
    assert_eq!(code, Some(0));
    assert!(text.contains("nothing was changed") && text.contains("last entry of its log:"), "{text}");
    let (code, text) = recover(&stand, left, &["--accept-loss", "--brokers", "1,2,3"]);
    assert_eq!(code, Some(1), "nobody can answer");
    assert!(text.contains("say --yes"), "{text}");
    assert_eq!(recover(&stand, left, &ACCEPT).0, Some(0));
    let (code, text) = recover(&stand, left, &ACCEPT);
    assert_eq!(code, Some(0), "again");
    assert!(text.contains("it is the only controller"), "{text}");

    // The one that lags alone must not lead.
    stand.begin(left);
    stand.begin(lagging);
    until("the broker that lags is the only one that was heard", async || {
        let view = stand.fixture.cluster.describe().await.ok()?;
        (view.unheard_brokers == [second.number, third.number]).then_some(())
    })
    .await;
    let topic = stand.topic().await;
    assert!(topic.partitions.iter().all(|info| info.leader.is_none() && info.unsettled), "{topic:?}");
    for node in [lost, lost_too, second, third] {
        stand.begin(node);
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("every partition has its leader");
    stand.fixture.cluster.wait_ready(PATIENCE).await.expect("the others joined");
    stand.write(500).await;
    stand.prove("two of three controllers were lost, the third lagged").await;
    let view = stand.fixture.cluster.describe().await.expect("a broker answers");
    assert_eq!(view.controller_recoveries.len(), 1, "what was given up is kept");
    assert_eq!(view.controllers.iter().filter(|one| one.voter).count(), 3);
    assert!(stand.fixture.cluster.topic(LATE).await.is_none(), "nobody knew that topic");
    let kept = BROKERS.iter().filter(|broker| replicas(&stand, **broker) > topic.partitions.len()).count();
    assert_eq!(kept, 2, "the replicas of a topic that is not known are kept");
}

/// The brokers run on while the controllers are lost. They end by themselves, and say what their logs hold as they start
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_ran_on_start_again_once_the_controllers_were_recovered() {
    let mut stand = Stand::start().await;
    let [left, lost, lost_too] = CONTROLLERS;
    stand.write(500).await;
    let load = stand.load();
    load.flows(500).await;
    for node in CONTROLLERS {
        stand.kill(node);
    }
    for node in [lost, lost_too] {
        Folder::of(&stand.fixture.cluster, node).remove();
    }
    assert_eq!(recover(&stand, left, &ACCEPT).0, Some(0));
    let said: Vec<Said> = BROKERS.iter().map(|broker| Said::by(&stand.fixture.cluster, *broker)).collect();
    for node in CONTROLLERS {
        stand.begin(node);
    }
    for (broker, said) in BROKERS.into_iter().zip(said) {
        println!("{}", said.until(&["start it again, so that it says what its logs hold"]).await);
        stand.until_ended(broker).await;
        stand.begin(broker);
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("every partition has its leader");
    load.flows(500).await;
    stand.take(load).await;
    stand.fixture.cluster.wait_ready(PATIENCE).await.expect("the others joined");
    stand.prove("the brokers ran on").await;
}

/// The folders of all controllers come back from copies of before the brokers registered last: alike, so that they elect one.
/// What they know of the brokers' folders is older than these are. It must not speak against them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_that_all_went_back_register_nobody_and_go_on_from_one_without_loss() {
    let mut stand = Stand::start().await;
    stand.write(500).await;
    let copies = CONTROLLERS.map(|node| {
        stand.kill(node);
        Folder::of(&stand.fixture.cluster, node).copy()
    });
    for node in CONTROLLERS {
        stand.begin(node);
    }
    for broker in BROKERS {
        stand.kill(broker);
        stand.begin(broker);
        stand.fixture.cluster.wait_node(broker, PATIENCE).await.expect("it comes back");
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("every partition has its leader");
    stand.write(1_000).await;
    for node in BROKERS.into_iter().chain(CONTROLLERS) {
        stand.kill(node);
    }
    for (node, copy) in CONTROLLERS.into_iter().zip(&copies) {
        Folder::of(&stand.fixture.cluster, node).restore(copy, Restore::Files);
    }
    let said: Vec<Said> = BROKERS.iter().map(|broker| Said::by(&stand.fixture.cluster, *broker)).collect();
    let controllers = Said::by_controllers(&stand.fixture.cluster);
    for node in CONTROLLERS.into_iter().chain(BROKERS) {
        stand.begin(node);
    }
    for (broker, said) in BROKERS.into_iter().zip(said) {
        println!("{}", said.until(&["the controllers have lost committed metadata"]).await);
        stand.until_ended(broker).await;
        println!(
            "{}",
            controllers.until(&["is not registered, for its folder knows metadata", &broker.number.to_string()]).await
        );
    }

    let [left, others @ ..] = CONTROLLERS;
    for node in CONTROLLERS {
        stand.kill(node);
    }
    assert_eq!(recover(&stand, left, &ACCEPT).0, Some(0));
    for node in others {
        Folder::of(&stand.fixture.cluster, node).remove();
    }
    for node in CONTROLLERS.into_iter().chain(BROKERS) {
        stand.begin(node);
    }
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("every partition has its leader");
    stand.write(500).await;
    stand.prove("all controllers went back to before the brokers' last registrations").await;
}

/// Folders of partitions that a broker holds.
fn replicas(stand: &Stand, broker: NodeName) -> usize {
    let folder = stand.fixture.cluster.data_dir(broker).join("partitions");
    std::fs::read_dir(folder).expect("the folder is there").count()
}
