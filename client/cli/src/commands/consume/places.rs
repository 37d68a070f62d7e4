//! Where reading begins and ends in each partition.

use std::time::Duration;

use holdfast_client::{
    Client, Error,
    offsets::{OffsetAt, OffsetQuery, OffsetSpec},
};
use holdfast_proto::ids::{Offset, PartitionIndex, TimestampMs};

use super::command::Start;
use crate::{
    exit::{Failure, Result},
    output::note,
};

/// What is read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: PartitionIndex,
    pub(super) start: Offset,
    /// End of what is there now; `None` if nobody asked for it.
    pub(super) end: Option<Offset>,
}

/// The places that were found, and the partitions that nobody could be asked about so far, or never can.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    pub(super) missing: Vec<(PartitionIndex, Failure)>,
    pub(super) failed: Vec<(PartitionIndex, Failure)>,
    /// What those hold that do not hold the offset that was named.
    outside: Vec<String>,
}

impl Found {
    /// Says where nothing is read, and fails if that is everywhere.
    pub(super) fn told_first(self, start: Start) -> Result<Self> {
        match start {
            Start::At(offset) if self.is_all_outside() => {
                Err(Failure::error(format!("no partition holds offset {offset}: {}", self.outside.join(", "))))
            }
            _ => Ok(self.told_later(start)),
        }
    }

    fn is_all_outside(&self) -> bool {
        self.places.is_empty() && self.missing.is_empty() && self.failed.is_empty() && !self.outside.is_empty()
    }

    /// Says where nothing is read. Others may be read already: that these are not is no failure.
    pub(super) fn told_later(self, start: Start) -> Self {
        if let Start::At(offset) = start
            && !self.outside.is_empty()
        {
            note(format!("nothing is read where offset {offset} is not: {}", self.outside.join(", ")));
        }
        self
    }
}

/// True if the same may be found later: also a look at the metadata may have met a broker that lags behind.
pub(super) fn may_pass(error: &Error) -> bool {
    error.is_retriable() || matches!(error, Error::UnknownTopic(_) | Error::UnknownPartition { .. })
}

/// Looks places up at the leaders, within this time. `begun` is for a later look: the ends that a start counts from are
/// those of that time, ms since 1970, or what has come since would be passed over. Who follows from the beginning needs no
/// end: a leader gives what it knows to be replicated before it can tell up to where that is.
pub(super) async fn find(
    client: &Client,
    topic: &str,
    start: Start,
    begun: Option<i64>,
    partitions: &[PartitionIndex],
    follow: bool,
    within: Duration,
) -> Result<Found> {
    let time = match start {
        Start::Time(ms) => Some(ms),
        Start::End | Start::Last(_) => begun,
        Start::Beginning | Start::At(_) | Start::Ago(_) => None,
    };
    // The end before the time: a record that comes between the two look-ups must not be skipped.
    let needs_end = !follow || start != Start::Beginning;
    let specs: Vec<_> = std::iter::once(OffsetSpec::Earliest)
        .chain(needs_end.then_some(OffsetSpec::Latest))
        .chain(time.map(|ms| OffsetSpec::Timestamp(TimestampMs(ms))))
        .collect();
    let queries: Vec<_> = partitions
        .iter()
        .flat_map(|partition| {
            specs.iter().map(|spec| OffsetQuery { topic: topic.to_owned(), partition: *partition, spec: *spec })
        })
        .collect();
    let answers = client.admin().list_offsets_each(&queries, within).await;
    let mut found = Found::default();
    for (partition, answers) in partitions.iter().zip(answers.chunks(specs.len())) {
        let offsets = match answers.iter().cloned().collect::<std::result::Result<Vec<OffsetAt>, _>>() {
            Ok(offsets) => offsets,
            Err(error) => {
                let which = if may_pass(&error) { &mut found.missing } else { &mut found.failed };
                which.push((*partition, error.into()));
                continue;
            }
        };
        let offset = |at: usize| offsets.get(at).and_then(|found| found.offset);
        let (first, end) = (offset(0).unwrap_or_default(), offset(1).unwrap_or_default());
        match start_in(start, first, end, offset(2)) {
            Some(start) => {
                let end = needs_end.then_some(end);
                found.places.push(Place { partition: *partition, start, end });
            }
            None => found.outside.push(format!("{topic}-{partition} holds {first} to below {end}")),
        }
    }
    Ok(found)
}

/// Up to where a partition can be read now; `None` if its leader does not say within this time.
pub(super) async fn end(client: &Client, topic: &str, partition: PartitionIndex, within: Duration) -> Option<Offset> {
    let query = OffsetQuery { topic: topic.to_owned(), partition, spec: OffsetSpec::Latest };
    client.admin().list_offsets_each(&[query], within).await.pop()?.ok()?.offset
}

/// The offset to begin at; `None` if the partition does not hold the one that was asked for. `at_time` is the first record
/// of the time asked for, or of the time from which the end counts.
fn start_in(start: Start, first: Offset, end: Offset, at_time: Option<Offset>) -> Option<Offset> {
    match start {
        Start::Beginning => Some(first),
        Start::At(offset) => Some(Offset(offset)).filter(|offset| (first..=end).contains(offset)),
        Start::Last(count) => Some(Offset(at_time.unwrap_or(end).0.saturating_sub(count)).max(first)),
        Start::End | Start::Time(_) | Start::Ago(_) => Some(at_time.unwrap_or(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Code;

    #[test]
    fn that_no_partition_holds_the_offset_fails_the_first_look_alone() {
        let at = Start::At(42);
        let place = Place { partition: PartitionIndex(1), start: Offset(42), end: Some(Offset(50)) };
        let outside = |places: &[Place]| Found {
            places: places.to_vec(),
            outside: vec!["t-0 holds 0 to below 10".to_owned()],
            ..Found::default()
        };
        let failure = outside(&[]).told_first(at).unwrap_err();
        assert!(failure.message.contains("no partition holds offset 42: t-0 holds 0"), "{failure}");
        assert_eq!(outside(&[place]).told_first(at).unwrap().places, [place]);
        let damaged = vec![(PartitionIndex(1), Failure::new(Code::Loss, "t-1 is damaged"))];
        let found = Found { failed: damaged, ..outside(&[]) }.told_first(at).unwrap();
        assert_eq!(found.failed[0].1.code, Code::Loss, "a loss is no wrong offset");
        assert!(outside(&[]).told_later(at).places.is_empty());
    }

    #[test]
    fn what_came_since_the_command_began_is_not_passed_over_by_a_later_look() {
        let since = Some(Offset(7));
        assert_eq!(start_in(Start::End, Offset(1), Offset(10), since), Some(Offset(7)));
        assert_eq!(start_in(Start::Last(2), Offset(1), Offset(10), since), Some(Offset(5)));
        assert_eq!(start_in(Start::End, Offset(1), Offset(10), None), Some(Offset(10)), "nothing came");
    }

    #[test]
    fn an_offset_that_is_not_held_is_no_start() {
        let check = |start, expected: Option<u64>| {
            let at_time = matches!(start, Start::Time(_)).then_some(Offset(7));
            assert_eq!(start_in(start, Offset(5), Offset(10), at_time), expected.map(Offset), "{start:?}");
        };
        check(Start::Beginning, Some(5));
        check(Start::End, Some(10));
        check(Start::At(4), None);
        check(Start::At(5), Some(5));
        check(Start::At(10), Some(10));
        check(Start::At(11), None);
        check(Start::Last(3), Some(7));
        check(Start::Last(30), Some(5));
        check(Start::Time(0), Some(7));
    }
}
