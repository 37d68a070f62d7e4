//! The consumer of one run: which partitions it reads, which it misses, and how it goes on after an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::timeout;

use holdfast_checker::waiting::{self, Open};
use holdfast_client::{
    Client,
    consumer::{Consumer, Error, MessageBatch, StartAt},
};
use holdfast_proto::ids::{Offset, PartitionIndex};

use super::{
    command::{ConsumeArgs, Start},
    damage::{is_damage, readable_behind},
    places::{self, Place},
};
use crate::{
    exit::{Failure, Result},
    output::{few, note},
};

/// How long a look for partitions that are missing may hold up the others.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the start of a partition whose first records are gone may be looked for.
const SEEK: Duration = Duration::from_secs(5);

/// Reads the partitions that there are, and takes in more.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    args: &'a ConsumeArgs,
    client: Client,
    consumer: Consumer,
    /// Where to stop in each partition, unless it follows.
    ends: BTreeMap<PartitionIndex, Offset>,
    /// How many of the consumer's partitions, from the first one on, are read to their ends.
    read_up: usize,
    /// Partitions that nobody can be asked about, with why.
    missing: Vec<(PartitionIndex, Failure)>,
    /// Partitions that stand still after an error, with that.
    failed: Vec<(PartitionIndex, Failure)>,
    /// When the command began, ms since 1970.
    begun: i64,
    /// Partitions that the topic had when the command began, or that were taken in since.
    known: BTreeSet<PartitionIndex>,
    /// Younger ones that could not be taken in so far, which was told.
    told_new: BTreeSet<PartitionIndex>,
    /// Partitions of which something was read.
    touched: BTreeSet<PartitionIndex>,
    skipped: u64,
}

impl<'a> Reader<'a> {
    /// A consumer of these places, for a command that began then, ms since 1970.
    pub(super) async fn open(
        client: Client,
        args: &'a ConsumeArgs,
        begun: i64,
        partitions: &[PartitionIndex],
        places: &[Place],
        unread: Unread,
    ) -> Result<Self> {
        let Unread { failed, missing, skipped } = unread;
        let assigned = places.iter().map(|place| (&*args.topic, place.partition, StartAt::Offset(place.start)));
        let consumer = Consumer::builder(client.clone()).assign(assigned).build().await?;
        let mut reader = Self {
            args,
            client,
            consumer,
            ends: places.iter().filter_map(|place| Some((place.partition, place.end?))).collect(),
            read_up: 0,
            missing,
            failed,
            begun,
            known: partitions.iter().copied().collect(),
            told_new: BTreeSet::new(),
            touched: BTreeSet::new(),
            skipped,
        };
        for place in places {
            reader.rest_at_end(place.partition)?;
        }
        Ok(reader)
    }

    /// Asks for nothing more of the partition once it is read to where it stops: it would be dropped.
    pub(super) fn rest_at_end(&mut self, partition: PartitionIndex) -> Result {
        if let Some(end) = self.end_of(partition)
            && self.consumer.position(&self.args.topic, partition)? >= end
        {
            self.consumer.pause(&self.args.topic, partition)?;
        }
        Ok(())
    }

    /// The next batch of any partition. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<std::result::Result<MessageBatch, Error>> {
        let batch = self.consumer.next_batch().await;
        if let Some(Ok(batch)) = &batch {
            self.touched.insert(batch.partition);
        }
        batch
    }

    /// Where to stop in the partition; `None` while following.
    pub(super) fn end_of(&self, partition: PartitionIndex) -> Option<Offset> {
        self.ends.get(&partition).copied().filter(|_| !self.args.follow)
    }

    /// True if there are partitions that somebody may be asked about yet.
    pub(super) fn may_find_more(&self) -> bool {
        !self.missing.is_empty()
    }

    /// True if a partition stands still after an error.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// True if everything is read that there was.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.missing.is_empty() && self.only_misses()
    }

    /// True if everything is read but the partitions that are missing.
    pub(super) fn only_misses(&mut self) -> bool {
        let is_open = |(partition, offset): (PartitionIndex, Offset)| self.ends.get(&partition) > Some(&offset);
        let open = self.consumer.positions().skip(self.read_up).position(is_open);
        // What is read stays read: with many partitions the whole list is not looked at for each batch.
        self.read_up += open.unwrap_or(0);
        open.is_none()
    }

    /// The partitions that are not read to their ends.
    pub(super) fn open_partitions(&self) -> impl Iterator<Item = Open> + '_ {
        let positions = self.consumer.positions().skip(self.read_up);
        positions.filter_map(|(partition, next)| {
            let end = *self.ends.get(&partition)?;
            (next < end).then_some((partition, next, end))
        })
    }

    /// The partitions that are not read to their ends, by name, and what is wrong with the first of them, if that is known.
    pub(super) async fn who_is_waited_for(&self) -> String {
        let named = waiting::named(&self.args.topic, self.open_partitions());
        let open: Vec<_> = self.open_partitions().map(|(partition, ..)| partition).collect();
        let found = places::find(&self.client, &self.args.topic, Start::End, None, &open, false, PATIENCE).await;
        match found.map(|found| found.missing.into_iter().next()) {
            Ok(Some((_, why))) | Err(why) => format!("{named}: {why}"),
            Ok(None) => named,
        }
    }

    /// Looks for partitions that were missing, and for those that the topic got since.
    pub(super) async fn look_for_more(&mut self) -> Result {
        if self.args.follow && self.args.partition.is_empty() {
            self.look_for_new().await;
        }
        if self.missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<_> = self.missing.iter().map(|(partition, _)| *partition).collect();
        let (start, begun) = (self.args.offset, Some(self.begun));
        let found =
            places::find(&self.client, &self.args.topic, start, begun, &wanted, self.args.follow, PATIENCE).await?;
        let found = found.told_later(start);
        self.missing = found.missing;
        tell(&found.failed, "the other partitions are read on");
        self.failed.extend(found.failed);
        let starts: Vec<_> = found.places.iter().map(|place| (place.partition, StartAt::Offset(place.start))).collect();
        for (place, added) in found.places.into_iter().zip(self.add(&starts).await) {
            match added {
                Ok(()) => {
                    self.ends.extend(place.end.map(|end| (place.partition, end)));
                    self.rest_at_end(place.partition)?;
                }
                Err(error) if may_pass(&error) => self.missing.push((place.partition, error.into())),
                Err(error) => self.stands_still(place.partition, error.into()),
            }
        }
        Ok(())
    }

    /// Partitions that are younger than the command are read from their beginning. The next look may find what this one
    /// could not, which is told once; the records of the others go on meanwhile.
    async fn look_for_new(&mut self) {
        let admin = self.client.admin();
        let Ok(Ok(topic)) = timeout(PATIENCE, admin.describe_topic(&self.args.topic)).await else { return };
        let all = topic.partitions.iter().map(|partition| partition.partition);
        let new: Vec<_> = all.filter(|partition| !self.known.contains(partition)).collect();
        let starts: Vec<_> = new.iter().map(|partition| (*partition, StartAt::Earliest)).collect();
        let mut lines = Vec::new();
        for (partition, added) in new.into_iter().zip(self.add(&starts).await) {
            let name = format!("{}-{partition}", self.args.topic);
            match added {
                Ok(()) => lines.push(format!("{name} is new; it is read from its beginning")),
                Err(error) if may_pass(&error) => {
                    if self.told_new.insert(partition) {
                        let why = Failure::from(error);
                        lines.push(format!("{name} is new; it is read from its beginning once this has passed: {why}"));
                    }
                    continue;
                }
                Err(error) => self.stands_still(partition, error.into()),
            }
            self.known.insert(partition);
        }
        if !lines.is_empty() {
            note(few(&lines));
        }
    }

    /// Reads these partitions too, each from its start, or says why it cannot.
    async fn add(&mut self, starts: &[(PartitionIndex, StartAt)]) -> Vec<std::result::Result<(), Error>> {
        let topic = &*self.args.topic;
        let places: Vec<_> = starts.iter().map(|(partition, start)| (topic, *partition, *start)).collect();
        let added = self.consumer.add_all(&places, PATIENCE).await;
        added.into_iter().map(|added| added.map(drop)).collect()
    }

    /// Goes on after an error: in its partition where it may, else in the others; gives the failure of what ends all.
    pub(super) async fn go_on_after(&mut self, error: Error) -> Result {
        match &error {
            Error::OffsetOutOfRange { partition, offset, log_start, .. }
                if !self.touched.contains(partition) && was_deleted(self.args.offset, *offset, *log_start) =>
            {
                let seek = self.consumer.seek(&self.args.topic, *partition, StartAt::Earliest);
                match timeout(SEEK, seek).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(late)) => self.stands_still(*partition, late.into()),
                    Err(_late) => self.stands_still(*partition, error.into()),
                }
                Ok(())
            }
            // Where such a batch says that it ends is not believed: that is what its checksum covers.
            Error::Corrupt { partition, offset, .. } | Error::Rejected { partition, offset, .. }
                if self.args.skip_corrupt && is_damage(&error) =>
            {
                let (partition, offset) = (*partition, *offset);
                self.skip(partition, offset, error).await
            }
            _ => match error.partition() {
                Some(partition) => {
                    self.stands_still(partition, error.into());
                    Ok(())
                }
                None => Err(error.into()),
            },
        }
    }

    /// Goes on at the first offset behind this one that can be read; stands still if that cannot be found out.
    async fn skip(&mut self, partition: PartitionIndex, damaged: Offset, error: Error) -> Result {
        let (client, topic) = (self.client.clone(), &*self.args.topic);
        let end = match self.end_of(partition) {
            Some(end) => Some(end),
            None => places::end(&client, topic, partition, SEEK).await,
        };
        let next = match end.filter(|end| *end > damaged) {
            Some(end) => readable_behind(&client, topic, partition, damaged, end).await,
            None => None,
        };
        let Some(next) = next else {
            self.stands_still(partition, error.into());
            return Ok(());
        };
        note(format!("{error}; passed over: offsets {damaged} to below {next}"));
        self.skipped += 1;
        self.touched.insert(partition);
        self.consumer.seek(topic, partition, StartAt::Offset(next)).await?;
        self.rest_at_end(partition)
    }

    fn stands_still(&mut self, partition: PartitionIndex, failure: Failure) {
        let others = if self.known.len() > 1 { "; the other partitions are read on" } else { "" };
        note(format!("{failure}{others}"));
        self.failed.push((partition, failure));
        self.ends.remove(&partition); // it is waited for no longer
    }

    /// The partitions that were not read on, those that were never read, and the number of damaged places that were
    /// passed over.
    pub(super) fn end(self) -> Unread {
        Unread { failed: self.failed, missing: self.missing, skipped: self.skipped }
    }
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Client(error) => places::may_pass(error),
        error => error.is_retriable(),
    }
}

/// Says what is wrong with partitions, and what becomes of the reading.
pub(super) fn tell(unread: &[(PartitionIndex, Failure)], then: &str) {
    let lines: Vec<_> = unread.iter().map(|(_, failure)| format!("{failure}; {then}")).collect();
    if !lines.is_empty() {
        note(few(&lines));
    }
}

/// What a run did not read.
#[derive(Debug)]
pub(super) struct Unread {
    /// Partitions that stood still after an error.
    pub(super) failed: Vec<(PartitionIndex, Failure)>,
    /// Partitions of which nothing was read.
    pub(super) missing: Vec<(PartitionIndex, Failure)>,
    /// Damaged places that were passed over.
    pub(super) skipped: u64,
}

/// True if the records at the start were deleted since it was looked up. An offset that was named is meant as it is, and
/// one beyond the log's end is no older record: the log has lost its tail.
fn was_deleted(start: Start, offset: Offset, log_start: Option<Offset>) -> bool {
    !matches!(start, Start::At(_)) && log_start.is_some_and(|first| first > offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_before_the_log_was_deleted() {
        let check = |start, log_start: Option<u64>, expected| {
            assert_eq!(was_deleted(start, Offset(5), log_start.map(Offset)), expected, "{start:?} {log_start:?}");
        };
        check(Start::Beginning, Some(6), true);
        check(Start::Last(3), Some(6), true);
        check(Start::At(5), Some(6), false);
        check(Start::Beginning, Some(0), false);
        check(Start::Beginning, None, false);
    }
}
