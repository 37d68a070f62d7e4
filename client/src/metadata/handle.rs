//! The handle to what is known of the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::debug;

use holdfast_proto::{
    convert,
    ids::{BrokerId, LeaderEpoch, PartitionIndex},
    v1,
};

use super::{ClusterView, Leader, TopicView, wanted::Wanted};
use crate::{connection::Connections, deadline::Deadline, error::Error};

/// How often a topic must be missing before it counts as unknown: a broker may lag behind its creation.
const UNKNOWN_AFTER: u32 = 3;

/// The client's knowledge of the cluster, shared by all of its parts.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(super) connections: Arc<Connections>,
    pub(super) view: ArcSwap<ClusterView>,
    pub(super) wanted: Mutex<Wanted>,
    pub(super) requested: Arc<Notify>,
    /// Something was asked for that cannot wait for news.
    pub(super) asked_anew: Notify,
    /// Address of the broker that answered last.
    pub(super) answered: Mutex<Option<String>>,
    /// Why brokers could not be reached at the last attempt.
    unreachable: Mutex<BTreeMap<BrokerId, Error>>,
    /// Number of the refresh that began last.
    pub(super) started: AtomicU64,
    /// Counts answers of brokers that were taken in.
    pub(super) answers: AtomicU64,
    /// Counts changes of the view.
    pub(super) changed: watch::Sender<u64>,
    /// Number of the refresh that finished last, and what it gave.
    pub(super) refreshed: watch::Sender<(u64, Option<Error>)>,
}

impl Metadata {
    /// An empty view, which nobody refreshes yet.
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            view: ArcSwap::default(),
            wanted: Mutex::default(),
            requested: Arc::default(),
            asked_anew: Notify::new(),
            answered: Mutex::default(),
            unreachable: Mutex::default(),
            started: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            refreshed: watch::Sender::new((0, None)),
        }
    }

    /// What is known now.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        self.view.load_full()
    }

    /// Has this known, as if a broker had answered it.
    #[cfg(test)]
    pub(crate) fn set_view(&self, view: ClusterView) {
        self.view.store(Arc::new(view));
        self.changed.send_modify(|count| *count += 1);
    }

    /// Marks a change whenever the view has changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Has the view refreshed soon. Cheap; many requests make one refresh.
    pub(crate) fn request_refresh(&self) {
        self.requested.notify_one();
    }

    /// Takes in a leader that a broker named, at once.
    pub(crate) fn apply_hint(&self, topic: &str, partition: PartitionIndex, hint: &v1::LeaderHint) -> bool {
        let leader = Leader { broker: BrokerId(hint.broker_id), epoch: LeaderEpoch(hint.leader_epoch) };
        let mut news = false;
        self.view.rcu(|view| {
            let mut view = ClusterView::clone(view);
            news = view.apply_hint(topic, partition, leader, &hint.address);
            view
        });
        if news {
            self.changed.send_modify(|count| *count += 1);
        }
        news
    }

    /// How often a broker told the metadata so far.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::SeqCst)
    }

    /// Waits for a refresh that began after this call, however it ends.
    pub(crate) async fn refresh(&self, deadline: Deadline) -> Result<(), Error> {
        let mut refreshed = self.refreshed.subscribe();
        // One that is under way began before and does not count.
        let target = self.started.load(Ordering::SeqCst) + 1;
        self.request_refresh();
        self.asked_anew.notify_one();
        let done = async {
            loop {
                let (count, error) = refreshed.borrow_and_update().clone();
                if count >= target {
                    return error.map_or(Ok(()), Err);
                }
                if refreshed.changed().await.is_err() {
                    return Err(Error::Closed);
                }
            }
        };
        tokio::time::timeout(deadline.left(), done).await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Why no refresh came in time: what the last one met, or that nobody says anything.
    fn unanswered(&self) -> Error {
        let last = self.refreshed.borrow().1.clone();
        last.unwrap_or_else(|| {
            let asked = self.rotation();
            Error::Unreachable { tried: asked.len(), last: format!("no answer of {} so far", asked.join(", ")) }
        })
    }

    /// The error, and where the address comes from if it was not given to this client.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Error::NotConnected { address, reason } = error else { return error };
        let view = self.view();
        let config = self.connections.config();
        match view.brokers.values().find(|broker| broker.address == address) {
            Some(broker) if !config.bootstrap.contains(&address) => {
                let learnt_from = self.answered.lock().clone();
                Error::Advertised { broker: broker.id, address, learnt_from, reason }
            }
            _ => Error::NotConnected { address, reason },
        }
    }

    /// The topic, asked for if it is not known yet, and kept up to date from now on.
    pub(crate) async fn topic(&self, name: &str, deadline: Deadline) -> Result<Arc<TopicView>, Error> {
        if convert::check_topic_name(name).is_err() {
            return Err(Error::UnknownTopic(name.to_owned())); // no topic has it, and no broker would be asked for others with it
        }
        let mut missing = 0;
        loop {
            if let Some(topic) = self.view.load().topics.get(name) {
                return Ok(Arc::clone(topic));
            }
            self.wanted.lock().add(name, Instant::now());
            match self.refresh(deadline).await {
                Ok(()) if self.view.load().topics.contains_key(name) => {}
                Ok(()) => missing += 1,
                Err(error) if !error.is_retriable() || deadline.is_over() => return Err(error),
                Err(error) => debug!(%error, "metadata refresh failed"),
            }
            if missing >= UNKNOWN_AFTER {
                return Err(Error::UnknownTopic(name.to_owned()));
            }
        }
    }

    /// Brokers that lead something and to which no connection could be made at the last attempt, each with why. Nobody tries
    /// to reach one that leads nothing any more: it is forgotten.
    pub(crate) fn unreachable(&self) -> Vec<Error> {
        let view = self.view();
        let leaders = view.topics.values().flat_map(|topic| &topic.partitions).filter_map(|partition| partition.leader);
        let leaders: BTreeSet<_> = leaders.collect();
        let mut unreachable = self.unreachable.lock();
        unreachable.retain(|broker, _| leaders.contains(broker));
        unreachable.values().cloned().collect()
    }

    /// Notes how the last attempt to reach a broker ended.
    pub(crate) fn note_reached(&self, broker: BrokerId, problem: Option<Error>) {
        let mut unreachable = self.unreachable.lock();
        match problem {
            Some(error) => unreachable.insert(broker, self.explain(error)),
            None => unreachable.remove(&broker),
        };
    }

    /// Addresses to ask, best first: the broker that answered last, then as [`Self::rotation`]. One that is silent but
    /// not known to be dead is thus asked late.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut addresses = self.rotation();
        let place = self.answered.lock().as_ref().and_then(|last| addresses.iter().position(|address| address == last));
        if let Some(place) = place {
            addresses[..=place].rotate_right(1);
        }
        addresses
    }

    /// Live brokers beginning anywhere, then the bootstrap list, then fenced brokers.
    pub(super) fn rotation(&self) -> Vec<String> {
        let view = self.view.load();
        let (fenced, mut live): (Vec<_>, Vec<_>) = view.brokers.values().partition(|broker| broker.fenced);
        if !live.is_empty() {
            let start = rand::random_range(0..live.len());
            live.rotate_left(start);
        }
        let mut addresses: Vec<String> = Vec::new();
        let known = live.iter().map(|broker| &broker.address);
        for address in
            known.chain(&self.connections.config().bootstrap).chain(fenced.iter().map(|broker| &broker.address))
        {
            if !address.is_empty() && !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.requested.notify_one(); // the task notices that nobody holds the view any more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, ClientConfig};

    #[tokio::test]
    async fn a_broker_that_leads_nothing_any_more_is_not_told_as_unreachable() {
        let client = Client::new(ClientConfig::new(["127.0.0.1:1"])).unwrap();
        let metadata = client.metadata();
        let problem = Error::NotConnected { address: "a:1".to_owned(), reason: "refused".to_owned() };
        metadata.note_reached(BrokerId(1), Some(problem));
        for (leader, expected) in [(Some(1), 1), (Some(2), 0), (Some(1), 0)] {
            metadata.set_view(ClusterView::with_leader(leader, 1));
            assert_eq!(client.unreachable_brokers().len(), expected, "{leader:?} leads");
        }
    }
}
