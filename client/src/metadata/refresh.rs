//! The task that asks the brokers.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use tracing::warn;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    ids::{ClusterId, MetadataIndex},
    v1,
};

use super::{Broker, ClusterView, Metadata, TopicView};
use crate::{
    connection::{Connections, Effect, call},
    error::Error,
};

/// How long one broker may be silent before the next is asked as well.
const HEDGE_AFTER: Duration = Duration::from_millis(300);
/// Longest pause between refreshes that somebody waits for and that bring no news.
const MAX_URGENT_PAUSE: Duration = Duration::from_millis(100);
/// How long a broker is asked to hold back an answer until there is news.
const WAIT_FOR_NEWS: Duration = Duration::from_millis(500);

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
            () = tokio::time::sleep(jittered(config.metadata_max_age)) => {}
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
                min_interval
            }
            Ok(false) => {
                is_news = true;
                failed.reset();
                jittered(without_news.next_pause())
            }
            Err(error) => {
                if is_news {
                    warn!(%error, "metadata refresh failed");
                }
                is_news = false;
                jittered(failed.next_pause())
            }
        };
        strong.refreshed.send_replace((number, result.err()));
        drop(strong);
        tokio::time::sleep(pause.max(min_interval)).await;
    }
}

impl Metadata {
    /// Starts with an empty view; the task ends when the last handle is dropped.
    pub(crate) fn start(connections: Arc<Connections>) -> Arc<Self> {
        let metadata = Arc::new(Self::new(connections));
        tokio::spawn(run(Arc::downgrade(&metadata)));
        metadata
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
        let topics = self.wanted.lock().names(Instant::now());
        let mut waiting = addresses.iter();
        let mut asked = FuturesUnordered::new();
        let mut last = None;
        loop {
            let next = waiting.next();
            let exhausted = next.is_none();
            if let Some(address) = next {
                let request = v1::GetMetadataRequest { topics: topics.clone(), min_index, ..Default::default() };
                asked.push(self.ask(address, request));
            } else if asked.is_empty() {
                let last = last.unwrap_or_else(|| "no address is known".to_owned());
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
                        Ok(None) => last = Some(format!("{address} is behind what is known")),
                        Err(error @ Error::OtherCluster { .. }) => return Err(error),
                        Err(error) => last = Some(error.to_string()),
                    },
                    Some((address, Err(Error::DeadlineExceeded { .. }))) => {
                        last = Some(format!("{address} takes the connection and says nothing"));
                    }
                    // A silent one, whose ping found no answer, or a server of another kind.
                    Some((address, Err(Error::Broken { detail, .. }))) => {
                        last =
                            Some(format!("{address} takes the connection, but no broker answers: {}", detail.message));
                    }
                    Some((_, Err(error))) => last = Some(self.explain(error).to_string()),
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
        let answer = match self.connections.admin(address) {
            Ok(mut client) => {
                call(address, "GetMetadata", Effect::Reads, deadline, request, |request| async move {
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
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.wanted.lock().told(&response.unknown_topics, Instant::now());
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
