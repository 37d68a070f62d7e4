//! Batches below the high watermark, for consumers. Waits are woken by the partitions; nothing polls.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TopicId},
};

use super::lookup::{self, Named};
use crate::{
    here::context::Context,
    partition::{Replica, Waiter, read},
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
    /// First offset wanted.
    pub fetch_offset: Offset,
    /// Leader epoch that the client believes current (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Most bytes of this partition; 0: the broker's default.
    pub max_bytes: u32,
}

/// One request.
#[derive(Clone, Debug)]
pub struct FetchCommand {
    /// What to read.
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
    /// What was found.
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

/// Answers fetches.
#[derive(Clone)]
pub struct FetchService {
    context: Arc<Context>,
}

/// A partition as one look found it.
enum Look {
    /// Nothing to read yet.
    Empty,
    /// In memory.
    Found(FetchedRecords),
    /// On disk: `Found` without its pieces, and where to read to.
    OnDisk(FetchedRecords, Offset),
}

impl FetchService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The partitions with records or an error; none if the wait is over before there are `min_bytes`.
    pub async fn fetch(&self, command: &FetchCommand) -> Vec<Fetched> {
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
            let failed = found.iter().any(|fetched| fetched.result.is_err());
            if failed || size >= command.min_bytes.max(1) {
                return found;
            }
            if tokio::time::timeout_at(deadline, waiter.woken()).await.is_err() {
                return found;
            }
        }
    }

    fn find(&self, target: &FetchTarget) -> Result<Replica, ErrorDetail> {
        let named = Named { topic: &target.topic, topic_id: target.topic_id, partition: target.partition };
        lookup::replica(&self.context, &named).map(|(replica, _)| replica)
    }

    async fn look_at_all(
        &self,
        command: &FetchCommand,
        replicas: Vec<Result<Replica, ErrorDetail>>,
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
        replica: &Replica,
        max_bytes: usize,
    ) -> Result<Option<FetchedRecords>, ErrorDetail> {
        let explain = |code| lookup::explain(&self.context, replica.id, code);
        match look(target, replica, max_bytes).map_err(|code| self.out_of_range(target, replica, code))? {
            Look::Empty => Ok(None),
            Look::Found(records) => Ok(Some(records)),
            Look::OnDisk(records, up_to) => {
                let read =
                    self.context.disk.read(replica.id, replica.reader.clone(), target.fetch_offset, up_to, max_bytes);
                let (bytes, permit) = read.await.map_err(explain)?;
                let empty = bytes.is_empty();
                let records = FetchedRecords { pieces: vec![bytes], permit: Some(permit), ..records };
                Ok((!empty).then_some(records))
            }
        }
    }

    fn out_of_range(&self, target: &FetchTarget, replica: &Replica, code: ErrorCode) -> ErrorDetail {
        if code != ErrorCode::OffsetOutOfRange {
            return lookup::explain(&self.context, replica.id, code);
        }
        let view = replica.view();
        let message = format!(
            "offset {} is out of range: partition {} of `{}` holds {} to {} (exclusive); seek to one of these",
            target.fetch_offset, target.partition, target.topic, view.log_start, view.log_end,
        );
        ErrorDetail::new(code, message)
    }
}

/// One look at one partition, without any wait.
fn look(target: &FetchTarget, replica: &Replica, max_bytes: usize) -> Result<Look, ErrorCode> {
    let view = replica.view();
    view.check_epoch(target.leader_epoch)?;
    let end = view.readable?;
    let from = target.fetch_offset;
    // Above the log end nothing can ever have been read; between the high watermark and the log end it may have been,
    // from an earlier leader that had heard more.
    if from < view.log_start || from > view.log_end {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    if from >= end {
        return Ok(Look::Empty);
    }
    let records = |pieces| FetchedRecords {
        high_watermark: end,
        log_start_offset: view.log_start,
        leader_epoch: view.leader_epoch.unwrap_or_default(),
        pieces,
        permit: None,
    };
    Ok(match replica.tail.read(from, end, max_bytes) {
        Some(found) if found.pieces.is_empty() => Look::Empty,
        Some(found) => Look::Found(records(found.pieces)),
        None => Look::OnDisk(records(Vec::new()), end),
    })
}

impl FetchedRecords {
    /// All batches in one piece.
    pub fn joined(self) -> Bytes {
        read::join(self.pieces)
    }
}
