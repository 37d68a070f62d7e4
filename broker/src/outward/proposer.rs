//! Takes the ISR changes that partitions want, and proposes them to the active controller, many in one call.

use std::sync::Arc;

use holdfast_metadata::Image;
use holdfast_metadata_wire::records;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, ids::TopicPartition, v1};
use holdfast_replication::Assignment;

use super::header::header;
use crate::{
    here::{assignment, context::Context},
    outbox::Proposal,
    partition::message::Message,
};

/// Changes in one call: the controller's own limit is 10,000.
pub(crate) const MAX_CHANGES: usize = 1_000;

/// Proposes until the broker ends. One call at a time: what comes meanwhile goes into the next.
pub(crate) async fn run(context: Arc<Context>) {
    loop {
        let proposals = context.outboxes.proposals.take(MAX_CHANGES).await;
        match propose(&context, &proposals).await {
            Ok(results) => {
                for ((partition, proposal), result) in proposals.into_iter().zip(results) {
                    let result = outcome(&context.metadata.look(), partition, result);
                    tell(&context, partition, &proposal, result).await;
                }
            }
            Err(detail) => {
                tracing::warn!(error = %detail, changes = proposals.len(), "ISR changes were not decided");
                // Nobody knows whether the controller took them.
                let code = if detail.code == ErrorCode::NoQuorum { ErrorCode::RequestTimedOut } else { detail.code };
                for (partition, proposal) in proposals {
                    tell(&context, partition, &proposal, Err(code)).await;
                }
            }
        }
    }
}

/// Proposes these changes, at most [`MAX_CHANGES`], in one call. What became of each, in their order.
pub(crate) async fn propose(
    context: &Context,
    proposals: &[(TopicPartition, Proposal)],
) -> Result<Vec<v1::IsrChangeResult>, ErrorDetail> {
    let answer = context.nodes.controllers.alter_partitions(request(context, proposals)?).await?;
    let wrong = || ErrorDetail::new(ErrorCode::UnknownServerError, "the controller answered other changes");
    (answer.results.len() == proposals.len()).then_some(answer.results).ok_or_else(wrong)
}

fn request(
    context: &Context,
    proposals: &[(TopicPartition, Proposal)],
) -> Result<v1::AlterPartitionsRequest, ErrorDetail> {
    let image = context.metadata.look();
    let own = (context.identity.broker_id, context.identity.broker_epoch());
    let changes = proposals.iter().map(|(partition, proposal)| v1::IsrChange {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        leader_epoch: proposal.leader_epoch.0,
        partition_epoch: proposal.partition_epoch.0,
        new_isr: proposal
            .new_isr
            .iter()
            .map(|(broker_id, caught_up_under)| {
                // A member that has not fetched in this epoch was in the ISR before: the controller removes it when its
                // registration changes, so the one that is known is the one that counts.
                let known = || image.broker(*broker_id).map(|broker| broker.broker_epoch).unwrap_or_default();
                let epoch = if *broker_id == own.0 { own.1 } else { caught_up_under.unwrap_or_else(known) };
                v1::IsrMember { broker_id: broker_id.0, broker_epoch: epoch.0 }
            })
            .collect(),
        high_watermark: proposal.high_watermark.map(|offset| offset.0),
        high_watermark_epoch: proposal.high_watermark_epoch.map(|epoch| epoch.0),
    });
    Ok(v1::AlterPartitionsRequest {
        header: Some(header(&context.identity)?),
        broker_id: own.0.0,
        broker_epoch: own.1.0,
        changes: changes.collect(),
    })
}

fn outcome(image: &Image, partition: TopicPartition, result: v1::IsrChangeResult) -> Result<Assignment, ErrorCode> {
    if let Some(error) = result.error {
        return Err(ErrorDetail::from(error).code);
    }
    let state = result.state.ok_or(ErrorCode::UnknownServerError)?;
    let state = records::state_from_message(state).map_err(|_| ErrorCode::UnknownServerError)?;
    let topic = image.topic(partition.topic_id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok(assignment::of(image.version(), topic, &state))
}

async fn tell(
    context: &Context,
    partition: TopicPartition,
    proposal: &Proposal,
    result: Result<Assignment, ErrorCode>,
) {
    let Some(replica) = context.partitions.get(partition) else { return };
    let Proposal { leader_epoch, partition_epoch, .. } = *proposal;
    let _closed_already = replica.actor().send(Message::Proposed { leader_epoch, partition_epoch, result }).await;
}
