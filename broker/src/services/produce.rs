//! One record batch for one partition: checked here, decided by the partition's core.
//!
//! Every request is answered exactly once, whatever becomes of it. What is refused here was certainly not appended.

use std::sync::Arc;

use bytes::Bytes;

use holdfast_proto::{
    batch::{self, BatchHeader, Compression, DecodeLimits},
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{LeaderEpoch, TopicPartition},
};
use holdfast_replication::{Acks, BatchInfo, Produced};

use super::{
    caller::Caller,
    lookup::{self, Named},
    produce_budget::ProduceBudget,
};
use crate::{
    actors::Closed,
    here::{context::Context, shares::Share},
    partition::{
        OpenReplica,
        message::{Message, ProduceJob, ProduceReply},
        read::BlockingReads,
    },
};

/// One request: a batch for one partition.
#[derive(Debug)]
pub struct ProduceCommand<'a> {
    /// The partition that is written to.
    pub named: Named<'a>,
    /// Leader epoch that the client believes current.
    pub leader_epoch: Option<LeaderEpoch>,
    /// How many replicas the answer waits for.
    pub acks: Acks,
    /// How long the answer may wait, ms; 0: the broker's default.
    pub timeout_ms: u32,
    /// One record batch in Kafka's format v2, not yet checked.
    pub batch: Bytes,
}

/// What becomes of it.
pub type ProduceAnswer = Result<Produced, ErrorDetail>;

/// Takes batches. Bounds the bytes in work over the whole broker.
#[derive(Clone)]
pub struct ProduceService {
    context: Arc<Context>,
    /// Bytes in work, and their answers.
    pub budget: ProduceBudget,
    /// Checks on blocking threads, as many as cores: some codecs decompress a batch whole.
    checks: BlockingReads,
}

/// Largest batch that is checked where it came, if it is not compressed: the work for a larger one, or for what a few
/// compressed bytes may grow to, would keep a thread that has connections and heartbeats to serve.
const CHECKED_HERE_BYTES: usize = 128 * 1024;

/// Batches that are checked on blocking threads at the same time, however many cores there are: each may take up as much
/// memory as a decompressed batch has.
const MOST_CHECKS: usize = 4;

impl ProduceService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        let budget = ProduceBudget::new(context.config.max_in_flight_bytes as usize);
        let checks = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_CHECKS);
        let checks = BlockingReads::new(checks, context.logs.runtime.clone());
        Self { context, budget, checks }
    }

    /// Takes a batch, which has this room until the log counts it. `answer` is called once: here if it is refused, else later
    /// on the partition's thread; it must not block. For acks=0 it is called before anything is stored, and promises nothing.
    /// Waits if the partition has too much to do.
    pub async fn produce(
        &self,
        caller: &Caller,
        command: ProduceCommand<'_>,
        room: Share,
        answer: impl FnOnce(ProduceAnswer) + Send + 'static,
    ) {
        self.take(caller, command, Some(room), answer).await;
    }

    /// As [`ProduceService::produce`], waiting for the answer. The caller holds room for all that it sends.
    pub async fn produce_and_wait(&self, caller: &Caller, command: ProduceCommand<'_>) -> ProduceAnswer {
        let (sender, answer) = tokio::sync::oneshot::channel();
        // Nobody waits any more: the answer is not needed.
        self.take(caller, command, None, move |result| drop(sender.send(result))).await;
        answer.await.unwrap_or_else(|_| Err(ErrorCode::OutcomeUnknown.into()))
    }

    async fn take(
        &self,
        caller: &Caller,
        command: ProduceCommand<'_>,
        room: Option<Share>,
        answer: impl FnOnce(ProduceAnswer) + Send + 'static,
    ) {
        let refused = |detail: ErrorDetail| {
            caller.refused("a batch", &detail);
            Err(detail)
        };
        let (replica, header, max_bytes, job) = match self.check(command) {
            Ok(checked) => checked,
            Err(detail) => return answer(refused(detail)),
        };
        if let Err(detail) = self.check_records(&header, &job.bytes, max_bytes).await {
            return answer(refused(detail));
        }
        let (context, id) = (Arc::clone(&self.context), replica.id);
        let reply = ProduceReply::new(move |result| {
            answer(result.map_err(|code| explained(&context, id, code)));
        });
        let closed = replica.actor().send(Message::Produce(ProduceJob { room, reply, ..job })).await;
        if let Some(Closed(Message::Produce(job))) = closed {
            job.reply.send(Err(ErrorCode::NotLeaderOrFollower));
        }
    }

    /// Looks at every record. What has to be decompressed, or is large, is looked at on a blocking thread: the threads of
    /// the connections have heartbeats to answer.
    async fn check_records(&self, header: &BatchHeader, batch: &Bytes, max_bytes: usize) -> Result<(), ErrorDetail> {
        let check = move |header: &BatchHeader, batch: &Bytes| {
            batch::check_records(header, batch, &DecodeLimits::default(), max_bytes)
        };
        if header.compression() == Compression::None && batch.len() <= CHECKED_HERE_BYTES {
            return check(header, batch).map_err(|error| unreadable(&error));
        }
        let (header, batch) = (*header, batch.clone());
        let checked = self.checks.run(move || Ok(check(&header, &batch))).await;
        checked.map_err(ErrorDetail::from)?.map_err(|error| unreadable(&error))
    }

    /// What is to be done, with the most bytes that a batch of the topic may have.
    fn check(&self, command: ProduceCommand<'_>) -> Result<(OpenReplica, BatchHeader, usize, ProduceJob), ErrorDetail> {
        let ProduceCommand { named, leader_epoch, acks, timeout_ms, batch } = command;
        let (replica, max_bytes) = lookup::replica(&self.context, &named)?;
        let header = batch::validate_produce(&batch, max_bytes).map_err(not_appended)?;
        let timeout_ms = if timeout_ms == 0 { self.context.config.produce_timeout_ms } else { timeout_ms.into() };
        let (batch, bytes, reply) = (BatchInfo::from(&header), batch, ProduceReply::none());
        Ok((replica, header, max_bytes, ProduceJob { acks, leader_epoch, batch, bytes, timeout_ms, room: None, reply }))
    }
}

/// What a reader could not read is not taken. It was whole when it came, so that sending it again does not help.
fn unreadable(error: &batch::Error) -> ErrorDetail {
    let code = match error.code() {
        ErrorCode::CorruptMessage => ErrorCode::InvalidRecord,
        code => code,
    };
    ErrorDetail::new(code, error.to_string()).with_outcome(Outcome::NotAppended)
}

fn not_appended(error: batch::Error) -> ErrorDetail {
    ErrorDetail::from(error).with_outcome(Outcome::NotAppended)
}

fn explained(context: &Context, id: TopicPartition, code: ErrorCode) -> ErrorDetail {
    lookup::explain(context, id, code)
}
