//! The consumer's housekeeping: who leads which partition, and leaders that do not answer.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tracing::info;

use super::{Error, lane_task, shared::Shared};
use crate::{
    housekeeping::{self, Woken},
    stream_end::Why,
};

/// How often requests that are out are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Silence past the answer's due time after which a leader is suspected.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// Runs until the consumer ends.
pub(crate) async fn run(shared: Weak<Shared>) {
    let Some(owner) = shared.upgrade() else { return };
    let (ended, changes) = (owner.ended.clone(), owner.client.metadata().watch());
    drop(owner);
    housekeeping::run(shared, ended, changes, TICK, |shared, woken| match woken {
        Woken::Changed => route(shared),
        Woken::Tick => look_after(shared),
    })
    .await;
}

/// Gives every partition to its leader's lane. What is out at an old leader is forgotten.
pub(crate) fn route(shared: &Arc<Shared>) {
    let mut brokers = Vec::new();
    let view = shared.update(|buffers| {
        // With the partitions in hand: an older view may not know a topic that was added since.
        let view = shared.client.metadata().view();
        for index in 0..buffers.partitions.len() {
            let fetch = &mut buffers.partitions[index];
            let known = view.topics.get(&fetch.topic).filter(|topic| topic.id.to_bytes() == fetch.topic_id);
            let Some(topic) = known else {
                let gone = Error::TopicGone(fetch.topic.to_string());
                fetch.fail(gone);
                buffers.set_ready(index);
                continue;
            };
            let Some(partition) = topic.partition(fetch.partition) else { continue };
            let Some(leader) = partition.leader.map(|leader| (leader, partition.leader_epoch)) else { continue };
            if buffers.lead(index, leader.0, leader.1) {
                brokers.push(leader.0);
            }
        }
        view
    });
    for (broker, lane) in shared.lanes.lock().iter() {
        lane.end.look_at_address(view.address(*broker));
    }
    for broker in &brokers {
        shared.lanes.lock().entry(*broker).or_insert_with(|| lane_task::start(shared, *broker));
    }
    if !brokers.is_empty() {
        shared.wake_lanes(); // the old leaders' too: the shares are others now
    }
}

/// Asks for metadata where a leader is missing or silent; gives up a stream that is silent for too long.
fn look_after(shared: &Arc<Shared>) {
    let now = Instant::now();
    let due = shared.rules.max_wait;
    let (mut refresh, mut silent) = (false, BTreeSet::new());
    shared.update(|buffers| {
        for fetch in buffers.partitions.iter().filter(|fetch| !fetch.has_failed() && !fetch.paused) {
            let silence = fetch.out.map_or(Duration::ZERO, |out| now.saturating_duration_since(out.since));
            refresh |= fetch.leader.is_none() || silence > due + SUSPECT_AFTER;
            if silence > due + shared.rules.request_timeout {
                silent.extend(fetch.leader.map(|(broker, _)| broker));
            }
        }
    });
    if refresh {
        shared.client.metadata().request_refresh();
    }
    for broker in silent {
        if let Some(lane) = shared.lanes.lock().get(&broker) {
            info!(%broker, "no answer to a fetch; the stream is given up");
            lane.end.give_up(Why::Silent);
        }
    }
}
