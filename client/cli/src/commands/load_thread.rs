//! A load on a thread of its own, that ends with the command.
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
    stop: watch::Receiver<()>,
}

/// The thread; told to stop when this is dropped.
#[derive(Debug)]
pub(super) struct LoadThread<T> {
    /// `None` once it was told.
    stop: Option<watch::Sender<()>>,
    ended: oneshot::Receiver<T>,
}

impl<T: Send + 'static> LoadThread<T> {
    /// Starts `send`, which is to end when [`Sender::send`] gives `None`.
    pub(super) fn start(send: impl FnOnce(Sender) -> T + Send + 'static) -> Result<Self> {
        let (stop, stopped) = watch::channel(());
        let sender = Sender { runtime: Handle::current(), stop: stopped };
        let (told, ended) = oneshot::channel();
        std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            // The receiver is gone when the command was interrupted.
            let _gone = told.send(send(sender));
        })?;
        Ok(Self { stop: Some(stop), ended })
    }

    /// What the load gives once it has come to its end. Cancel safe.
    pub(super) async fn ended(&mut self) -> Result<T> {
        (&mut self.ended).await.map_err(|_| Failure::error("the load's thread ended unexpectedly"))
    }

    /// Tells the load to stop. False if it was told before.
    pub(super) fn stop(&mut self) -> bool {
        self.stop.take().is_some()
    }
}

impl Sender {
    /// Sends one record, and waits while its producer has no room. `None` once the load is to stop.
    pub(super) fn send(
        &mut self,
        producer: &Producer,
        record: Record<'_>,
    ) -> std::result::Result<Option<DeliveryFuture>, Error> {
        if self.stop.has_changed().is_err() {
            return Ok(None);
        }
        match producer.try_enqueue(record) {
            Err(Error::BufferFull { .. }) => {}
            delivery => return delivery.map(Some),
        }
        let stop = &mut self.stop;
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
