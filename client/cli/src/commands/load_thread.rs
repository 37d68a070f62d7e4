//! A load on a thread of its own, that ends with the command.
//!
//! Invariant: once the [`LoadThread`] is dropped, the thread uses nothing of the runtime any more, which may end before the
//! thread does. Who drops it waits for the moment that the thread needs to leave the runtime, and not for its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Held while it waits within the runtime.
    within: Arc<Mutex<()>>,
}

/// The thread; told to stop when this is dropped.
#[derive(Debug)]
pub(super) struct LoadThread<T> {
    /// `None` once it was told.
    stop: Option<watch::Sender<()>>,
    ended: oneshot::Receiver<T>,
    /// Held by the thread while it waits within the runtime.
    within: Arc<Mutex<()>>,
}

/// Free again also after a panic, which is told elsewhere.
fn entered(within: &Mutex<()>) -> MutexGuard<'_, ()> {
    within.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for LoadThread<T> {
    fn drop(&mut self) {
        self.stop = None;
        // It has left the runtime once this is free, and then looks for the stop before it goes there again.
        drop(entered(&self.within));
    }
}

impl<T: Send + 'static> LoadThread<T> {
    /// Starts `send`, which is to end when [`Sender::send`] gives `None`.
    pub(super) fn start(send: impl FnOnce(Sender) -> T + Send + 'static) -> Result<Self> {
        let (stop, stopped) = watch::channel(());
        let within = Arc::default();
        let sender = Sender { runtime: Handle::current(), stop: stopped, within: Arc::clone(&within) };
        let (told, ended) = oneshot::channel();
        std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            // The receiver is gone when the command was interrupted.
            let _gone = told.send(send(sender));
        })?;
        Ok(Self { stop: Some(stop), ended, within })
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
        self.wait_for(|| producer.enqueue(record)).transpose()
    }

    /// Waits within the runtime; `None` once the load is to stop.
    fn wait_for<F: Future>(&mut self, work: impl FnOnce() -> F) -> Option<F::Output> {
        let within = Arc::clone(&self.within);
        let _within = entered(&within);
        if self.stop.has_changed().is_err() {
            return None;
        }
        let stop = &mut self.stop;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.changed() => None,
                done = work() => Some(done),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn a_runtime_that_ends_right_after_the_load_was_dropped_is_not_used_any_more() {
        for _ in 0..300 {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let (tell, told) = mpsc::channel();
            let load = runtime.block_on(async {
                LoadThread::start(move |mut sender| {
                    let timer = || tokio::time::timeout(Duration::from_micros(1), std::future::pending::<()>());
                    while sender.wait_for(timer).is_some() {
                        tell.send("goes on").unwrap();
                    }
                    tell.send("stopped").unwrap();
                })
            });
            let load = load.unwrap();
            told.recv().unwrap();
            drop(load);
            runtime.shutdown_background();
            assert_eq!(told.iter().last(), Some("stopped"), "the thread has panicked");
        }
    }
}
