//! The consumer's housekeeping: who leads which partition, and leaders that do not answer.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::info;

use holdfast_proto::ids::TopicId;

use super::{Error, lane_task, shared::Shared};
use crate::{
    housekeeping::{self, Woken},
    stream_end::Why,
};

/// How often requests that are out are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Silence past the answer's due time after which a leader is suspected.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// Gives every partition to its leader's lane, and looks after all of them until the consumer ends.
pub(crate) fn start(shared: &Arc<Shared>) {
    // Before the first look: a change between the two would be seen by nobody.
    let (ended, changes) = (shared.ended.clone(), shared.client.metadata().watch());
    route(shared);
    let keeping =
        housekeeping::run(Arc::downgrade(shared), ended, changes, TICK, |shared: &Arc<Shared>, woken| match woken {
            Woken::Changed => route(shared),
            Woken::Tick => look_after(shared),
        });
    tokio::spawn(keeping);
}

/// Gives every partition to its leader's lane. What is out at an old leader is forgotten.
pub(crate) fn route(shared: &Arc<Shared>) {
    let mut brokers = Vec::new();
    let view = shared.update(|buffers| {
        // With the partitions in hand: an older view may not know a topic that was added since.
        let view = shared.client.metadata().view();
        for index in 0..buffers.partitions.len() {
            let fetch = &mut buffers.partitions[index];
            let id = TopicId::from_bytes(&fetch.topic_id);
            let known = view.topics.get(&fetch.topic).filter(|topic| Some(topic.id) == id);
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

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        batch::DecodeLimits,
        ids::{BrokerId, Offset, PartitionIndex},
        v1,
    };

    use super::*;
    use crate::{
        Client, ClientConfig,
        consumer::{
            buffers::Rules,
            partition::{Gaps, PartitionFetch},
        },
        metadata::ClusterView,
    };

    fn rules() -> Rules {
        Rules {
            max_wait: Duration::ZERO,
            min_bytes: 1,
            fetch_max_bytes: 1,
            partition_max_bytes: 1,
            prefetch_bytes: 1,
            request_timeout: Duration::from_secs(30),
            gaps: Gaps::AreErrors,
            limits: DecodeLimits::default(),
        }
    }

    #[tokio::test]
    async fn a_leader_that_changes_right_after_the_first_look_is_followed() {
        let client = Client::new(ClientConfig::new(["127.0.0.1:1"])).unwrap();
        client.metadata().set_view(ClusterView::with_leader(Some(1), 1));
        let topic = client.metadata().view().topics["t"].clone();
        let fetch = PartitionFetch::new(topic.name.clone(), topic.id.to_bytes(), PartitionIndex(0), Offset(0));
        let shared = Arc::new(Shared::new(client.clone(), rules(), vec![fetch]));
        start(&shared);
        let hint = v1::LeaderHint { broker_id: 2, leader_epoch: 2, ..Default::default() };
        assert!(client.metadata().apply_hint("t", PartitionIndex(0), &hint)); // before any other task runs
        let leader = || shared.update(|buffers| buffers.partitions[0].leader_id());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(leader(), Some(BrokerId(2)));
        shared.ended.cancel();
    }
}
