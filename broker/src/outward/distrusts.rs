//! Tells the active controller which replicas this broker does not vouch for, until it is committed.
//!
//! Each is told with the partition epoch of the state that is known here, and passed over if that has changed meanwhile; then
//! the newer state comes, and it is told again. So a call that arrives late, after the replica has begun again, does
//! nothing.
//!
//! Before metadata version 2 the controllers take none of it. Then leaderships are given away, and the rest waits until that
//! version is finalised.

use std::{sync::Arc, time::Duration};

use holdfast_metadata::{Image, trust::DistrustReason, version::TRUST};
use holdfast_metadata_wire::trust::reason_to_message;
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerId, PartitionEpoch, TopicPartition},
    v1,
};

use super::{handover, header::header};
use crate::{here::context::Context, outbox::Waiting, partition::roster::is_told};

/// Replicas in one call: the controller's own limit is 10,000.
const MAX_REPLICAS: usize = 1_000;

/// First pause before another attempt; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause before the metadata is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>) {
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    let mut index = context.metadata.watch();
    let mut said = false;
    loop {
        let waiting = context.outboxes.distrusts.wait().await;
        index.borrow_and_update();
        let Look { known, told } = look(&context.metadata.look(), context.identity.broker_id, &waiting);
        if !told.is_empty() {
            tracing::info!(replicas = told.len(), "the controllers do not count on these replicas");
            context.outboxes.distrusts.told(&told);
        }
        if !known.is_empty() && context.metadata.look().version() < TRUST {
            if !std::mem::replace(&mut said, true) {
                tracing::error!(
                    replicas = known.len(),
                    "this broker does not vouch for replicas, and the controllers cannot take that before metadata version \
                     {TRUST}: upgrade every node, then `holdfast cluster finalize-version {TRUST}`"
                );
            }
            handover::ask(&context, known.iter().map(|(partition, ..)| *partition)).await;
            let _newer_or_not = tokio::time::timeout(LOOK_AGAIN, index.changed()).await;
            continue;
        }
        let Some(some) = known.chunks(MAX_REPLICAS).next() else {
            let _newer_or_not = tokio::time::timeout(LOOK_AGAIN, index.changed()).await;
            continue;
        };
        let done = match request(&context, some) {
            Ok(request) => context.nodes.controllers.distrust_replicas(request).await,
            Err(detail) => Err(detail),
        };
        match done {
            // It is told once the metadata says so, and said again if anything else came first.
            Ok(_) => {
                backoff.reset();
                let _newer_or_not = tokio::time::timeout(jittered(LOOK_AGAIN), index.changed()).await;
            }
            Err(error) => {
                tracing::warn!(%error, replicas = some.len(), "the controllers do not know yet which replicas are distrusted");
                tokio::time::sleep(jittered(backoff.next_pause())).await;
            }
        }
    }
}

/// A replica, why it is not believed, and the partition epoch of the state that is known.
type Known = (TopicPartition, DistrustReason, PartitionEpoch);

/// What the metadata says of replicas that wait.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// Those that the controllers count on, or may.
    known: Vec<Known>,
    /// Those of which they know, or that are not this broker's any more.
    told: Vec<Waiting>,
}

fn look(image: &Image, own: BrokerId, waiting: &[Waiting]) -> Look {
    let mut look = Look { known: Vec::new(), told: Vec::new() };
    for (partition, reason, closed_at) in waiting {
        let state = image.partition(*partition);
        let is_told = match state {
            Some(state) => !state.replicas.contains(&own) || is_told(state, own, *closed_at),
            None => image.deleted_topics().contains(&partition.topic_id),
        };
        if is_told {
            look.told.push((*partition, *reason, *closed_at));
        } else if let Some(state) = state {
            look.known.push((*partition, *reason, state.partition_epoch));
        }
    }
    look
}

fn request(context: &Context, replicas: &[Known]) -> Result<v1::DistrustReplicasRequest, ErrorDetail> {
    let one = |(partition, reason, epoch): &Known| v1::UntrustedReplica {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        reason: reason_to_message(*reason).into(),
        partition_epoch: epoch.0,
    };
    Ok(v1::DistrustReplicasRequest {
        header: Some(header(&context.identity)?),
        broker_id: context.identity.broker_id.0,
        broker_epoch: context.identity.broker_epoch().0,
        replicas: replicas.iter().map(one).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use holdfast_metadata::{PartitionState, Record, trust::Distrust};
    use holdfast_proto::ids::{MetadataIndex, PartitionIndex, TopicId};

    use super::*;
    use crate::partition::roster::ClosedAt;

    const OWN: BrokerId = BrokerId(1);
    const REASON: DistrustReason = DistrustReason::Halted;
    const CLOSED_AT: ClosedAt = Some(PartitionEpoch(6));

    fn tp() -> TopicPartition {
        TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
    }

    fn seen(record: Record) -> Look {
        let TopicPartition { topic_id, .. } = tp();
        let named = Record::Topic { topic_id, name: "orders".to_owned() };
        let config = Record::TopicConfig { topic_id, configs: BTreeMap::new() };
        let image = Image::from_records(MetadataIndex(1), &[named, config, record]).expect("an image");
        look(&image, OWN, &[(tp(), REASON, CLOSED_AT)])
    }

    fn placed(replicas: &[u32], distrusted: Vec<Distrust>) -> Record {
        let TopicPartition { topic_id, partition } = tp();
        let replicas: Vec<BrokerId> = replicas.iter().copied().map(BrokerId).collect();
        let partition_epoch = PartitionEpoch(7);
        let state = PartitionState { partition_epoch, replicas, distrusted, ..PartitionState::default() };
        Record::Partition { topic_id, partition, state }
    }

    #[test]
    fn a_replica_is_told_of_the_state_that_is_known_until_that_says_it() {
        let counts = seen(placed(&[1, 2], Vec::new()));
        assert_eq!(counts, Look { known: vec![(tp(), REASON, PartitionEpoch(7))], told: Vec::new() });
        let distrusted = vec![Distrust { broker_id: OWN, reason: DistrustReason::Damaged }];
        let over = Look { known: Vec::new(), told: vec![(tp(), REASON, CLOSED_AT)] };
        assert_eq!(seen(placed(&[1, 2], distrusted)), over, "whatever the reason");
        assert_eq!(seen(placed(&[2, 3], Vec::new())), over, "it has left");
        assert_eq!(seen(Record::RemoveTopic { topic_id: tp().topic_id }), over);
    }

    #[test]
    fn a_partition_that_is_not_known_yet_waits() {
        let look = look(&Image::default(), OWN, &[(tp(), REASON, CLOSED_AT)]);
        assert_eq!(look, Look { known: Vec::new(), told: Vec::new() });
    }
}
