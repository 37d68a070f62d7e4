//! Tells the active controller which replicas this broker does not vouch for, until it is committed.

use std::{sync::Arc, time::Duration};

use holdfast_metadata::trust::DistrustReason;
use holdfast_metadata_wire::trust::reason_to_message;
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{detail::ErrorDetail, ids::TopicPartition, v1};

use super::header::header;
use crate::here::context::Context;

/// Replicas in one call: the controller's own limit is 10,000.
const MAX_REPLICAS: usize = 1_000;

/// First pause before another attempt; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>) {
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    loop {
        let replicas = context.outboxes.distrusts.wait(MAX_REPLICAS).await;
        let told = match request(&context, &replicas) {
            Ok(request) => context.nodes.controllers.distrust_replicas(request).await,
            Err(detail) => Err(detail),
        };
        match told {
            Ok(_) => {
                tracing::info!(replicas = replicas.len(), "the controllers count on these replicas no more");
                context.outboxes.distrusts.told(&replicas);
                backoff.reset();
            }
            Err(error) => {
                tracing::warn!(%error, replicas = replicas.len(), "the controllers do not know yet which replicas are distrusted");
                tokio::time::sleep(jittered(backoff.next_pause())).await;
            }
        }
    }
}

fn request(
    context: &Context,
    replicas: &[(TopicPartition, DistrustReason)],
) -> Result<v1::DistrustReplicasRequest, ErrorDetail> {
    let one = |(partition, reason): &(TopicPartition, DistrustReason)| v1::UntrustedReplica {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        reason: reason_to_message(*reason).into(),
    };
    Ok(v1::DistrustReplicasRequest {
        header: Some(header(&context.identity)?),
        broker_id: context.identity.broker_id.0,
        broker_epoch: context.identity.broker_epoch().0,
        replicas: replicas.iter().map(one).collect(),
    })
}
