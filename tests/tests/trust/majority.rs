//! One machine with a wrong clock, on which the active controller and a broker are: they agree with each other, and with nobody
//! else. The broker is told so, lets retention by time rest, and says why; the others go on.

use holdfast_client::TopicChange;
use holdfast_eventually::{PATIENCE, until};
use holdfast_local::NodeName;
use holdfast_proto::v1::{BrokerInfo, ClockDistrustReason as Reason};
use holdfast_tests::process::{
    clocks::Clocks,
    fixture::{Setup, TOPIC},
    said::Said,
    stand::{BROKERS, Stand, partitions},
};

const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;
const DIFFERS: &str = "the wall clock differs from those of most";
const JUMPED: &str = "the wall clock jumped";
const BELIEVED: &str = "the wall clock is trusted";
/// How long records stay at first, ms.
const RETENTION_MS: &str = "1800000";

/// What a broker says of its clock, as the active controller tells it.
async fn reason(stand: &Stand, broker: NodeName) -> Option<(Reason, i64)> {
    let cluster = stand.fixture.client.admin().describe_cluster().await.ok()?;
    let own = |info: &&BrokerInfo| info.broker_id == broker.number;
    let distrust = cluster.brokers.iter().find(own)?.clock_distrust?;
    Some((distrust.reason(), distrust.by_ms))
}

/// Waits until the status gives this reason for a broker, and none for the others.
async fn until_told(stand: &Stand, broker: NodeName, expected: Reason) -> i64 {
    let others = BROKERS.into_iter().filter(|other| *other != broker);
    for other in others {
        until(&format!("{other} trusts its clock"), async || reason(stand, other).await.is_none()).await;
    }
    until(&format!("the status says {expected:?} of {broker}"), async || {
        reason(stand, broker).await.filter(|(reason, _)| *reason == expected)
    })
    .await
    .1
}

async fn active(stand: &Stand) -> NodeName {
    until("a controller is active", async || stand.fixture.cluster.active_controller().await).await
}

/// The first offsets of the partitions that this broker leads, or that another one does.
async fn log_starts(stand: &Stand, led_by: impl Fn(u32) -> bool) -> Vec<u64> {
    let mut starts = Vec::new();
    for partition in partitions() {
        if stand.partition(partition).await.leader.is_some_and(&led_by) {
            starts.push(stand.log_start(partition).await);
        }
    }
    starts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_one_machine_vouches_for_nobody_not_even_for_itself() {
    let clocks = Clocks::build();
    let broker_settings: &[&str] = &["retention_check_interval_ms=100", "clock_thaw_ms=1000"];
    let topic = [("retention.ms", RETENTION_MS)];
    let mut stand =
        Stand::start_with(Setup { broker_settings, topic: &topic, programs: Some(clocks.programs()) }).await;
    let load = stand.load();
    load.flows(1_000).await;
    let broker = BROKERS[0];

    // The active controller's clock alone: most go on to agree, and one that begins is told that its clock is right.
    let first = active(&stand).await;
    clocks.set(first, YEAR_MS);
    stand.kill(broker);
    let said = Said::by(&stand.fixture.cluster, broker);
    stand.begin(broker);
    said.until(&[BELIEVED]).await;
    assert_eq!(active(&stand).await, first, "the one with the wrong clock was active all the time");
    assert_eq!(said.line(&[DIFFERS]), None);

    // The broker on the same machine: that jumps, and from then on agrees with the active controller.
    let said = Said::by(&stand.fixture.cluster, broker);
    clocks.set(broker, YEAR_MS);
    println!("{}", said.until(&[JUMPED]).await);
    println!("{}", said.until(&[DIFFERS]).await);
    let by_ms = until_told(&stand, broker, Reason::Differs).await;
    assert!((YEAR_MS - 60_000..YEAR_MS + 60_000).contains(&by_ms), "{by_ms} ms");

    // It begins again, when its clock has been wrong for long; and another controller becomes active.
    let said = Said::by(&stand.fixture.cluster, broker);
    stand.kill(broker);
    stand.begin(broker);
    said.until(&[DIFFERS]).await;
    stand.kill(first);
    let second = until("another controller is active", async || {
        stand.fixture.cluster.active_controller().await.filter(|active| *active != first)
    })
    .await;
    println!("{second} is active");
    until_told(&stand, broker, Reason::Differs).await;
    stand.begin(first);
    stand.fixture.cluster.wait_node(first, PATIENCE).await.expect("the controller comes back");
    load.flows(1_000).await;
    assert_eq!(said.line(&[BELIEVED]), None, "its clock was wrong all the time");
    stand.take(load).await;
    stand.prove("one machine a year ahead").await;

    // All brokers' clocks, and none of the others: three against three.
    clocks.set(first, 0);
    for broker in &BROKERS[1..] {
        clocks.set(*broker, YEAR_MS);
    }
    for broker in BROKERS {
        until(&format!("{broker} hears of no majority"), async || {
            reason(&stand, broker).await.filter(|(reason, _)| *reason == Reason::Split)
        })
        .await;
    }
    for broker in &BROKERS[1..] {
        clocks.set(*broker, 0);
    }
    until_told(&stand, broker, Reason::Differs).await;

    // What is too old goes where the clock is right, and there alone, until it is set right as well.
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("all are in sync");
    stand.led_and_followed(broker).await;
    let change = TopicChange::new(TOPIC).set("retention.ms", "1000");
    stand.fixture.client.admin().alter_topic(change).await.expect("the retention can be changed");
    let is_held = |leader: u32| leader == broker.number;
    until("what is old goes at the others", async || {
        let starts = log_starts(&stand, |leader| !is_held(leader)).await;
        !starts.is_empty() && starts.iter().all(|start| *start > 0)
    })
    .await;
    let held = log_starts(&stand, is_held).await;
    assert!(!held.is_empty() && held.iter().all(|start| *start == 0), "{held:?} at {broker}");
    let said = Said::by(&stand.fixture.cluster, broker);
    clocks.set(broker, 0);
    said.until(&[BELIEVED]).await;
    until("what is old goes everywhere", async || {
        let starts = log_starts(&stand, |_| true).await;
        starts.len() == partitions().count() && starts.iter().all(|start| *start > 0)
    })
    .await;
}
