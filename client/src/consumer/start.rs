//! Where a consumer begins, and which offsets that means.

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

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
    /// At this offset; not checked before the first fetch.
    Offset(Offset),
    /// At the first record whose time is at or after this; behind the newest if there is none.
    Timestamp(TimestampMs),
}

/// The offsets that these places are at now.
pub(crate) async fn resolve(
    client: &Client,
    places: &[(&str, PartitionIndex, StartAt)],
    deadline: Deadline,
) -> Result<Vec<Offset>, ClientError> {
    let query = |spec| {
        move |&(topic, partition, _): &(&str, PartitionIndex, StartAt)| OffsetQuery {
            topic: topic.to_owned(),
            partition,
            spec,
        }
    };
    let mut queries = Vec::new();
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
    }
    let mut found = offsets::list(client, &queries, deadline).await?.into_iter().map(|found| found.offset);
    let mut next = || found.next().flatten();
    Ok(places
        .iter()
        .map(|(_, _, start)| match start {
            StartAt::Offset(offset) => *offset,
            StartAt::Earliest | StartAt::Latest => next().unwrap_or_default(),
            StartAt::Timestamp(_) => {
                let end = next().unwrap_or_default();
                next().unwrap_or(end)
            }
        })
        .collect())
}
