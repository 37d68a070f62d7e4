//! As a leader: asks followers what they hold of a range.

use std::time::Duration;

use holdfast_log::Digest;
use holdfast_proto::{
    convert::peer_header,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, TopicPartition},
    status::classify,
    v1::{self, replica_service_client::ReplicaServiceClient},
};

use super::channels::Purpose;
use crate::here::context::Context;

/// What a follower holds of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Batches with this digest.
    Known(Digest),
    /// Batches with other borders.
    OtherBorders,
    /// It does not know, or does not hold all of it; its log begins there.
    Unknown(Offset),
}

/// What a leader asks for: of which partition, in which leadership, which range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) range: (Offset, Offset),
    /// The leader's digest, once both are known to differ: the follower then reads its own batches again.
    pub(crate) settled: Option<Digest>,
}

/// Asks one follower, with the deadline of every call to another node.
pub(crate) async fn ask(context: &Context, follower: BrokerId, question: Question) -> Result<Held, ErrorDetail> {
    let cluster_id = context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
    let address = context.metadata.look().broker(follower).map(|broker| broker.peer_address.clone());
    let address = address.ok_or(ErrorCode::BrokerNotAvailable)?;
    let Question { partition, leader_epoch, range: (from, to), settled } = question;
    let mut request = tonic::Request::new(v1::CompareReplicaRequest {
        header: Some(peer_header(cluster_id, follower.0.into(), context.identity.broker_id.0.into())),
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        leader_epoch: leader_epoch.0,
        from_offset: from.0,
        to_offset: to.0,
        settled_digest: settled.map(|digest| digest.0),
    });
    let limit = Duration::from_millis(context.config.peer_rpc_timeout_ms);
    request.set_timeout(limit);
    let mut client = ReplicaServiceClient::new(context.nodes.brokers.channel(&address, Purpose::Calls)?);
    let Ok(answer) = tokio::time::timeout(limit, client.compare_replica(request)).await else {
        return Err(ErrorDetail::new(ErrorCode::RequestTimedOut, "the follower did not answer in time"));
    };
    let answer = answer.map_err(|status| classify(&status).1)?.into_inner();
    Ok(match answer.digest {
        Some(digest) => Held::Known(Digest(digest)),
        None if answer.is_inside_batch => Held::OtherBorders,
        None => Held::Unknown(Offset(answer.log_start_offset)),
    })
}
