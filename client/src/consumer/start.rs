//! Where a consumer begins, and which offsets that means.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs},
};

use crate::{
    Client,
    deadline::Deadline,
    error::Error as ClientError,
    offsets::{self, OffsetQuery, OffsetSpec},
};

/// A seek forgets the leader epoch of what was read before.
pub(crate) const NO_EPOCH: LeaderEpoch = LeaderEpoch(0);

/// Where to begin in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record that it holds.
    #[default]
    Earliest,
    /// Behind the newest record that it holds.
    Latest,
    /// At this offset, at most `i64::MAX`; whether it is there shows the first fetch.
    Offset(Offset),
    /// At the first record whose time is at or after this; behind the newest if there is none.
    Timestamp(TimestampMs),
}

impl StartAt {
    /// The same place for who asks later: what is the end by then is behind what has come since.
    pub(super) fn as_of(self, begun: TimestampMs) -> Self {
        if self == Self::Latest { Self::Timestamp(begun) } else { self }
    }
}

/// How long a partition whose leader does not answer may hold up the start of the others.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The offsets that these places are at now, each as its leader says until the deadline.
pub(crate) async fn resolve(
    client: &Client,
    places: &[Place<'_>],
    deadline: Deadline,
) -> Vec<Result<Offset, ClientError>> {
    find(client, places, false, deadline).await.into_iter().map(|(start, _)| start).collect()
}

/// As [`resolve`], with the end of each partition. `None` if its leader answers and does not know that yet: it gives what
/// it knows to be replicated before it can tell up to where that is.
pub(crate) async fn resolve_with_ends(client: &Client, places: &[Place<'_>], deadline: Deadline) -> Vec<Ends> {
    find(client, places, true, deadline).await
}

/// Topic and partition, and where to begin.
pub(crate) type Place<'a> = (&'a str, PartitionIndex, StartAt);

/// Where a place is, and the end of its partition.
pub(crate) type Ends = (Result<Offset, ClientError>, Result<Option<Offset>, ClientError>);

async fn find(client: &Client, places: &[Place<'_>], with_ends: bool, deadline: Deadline) -> Vec<Ends> {
    let query =
        |spec| move |&(topic, partition, _): &Place<'_>| OffsetQuery { topic: topic.to_owned(), partition, spec };
    let (mut queries, mut hints) = (Vec::new(), BTreeSet::new());
    for place in places {
        match place.2 {
            StartAt::Earliest => queries.push(query(OffsetSpec::Earliest)(place)),
            StartAt::Latest => queries.push(query(OffsetSpec::Latest)(place)),
            StartAt::Timestamp(time) => {
                // The end first: a record that comes between the two look-ups must not be skipped.
                queries.push(query(OffsetSpec::Latest)(place));
                queries.push(query(OffsetSpec::Timestamp(time))(place));
            }
            StartAt::Offset(_) => {}
        }
        if with_ends {
            hints.insert(queries.len());
            queries.push(query(OffsetSpec::Latest)(place));
        }
    }
    let found = offsets::list_or_hear(client, &queries, |index| hints.contains(&index), deadline).await;
    let mut found = found.into_iter().map(|found| found.map(|found| found.offset));
    let mut next = || found.next().unwrap_or(Ok(None));
    places
        .iter()
        .map(|(topic, partition, start)| {
            let start = match start {
                StartAt::Offset(offset) => check(topic, *partition, *offset),
                StartAt::Earliest | StartAt::Latest => next().map(Option::unwrap_or_default),
                StartAt::Timestamp(_) => {
                    let (end, at) = (next(), next());
                    at.and_then(|at| Ok(at.or(end?).unwrap_or_default()))
                }
            };
            let end = if with_ends { next() } else { Ok(None) };
            (start, if offsets::is_unknown_end(&end) { Ok(None) } else { end })
        })
        .collect()
}

/// No partition holds an offset beyond `i64::MAX`, and a broker refuses all that is asked together with one.
fn check(topic: &str, partition: PartitionIndex, offset: Offset) -> Result<Offset, ClientError> {
    if i64::try_from(offset.0).is_ok() {
        return Ok(offset);
    }
    let message = format!("{topic}-{partition}: offset {offset} is beyond the largest, {}", i64::MAX);
    Err(ClientError::Rejected(Box::new(ErrorDetail::new(ErrorCode::InvalidRequest, message))))
}

/// A partition whose leader could not be asked where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Unresolved {
    /// Its place among the consumer's partitions.
    pub(crate) index: usize,
    pub(crate) topic: String,
    pub(crate) partition: PartitionIndex,
    pub(crate) start: StartAt,
}

/// Where such a partition begins and ends, or why that is never known.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) of: Unresolved,
    pub(crate) found: Result<(Offset, Option<Offset>), ClientError>,
}

/// Asks where these partitions begin until every one was told, or nobody wants to know any more.
pub(super) fn resolve_later(
    client: Client,
    mut open: Vec<Unresolved>,
    ended: CancellationToken,
) -> mpsc::Receiver<Resolved> {
    let (tell, told) = mpsc::channel(open.len().max(1));
    let asking = async move {
        while !open.is_empty() {
            let places: Vec<_> = open.iter().map(|it| (it.topic.as_str(), it.partition, it.start)).collect();
            let found = resolve_with_ends(&client, &places, Deadline::after(PATIENCE)).await;
            let mut still_open = Vec::new();
            for (of, (start, end)) in open.into_iter().zip(found) {
                let found = start.and_then(|start| Ok((start, end?)));
                if found.as_ref().is_err_and(ClientError::is_retriable) {
                    still_open.push(of);
                } else if tell.send(Resolved { of, found }).await.is_err() {
                    return;
                }
            }
            open = still_open;
        }
    };
    tokio::spawn(async move { ended.run_until_cancelled(asking).await });
    told
}
