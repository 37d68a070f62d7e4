//! The task that keeps the view up to date, and the handle that others hold.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures::{StreamExt, stream::FuturesUnordered};
use holdfast_proto::{
    ids::{BrokerId, ClusterId, MetadataIndex, PartitionIndex},
    v1,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use super::{Broker, ClusterView, Leader, TopicView};
use crate::{
    connection::{Connections, call},
    error::Error,
    retry::{Backoff, Deadline, jitter},
};

/// How long one broker may be silent before the next is asked as well.
const HEDGE_AFTER: Duration = Duration::from_millis(300);
/// Longest pause between refreshes that somebody waits for and that bring no news.
const MAX_URGENT_PAUSE: Duration = Duration::from_millis(100);
/// How long a broker is asked to hold back an answer until there is news.
const WAIT_FOR_NEWS: Duration = Duration::from_millis(500);
/// How often a topic must be missing before it counts as unknown: a broker may lag behind its creation.
const UNKNOWN_AFTER: u32 = 3;

/// The client's knowledge of the cluster, shared by all of its parts.
#[derive(Debug)]
pub(crate) struct Metadata {
    connections: Arc<Connections>,
    view: ArcSwap<ClusterView>,
    wanted: Mutex<BTreeSet<Arc<str>>>,
    requested: Arc<Notify>,
    /// Something was asked for that cannot wait for news.
    asked_anew: Notify,
    /// Address of the broker that answered last.
    answered: Mutex<Option<String>>,
    /// Number of the refresh that began last.
    started: AtomicU64,
    /// Counts changes of the view.
    changed: watch::Sender<u64>,
    /// Number of the refresh that finished last, and what it gave.
    refreshed: watch::Sender<(u64, Option<Error>)>,
}

impl Metadata {
    /// Starts with an empty view; the task ends when the last handle is dropped.
    pub(crate) fn start(connections: Arc<Connections>) -> Arc<Self> {
        let metadata = Arc::new(Self {
            connections,
            view: ArcSwap::default(),
            wanted: Mutex::default(),
            requested: Arc::default(),
            asked_anew: Notify::new(),
            answered: Mutex::default(),
            started: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            refreshed: watch::Sender::new((0, None)),
        });
        tokio::spawn(run(Arc::downgrade(&metadata)));
        metadata
    }

    /// What is known now.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        self.view.load_full()
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
        let leader =
            Leader { broker: BrokerId(hint.broker_id), epoch: holdfast_proto::ids::LeaderEpoch(hint.leader_epoch) };
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
        tokio::time::timeout(deadline.left(), done).await.unwrap_or_else(|_| {
            Err(Error::DeadlineExceeded {
                what: "a metadata refresh".to_owned(),
                after: deadline.whole(),
                in_doubt: false,
            })
        })
    }

    /// The topic, asked for if it is not known yet, and kept up to date from now on.
    pub(crate) async fn topic(&self, name: &str, deadline: Deadline) -> Result<Arc<TopicView>, Error> {
        let mut missing = 0;
        loop {
            if let Some(topic) = self.view.load().topics.get(name) {
                return Ok(Arc::clone(topic));
            }
            self.wanted.lock().insert(name.into());
            match self.refresh(deadline).await {
                Ok(()) if self.view.load().topics.contains_key(name) => {}
                Ok(()) => missing += 1,
                Err(error) if !error.is_retriable() || deadline.is_over() => return Err(error),
                Err(error) => debug!(%error, "metadata refresh failed"),
            }
            if missing >= UNKNOWN_AFTER {
                self.wanted.lock().remove(name);
                return Err(Error::UnknownTopic(name.to_owned()));
            }
        }
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
    fn rotation(&self) -> Vec<String> {
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

    /// Asks a broker to answer as soon as it has news, so that a new leader is known at once. `None` if somebody asked
    /// for what cannot wait for news.
    async fn wait_for_news(&self) -> Option<Result<bool, Error>> {
        let min_index = self.view.load().index.0 + 1;
        tokio::select! {
            () = self.asked_anew.notified() => None,
            result = tokio::time::timeout(WAIT_FOR_NEWS, self.refresh_once(min_index)) => {
                Some(result.unwrap_or(Ok(false)))
            }
        }
    }

    /// One refresh: asks brokers until one answers with something new enough.
    async fn refresh_once(&self, min_index: u64) -> Result<bool, Error> {
        let addresses = self.rotation();
        let topics: Vec<String> = self.wanted.lock().iter().map(ToString::to_string).collect();
        let mut waiting = addresses.iter();
        let mut asked = FuturesUnordered::new();
        let mut last = None;
        loop {
            let next = waiting.next();
            let exhausted = next.is_none();
            if let Some(address) = next {
                let request = v1::GetMetadataRequest { topics: topics.clone(), all_topics: false, min_index };
                asked.push(self.ask(address, request));
            } else if asked.is_empty() {
                let last = last.map_or_else(|| "no address is known".to_owned(), |error: Error| error.to_string());
                return Err(Error::Unreachable { tried: addresses.len(), last });
            }
            loop {
                let answer = if exhausted {
                    asked.next().await
                } else {
                    match tokio::time::timeout(HEDGE_AFTER, asked.next()).await {
                        Ok(answer) => answer,
                        Err(_) => break, // silent: ask the next as well
                    }
                };
                match answer {
                    Some((address, Ok(response))) => match self.take_in(address, response) {
                        Ok(Some(changed)) => {
                            *self.answered.lock() = Some(address.clone());
                            return Ok(changed);
                        }
                        Ok(None) => last = Some(Error::Malformed { address: address.clone(), reason: "it is behind" }),
                        Err(error @ Error::OtherCluster { .. }) => return Err(error),
                        Err(error) => last = Some(error),
                    },
                    Some((_, Err(error))) => last = Some(error),
                    None => break,
                }
                if !exhausted {
                    break;
                }
            }
        }
    }

    async fn ask<'a>(
        &self,
        address: &'a String,
        request: v1::GetMetadataRequest,
    ) -> (&'a String, Result<v1::GetMetadataResponse, Error>) {
        let deadline = self.connections.config().request_timeout;
        let answer =
            match self.connections.admin(address) {
                Ok(mut client) => {
                    call(address, "GetMetadata", deadline, request, |request| async move {
                        client.get_metadata(request).await
                    })
                    .await
                }
                Err(error) => Err(error),
            };
        (address, answer)
    }

    /// `None` if the answer is older than what is known, else whether it changed anything.
    fn take_in(&self, address: &str, response: v1::GetMetadataResponse) -> Result<Option<bool>, Error> {
        let malformed = |reason| Error::Malformed { address: address.to_owned(), reason };
        let cluster_id =
            ClusterId::from_bytes(&response.cluster_id).ok_or(malformed("the cluster id is not 16 bytes"))?;
        let index = MetadataIndex(response.index);
        let topics = response.topics.into_iter().map(TopicView::from_message).collect::<Result<Vec<_>, _>>();
        let topics = topics.map_err(malformed)?;
        let brokers: Vec<_> = response.brokers.into_iter().map(Broker::from_message).collect();

        let known = self.view.load();
        if let Some(expected) = known.cluster_id.filter(|known| *known != cluster_id) {
            let (expected, found) = (expected.to_string(), cluster_id.to_string());
            return Err(Error::OtherCluster { address: address.to_owned(), expected, found });
        }
        if index < known.index {
            return Ok(None);
        }
        let mut changed = false;
        self.view.rcu(|view| {
            let mut new = ClusterView::clone(view);
            new.cluster_id = Some(cluster_id);
            new.update(index, brokers.iter().cloned(), topics.clone(), &response.unknown_topics);
            changed = new.topics != view.topics || new.brokers != view.brokers;
            new
        });
        if changed {
            let view = self.view.load();
            let bootstrap = &self.connections.config().bootstrap;
            self.connections.retain(|address| {
                bootstrap.iter().any(|known| known == address) || view.brokers.values().any(|b| b.address == address)
            });
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(Some(changed))
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.requested.notify_one(); // the task notices that nobody holds the view any more
    }
}

/// Refreshes whenever somebody asks, and once in `metadata_max_age`.
async fn run(metadata: Weak<Metadata>) {
    let Some((requested, config)) =
        metadata.upgrade().map(|strong| (Arc::clone(&strong.requested), strong.connections.config().clone()))
    else {
        return;
    };
    let min_interval = config.metadata_min_interval;
    let mut without_news = Backoff::new(min_interval, MAX_URGENT_PAUSE.max(min_interval));
    let mut failed = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    let mut no_news = false;
    let mut is_news = true; // that a refresh fails is said once
    loop {
        let idle_since = Instant::now();
        tokio::select! {
            () = requested.notified() => {}
            () = tokio::time::sleep(jitter(config.metadata_max_age)) => {}
        }
        if idle_since.elapsed() > MAX_URGENT_PAUSE {
            without_news.reset();
            no_news = false; // nobody waited meanwhile
        }
        let Some(strong) = metadata.upgrade() else { return };
        // Counted before it begins: who asks from here on waits for the next one.
        let mut number = strong.started.fetch_add(1, Ordering::SeqCst) + 1;
        let waited = if no_news { strong.wait_for_news().await } else { None };
        let result = if let Some(result) = waited {
            result
        } else {
            if no_news {
                number = strong.started.fetch_add(1, Ordering::SeqCst) + 1; // the wait was cut short for this one
            }
            strong.refresh_once(0).await
        };
        no_news = matches!(result, Ok(false));
        let pause = match &result {
            Ok(true) => {
                is_news = true;
                without_news.reset();
                failed.reset();
                jitter(min_interval)
            }
            Ok(false) => {
                is_news = true;
                failed.reset();
                without_news.next_pause()
            }
            Err(error) => {
                if is_news {
                    warn!(%error, "metadata refresh failed");
                }
                is_news = false;
                failed.next_pause()
            }
        };
        strong.refreshed.send_replace((number, result.err()));
        drop(strong);
        tokio::time::sleep(pause).await;
    }
}
