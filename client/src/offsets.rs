//! Looks offsets up at the leaders of partitions: the ends, and by time.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use tracing::debug;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs},
    v1,
};

use crate::{
    Client,
    connection::{Effect, Lane, call},
    deadline::Deadline,
    error::Error,
};

/// How long one leader may take before fresh metadata is asked for: it may no longer lead.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Where in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The oldest offset that it holds.
    Earliest,
    /// The high watermark: the next offset that consumers will see.
    Latest,
    /// The first record whose time is at or after this.
    Timestamp(TimestampMs),
}

/// What to look up.
#[derive(Clone, Debug)]
pub struct OffsetQuery {
    /// Name of the topic.
    pub topic: String,
    /// The partition to look in; refused if the topic has no such partition.
    pub partition: PartitionIndex,
    /// Which offset is asked for.
    pub spec: OffsetSpec,
}

/// What the partition's leader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset; `None` if no record is as late as the time asked for.
    pub offset: Option<Offset>,
    /// Time of that record, for a look-up by time.
    pub timestamp: Option<TimestampMs>,
    /// Leader epoch of the leader that answered.
    pub leader_epoch: LeaderEpoch,
}

/// All look-ups, tried again until the deadline where the error allows it.
pub(crate) async fn list(client: &Client, queries: &[OffsetQuery], deadline: Deadline) -> Result<Vec<OffsetAt>, Error> {
    let config = client.config();
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    let mut found: Vec<Option<OffsetAt>> = vec![None; queries.len()];
    for query in queries {
        let topic = client.metadata().topic(&query.topic, deadline).await?;
        if topic.partition(query.partition).is_none() {
            let (topic, count) = (query.topic.clone(), topic.partitions.len());
            return Err(Error::UnknownPartition { topic, partition: query.partition.0, count });
        }
    }
    loop {
        let last = round(client, queries, &mut found, deadline).await?;
        match (found.iter().copied().collect::<Option<Vec<_>>>(), last) {
            (Some(found), _) => return Ok(found),
            (None, Some(error)) if deadline.is_over() => return Err(error),
            (None, None) if deadline.is_over() => {
                let what = "looking offsets up".to_owned();
                return Err(Error::DeadlineExceeded { what, after: deadline.whole(), in_doubt: false });
            }
            (None, error) => {
                debug!(?error, "looking offsets up failed; trying again");
                client.metadata().request_refresh();
                deadline.pause(jittered(backoff.next_pause())).await;
            }
        }
    }
}

/// Asks every leader once for what is not found yet; the last error that may pass by itself.
async fn round(
    client: &Client,
    queries: &[OffsetQuery],
    found: &mut [Option<OffsetAt>],
    deadline: Deadline,
) -> Result<Option<Error>, Error> {
    let view = client.metadata().view();
    let mut by_leader: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut last = None;
    for (index, query) in queries.iter().enumerate().filter(|(index, _)| found[*index].is_none()) {
        let leader = view.leader(&query.topic, query.partition);
        if let Some(address) = leader.and_then(|leader| view.address(leader.broker)) {
            by_leader.entry(address.to_owned()).or_default().push(index);
        } else {
            let message = format!("{}-{} has no leader now", query.topic, query.partition);
            last = Some(Error::Rejected(Box::new(ErrorDetail::new(ErrorCode::LeaderNotAvailable, message))));
        }
    }
    let asked = by_leader.iter().map(|(address, indices)| ask(client, address, queries, indices, deadline));
    for ((address, indices), answer) in by_leader.iter().zip(join_all(asked).await) {
        match answer {
            Err(error) if error.is_retriable() => last = Some(error),
            Err(error) => return Err(error),
            Ok(response) if response.results.len() != indices.len() => {
                return Err(Error::Malformed { address: address.clone(), reason: "not one result a query" });
            }
            Ok(response) => {
                for (index, result) in indices.iter().zip(response.results) {
                    match result.error {
                        None => {
                            found[*index] = Some(OffsetAt {
                                offset: result.offset.map(Offset),
                                timestamp: result.timestamp_ms.map(TimestampMs),
                                leader_epoch: LeaderEpoch(result.leader_epoch),
                            });
                        }
                        Some(error) => {
                            let query = &queries[*index];
                            if let Some(hint) = &error.leader {
                                client.metadata().apply_hint(&query.topic, query.partition, hint);
                            }
                            let detail = ErrorDetail::from(error);
                            if !detail.retriable {
                                return Err(Error::Rejected(Box::new(detail)));
                            }
                            last = Some(Error::Rejected(Box::new(detail)));
                        }
                    }
                }
            }
        }
    }
    Ok(last)
}

async fn ask(
    client: &Client,
    address: &str,
    queries: &[OffsetQuery],
    indices: &[usize],
    deadline: Deadline,
) -> Result<v1::ListOffsetsResponse, Error> {
    use v1::offset_query::Position;
    let queries = indices.iter().map(|index| {
        let query = &queries[*index];
        let position = match query.spec {
            OffsetSpec::Earliest => Position::Earliest(true),
            OffsetSpec::Latest => Position::Latest(true),
            OffsetSpec::Timestamp(time) => Position::TimestampMs(time.0),
        };
        v1::OffsetQuery { topic: query.topic.clone(), partition: query.partition.0, position: Some(position) }
    });
    let request = v1::ListOffsetsRequest { queries: queries.collect() };
    let mut stub = client.connections().consumer(address, Lane::Control)?;
    let limit = client.config().request_timeout.min(ATTEMPT).min(deadline.left());
    call(
        address,
        "ListOffsets",
        Effect::Reads,
        limit,
        request,
        |request| async move { stub.list_offsets(request).await },
    )
    .await
}
