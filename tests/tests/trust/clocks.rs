//! Wall clocks that jump, of one broker, of all, and of the controllers too, while records are written that are younger than
//! the retention: none of them goes.

use holdfast_client::TopicChange;
use holdfast_eventually::{PATIENCE, until};
use holdfast_local::NodeName;
use holdfast_tests::process::{
    clocks::Clocks,
    fixture::{Setup, TOPIC},
    said::{Said, are_deaf},
    stand::{BROKERS, Stand},
};

use crate::{all_variants, steps::CONTROLLERS};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const TEN_YEARS_MS: i64 = 10 * 365 * 24 * HOUR_MS;
/// How long records stay, ms: shorter than what the clocks jump.
const RETENTION_MS: &str = "1800000";

/// Whose clock is wrong, and how far.
struct Case {
    name: &'static str,
    nodes: Vec<NodeName>,
    shift_ms: i64,
    /// The brokers among them start with the wrong clock; otherwise it jumps while they run.
    at_start: bool,
}

fn cases() -> Vec<Case> {
    let one = || vec![BROKERS[0]];
    let all = || BROKERS.to_vec();
    let everybody = || [BROKERS, CONTROLLERS].concat();
    let case = |name, nodes, shift_ms, at_start| Case { name, nodes, shift_ms, at_start };
    let mut cases = vec![
        case("one broker ten years ahead", one(), TEN_YEARS_MS, false),
        case("all brokers ten years ahead", all(), TEN_YEARS_MS, false),
        case("everybody ten years ahead", everybody(), TEN_YEARS_MS, false),
        case("one broker starts an hour late", one(), -HOUR_MS, true),
        case("one broker starts ten years ahead", one(), TEN_YEARS_MS, true),
    ];
    if all_variants() {
        cases.extend([
            case("one broker an hour late", one(), -HOUR_MS, false),
            case("all brokers an hour late", all(), -HOUR_MS, false),
            case("everybody an hour late", everybody(), -HOUR_MS, false),
            case("all brokers start ten years ahead", all(), TEN_YEARS_MS, true),
            case("all brokers start an hour late", all(), -HOUR_MS, true),
            case("the controllers ten years ahead", CONTROLLERS.to_vec(), TEN_YEARS_MS, false),
            case("the controllers an hour late", CONTROLLERS.to_vec(), -HOUR_MS, false),
        ]);
    }
    cases
}

/// What a broker says once it does not believe its clock, and when it does again.
const DISBELIEVED: &str =
    "the wall clock jumped|the wall clock differs|the wall clocks of controllers and brokers differ";
const BELIEVED: &str = "the wall clock is trusted";

/// Each case is written through under load: the clock goes wrong, and is set right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wall_clock_that_jumps_takes_a_record_that_is_younger_than_the_retention() {
    let clocks = Clocks::build();
    let broker_settings: &[&str] = if are_deaf() {
        &["retention_check_interval_ms=100"]
    } else {
        &["retention_check_interval_ms=100", "clock_thaw_ms=1000"]
    };
    let topic = [("retention.ms", RETENTION_MS)];
    let setup = Setup { broker_settings, topic: &topic, programs: Some(clocks.programs()) };
    let mut stand = Stand::start_with(setup).await;
    for Case { name, nodes, shift_ms, at_start } in cases() {
        let load = stand.load();
        load.flows(1_000).await;
        let brokers: Vec<NodeName> = BROKERS.into_iter().filter(|broker| nodes.contains(broker)).collect();
        // Where the controllers alone are wrong, no clock is that of most, and every broker hears so.
        let who = if brokers.is_empty() { BROKERS.to_vec() } else { brokers.clone() };
        let said: Vec<Said> = who.iter().map(|broker| Said::by(&stand.fixture.cluster, *broker)).collect();
        if at_start {
            for broker in &brokers {
                stand.kill(*broker);
            }
        }
        for node in &nodes {
            clocks.set(*node, shift_ms);
        }
        if at_start {
            for broker in &brokers {
                stand.begin(*broker);
            }
        }
        for said in &said {
            println!("{}", said.until(&[DISBELIEVED]).await);
        }
        load.flows(1_000).await;
        let said: Vec<Said> = who.iter().map(|broker| Said::by(&stand.fixture.cluster, *broker)).collect();
        for node in &nodes {
            clocks.set(*node, 0);
        }
        for said in &said {
            said.until(&[BELIEVED]).await;
        }
        load.flows(1_000).await;
        stand.take(load).await;
        stand.prove(name).await;
    }
    // And retention by time did run: what is older than it is asked to be goes.
    let change = TopicChange::new(TOPIC).set("retention.ms", "1000");
    stand.fixture.client.admin().alter_topic(change).await.expect("the retention can be changed");
    until("what is old goes", async || stand.log_start(0).await > 0).await;
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("nobody is disturbed by that");
}
