//! All brokers end at one moment, killed or told to, the controllers with them or not, and one broker stays away: the others
//! lead again, and wait for nobody.

use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, Role};
use holdfast_tests::process::{
    fixture::TOPIC,
    load::Load,
    said::Said,
    stand::{BROKERS, Stand},
};

use crate::{all_variants, steps::CONTROLLERS};

/// What the active controller says when it fences several by one command.
const TOGETHER: &str = "the sessions of these brokers ended together";

/// They are fenced before any is back: by the end of their sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_were_killed_at_once_lead_again_without_the_one_that_stays_away() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 3 } else { 1 };
    for away in BROKERS.into_iter().rev().take(rounds) {
        let (said, load) = under_load(&stand).await;
        stand.kill_all_brokers().await;
        println!("{}", said.until(&[TOGETHER]).await);
        stand.begin_others(away);
        come_back(&mut stand, load, away, "fenced before").await;
    }
}

/// Those that come back register before any session is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_back_at_once_lead_again_without_the_one_that_stays_away() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 3 } else { 1 };
    for away in BROKERS.into_iter().rev().take(rounds) {
        let (said, load) = under_load(&stand).await;
        for broker in BROKERS {
            stand.kill(broker);
        }
        stand.begin_others(away);
        println!("{}", said.until(&[TOGETHER]).await);
        come_back(&mut stand, load, away, "back at once").await;
    }
}

/// A power loss of everything: a new active controller has heard of nobody, and takes none that is back for the only one
/// that ended. One machine stays away, with its controller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_back_with_other_controllers_lead_again_without_the_one_that_stays_away() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 3 } else { 1 };
    for away in BROKERS.into_iter().rev().take(rounds) {
        let (said, load) = under_load(&stand).await;
        for node in CONTROLLERS.into_iter().chain(BROKERS) {
            stand.kill(node);
        }
        let (gone, others) = (NodeName::controller(away.number), CONTROLLERS);
        others.into_iter().filter(|controller| *controller != gone).for_each(|controller| stand.begin(controller));
        stand.begin_others(away);
        println!("{}", said.until(&[TOGETHER]).await);
        stand.begin(gone);
        come_back(&mut stand, load, away, "controllers too").await;
    }
}

/// As the drain of all nodes does, or a scale to nothing. Who stops first is in no ISR any more; of the last two each alone leads
/// again. Two rounds stay away with one of these at least.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_were_told_to_stop_at_once_lead_again_without_the_one_that_stays_away() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 3 } else { 2 };
    for away in BROKERS.into_iter().take(rounds) {
        let (_, load) = under_load(&stand).await;
        let killed = stand.fixture.cluster.terminate_all(Role::Broker, PATIENCE).await.expect("they are signalled");
        assert_eq!(killed, [], "all end by themselves");
        stand.until_fenced().await;
        stand.begin_others(away);
        come_back(&mut stand, load, away, "stopped in order").await;
    }
}

/// Waits until all are in sync and records flow; listens to the controllers from before that on.
async fn under_load(stand: &Stand) -> (Said, Load) {
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("all are in sync");
    let said = Said::by_controllers(&stand.fixture.cluster);
    let load = stand.load();
    load.flows(500).await;
    (said, load)
}

/// Records flow without the one that is away; then it comes back, and everything is proven.
async fn come_back(stand: &mut Stand, load: Load, away: NodeName, how: &str) {
    load.flows(500).await;
    until(&format!("every partition is led without {away}"), async || {
        let topic = stand.fixture.cluster.topic(TOPIC).await?;
        let is_led = |leader: Option<u32>| leader.is_some_and(|leader| leader != away.number);
        topic.partitions.iter().all(|info| is_led(info.leader)).then_some(())
    })
    .await;
    stand.begin(away);
    load.flows(500).await;
    stand.take(load).await;
    stand.prove(&format!("all ended, {away} stayed away, {how}")).await;
}
