//! Batches below the high watermark, for consumers. Waits are woken by the partitions; nothing polls.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TopicId},
};

use super::{
    caller::Caller,
    lookup::{self, Named},
};
use crate::{
    here::context::Context,
    partition::{OpenReplica, Read, ReplicaView, Waiter, read},
};

/// From where to read one partition.
#[derive(Clone, Debug)]
pub struct FetchTarget {
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, if the client knows it.
    pub topic_id: Option<TopicId>,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Offset of the first record wanted.
    pub fetch_offset: Offset,
    /// Leader epoch that the client believes current (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Most bytes of this partition; 0: the broker's default.
    pub max_bytes: u32,
}

/// One request of a consumer, for any number of partitions.
#[derive(Clone, Debug)]
pub struct FetchCommand {
    /// What to read, in the order of the answers.
    pub targets: Vec<FetchTarget>,
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// Answer as soon as so many bytes are there.
    pub min_bytes: usize,
    /// Most bytes in all; 0: the broker's default.
    pub max_bytes: u32,
}

/// Records of one partition, or why there are none.
#[derive(Debug)]
pub struct Fetched {
    /// Index of the target.
    pub target: usize,
    /// The records, or why this partition has none to give.
    pub result: Result<FetchedRecords, ErrorDetail>,
}

/// Records of one partition.
#[derive(Debug)]
pub struct FetchedRecords {
    /// End of what consumers may read.
    pub high_watermark: Offset,
    /// First offset that the partition holds.
    pub log_start_offset: Offset,
    /// Leader epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
    /// Whole batches, contiguous; the first may begin below the offset that was asked for.
    pub pieces: Vec<Bytes>,
    /// Held by records from disk until they are sent.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Reads for consumers, and waits where there is nothing to read yet.
#[derive(Clone)]
pub struct FetchService {
    context: Arc<Context>,
}

impl FetchService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The partitions with records or an error; none if the wait is over before there are `min_bytes`.
    pub async fn fetch(&self, caller: &Caller, command: &FetchCommand) -> Vec<Fetched> {
        let deadline = tokio::time::Instant::now() + command.max_wait;
        let mut waiter = Waiter::default();
        let mut joined = false;
        loop {
            let replicas: Vec<_> = command.targets.iter().map(|target| self.find(target)).collect();
            if !joined && !command.max_wait.is_zero() {
                // Before the look: what comes between the two wakes.
                for replica in replicas.iter().flatten() {
                    waiter.join(&replica.waiters);
                }
                joined = true;
            }
            let (found, size) = self.look_at_all(command, replicas).await;
            let mut failed = false;
            for detail in found.iter().filter_map(|fetched| fetched.result.as_ref().err()) {
                caller.refused("records", detail);
                failed = true;
            }
            if failed || size >= command.min_bytes.max(1) {
                return found;
            }
            if tokio::time::timeout_at(deadline, waiter.woken()).await.is_err() {
                return found;
            }
        }
    }

    fn find(&self, target: &FetchTarget) -> Result<OpenReplica, ErrorDetail> {
        let named = Named { topic: &target.topic, topic_id: target.topic_id, partition: target.partition };
        lookup::replica(&self.context, &named).map(|(replica, _)| replica)
    }

    async fn look_at_all(
        &self,
        command: &FetchCommand,
        replicas: Vec<Result<OpenReplica, ErrorDetail>>,
    ) -> (Vec<Fetched>, usize) {
        let most = self.context.config.fetch_max_bytes;
        let limit = |asked: u32| if asked == 0 { most } else { asked.min(most) } as usize;
        let (mut room, mut size) = (limit(command.max_bytes), 0);
        let mut found = Vec::new();
        for (index, (target, replica)) in command.targets.iter().zip(replicas).enumerate() {
            // The first batch of an answer comes whole; the later partitions wait for the next answer.
            if size > 0 && room == 0 {
                break;
            }
            let looked = match replica {
                Ok(replica) => self.look_at(target, &replica, limit(target.max_bytes).min(room.max(1))).await,
                Err(detail) => Err(detail),
            };
            match looked {
                Ok(None) => {}
                Ok(Some(records)) => {
                    let bytes: usize = records.pieces.iter().map(Bytes::len).sum();
                    size += bytes;
                    room = room.saturating_sub(bytes);
                    found.push(Fetched { target: index, result: Ok(records) });
                }
                Err(detail) => found.push(Fetched { target: index, result: Err(detail) }),
            }
        }
        (found, size)
    }

    async fn look_at(
        &self,
        target: &FetchTarget,
        replica: &OpenReplica,
        max_bytes: usize,
    ) -> Result<Option<FetchedRecords>, ErrorDetail> {
        let readable = readable(target, replica).map_err(|code| self.out_of_range(target, replica, code))?;
        let Some((view, high_watermark)) = readable else { return Ok(None) };
        let (pieces, permit) =
            match replica.read(&self.context.logs.disk, target.fetch_offset, high_watermark, max_bytes) {
                Read::InMemory(pieces) => (pieces, None),
                Read::OnDisk(read) => {
                    let read = read.await;
                    let (bytes, permit) = read.map_err(|code| lookup::explain(&self.context, replica.id, code))?;
                    (vec![bytes], Some(permit))
                }
            };
        if pieces.iter().all(Bytes::is_empty) {
            return Ok(None);
        }
        let log_start_offset = view.log_start;
        let leader_epoch = view.leader_epoch.unwrap_or_default();
        Ok(Some(FetchedRecords { high_watermark, log_start_offset, leader_epoch, pieces, permit }))
    }

    fn out_of_range(&self, target: &FetchTarget, replica: &OpenReplica, code: ErrorCode) -> ErrorDetail {
        if code != ErrorCode::OffsetOutOfRange {
            return lookup::explain(&self.context, replica.id, code);
        }
        let view = replica.view();
        let message = format!(
            "offset {} is out of range: partition {} of '{}' holds {} to {} (exclusive); seek to one of these",
            target.fetch_offset, target.partition, target.topic, view.log_start, view.log_end,
        );
        ErrorDetail::new(code, message)
    }
}

/// Where a partition stands and up to where it may be read, if there is anything to read from the target's offset on.
fn readable(target: &FetchTarget, replica: &OpenReplica) -> Result<Option<(ReplicaView, Offset)>, ErrorCode> {
    let view = replica.view();
    view.check_epoch(target.leader_epoch)?;
    let end = view.readable?;
    // Above the log end nothing can ever have been read; between the high watermark and the log end it may have been,
    // from an earlier leader that had heard more.
    if target.fetch_offset < view.log_start || target.fetch_offset > view.log_end {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok((target.fetch_offset < end).then_some((view, end)))
}

impl FetchedRecords {
    /// All batches in one piece.
    pub fn joined(self) -> Bytes {
        read::join(self.pieces)
    }
}
