//! What it costs a controller when every broker begins a session at once, as after a fail-over: measured, not judged.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use holdfast_controller::config::Config;
use holdfast_proto::v1::CreateTopicRequest;

use crate::{
    broker::{Applied, Broker, Disk, begin},
    support::{Quorum, eventually},
};

/// Brokers and partitions: in full with `STORM=all`, for it to be measured alone, with `--nocapture`.
fn size() -> (u32, u32) {
    if std::env::var("STORM").is_ok_and(|which| which == "all") { (50, 10_000) } else { (5, 300) }
}

fn patient(config: &mut Config) {
    // A busy machine must not change what is measured.
    config.broker_session_timeout_ms = 60_000;
    config.broker_disconnect_grace_ms = 30_000;
}

/// CPU time of the threads of the controllers of this process so far; brokers and tests have others.
fn controllers_cpu() -> Duration {
    let mut ticks = 0;
    for thread in fs::read_dir("/proc/self/task").expect("threads").flatten() {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if name.ends_with("(controller") {
            ticks += fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        }
    }
    // USER_HZ is 100 wherever Linux runs.
    Duration::from_millis(10 * ticks)
}

#[test]
fn brokers_that_begin_their_sessions_at_once_share_what_they_are_sent() {
    let (brokers, partitions) = size();
    let quorum = Quorum::formed(1, patient);
    let brokers: Vec<Broker> = (1..=brokers).map(|id| Broker::start(&quorum, Disk::new(id))).collect();
    let image = || quorum.node(0).node().view().image();
    eventually("all brokers to serve", || image().brokers().values().all(|broker| !broker.fenced));
    let topic = CreateTopicRequest {
        name: "t".to_owned(),
        partition_count: partitions,
        replication_factor: 3,
        ..CreateTopicRequest::default()
    };
    quorum.block_on(quorum.admin(0).create_topic(topic)).expect("a topic");
    let cluster = quorum.cluster_id();
    let known = Applied { index: image().index().0, history: image().history() };
    for (round, applied, whole) in
        [("whole", Applied::default(), true), ("whole", Applied::default(), true), ("resumed", known, false)]
    {
        brokers.iter().for_each(Broker::kill);
        let (cpu, began) = (controllers_cpu(), Instant::now());
        let snapshots = quorum.block_on(async {
            let mut sessions = JoinSet::new();
            for broker in &brokers {
                let (address, id, epoch) = (quorum.addresses[0].clone(), broker.id, broker.epoch);
                sessions.spawn(async move { begin(&address, cluster, id, epoch, applied).await });
            }
            let begun = sessions.join_all().await;
            begun.iter().flat_map(|begun| &begun.heard).filter(|heard| heard.snapshot.is_some()).count()
        });
        let (took, used) = (began.elapsed(), controllers_cpu().saturating_sub(cpu));
        assert_eq!(snapshots, if whole { brokers.len() } else { 0 }, "{round}");
        println!(
            "{round}: {} sessions, {partitions} partitions, {snapshots} snapshots: {} ms, {} ms of CPU",
            brokers.len(),
            took.as_millis(),
            used.as_millis()
        );
    }
}
