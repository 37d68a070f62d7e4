//! Reading more partitions than those that a consumer was built with.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tracing::debug;

use holdfast_proto::ids::{Offset, PartitionIndex};

use super::{
    Consumer, Error,
    handle::Position,
    partition::PartitionFetch,
    router,
    start::{Place, StartAt, resolve_with_ends},
};
use crate::{Client, deadline::Deadline, error::Error as ClientError, metadata::TopicView};

/// A topic as it is known now, with the start and, if it is known, the end of one of its partitions.
type Found = Result<(Arc<TopicView>, Offset, Option<Offset>), ClientError>;

impl Consumer {
    /// Reads one more partition, from this place on. Within the client's `admin_timeout`. Cancel safe: it is added or not.
    pub async fn add(&mut self, topic: &str, partition: PartitionIndex, start: StartAt) -> Result<Offset, Error> {
        let within = self.shared.client.config().admin_timeout;
        let mut added = self.add_all(&[(topic, partition, start)], within).await;
        added.pop().unwrap_or_else(|| Err(Error::NotAssigned { topic: topic.to_owned(), partition }))
    }

    /// As [`Self::add`] for many at once: each begins, or says why it does not. One whose leader does not answer within this
    /// time holds no other back, but the call. Cancel safe: all are added that can be, or none.
    pub async fn add_all(&mut self, places: &[Place<'_>], within: Duration) -> Vec<Result<Offset, Error>> {
        let client = self.shared.client.clone();
        let mut seen = BTreeSet::new();
        let is_new = |&(topic, partition, _): &Place<'_>| {
            self.index_of(topic, partition).is_err() && seen.insert((topic.to_owned(), partition))
        };
        let new: Vec<_> = places.iter().copied().filter(is_new).collect();
        let found = look_up(&client, &new, Deadline::after(within)).await;
        // No await from here on.
        let mut added = Vec::with_capacity(places.len());
        for &(topic, partition, start) in places {
            added.push(match self.index_of(topic, partition) {
                Ok(index) => self.check_topic(index).map(|()| self.partitions[index].offset),
                Err(not_assigned) => match found.get(&(topic, partition)) {
                    Some(Ok((known, offset, end))) => self.take_in(known, partition, start, *offset, *end),
                    Some(Err(error)) => Err(error.clone().into()),
                    None => Err(not_assigned),
                },
            });
        }
        router::route(&self.shared);
        added
    }

    /// One partition more, whose start was found to be this, and its end if that is known.
    fn take_in(
        &mut self,
        known: &TopicView,
        partition: PartitionIndex,
        start: StartAt,
        offset: Offset,
        end: Option<Offset>,
    ) -> Result<Offset, Error> {
        if self.shared.client.view().topics.get(&known.name).is_none_or(|now| now.id != known.id) {
            return Err(Error::TopicGone(known.name.to_string()));
        }
        let mut fetch = PartitionFetch::new(Arc::clone(&known.name), known.id.to_bytes(), partition, offset);
        fetch.high_watermark = end;
        fetch.from_beginning = start == StartAt::Earliest;
        self.by_index.entry(partition).or_default().push(self.partitions.len());
        self.partitions.push(Position::new(Arc::clone(&known.name), partition, offset, fetch.from_beginning));
        self.shared.update(|buffers| buffers.partitions.push(fetch));
        Ok(offset)
    }
}

/// Where these places begin and end now, each as far as somebody tells it until the deadline. The places are younger than
/// what is known, perhaps: the metadata is asked for first, and of a topic that it does not tell nothing is looked up.
async fn look_up<'a>(
    client: &Client,
    places: &[Place<'a>],
    deadline: Deadline,
) -> HashMap<(&'a str, PartitionIndex), Found> {
    if places.is_empty() {
        return HashMap::new();
    }
    let refreshed = loop {
        match client.metadata().refresh(deadline).await {
            Err(error) if error.is_retriable() && !deadline.is_over() => debug!(%error, "metadata refresh failed"),
            ended => break ended,
        }
    };
    let names: BTreeSet<_> = places.iter().map(|place| place.0).collect();
    let ask = async |name| {
        let known = match &refreshed {
            Ok(()) => client.metadata().topic(name, deadline).await,
            Err(error) => Err(error.clone()),
        };
        (name, known)
    };
    let topics: HashMap<_, _> = join_all(names.into_iter().map(ask)).await.into_iter().collect();
    let (known, unknown): (Vec<_>, Vec<_>) = places.iter().partition(|place| topics[place.0].is_ok());
    let asked: Vec<_> = known.iter().map(|place: &&Place<'_>| **place).collect();
    let mut found = HashMap::with_capacity(places.len());
    for ((topic, partition, _), (start, end)) in asked.iter().zip(resolve_with_ends(client, &asked, deadline).await) {
        let of_it = topics[topic].clone().and_then(|known| Ok((known, start?, end?)));
        found.insert((*topic, *partition), of_it);
    }
    for &(topic, partition, _) in unknown {
        found.extend(topics[topic].clone().err().map(|error| ((topic, partition), Err(error))));
    }
    found
}
