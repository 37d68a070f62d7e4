//! As a follower's broker: one stream to each source broker, over all partitions between the two.
//!
//! A stream is made when a position waits, and re-made with growing, jittered pauses; the address is looked up in the
//! metadata and resolved each time. When it breaks, every unanswered request is answered with a failure, so that the cores
//! ask again. It is also ended when the source registers again: the old connection may hang for long.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    convert::{self, peer_header, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicPartition},
    limits::MAX_MESSAGE_BYTES,
    v1::{self, replica_service_client::ReplicaServiceClient},
};
use holdfast_replication::FetchPosition;

use super::{
    channels::endpoint,
    incoming::{Incoming, deliver},
    unreached::Unreached,
};
use crate::{here::context::Context, outbox::SourcePositions};

/// First pause after a stream broke; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Starts a fetcher for each source broker that is first named.
pub(crate) async fn run(context: Arc<Context>, mut created: mpsc::Receiver<Arc<SourcePositions>>) {
    // They end with this task.
    let mut fetchers = JoinSet::new();
    while let Some(positions) = created.recv().await {
        fetchers.spawn(fetch_from(Arc::clone(&context), positions));
    }
}

async fn fetch_from(context: Arc<Context>, positions: Arc<SourcePositions>) {
    let mut number = 0;
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    let mut unreached = Unreached::default();
    loop {
        positions.filled().await;
        let started = Instant::now();
        number += 1;
        let reason = stream(&context, &positions, number, &mut unreached).await;
        tracing::debug!(source = %positions.source(), %reason, "the stream from a leader's broker ended");
        for (partition, leader_epoch) in positions.fail() {
            let failed = Incoming::Failed(ErrorCode::BrokerNotAvailable);
            deliver(&context, positions.source(), partition, leader_epoch, failed).await;
        }
        backoff.reset_after(started.elapsed());
        rest(&context, positions.source(), jittered(backoff.next_pause())).await;
    }
}

/// Waits, but not when the source has registered again: then it is back, perhaps elsewhere.
async fn rest(context: &Context, broker: BrokerId, pause: Duration) {
    let before = source(context, broker).ok();
    let mut metadata = context.metadata.watch();
    let returned = async { while metadata.changed().await.is_ok() && source(context, broker).ok() == before {} };
    // Either is a reason to go on.
    let _ = tokio::time::timeout(pause, returned).await;
}

/// One stream until it breaks; tells why.
async fn stream(
    context: &Arc<Context>,
    positions: &Arc<SourcePositions>,
    number: u64,
    unreached: &mut Unreached,
) -> ErrorDetail {
    let broker = positions.source();
    let taken = match open(context, positions, number).await {
        Ok(stream) => {
            if unreached.reached() {
                tracing::info!(%broker, address = stream.address, "the broker is reached again");
            }
            take_all(context, positions, stream).await
        }
        Err(detail) => {
            note_unreached(context, broker, unreached, &detail);
            Err(detail)
        }
    };
    taken
        .err()
        .unwrap_or_else(|| ErrorDetail::new(ErrorCode::BrokerNotAvailable, "the leader's broker ended the stream"))
}

/// Says, now and then, that nobody is where a broker registered.
fn note_unreached(context: &Context, broker: BrokerId, unreached: &mut Unreached, reason: &ErrorDetail) {
    let image = context.metadata.look();
    let registered = image.broker(broker).filter(|registered| !registered.fenced);
    if unreached.failed(context.clock.now(), registered.is_some())
        && let Some(registered) = registered
    {
        tracing::warn!(
            %broker,
            address = registered.peer_address,
            %reason,
            "the broker is alive to the controllers, and is not reached at the address that it registered: what it leads is \
             not copied. Is its peer_advertised_address right, and does the network let brokers there?"
        );
    }
}

/// A stream that was opened.
struct Stream {
    answers: tonic::Streaming<v1::FetchReplicaResponse>,
    /// Where the source was then, and its registration.
    address: String,
    source_epoch: BrokerEpoch,
}

async fn open(context: &Arc<Context>, positions: &Arc<SourcePositions>, number: u64) -> Result<Stream, ErrorDetail> {
    let (address, source_epoch) = source(context, positions.source())?;
    let timeout = Duration::from_millis(context.config.peer_rpc_timeout_ms);
    let endpoint = endpoint(&context.config, &address)?;
    let connecting = endpoint.connect();
    let channel = match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return Err(unreachable(&address, &error.to_string())),
        Err(_) => return Err(unreachable(&address, "no answer in time")),
    };
    let mut client = ReplicaServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let opened = tokio::time::timeout(timeout, client.fetch_replica(requests(context, positions, number)?)).await;
    let answers = opened.map_err(|_| unreachable(&address, "no stream in time"))?.map_err(|error| status(&error))?;
    Ok(Stream { answers: answers.into_inner(), address, source_epoch })
}

/// Takes what comes until the stream breaks, or the source registers again.
async fn take_all(
    context: &Arc<Context>,
    positions: &Arc<SourcePositions>,
    Stream { mut answers, address, source_epoch }: Stream,
) -> Result<(), ErrorDetail> {
    let mut metadata = context.metadata.watch();
    loop {
        tokio::select! {
            answer = answers.message() => match answer.map_err(|error| status(&error))? {
                Some(answer) => take(context, positions, answer).await?,
                None => return Ok(()),
            },
            _ = metadata.changed() => {
                let (known, epoch) = source(context, positions.source())?;
                if (&known, epoch) != (&address, source_epoch) {
                    return Err(unreachable(&address, "it has registered again"));
                }
            }
        }
    }
}

fn status(status: &tonic::Status) -> ErrorDetail {
    holdfast_proto::status::classify(status).1
}

fn unreachable(address: &str, why: &str) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::BrokerNotAvailable, format!("{address} cannot be reached: {why}"))
}

/// Where the source broker is, and its registration.
fn source(context: &Context, source: BrokerId) -> Result<(String, BrokerEpoch), ErrorDetail> {
    let image = context.metadata.look();
    let broker = image
        .broker(source)
        .ok_or_else(|| ErrorDetail::new(ErrorCode::BrokerNotAvailable, format!("broker {source} is not registered")))?;
    Ok((broker.peer_address.clone(), broker.broker_epoch))
}

/// What this side sends: who it is, then positions as they change.
fn requests(
    context: &Arc<Context>,
    positions: &Arc<SourcePositions>,
    stream_number: u64,
) -> Result<impl futures::Stream<Item = v1::FetchReplicaRequest> + use<>, ErrorDetail> {
    let cluster_id = context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
    let hello = v1::FetchReplicaRequest {
        header: Some(peer_header(cluster_id, positions.source().0.into(), context.identity.broker_id.0.into())),
        broker_epoch: context.identity.broker_epoch().0,
        positions: Vec::new(),
        stream_number,
    };
    let max_bytes = context.config.replica_fetch_max_bytes;
    let requests = positions.open().map(move |changed| v1::FetchReplicaRequest {
        positions: changed.into_iter().map(|(partition, position)| message(partition, position, max_bytes)).collect(),
        ..v1::FetchReplicaRequest::default()
    });
    Ok(futures::stream::once(std::future::ready(hello)).chain(requests))
}

fn message(partition: TopicPartition, position: FetchPosition, max_bytes: u32) -> v1::ReplicaPosition {
    v1::ReplicaPosition {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        leader_epoch: position.leader_epoch.0,
        partition_epoch: position.partition_epoch.0,
        fetch_offset: position.fetch_offset.0,
        flushed_offset: position.flushed_offset.0,
        last_fetched_epoch: position.last_fetched_epoch.map(|epoch| epoch.0),
        log_start_offset: position.log_start_offset.map(|offset| offset.0),
        max_bytes,
        want_records: position.wants_records,
    }
}

/// Gives each partition of an answer to its actor.
async fn take(
    context: &Arc<Context>,
    positions: &SourcePositions,
    answer: v1::FetchReplicaResponse,
) -> Result<(), ErrorDetail> {
    for records in answer.partitions {
        let topic_id = required_id(&records.topic_id, "topic_id")?;
        let partition = convert::partition(records.partition, "partition")?;
        let partition = TopicPartition { topic_id, partition };
        let leader_epoch = convert::leader_epoch(records.leader_epoch, "leader_epoch")?;
        let incoming = incoming(records)?;
        positions.answered(partition, leader_epoch);
        deliver(context, positions.source(), partition, leader_epoch, incoming).await;
    }
    Ok(())
}

fn incoming(records: v1::ReplicaRecords) -> Result<Incoming, ErrorDetail> {
    let log_start_offset = convert::offset(records.log_start_offset, "log_start_offset")?;
    if let Some(error) = records.error {
        let code = ErrorDetail::from(error).code;
        return Ok(match code {
            ErrorCode::OffsetOutOfRange => Incoming::OutOfRange { log_start_offset },
            code => Incoming::Failed(code),
        });
    }
    if let Some(diverging) = records.diverging {
        let leader_epoch: LeaderEpoch = convert::leader_epoch(diverging.leader_epoch, "diverging.leader_epoch")?;
        let end_offset: Offset = convert::offset(diverging.end_offset, "diverging.end_offset")?;
        return Ok(Incoming::Diverging { leader_epoch, end_offset });
    }
    let high_watermark = convert::offset(records.high_watermark, "high_watermark")?;
    Ok(Incoming::Records { records: records.batches, high_watermark, log_start_offset })
}
