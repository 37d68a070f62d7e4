//! Batches below the high watermark, for consumers. Waits are woken by the partitions; nothing polls.
//!
//! Place for an answer in memory is taken before the first read and for all its partitions at once; while a fetch waits
//! for more records it holds none.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, ids::Offset};

use super::{
    caller::Caller,
    fetched::{FetchCommand, FetchTarget, Fetched, FetchedAnswer, FetchedRecords},
    found_offsets::Ends,
    lookup::{self, Named},
};
use crate::{
    here::context::Context,
    partition::{
        OpenReplica, Read, ReplicaView, Waiter,
        answer_memory::{AnswerRoom, Wanted},
        read::{self, Place},
    },
};

/// A fetch that found less than it wants looks again not sooner than this: what it found, maybe on disk, is read again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// And not sooner than so long for each of its partitions, of which a look takes about a microsecond: so it takes up no
/// more than a twentieth of a core.
const LOOK_AGAIN_AFTER_EACH: Duration = Duration::from_micros(20);

/// Partitions that one answer says of why they give nothing.
const MOST_ERRORS: usize = 256;

/// Bytes of errors that an answer may hold without room.
const UNCOUNTED_BYTES: usize = 4096;

/// Bytes of an answer to who names no number: a client with gRPC's default limit takes it.
const DEFAULT_BYTES: u32 = 3 << 20;

/// Reads for consumers, and waits where there is nothing to read yet.
#[derive(Clone)]
pub struct FetchService {
    context: Arc<Context>,
}

/// A partition with something to read.
struct Readable<'a> {
    /// Index of its target.
    index: usize,
    target: &'a FetchTarget,
    replica: OpenReplica,
    view: ReplicaView,
    end: Offset,
}

impl FetchService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The partitions with records or an error; once the wait is over, what there is, maybe nothing.
    pub async fn fetch(&self, caller: &Caller, command: &FetchCommand) -> FetchedAnswer {
        let deadline = Instant::now() + command.max_wait;
        let min_bytes = command.min_bytes.min(self.limit(command.max_bytes));
        let mut waiter = Waiter::default();
        // From its first look on: it may have to wait for room, too.
        let _parked = match self.context.fetching.park(caller.source, command.memory_bytes()) {
            Ok(parked) => parked,
            Err(detail) => return FetchedAnswer::refused(&command.targets, detail),
        };
        let mut is_first = true;
        loop {
            let is_last = Instant::now() >= deadline;
            let replicas: Vec<_> = command.targets.iter().map(|target| self.find(target)).collect();
            if is_first && !is_last {
                // Before the look: what comes between the two wakes.
                for replica in replicas.iter().flatten() {
                    waiter.join(&replica.waiters);
                }
            }
            is_first = false;
            let answer = self.look(command, replicas).await;
            if is_last || answer.is_enough(min_bytes) {
                let answer = self.with_errors(command, answer).await;
                for detail in answer.fetched.iter().filter_map(|fetched| fetched.result.as_ref().err()) {
                    caller.refused("records", detail);
                }
                return answer;
            }
            let partitions = u32::try_from(command.targets.len()).unwrap_or(u32::MAX);
            let rest = LOOK_AGAIN_AFTER.max(LOOK_AGAIN_AFTER_EACH * partitions);
            let pause = if answer.fetched.is_empty() { Duration::ZERO } else { rest };
            drop(answer);
            let more = async {
                waiter.woken().await;
                tokio::time::sleep(pause).await;
            };
            // Either way it looks again; the last time when the wait is over.
            let _ = tokio::time::timeout_at(deadline, more).await;
        }
    }

    /// The answer with room for its errors too. Few errors need none: a stream has few answers at a time.
    async fn with_errors(&self, command: &FetchCommand, mut answer: FetchedAnswer) -> FetchedAnswer {
        let errors = answer.error_bytes(&command.targets);
        if errors <= UNCOUNTED_BYTES {
            return answer;
        }
        let records = answer.size() + command.spare_bytes;
        let reader = command.reader.as_deref();
        let left = match &mut answer.room {
            Some(room) => {
                if room.fit(records + errors) {
                    errors
                } else {
                    room.bytes().saturating_sub(records)
                }
            }
            None => match self.context.logs.consumers.memory.room(reader, errors).await {
                Ok(room) => answer.room.insert(room).bytes(),
                // Then one error alone.
                Err(_overloaded) => 0,
            },
        };
        answer.cut_errors(&command.targets, left);
        answer
    }

    fn find(&self, target: &FetchTarget) -> Result<OpenReplica, ErrorDetail> {
        let named = Named { topic: &target.topic, topic_id: target.topic_id, partition: target.partition };
        lookup::replica(&self.context, &named).map(|(replica, _)| replica)
    }

    /// The most bytes, where so many were asked for.
    fn limit(&self, asked: u32) -> usize {
        (if asked == 0 { DEFAULT_BYTES } else { asked }).min(self.context.config.fetch_max_bytes) as usize
    }

    async fn look(&self, command: &FetchCommand, replicas: Vec<Result<OpenReplica, ErrorDetail>>) -> FetchedAnswer {
        // What does not pass comes first: who asks again hears the others, and those that pass may have passed by then.
        let [mut lasting, mut passing] = [(); 2].map(|()| Vec::new());
        let mut readable = Vec::new();
        for (index, (target, replica)) in command.targets.iter().zip(replicas).enumerate() {
            let found = match replica {
                Ok(replica) => self.readable(index, target, replica),
                Err(detail) => Err(Box::new(Fetched { target: index, result: Err(detail), ends: None })),
            };
            match found {
                Ok(Some(one)) => readable.push(one),
                Ok(None) => {}
                Err(refused) => {
                    let passes = refused.result.as_ref().is_err_and(|detail| detail.retriable);
                    let those = if passes { &mut passing } else { &mut lasting };
                    if those.len() < MOST_ERRORS {
                        those.push(*refused);
                    }
                }
            }
        }
        passing.truncate(MOST_ERRORS - lasting.len());
        let asked: usize = readable.iter().map(|one| self.limit(one.target.max_bytes)).sum();
        let wanted = asked.min(self.limit(command.max_bytes));
        let mut answer = match readable.first() {
            None => FetchedAnswer::default(),
            Some(first) => self.read_within(&readable, wanted, command).await.unwrap_or_else(|code| FetchedAnswer {
                fetched: vec![self.refused(first, code)],
                ..FetchedAnswer::default()
            }),
        };
        answer.fetched.extend(lasting.into_iter().chain(passing));
        answer
    }

    /// Reads as much as there is room for. What is in memory waits for no place at the disk.
    async fn read_within(
        &self,
        readable: &[Readable<'_>],
        wanted: usize,
        command: &FetchCommand,
    ) -> Result<FetchedAnswer, ErrorCode> {
        let share = &self.context.logs.consumers;
        let spare = command.spare_bytes;
        let offered = Wanted::Offered(command.reader.as_deref(), wanted + spare);
        let limit_of = |room: &AnswerRoom| wanted.min(if spare == 0 { room.bytes() } else { room.bytes() / 2 });
        let mut room = share.memory.room(command.reader.as_deref(), wanted + spare).await?;
        let mut limit = limit_of(&room);
        let (mut answer, mut is_cut) = self.read_all(readable, limit, share.disk.try_place()).await;
        // Passed over, though its asker named it first: it queues for the disk, so that no other partition that always has
        // something in memory keeps it from being read.
        if is_cut && answer.fetched.first().map(|fetched| fetched.target) != readable.first().map(|one| one.index) {
            let place;
            drop((answer, room));
            (room, place) = share.room_and_place(offered).await?;
            limit = limit_of(&room);
            (answer, is_cut) = self.read_all(readable, limit, Some(place)).await;
        }
        let size = answer.size();
        if !room.fit((size + spare).min(room.bytes()).max(size)) {
            // One batch alone is larger than the room: nothing is held while it waits for more.
            let target = answer.fetched.first().map(|fetched| fetched.target);
            let alone = readable.iter().position(|one| Some(one.index) == target).unwrap_or_default();
            drop((answer, room));
            let place;
            (room, place) = share.room_and_place(Wanted::Exactly(size + spare)).await?;
            (answer, is_cut) = self.read_all(&readable[alone..=alone], size, Some(place)).await;
        }
        Ok(FetchedAnswer { room: Some(room), is_cut: is_cut || limit < wanted, ..answer })
    }

    /// Reads up to `limit` bytes; the first batch comes whole, what does not fit behind it waits for the next answer. What
    /// is on disk is read in `place`, or passed over without one: then there is more than the answer holds.
    async fn read_all(
        &self,
        readable: &[Readable<'_>],
        limit: usize,
        mut place: Option<Place>,
    ) -> (FetchedAnswer, bool) {
        let mut answer = FetchedAnswer::default();
        let mut left = limit;
        let mut is_cut = false;
        for one in readable {
            if left == 0 {
                break;
            }
            let max_bytes = self.limit(one.target.max_bytes).min(left);
            let read = match (one.replica.read(one.target.fetch_offset, one.end, max_bytes), place.take()) {
                (Read::InMemory(pieces), held) => {
                    place = held;
                    Ok(pieces)
                }
                (Read::OnDisk(read), Some(held)) => {
                    let (read, held) = self.context.logs.consumers.disk.read(held, read).await;
                    place = held;
                    read.map(|piece| vec![piece])
                }
                (Read::OnDisk(_), None) => {
                    is_cut = true;
                    continue;
                }
            };
            let pieces = match read {
                Ok(pieces) => pieces,
                Err(code) => {
                    answer.fetched.push(self.refused(one, code));
                    continue;
                }
            };
            let size = read::size(&pieces);
            if size == 0 {
                continue;
            }
            if left < limit && size > left {
                // Its first batch alone is larger than what is left.
                is_cut = true;
                break;
            }
            // Whole batches fill half of what a target may have, at least: there may be more that does not fit.
            is_cut |= 2 * size >= self.limit(one.target.max_bytes);
            left = left.saturating_sub(size);
            let records = FetchedRecords { leader_epoch: one.view.leader_epoch.unwrap_or_default(), pieces };
            let ends = Ends { log_start_offset: one.view.log_start, high_watermark: one.end };
            answer.fetched.push(Fetched { target: one.index, result: Ok(records), ends: Some(ends) });
        }
        (answer, is_cut)
    }

    /// A partition and up to where it may be read, if there is anything to read from the target's offset on.
    fn readable<'a>(
        &self,
        index: usize,
        target: &'a FetchTarget,
        replica: OpenReplica,
    ) -> Result<Option<Readable<'a>>, Box<Fetched>> {
        let view = replica.view();
        let one = Readable { index, target, replica, view, end: Offset(0) };
        let readable = || {
            view.check_epoch(target.leader_epoch)?;
            let end = view.readable?;
            // Above the log end nothing can ever have been read; between the high watermark and the log end it may have
            // been, from an earlier leader that had heard more.
            if target.fetch_offset < view.log_start || target.fetch_offset > view.log_end {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            Ok(end)
        };
        let end = readable().map_err(|code| Box::new(self.refused(&one, code)))?;
        Ok((target.fetch_offset < end).then_some(Readable { end, ..one }))
    }

    fn refused(&self, one: &Readable<'_>, code: ErrorCode) -> Fetched {
        let (target, view) = (one.target, &one.view);
        let detail = match code {
            ErrorCode::OffsetOutOfRange => {
                let message = format!(
                    "offset {} is out of range: partition {} of '{}' holds {} to {} (exclusive); seek to one of these",
                    target.fetch_offset, target.partition, target.topic, view.log_start, view.log_end,
                );
                ErrorDetail::new(code, message)
            }
            code => lookup::explain(&self.context, one.replica.id, code),
        };
        let ends = |high_watermark| Ends { log_start_offset: view.log_start, high_watermark };
        Fetched { target: one.index, result: Err(detail), ends: view.latest.ok().map(ends) }
    }
}
