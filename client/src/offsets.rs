//! Looks offsets up at the leaders of partitions: the ends, and by time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures::future::join_all;
use tracing::debug;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs},
    limits::MAX_REQUEST_PARTITIONS,
    v1,
};

use crate::{
    Client,
    connection::{Effect, Lane, call},
    deadline::{Deadline, LEAST_ATTEMPT},
    error::Error,
    metadata::TopicView,
};

/// How long one leader may take before fresh metadata is asked for: it may no longer lead.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How many brokers must not know a partition before it counts as unknown.
const UNKNOWN_AFTER: u64 = 2;

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
    list_each(client, queries, deadline).await.into_iter().collect()
}

/// As [`list`], with what each look-up met last: a partition that cannot be asked hides no other.
pub(crate) async fn list_each(
    client: &Client,
    queries: &[OffsetQuery],
    deadline: Deadline,
) -> Vec<Result<OffsetAt, Error>> {
    list_or_hear(client, queries, |_| false, deadline).await
}

/// How long the end of a new leader is waited for by who can do without: it knows it once its replicas have fetched.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// As [`list_each`]; for the look-ups of these indices it is answer enough, after some time, that their leader does not know
/// the end yet.
pub(crate) async fn list_or_hear(
    client: &Client,
    queries: &[OffsetQuery],
    is_hint: impl Fn(usize) -> bool,
    deadline: Deadline,
) -> Vec<Result<OffsetAt, Error>> {
    let (config, ends) = (client.config(), Deadline::after(END_PATIENCE));
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    let mut found: Vec<_> = queries.iter().map(|query| Err(no_leader(query))).collect();
    let heard_before = client.metadata().answers();
    loop {
        find_topics(client, queries, &mut found, deadline).await;
        let answers = client.metadata().answers() - heard_before;
        let misses = round(client, queries, &mut found, answers, deadline).await;
        let pause = jittered(backoff.next_pause());
        let is_enough = |index, found: &_| is_hint(index) && is_unknown_end(found) && ends.left() < pause;
        let is_wanted = |(index, found): (usize, &_)| is_open(found) && !is_enough(index, found);
        if deadline.left() < pause + LEAST_ATTEMPT || !found.iter().enumerate().any(is_wanted) {
            return found;
        }
        debug!(error = ?found.iter().find_map(|found| found.as_ref().err()), "looking offsets up; trying again");
        // Refreshes have pauses of their own.
        if !misses || client.metadata().refresh(deadline).await.is_err() {
            client.metadata().request_refresh();
            deadline.pause(pause).await;
        }
    }
}

/// True if the offset is not found yet and may be found.
fn is_open(found: &Result<OffsetAt, Error>) -> bool {
    found.as_ref().is_err_and(Error::is_retriable)
}

/// True if the leader answered that it does not know its end yet.
pub(crate) fn is_unknown_end<T>(found: &Result<T, Error>) -> bool {
    found.as_ref().is_err_and(|error| error.code() == Some(ErrorCode::OffsetNotAvailable))
}

/// Asks for the topics that are not known, all at once and each once, however many partitions are looked up in it.
async fn find_topics(
    client: &Client,
    queries: &[OffsetQuery],
    found: &mut [Result<OffsetAt, Error>],
    deadline: Deadline,
) {
    let view = client.metadata().view();
    let open = |(query, found): (_, &Result<_, _>)| is_open(found).then_some(query);
    let names = queries.iter().zip(&*found).filter_map(open).map(|query: &OffsetQuery| query.topic.as_str());
    let unknown: BTreeSet<_> = names.filter(|name| !view.topics.contains_key(*name)).collect();
    let asked =
        unknown.into_iter().map(async |name| Some((name, client.metadata().topic(name, deadline).await.err()?)));
    let errors: HashMap<_, _> = join_all(asked).await.into_iter().flatten().collect();
    for (query, found) in queries.iter().zip(found).filter(|(_, found)| is_open(found)) {
        if let Some(error) = errors.get(query.topic.as_str()) {
            *found = Err(error.clone());
        }
    }
}

fn unknown(query: &OffsetQuery, topic: &TopicView) -> Error {
    let (topic, count) = (query.topic.clone(), topic.partitions.len());
    Error::UnknownPartition { topic, partition: query.partition.0, count }
}

fn no_leader(query: &OffsetQuery) -> Error {
    let message = format!("{}-{} has no leader now", query.topic, query.partition);
    Error::Rejected(Box::new(ErrorDetail::new(ErrorCode::LeaderNotAvailable, message)))
}

/// Asks every leader once for what is not found yet and may be found. `answers`: how often brokers
/// told the metadata meanwhile. True if some may be missing only where the metadata came from.
async fn round(
    client: &Client,
    queries: &[OffsetQuery],
    found: &mut [Result<OffsetAt, Error>],
    answers: u64,
    deadline: Deadline,
) -> bool {
    let mut misses = false;
    let view = client.metadata().view();
    let mut by_leader: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, query) in queries.iter().enumerate() {
        if !is_open(&found[index]) {
            continue;
        }
        // Of a topic that is not known, what asking for it met says more.
        let Some(topic) = view.topics.get(query.topic.as_str()) else { continue };
        let Some(partition) = topic.partition(query.partition) else {
            // The broker that told the metadata may lag behind a topic that grew.
            let is_unknown = answers >= UNKNOWN_AFTER;
            misses |= !is_unknown;
            found[index] = Err(if is_unknown { unknown(query, topic) } else { no_leader(query) });
            continue;
        };
        match partition.leader.and_then(|leader| view.address(leader)) {
            Some(address) => by_leader.entry(address.to_owned()).or_default().push(index),
            None => found[index] = Err(no_leader(query)),
        }
    }
    // As many at once as a broker takes.
    let calls: Vec<_> = by_leader
        .iter()
        .flat_map(|(address, indices)| indices.chunks(MAX_REQUEST_PARTITIONS).map(move |indices| (address, indices)))
        .collect();
    let asked = calls.iter().map(|(address, indices)| ask(client, address, queries, indices, deadline));
    for ((address, indices), answer) in calls.iter().zip(join_all(asked).await) {
        match answer {
            Err(error) => {
                let error = client.metadata().explain(error);
                for index in *indices {
                    found[*index] = Err(named(&queries[*index], error.clone()));
                }
            }
            Ok(response) if response.results.len() != indices.len() => {
                for index in *indices {
                    let (address, reason) = ((*address).clone(), "not one result a query");
                    found[*index] = Err(Error::Malformed { address, reason });
                }
            }
            Ok(response) => {
                for (index, result) in indices.iter().zip(response.results) {
                    found[*index] = take_in(client, &queries[*index], result);
                }
            }
        }
    }
    misses
}

/// The error with the partition that it is about: a broker speaks of "the partition".
fn named(query: &OffsetQuery, error: Error) -> Error {
    match error {
        Error::Rejected(mut detail) => {
            detail.message = format!("{}-{}: {}", query.topic, query.partition, detail.message);
            Error::Rejected(detail)
        }
        error => error,
    }
}

/// What the leader says about one look-up.
fn take_in(client: &Client, query: &OffsetQuery, result: v1::OffsetResult) -> Result<OffsetAt, Error> {
    match result.error {
        None => Ok(OffsetAt {
            offset: result.offset.map(Offset),
            timestamp: result.timestamp_ms.map(TimestampMs),
            leader_epoch: LeaderEpoch(result.leader_epoch),
        }),
        Some(error) => {
            if let Some(hint) = &error.leader {
                client.metadata().apply_hint(&query.topic, query.partition, hint);
            }
            Err(named(query, Error::Rejected(Box::new(ErrorDetail::from(error)))))
        }
    }
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
        v1::OffsetQuery {
            topic: query.topic.clone(),
            partition: query.partition.0,
            position: Some(position),
            ..Default::default()
        }
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
