//! The producer's housekeeping: which lane serves which partition, and what time alone brings about.
//!
//! Place: one task per producer. It follows the metadata and looks at every partition ten times a second, but only while
//! records are under way.
//!
//! Invariants:
//! 1. A partition goes to the lane of its leader as soon as the metadata names one of a newer epoch, and to none while it
//!    says that there is none.
//! 2. A leader that has not answered for a moment is suspected: fresh metadata is asked for, and its partitions move as
//!    soon as another leads. Only after `request_timeout` is its stream given up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use holdfast_proto::error::ErrorCode;

use super::{lane_task, shared::Shared, topic::TopicQueues};
use crate::{
    housekeeping::{self, Woken},
    metadata::ClusterView,
    stream_end::Why,
};

/// How often partitions are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How much longer than the request timeout an answer is waited for: a broker that gives up at that time says so first.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// Silence after which a leader is suspected.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);

/// Looks after the partitions until the producer ends.
pub(crate) fn start(shared: &Arc<Shared>) {
    // Here and not in the task: a change between the first topic and the task's first step would be seen by nobody.
    let (ended, changes) = (shared.ended.clone(), shared.client.metadata().watch());
    let keeping =
        housekeeping::run(Arc::downgrade(shared), ended, changes, TICK, |shared: &Arc<Shared>, woken| match woken {
            Woken::Changed => route_all(shared),
            Woken::Tick if shared.outcomes.memory.used() > 0 => look_after(shared),
            Woken::Tick => {}
        });
    tokio::spawn(keeping);
}

/// Gives every partition to the lane of its leader.
pub(crate) fn route_all(shared: &Arc<Shared>) {
    // The topics first: an older view may not know one that came into use since.
    let topics: Vec<_> = shared.topics.read().values().cloned().collect();
    let view = shared.client.metadata().view();
    for (broker, lane) in shared.lanes.lock().iter() {
        lane.end.look_at_address(view.address(*broker));
    }
    for topic in topics {
        route(shared, &view, &topic);
    }
}

/// Gives every partition of the topic to the lane of its leader.
pub(crate) fn route(shared: &Arc<Shared>, view: &ClusterView, topic: &Arc<TopicQueues>) {
    let Some(known) = view.topics.get(&topic.name).filter(|known| known.id == topic.id) else {
        warn!(topic = %topic.name, "the topic was deleted or created again; its records are given up");
        shared.part_with(topic);
        return;
    };
    topic.grow_to(known.partitions.len(), shared.rules, shared.identity.get());
    for (queue, partition) in topic.partitions().iter().zip(&known.partitions) {
        match partition.leader {
            Some(broker) => {
                let lane =
                    Arc::clone(shared.lanes.lock().entry(broker).or_insert_with(|| lane_task::start(shared, broker)));
                queue.assign(&shared.outcomes, &lane, partition.leader_epoch);
            }
            None => queue.lose_leader(partition.leader_epoch),
        }
    }
    topic.leaders_changed();
}

/// Time limits, silent leaders, and partitions without one.
fn look_after(shared: &Arc<Shared>) {
    let now = Instant::now();
    let mut refresh = false;
    for partition in shared.partitions() {
        let (is_empty, oldest_sent) = partition.inspect(|queue| (queue.is_empty(), queue.oldest_sent()));
        if is_empty {
            continue;
        }
        let silence = oldest_sent.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent));
        let (lane, is_led) = (partition.lane(), partition.is_led());
        refresh |= !is_led || silence > SUSPECT_AFTER || lane.as_ref().is_none_or(|lane| !lane.is_open());
        if silence > shared.request_timeout.saturating_add(ANSWER_GRACE)
            && let Some(lane) = &lane
        {
            info!(broker = %lane.broker, topic = %partition.topic, partition = %partition.partition,
                "no answer for {silence:?}; the stream is given up");
            lane.end.give_up(Why::Silent);
        }
        if !is_led {
            partition.block(ErrorCode::LeaderNotAvailable);
        }
        partition.update(&shared.outcomes, |queue| queue.expire(now));
    }
    if refresh {
        shared.client.metadata().request_refresh();
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        ids::{BrokerId, PartitionIndex},
        v1,
    };

    use super::*;
    use crate::{
        Client, ClientConfig,
        producer::{Acks, batch_queue::Rules, identity::CurrentIdentity, memory::Memory},
    };

    #[tokio::test]
    async fn a_leader_that_changes_right_after_the_first_look_is_followed() {
        let client = Client::new(ClientConfig::new(["127.0.0.1:1"])).unwrap();
        client.metadata().set_view(ClusterView::with_leader(Some(1), 1));
        let view = client.metadata().view();
        let (time, memory, identity) = (Duration::from_secs(30), Memory::new(1), CurrentIdentity::new(None));
        let shared = Arc::new(Shared::new(client.clone(), Rules::FOR_TESTS, Acks::All, time, memory, identity));
        start(&shared);
        let known = &view.topics["t"];
        let topic = Arc::new(TopicQueues::new(Arc::clone(&known.name), known.id, None));
        shared.topics.write().insert(Arc::clone(&known.name), Arc::clone(&topic));
        route(&shared, &view, &topic);
        let hint = v1::LeaderHint { broker_id: 2, leader_epoch: 2, ..Default::default() };
        assert!(client.metadata().apply_hint("t", PartitionIndex(0), &hint)); // before any other task runs
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(topic.partitions()[0].lane().map(|lane| lane.broker), Some(BrokerId(2)));
        shared.ended.cancel();
    }
}
