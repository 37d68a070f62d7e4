//! The consumer as callers hold it.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::sync::mpsc;

use holdfast_proto::{
    batch::{self, Record},
    ids::{LeaderEpoch, Offset, PartitionIndex},
};

use super::{
    Error, Message, MessageBatch,
    message::message,
    partition::{Begin, Fetched, Gaps, PartitionFetch},
    router,
    shared::{Shared, Taken},
    start::{NO_EPOCH, Resolved, StartAt, Unresolved, resolve},
};
use crate::{
    deadline::Deadline,
    offsets::{self, OffsetQuery, OffsetSpec},
};

/// How often damaged bytes are fetched again before they are an error: the damage may lie on the way.
const REFETCHES: u32 = 1;

/// Reads partitions. A [`Stream`] of messages; [`Consumer::next_batch`] is the faster way for large volumes.
///
/// The stream ends only when every partition has failed. After an error in one partition the others go on.
#[derive(Debug)]
pub struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) partitions: Vec<Position>,
    /// Where the partitions of each index are, of whatever topic.
    pub(super) by_index: HashMap<PartitionIndex, Vec<usize>>,
    current: Option<Current>,
    /// Where partitions begin that could not be asked at the start.
    later: mpsc::Receiver<Resolved>,
}

/// Where the caller is in one partition.
#[derive(Debug)]
pub(super) struct Position {
    topic: Arc<str>,
    partition: PartitionIndex,
    /// The next offset for the caller.
    pub(super) offset: Offset,
    leader_epoch: LeaderEpoch,
    refetched: u32,
    /// True until something is read, if it begins at the oldest record, wherever that is by then.
    from_beginning: bool,
}

impl Position {
    pub(super) fn new(topic: Arc<str>, partition: PartitionIndex, offset: Offset, from_beginning: bool) -> Self {
        Self { topic, partition, offset, leader_epoch: NO_EPOCH, refetched: 0, from_beginning }
    }
}

/// The batch whose messages are being handed out one by one.
#[derive(Debug)]
struct Current {
    index: usize,
    leader_epoch: LeaderEpoch,
    records: std::vec::IntoIter<Record>,
    next_offset: Offset,
}

impl Consumer {
    /// Reads the partitions of `shared`, each from where it stands there.
    pub(crate) fn new(shared: Arc<Shared>, starts: Vec<Offset>, later: mpsc::Receiver<Resolved>) -> Self {
        let partitions: Vec<_> = shared.update(|buffers| {
            let position = |(fetch, offset): (&PartitionFetch, _)| {
                Position::new(Arc::clone(&fetch.topic), fetch.partition, offset, fetch.from_beginning)
            };
            buffers.partitions.iter().zip(starts).map(position).collect()
        });
        let mut by_index: HashMap<_, Vec<_>> = HashMap::new();
        for (index, position) in partitions.iter().enumerate() {
            by_index.entry(position.partition).or_default().push(index);
        }
        Self { shared, partitions, by_index, current: None, later }
    }

    /// The records of one batch from the position on. `None` once every partition has failed.
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    pub async fn next_batch(&mut self) -> Option<Result<MessageBatch, Error>> {
        if let Some(current) = self.current.take() {
            let records: Vec<_> = current.records.collect();
            if !records.is_empty() {
                let position = &mut self.partitions[current.index];
                position.offset = current.next_offset;
                let (topic, partition) = (Arc::clone(&position.topic), position.partition);
                return Some(Ok(MessageBatch { topic, partition, leader_epoch: current.leader_epoch, records }));
            }
        }
        poll_fn(|cx| self.poll_batch(cx)).await.map(|result| {
            result.map(|(index, batch)| {
                self.partitions[index].offset = batch.next_offset;
                batch.batch
            })
        })
    }

    /// The partitions that it reads.
    pub fn assignment(&self) -> impl Iterator<Item = (&str, PartitionIndex)> {
        self.partitions.iter().map(|position| (&*position.topic, position.partition))
    }

    /// The next offset for the caller in each partition, in the order of [`Self::assignment`].
    pub fn positions(&self) -> impl Iterator<Item = (PartitionIndex, Offset)> {
        self.partitions.iter().map(|position| (position.partition, position.offset))
    }

    /// The next offset for the caller; 0 while it is not known where the partition begins.
    pub fn position(&self, topic: &str, partition: PartitionIndex) -> Result<Offset, Error> {
        Ok(self.partitions[self.index_of(topic, partition)?].offset)
    }

    /// Leader epoch of the last record that was handed out; 0 before the first.
    pub fn position_epoch(&self, topic: &str, partition: PartitionIndex) -> Result<LeaderEpoch, Error> {
        Ok(self.partitions[self.index_of(topic, partition)?].leader_epoch)
    }

    /// End of what consumers may read, as last known; from the start, if the partition's leader answered then.
    pub fn high_watermark(&self, topic: &str, partition: PartitionIndex) -> Result<Option<Offset>, Error> {
        let index = self.index_of(topic, partition)?;
        Ok(self.shared.update(|buffers| buffers.partitions[index].high_watermark))
    }

    /// Records between the position and the high watermark, as far as known.
    pub fn lag(&self, topic: &str, partition: PartitionIndex) -> Result<Option<u64>, Error> {
        let position = self.position(topic, partition)?;
        let high_watermark = self.high_watermark(topic, partition)?;
        Ok(high_watermark.map(|end| end.0.saturating_sub(position.0)))
    }

    /// True if the caller has read up to the high watermark as last known.
    ///
    /// To read what is there now and then stop, take [`Self::end_offsets`] first and compare positions with them: the
    /// high watermark moves on while others produce.
    pub fn is_at_end(&self, topic: &str, partition: PartitionIndex) -> Result<bool, Error> {
        Ok(self.lag(topic, partition)? == Some(0))
    }

    /// The high watermarks of all partitions now, in the order of [`Self::assignment`], asked of their leaders. Fails if one
    /// of them does not answer until the deadline.
    pub async fn end_offsets(&self, deadline: Duration) -> Result<Vec<Offset>, Error> {
        let query = |position: &Position| OffsetQuery {
            topic: position.topic.to_string(),
            partition: position.partition,
            spec: OffsetSpec::Latest,
        };
        let queries: Vec<_> = self.partitions.iter().map(query).collect();
        let found = offsets::list(&self.shared.client, &queries, Deadline::after(deadline)).await?;
        Ok(found.into_iter().map(|found| found.offset.unwrap_or_default()).collect())
    }

    /// Goes on at another place; also after an error. Within the client's `admin_timeout`.
    ///
    /// A topic that was created again is another one, whose offsets mean other records: [`Error::TopicGone`], and a new
    /// consumer reads it.
    pub async fn seek(&mut self, topic: &str, partition: PartitionIndex, to: StartAt) -> Result<Offset, Error> {
        let index = self.index_of(topic, partition)?;
        let deadline = Deadline::after(self.shared.client.config().admin_timeout);
        let mut found = resolve(&self.shared.client, &[(topic, partition, to)], deadline).await;
        let offset = found.pop().unwrap_or(Ok(Offset(0)))?;
        self.check_topic(index)?;
        self.partitions[index].refetched = 0;
        self.begin_at(index, offset, to);
        self.look_again();
        Ok(offset)
    }

    /// Fails if the topic of this partition is not the one that is known now under its name.
    pub(super) fn check_topic(&self, index: usize) -> Result<(), Error> {
        let name = &self.partitions[index].topic;
        let id = self.shared.update(|buffers| buffers.partitions[index].topic_id.clone());
        match self.shared.client.view().topics.get(name) {
            Some(known) if known.id.to_bytes() == id => Ok(()),
            _ => Err(Error::TopicGone(name.to_string())),
        }
    }

    /// Hands out nothing more of the partition, and asks for no more, until [`Self::resume`]. What was fetched ahead of the
    /// caller is fetched again then.
    pub fn pause(&mut self, topic: &str, partition: PartitionIndex) -> Result<(), Error> {
        let index = self.index_of(topic, partition)?;
        self.current.take_if(|current| current.index == index);
        let Position { offset, leader_epoch, .. } = self.partitions[index];
        self.shared.update(|buffers| {
            let fetch = &mut buffers.partitions[index];
            fetch.paused = true;
            fetch.set_back(offset, leader_epoch); // it would hold room that nobody makes free
        });
        self.shared.wake_lanes();
        Ok(())
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&mut self, topic: &str, partition: PartitionIndex) -> Result<(), Error> {
        let index = self.index_of(topic, partition)?;
        self.shared.update(|buffers| {
            buffers.partitions[index].paused = false;
            buffers.set_ready(index);
        });
        self.look_again();
        Ok(())
    }

    /// Goes on at this offset, which is where this place was found to be; [`Self::look_again`] is to follow.
    fn begin_at(&mut self, index: usize, offset: Offset, place: StartAt) {
        self.go_to(index, offset, NO_EPOCH);
        if place == StartAt::Earliest {
            self.partitions[index].from_beginning = true;
            self.shared.update(|buffers| buffers.partitions[index].from_beginning = true);
        }
    }

    /// Begins in a partition that could not be asked at the start, unless the caller went elsewhere meanwhile;
    /// [`Self::look_again`] is to follow.
    fn begin_later(&mut self, resolved: Resolved) {
        let Resolved { of: Unresolved { index, start, .. }, found } = resolved;
        let wanted = |fetch: &PartitionFetch| fetch.begin == Begin::Unknown && !fetch.has_failed();
        if !self.shared.update(|buffers| wanted(&buffers.partitions[index])) {
            return;
        }
        match found {
            Ok((offset, end)) => {
                self.shared.update(|buffers| {
                    let known = &mut buffers.partitions[index].high_watermark;
                    *known = (*known).max(end);
                });
                self.begin_at(index, offset, start);
            }
            Err(error) => self.shared.update(|buffers| {
                let fetch = &mut buffers.partitions[index];
                let problem = Error::no_start(&fetch.topic, fetch.partition, error);
                fetch.fail(problem);
                buffers.set_ready(index);
            }),
        }
    }

    /// Goes on at this offset; [`Self::look_again`] is to follow, once however many partitions go elsewhere.
    fn go_to(&mut self, index: usize, offset: Offset, epoch: LeaderEpoch) {
        self.current.take_if(|current| current.index == index);
        let position = &mut self.partitions[index];
        (position.offset, position.leader_epoch, position.from_beginning) = (offset, epoch, false);
        self.shared.update(|buffers| buffers.partitions[index].seek(offset, epoch));
    }

    /// Has what went elsewhere asked for.
    fn look_again(&self) {
        router::route(&self.shared); // a problem is forgotten with the place: its topic may have gone meanwhile
        self.shared.wake_lanes();
    }

    pub(super) fn index_of(&self, topic: &str, partition: PartitionIndex) -> Result<usize, Error> {
        let of_index = self.by_index.get(&partition).map_or(&[][..], Vec::as_slice);
        let found = of_index.iter().copied().find(|index| &*self.partitions[*index].topic == topic);
        found.ok_or_else(|| Error::NotAssigned { topic: topic.to_owned(), partition })
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(usize, Decoded), Error>>> {
        let mut any = false;
        while let Poll::Ready(Some(resolved)) = self.later.poll_recv(cx) {
            self.begin_later(resolved);
            any = true;
        }
        if any {
            self.look_again();
        }
        loop {
            match self.shared.take(cx.waker()) {
                Taken::Nothing => return Poll::Pending,
                Taken::AllFailed => return Poll::Ready(None),
                Taken::Item(_, Err(error)) => return Poll::Ready(Some(Err(error))),
                Taken::Item(index, Ok(fetched)) => match self.decode(index, fetched) {
                    Ok(None) => {}
                    Ok(Some(decoded)) => return Poll::Ready(Some(Ok((index, decoded)))),
                    Err(error) => {
                        let problem = error.clone();
                        self.shared.update(|buffers| {
                            let fetch = &mut buffers.partitions[index];
                            fetch.seek(self.partitions[index].offset, self.partitions[index].leader_epoch);
                            fetch.fail(problem);
                            drop(fetch.take()); // it is told here
                        });
                        self.shared.wake_lanes(); // what was fetched behind it held room
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }

    /// The records of the batch from the position on; `None` if there are none for the caller.
    fn decode(&mut self, index: usize, fetched: Fetched) -> Result<Option<Decoded>, Error> {
        let rules = &self.shared.rules;
        let position = &mut self.partitions[index];
        let header = fetched.header;
        if std::mem::take(&mut position.from_beginning) {
            position.offset = position.offset.max(header.base_offset); // what was fetched follows the beginning
        }
        let expected = position.offset;
        let name = |position: &Position| (position.topic.to_string(), position.partition);
        let mut records = match batch::decode(fetched.bytes, &rules.limits) {
            Ok(records) => records,
            Err(reason) if position.refetched < REFETCHES => {
                tracing::warn!(topic = %position.topic, partition = %position.partition, offset = %expected, %reason,
                    "a damaged batch is fetched again");
                position.refetched += 1;
                let epoch = position.leader_epoch;
                self.go_to(index, expected, epoch);
                self.look_again();
                return Ok(None);
            }
            Err(reason) => {
                let ((topic, partition), next_offset) = (name(position), Some(header.next_offset()));
                return Err(Error::Corrupt { topic, partition, offset: expected, next_offset, reason });
            }
        };
        position.refetched = 0;
        let skipped = records.partition_point(|record| record.offset < expected);
        records.drain(..skipped);
        if rules.gaps == Gaps::AreErrors && !header.is_control() {
            let mut next = expected;
            let ends = records.iter().map(|record| record.offset).chain([header.next_offset()]);
            for found in ends {
                if found != next {
                    let (topic, partition) = name(position);
                    return Err(Error::DataLoss { topic, partition, expected: next, found });
                }
                next = found.plus(1);
            }
        }
        position.leader_epoch = header.leader_epoch;
        if header.is_control() || records.is_empty() {
            position.offset = header.next_offset();
            return Ok(None);
        }
        let (topic, partition) = (Arc::clone(&position.topic), position.partition);
        let batch = MessageBatch { topic, partition, leader_epoch: header.leader_epoch, records };
        Ok(Some(Decoded { batch, next_offset: header.next_offset() }))
    }
}

/// A decoded batch, and the position behind it.
struct Decoded {
    batch: MessageBatch,
    next_offset: Offset,
}

impl Stream for Consumer {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(current) = &mut this.current {
                if let Some(record) = current.records.next() {
                    let position = &mut this.partitions[current.index];
                    let is_last = current.records.as_slice().is_empty();
                    position.offset = if is_last { current.next_offset } else { record.offset.plus(1) };
                    let topic = Arc::clone(&position.topic);
                    return Poll::Ready(Some(Ok(message(topic, position.partition, current.leader_epoch, record))));
                }
                this.current = None;
            }
            match this.poll_batch(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok((index, decoded)))) => {
                    let Decoded { batch, next_offset } = decoded;
                    let records = batch.records.into_iter();
                    this.current = Some(Current { index, leader_epoch: batch.leader_epoch, records, next_offset });
                }
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.ended.cancel();
    }
}
