//! As a leader's broker: takes followers' positions, gives records. Served on the inter-node port only.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use tonic::{Request, Response, Status, Streaming};

use holdfast_log::{Digest, Error, RangeDigest};
use holdfast_node::incoming::ConnectionInfo;
use holdfast_proto::{
    convert::{self, check_peer, partition_error, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, Offset, PartitionEpoch, TopicPartition},
    v1::{self, replica_service_server::ReplicaService},
};
use holdfast_replication::{FetchAnswer, FetchPosition};

use super::unsent::Unsent;
use crate::{
    here::context::Context,
    outbox::{
        answers::{Answer, AnswerStream, Outbox, Pieces},
        streams::StreamNumber,
    },
    partition::{
        compared::{self, Asked},
        message::Message,
        read,
    },
};

/// Where one message to a follower ends, bytes; a single larger answer goes alone.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// The gRPC side of the leader that followers fetch from.
pub(super) struct ReplicaEdge {
    context: Arc<Context>,
}

impl ReplicaEdge {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Who follows: of this cluster, meaning this broker, not older than the registration that is known.
    fn check(&self, hello: v1::FetchReplicaRequest) -> Result<(BrokerId, StreamNumber), ErrorDetail> {
        let cluster_id = self.context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
        let peer = check_peer(hello.header, cluster_id, self.context.identity.broker_id.0.into(), false)?;
        let follower = u32::try_from(peer.node_id).map(BrokerId).map_err(|_| {
            ErrorDetail::new(
                ErrorCode::InvalidRequest,
                format!("'{}' is not a broker's id; write a number below 2^32", peer.node_id),
            )
        })?;
        let epoch = BrokerEpoch(hello.broker_epoch);
        let known = self.context.metadata.look().broker(follower).map(|broker| broker.broker_epoch);
        if known.is_some_and(|known| epoch < known) {
            return Err(ErrorCode::StaleBrokerEpoch.into());
        }
        Ok((follower, (epoch, hello.stream_number)))
    }

    /// Which range a leader asks for.
    fn asked(&self, request: v1::CompareReplicaRequest) -> Result<(TopicPartition, Asked), ErrorDetail> {
        let cluster_id = self.context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
        let peer = check_peer(request.header, cluster_id, self.context.identity.broker_id.0.into(), false)?;
        let topic_id = required_id(&request.topic_id, "topic_id")?;
        let partition = TopicPartition { topic_id, partition: convert::partition(request.partition, "partition")? };
        let asked = Asked {
            // Who is none has no partition that follows it.
            leader: BrokerId(u32::try_from(peer.node_id).unwrap_or(u32::MAX)),
            leader_epoch: convert::leader_epoch(request.leader_epoch, "leader_epoch")?,
            range: (
                convert::offset(request.from_offset, "from_offset")?,
                convert::offset(request.to_offset, "to_offset")?,
            ),
            settled: request.settled_digest.map(Digest),
            settled_log_start: request
                .settled_log_start
                .map(|offset| convert::offset(offset, "settled_log_start"))
                .transpose()?,
        };
        Ok((partition, asked))
    }
}

#[tonic::async_trait]
impl ReplicaService for ReplicaEdge {
    type FetchReplicaStream = futures::stream::BoxStream<'static, Result<v1::FetchReplicaResponse, Status>>;

    async fn fetch_replica(
        &self,
        request: Request<Streaming<v1::FetchReplicaRequest>>,
    ) -> Result<Response<Self::FetchReplicaStream>, Status> {
        let reader = self.context.logs.followers.memory.stream(ConnectionInfo::closer(&request));
        let unsent = Unsent::of(Arc::clone(&reader));
        let mut positions = request.into_inner();
        let patience = Duration::from_millis(self.context.config.peer_rpc_timeout_ms);
        let Ok(first) = tokio::time::timeout(patience, positions.message()).await else {
            let message = format!("no first message within {} ms; open the stream again", patience.as_millis());
            return Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message).into());
        };
        let Some(hello) = first? else {
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, "the stream ended before its first message").into());
        };
        let first = hello.positions.clone();
        let (follower, number) = self.check(hello)?;
        let broker_epoch = number.0;
        let outbox = Arc::new(Outbox::of(reader));
        if !self.context.outboxes.follower_streams.begin(follower, number, &outbox) {
            let message = format!("a newer stream of broker {follower} is open; this one came too late");
            return Err(ErrorDetail::new(ErrorCode::StaleBrokerEpoch, message).into());
        }
        tracing::info!(%follower, %broker_epoch, "a follower's broker has connected");
        let feed = Feed { context: Arc::clone(&self.context), follower, broker_epoch, outbox: Arc::clone(&outbox) };
        tokio::spawn(feed.run(first, positions));
        let answers = AnswerStream { outbox, max_bytes: MESSAGE_BYTES };
        let held = unsent.clone();
        let answers = answers.map(move |group| {
            let partitions = group.into_iter().map(|answer| message(answer, &held)).collect();
            Ok(v1::FetchReplicaResponse { partitions })
        });
        Ok(unsent.response(answers.boxed()))
    }

    async fn compare_replica(
        &self,
        request: Request<v1::CompareReplicaRequest>,
    ) -> Result<Response<v1::CompareReplicaResponse>, Status> {
        let (partition, asked) = self.asked(request.into_inner())?;
        let replica = self.context.partitions.get(partition).ok_or(ErrorCode::UnknownTopicOrPartition);
        let replica = replica.map_err(ErrorDetail::from)?;
        let log_start_offset = replica.reader.log_start_offset().0;
        let view = replica.view();
        let leads = view.leader == Some(self.context.identity.broker_id);
        if leads && view.leader_epoch == Some(asked.leader_epoch) {
            // Who is to copy all of it asks whether it is there. A log that takes nothing any more gives nothing either.
            if view.readable == Err(ErrorCode::KafkaStorageError) {
                return Err(ErrorDetail::from(ErrorCode::KafkaStorageError).into());
            }
            return Ok(Response::new(v1::CompareReplicaResponse { log_start_offset, ..Default::default() }));
        }
        let (logs, budget) = (&self.context.logs, Arc::clone(&self.context.scrub_budget));
        // What is read again takes its time: followers that fetch do not wait behind it.
        let reads = if asked.settled.is_some() { &logs.read_again } else { &logs.followers.disk };
        let (context, log) = (Arc::clone(&self.context), replica.reader.clone());
        let note = move |distrust| match context.partitions.get(partition) {
            Some(open) if open.reader.is_same(&log) => context.logs.data_dir.distrust(partition, distrust),
            // It is closed already, for another reason.
            _ => Err(Error::Closed),
        };
        let held = reads.run(move || compared::answer(&replica, &asked, &budget, note)).await;
        let held = held.map_err(ErrorDetail::from)?;
        let digest = if let RangeDigest::Known(digest) = held { Some(digest.0) } else { None };
        let is_inside_batch = held == RangeDigest::InsideBatch;
        Ok(Response::new(v1::CompareReplicaResponse { digest, is_inside_batch, log_start_offset }))
    }
}

/// The incoming half of one stream.
struct Feed {
    context: Arc<Context>,
    follower: BrokerId,
    broker_epoch: BrokerEpoch,
    outbox: Arc<Outbox>,
}

impl Feed {
    async fn run(self, first: Vec<v1::ReplicaPosition>, mut stream: Streaming<v1::FetchReplicaRequest>) {
        let mut touched = BTreeSet::new();
        let mut batch = first;
        let context = Arc::clone(&self.context);
        let mut ended = std::pin::pin!(context.state.streams_ended());
        let reason = loop {
            for position in batch {
                match self.take(position).await {
                    Ok(here) => touched.extend(here),
                    Err(error) => {
                        tracing::warn!(follower = %self.follower, %error, "a follower sends what makes no sense");
                    }
                }
            }
            let message = tokio::select! {
                message = stream.message() => message,
                () = &mut ended => break "this broker stops".to_owned(),
            };
            batch = match message {
                Ok(Some(_)) if self.outbox.is_closed() => break "a newer stream has begun".to_owned(),
                Ok(Some(message)) => message.positions,
                Ok(None) => break "the stream ended".to_owned(),
                Err(status) => break status.to_string(),
            };
        };
        tracing::info!(follower = %self.follower, reason, "a follower's broker has left");
        self.outbox.close();
        self.context.outboxes.follower_streams.end(self.follower, &self.outbox);
        for partition in touched {
            if let Some(replica) = self.context.partitions.get(partition) {
                let (from, outbox) = (self.follower, Arc::clone(&self.outbox));
                let _closed_already = replica.actor().send(Message::ReplicaDisconnected { from, outbox }).await;
            }
        }
    }

    /// Gives one position to its partition, and tells which that is if it is here. An error says that the message is
    /// malformed.
    async fn take(&self, message: v1::ReplicaPosition) -> Result<Option<TopicPartition>, ErrorDetail> {
        let topic_id = required_id(&message.topic_id, "topic_id")?;
        let partition = TopicPartition { topic_id, partition: convert::partition(message.partition, "partition")? };
        let last_fetched_epoch =
            message.last_fetched_epoch.map(|epoch| convert::leader_epoch(epoch, "last_fetched_epoch")).transpose()?;
        let position = FetchPosition {
            leader_epoch: convert::leader_epoch(message.leader_epoch, "leader_epoch")?,
            partition_epoch: PartitionEpoch(message.partition_epoch),
            fetch_offset: convert::offset(message.fetch_offset, "fetch_offset")?,
            flushed_offset: convert::offset(message.flushed_offset, "flushed_offset")?,
            last_fetched_epoch,
            log_start_offset: message
                .log_start_offset
                .map(|offset| convert::offset(offset, "log_start_offset"))
                .transpose()?,
            wants_records: message.want_records,
        };
        if position.flushed_offset > position.fetch_offset {
            let what = "flushed_offset is above fetch_offset: a follower cannot be durable past its end";
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, what));
        }
        let refused = match self.context.partitions.get(partition) {
            None => true,
            Some(replica) => {
                let fetch = Message::ReplicaFetch {
                    from: self.follower,
                    broker_epoch: self.broker_epoch,
                    position,
                    max_bytes: message.max_bytes.clamp(1, self.context.config.replica_fetch_max_bytes),
                    outbox: Arc::clone(&self.outbox),
                };
                replica.actor().send(fetch).await.is_some()
            }
        };
        if refused && position.wants_records {
            let body = FetchAnswer::Failed(ErrorCode::UnknownTopicOrPartition);
            self.outbox.put(Answer { partition, leader_epoch: position.leader_epoch, body });
        }
        Ok((!refused).then_some(partition))
    }
}

fn message(answer: Answer, unsent: &Unsent) -> v1::ReplicaRecords {
    let mut records = v1::ReplicaRecords {
        topic_id: answer.partition.topic_id.to_bytes(),
        partition: answer.partition.partition.0,
        leader_epoch: answer.leader_epoch.0,
        ..v1::ReplicaRecords::default()
    };
    match answer.body {
        FetchAnswer::Records { records: found, high_watermark, log_start_offset } => {
            let Pieces { from_offset, batches, room } = found;
            unsent.hold(room);
            records.base_offset = from_offset.0;
            records.high_watermark = high_watermark.0;
            records.log_start_offset = log_start_offset.0;
            records.batches = read::join(batches);
        }
        FetchAnswer::Diverging { leader_epoch, end_offset: Offset(end_offset) } => {
            records.diverging = Some(v1::DivergingEpoch { leader_epoch: leader_epoch.0, end_offset });
        }
        FetchAnswer::OutOfRange { log_start_offset } => {
            records.log_start_offset = log_start_offset.0;
            records.error = Some(partition_error(ErrorCode::OffsetOutOfRange.into()));
        }
        FetchAnswer::Failed(code) => records.error = Some(partition_error(code.into())),
    }
    records
}
