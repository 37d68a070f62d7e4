//! A replica whose log is open: everything that its actor starts from.

use std::sync::Arc;

use holdfast_log::{LogConfig, LogHandle, Op, PartitionLog, Recovered};
use holdfast_proto::{error::ErrorCode, ids::TopicPartition};
use holdfast_replication::ReplicaState;

use crate::{
    here::context::Context,
    partition::{Partition, ReplicaView, completion::CompletionSlot},
};

/// A replica whose log is open: everything that its actor starts from.
pub struct Opened {
    pub(super) partition: Arc<Partition>,
    pub(super) log: LogHandle,
    pub(super) completions: Arc<CompletionSlot>,
    pub(super) recovered: ReplicaState,
    pub(super) config: LogConfig,
    /// Why its log may lack what it counted as held: something was cut off at its end.
    pub(super) doubt: Option<String>,
}

impl Opened {
    /// Gives the log to the log writer and makes the shared part.
    pub fn new(
        context: &Context,
        id: TopicPartition,
        log: PartitionLog,
        recovered: Recovered,
        config: LogConfig,
    ) -> Result<Self, holdfast_log::Error> {
        let completions = Arc::new(CompletionSlot::default());
        let slot = Arc::clone(&completions);
        let log = context.logs.writer.register(log, Arc::new(move |completion| slot.put(completion)))?;
        let doubt = recovered.doubt.clone();
        let recovered = ReplicaState::from(recovered);
        let view = ReplicaView {
            is_settled: true,
            leader: None,
            leader_epoch: None,
            partition_epoch: None,
            readable: Err(ErrorCode::NotLeaderOrFollower),
            latest: Err(ErrorCode::NotLeaderOrFollower),
            log_start: recovered.log_start_offset,
            log_end: recovered.log_end_offset,
            flushed_end: recovered.log_end_offset,
            flushed_epoch: recovered.epochs.of_last_record(recovered.log_start_offset, recovered.log_end_offset, false),
            producers: recovered.producers.len(),
            is_spare: false,
        };
        let tail = context.logs.tail.partition(recovered.log_end_offset);
        let partition = Arc::new(Partition::new(id, tail, log.reader(), Arc::clone(&context.findings), view));
        Ok(Self { partition, log, completions, recovered, config, doubt })
    }

    /// Closes the log again, for the broker stops.
    pub(super) fn close(self) {
        if let Err(error) = self.log.submit(Op::Close) {
            tracing::debug!(partition = %self.partition.id, %error, "a log was not closed");
        }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({})", self.partition.id)
    }
}
