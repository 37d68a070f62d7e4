//! A load of committed changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_proto::{
    convert::peer_header,
    v1::{AllocateProducerIdsRequest, controller_service_client::ControllerServiceClient},
};

use crate::{
    broker::Broker,
    support::{Quorum, channel, eventually},
};

/// Committed changes, made one after another until it is stopped. None may be lost: each gives a greater id.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Load {
    /// Asks each controller but one in turn; the active one commits.
    pub(crate) fn start(quorum: &Quorum, broker: &Broker, not_asked: usize) -> Self {
        let addresses: Vec<String> = quorum
            .addresses
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != not_asked)
            .map(|(_, address)| address.clone())
            .collect();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (addresses, stopped, count) = (addresses, Arc::clone(&stop), Arc::clone(&done));
        let request = AllocateProducerIdsRequest {
            header: Some(peer_header(quorum.cluster_id(), 0, broker.id.into())),
            broker_id: broker.id,
            broker_epoch: broker.epoch,
        };
        let task = quorum.runtime().spawn(async move {
            let (mut last, mut longest, mut at) = (-1, Duration::ZERO, Instant::now());
            let mut clients: Vec<_> =
                addresses.iter().map(|address| ControllerServiceClient::new(channel(address))).collect();
            while !stopped.load(Ordering::SeqCst) {
                for client in &mut clients {
                    if let Ok(response) = client.allocate_producer_ids(request.clone()).await {
                        let id = response.into_inner().first_producer_id;
                        assert!(id > last, "an id was given twice: {id} after {last}");
                        last = id;
                        longest = longest.max(at.elapsed());
                        at = Instant::now();
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            longest
        });
        Self { stop, done, task }
    }

    /// Changes that were committed.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits for a change that is committed from now on.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        let before = self.done.load(Ordering::SeqCst);
        eventually("another committed change", || (self.done.load(Ordering::SeqCst) > before + 1).then_some(()));
    }

    /// Number of changes, and the longest time between two.
    pub(crate) fn stop(self, quorum: &Quorum) -> (u64, Duration) {
        self.stop.store(true, Ordering::SeqCst);
        let longest = quorum.block_on(self.task).expect("no id was given twice");
        (self.done.load(Ordering::SeqCst), longest)
    }
}
