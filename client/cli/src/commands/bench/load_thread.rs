//! A load on a thread of its own, that ends with the bench.
//!
//! Invariant: who drops the [`LoadThread`] waits for nothing, and the thread uses nothing of the runtime afterwards but to
//! see that it is to stop: the runtime may end before the thread does.

use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};

use holdfast_client::producer::{DeliveryFuture, Error, Producer, Record};

use crate::exit::{Failure, Result};

/// What the thread sends with.
#[derive(Debug)]
pub(super) struct Sender {
    runtime: Handle,
    producer: Producer,
    stop: watch::Receiver<()>,
}

/// The thread; told to stop when this is dropped.
#[derive(Debug)]
pub(super) struct LoadThread<T> {
    stop: watch::Sender<()>,
    ended: oneshot::Receiver<std::result::Result<T, Error>>,
}

impl<T: Send + 'static> LoadThread<T> {
    /// Starts `send`, which is to end when [`Sender::send`] gives `None`.
    pub(super) fn start(
        producer: Producer,
        send: impl FnOnce(Sender) -> std::result::Result<T, Error> + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = watch::channel(());
        let sender = Sender { runtime: Handle::current(), producer, stop: stopped };
        let (told, ended) = oneshot::channel();
        std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            // The receiver is gone when the bench was interrupted.
            let _gone = told.send(send(sender));
        })?;
        Ok(Self { stop, ended })
    }

    /// What the load gives once it has come to its end.
    pub(super) async fn ended(self) -> Result<T> {
        let Self { stop: _until_then, ended } = self;
        what_ended(ended).await
    }

    /// Tells the load to stop, and gives what it has so far.
    pub(super) async fn stop(self) -> Result<T> {
        let Self { stop, ended } = self;
        drop(stop);
        what_ended(ended).await
    }
}

async fn what_ended<T>(ended: oneshot::Receiver<std::result::Result<T, Error>>) -> Result<T> {
    let sent = ended.await.map_err(|_| Failure::error("the load's thread ended unexpectedly"))?;
    Ok(sent?)
}

impl Sender {
    /// Sends one record, and waits while the producer has no room. `None` once the load is to stop.
    pub(super) fn send(&mut self, record: Record<'_>) -> std::result::Result<Option<DeliveryFuture>, Error> {
        if self.stop.has_changed().is_err() {
            return Ok(None);
        }
        match self.producer.try_enqueue(record) {
            Err(Error::BufferFull { .. }) => {}
            delivery => return delivery.map(Some),
        }
        let (stop, producer) = (&mut self.stop, &self.producer);
        self.runtime.block_on(async {
            tokio::select! {
                // First: once it is to stop, the runtime may be gone.
                biased;
                _ = stop.changed() => Ok(None),
                delivery = producer.enqueue(record) => delivery.map(Some),
            }
        })
    }
}
