//! The task of a lane: it keeps the stream to one broker open, and takes the answers in.
//!
//! Invariants:
//! 1. A batch goes into a stream only after the broker has opened it. So a batch is never in doubt because of a broker
//!    that was not there.
//! 2. When a stream ends, every batch that was out on it is given up in the same moment and sent again.
//!
//! Failure: a stream that ends or does not open is opened again after a pause with jitter; the address is looked up
//! again each time, and fresh metadata is asked for, since the leader may be another by now. The pauses grow until a
//! stream lasts. It is tried also while there is nothing to send: keyless records avoid a broker whose stream broke.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset},
    v1,
};

use super::{batch_queue::Ack, outbound::Outbound, partition::PartitionLane, shared::Shared};
use crate::{
    connection::{self, from_status},
    error::Error,
};

/// Longest time that a broker may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The lane and its task, which ends with the producer.
pub(super) fn start(shared: &Arc<Shared>, broker: BrokerId) -> Arc<PartitionLane> {
    let lane = Arc::new(PartitionLane::new(broker));
    let (task, ended) = (Arc::clone(&lane), shared.ended.clone());
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        ended.run_until_cancelled(run(&task, &shared)).await;
        task.clear();
    });
    lane
}

async fn run(lane: &Arc<PartitionLane>, shared: &Arc<Shared>) {
    let config = shared.client.config();
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    loop {
        while !has_work(lane) && !must_try(lane, shared) {
            lane.woken().await;
        }
        let mut opened = None;
        let ended = stream(lane, shared, &mut opened).await;
        if let Err(error @ Error::NotConnected { .. }) = &ended {
            shared.client.metadata().note_reached(lane.broker, Some(error.clone()));
        }
        backoff.reset_after(opened.map_or(Duration::ZERO, |at| at.elapsed()));
        // One that was closed in good order, as for its age, says nothing of the broker.
        lane.set_failing(ended.is_err());
        shared.leaders_changed();
        match ended {
            Ok(()) => debug!(broker = %lane.broker, "produce stream was closed"),
            Err(error) if backoff.is_fresh() => warn!(broker = %lane.broker, %error, "produce stream failed"),
            Err(error) => debug!(broker = %lane.broker, %error, "produce stream failed again"),
        }
        lane.close();
        give_up_all(lane, shared);
        shared.client.metadata().request_refresh();
        if opened.is_none() {
            lane.for_each_ready(|partition| partition.block(ErrorCode::BrokerNotAvailable));
        }
        tokio::time::sleep(jittered(backoff.next_pause())).await;
    }
}

/// True if a partition that this broker leads waits to be sent. Those that moved on are served elsewhere, and those
/// without a leader nowhere.
fn has_work(lane: &Arc<PartitionLane>) -> bool {
    lane.retain_ready(|partition| partition.stays_on(lane))
}

/// True if keyless records avoid the broker though it leads partitions: without a try they would for ever.
fn must_try(lane: &Arc<PartitionLane>, shared: &Shared) -> bool {
    if lane.is_usable() {
        return false;
    }
    let leads = shared.partitions().iter().any(|partition| partition.is_led_by(lane));
    lane.set_failing(leads);
    leads
}

/// Ends the generation, and with it every attempt that is out.
fn give_up_all(lane: &Arc<PartitionLane>, shared: &Shared) {
    lane.end_generation();
    let now = Instant::now();
    for partition in shared.partitions() {
        if partition.lane().is_some_and(|current| Arc::ptr_eq(&current, lane)) {
            partition.update(&shared.outcomes, |queue| queue.abandon(now));
        }
    }
}

/// One stream from its opening to its end.
async fn stream(lane: &Arc<PartitionLane>, shared: &Arc<Shared>, opened: &mut Option<Instant>) -> Result<(), Error> {
    let view = shared.client.metadata().view();
    let address = view.address(lane.broker).ok_or_else(|| Error::Unreachable {
        tried: 0,
        last: format!("the address of broker {} is not known", lane.broker),
    })?;
    let kind = connection::Lane::Produce;
    let mut client = shared.client.connections().producer(address, kind)?;
    let outbound = Outbound::new(Arc::clone(lane), Arc::clone(shared));
    let opening = tokio::time::timeout(OPEN_TIMEOUT, client.produce(outbound));
    let mut answers = match opening.await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(from_status(address, &status)),
        Err(_) => {
            shared.client.connections().discard(address, kind);
            let what = format!("opening a produce stream to {address}");
            return Err(Error::DeadlineExceeded { what, after: OPEN_TIMEOUT, in_doubt: false });
        }
    };
    debug!(broker = %lane.broker, address, "produce stream is open");
    lane.end.begin(address);
    shared.client.metadata().note_reached(lane.broker, None);
    *opened = Some(Instant::now());
    lane.open();
    shared.leaders_changed();
    loop {
        let answer = tokio::select! {
            answer = answers.message() => answer,
            why = lane.end.wait() => {
                shared.client.connections().discard(address, kind);
                return Err(Error::NotConnected { address: address.to_owned(), reason: format!("given up: {why}") });
            }
        };
        match answer {
            Ok(Some(answer)) => take_answer(lane, shared, answer),
            Ok(None) => return Ok(()),
            Err(status) => return Err(from_status(address, &status)),
        }
    }
}

fn take_answer(lane: &PartitionLane, shared: &Shared, answer: v1::ProduceResponse) {
    let Some(partition) = lane.take_out(answer.correlation_id) else {
        debug!(correlation_id = answer.correlation_id, "an answer to nothing that is out");
        return;
    };
    let result = match answer.error {
        None => {
            lane.end.served();
            Ok(Ack {
                base_offset: Some(Offset(answer.base_offset)),
                leader_epoch: Some(LeaderEpoch(answer.leader_epoch)),
            })
        }
        Some(error) => {
            debug!(topic = %partition.topic, partition = %partition.partition, name = error.name, "produce refused");
            let metadata = shared.client.metadata();
            if let Some(hint) = &error.leader {
                metadata.apply_hint(&partition.topic, partition.partition, hint);
            }
            let detail = ErrorDetail::from(error);
            let leader = || metadata.view().leader(&partition.topic, partition.partition);
            if detail.code == ErrorCode::NotLeaderOrFollower && leader().is_some_and(|it| it.broker == lane.broker) {
                lane.end.refused(Instant::now(), shared.client.config().retry_backoff_max);
            }
            Err(detail)
        }
    };
    let now = Instant::now();
    let reaction = partition.update(&shared.outcomes, |queue| queue.answer(answer.correlation_id, result, now));
    if reaction.refresh {
        shared.client.metadata().request_refresh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Client, ClientConfig,
        metadata::ClusterView,
        producer::{
            Acks, batch_queue::Rules, identity::CurrentIdentity, memory::Memory, router::route, topic::TopicQueues,
        },
    };

    #[tokio::test]
    async fn a_broker_is_tried_while_it_leads_something_and_no_longer() {
        let client = Client::new(ClientConfig::new(["127.0.0.1:1"])).unwrap();
        let (time, memory, identity) = (Duration::from_secs(30), Memory::new(1), CurrentIdentity::new(None));
        let shared = Arc::new(Shared::new(client, Rules::FOR_TESTS, Acks::All, time, memory, identity));
        let lane = Arc::new(PartitionLane::new(BrokerId(1)));
        shared.lanes.lock().insert(lane.broker, Arc::clone(&lane)); // without its task
        let view = |leader, epoch| ClusterView::with_leader(leader, epoch);
        let known = Arc::clone(&view(Some(1), 1).topics["t"]);
        let topic = Arc::new(TopicQueues::new(Arc::clone(&known.name), known.id, None));
        shared.topics.write().insert(Arc::clone(&known.name), Arc::clone(&topic));
        route(&shared, &view(Some(1), 1), &topic);
        lane.set_failing(true);
        assert!(must_try(&lane, &shared));
        route(&shared, &view(None, 2), &topic);
        assert!(!must_try(&lane, &shared), "it is tried for ever");
        assert!(!topic.partitions()[0].has_leader());
        route(&shared, &view(Some(1), 3), &topic);
        assert!(topic.partitions()[0].has_leader());
    }
}
