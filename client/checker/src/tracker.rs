//! Follows each record to its acknowledgement.
//!
//! One task per partition awaits the records' futures in the order in which they were sent, which is the order in which
//! the producer completes them. So the time of each acknowledgement is right even while another partition waits for a
//! new leader.

use std::time::Instant;

use tokio::{sync::mpsc, task::JoinHandle};

use holdfast_client::producer::{Delivery, DeliveryFuture, Error};

/// Records of one partition that may wait for their acknowledgement. The producer's own buffer is smaller, so that this
/// never holds up a load; it bounds memory all the same.
const WAITING_MAX: usize = 1 << 20;

/// How many are taken from the queue at once.
const TAKE: usize = 512;

/// The tasks that follow records have ended, as the runtime does when a command is interrupted: the load is to end too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody follows the records any more")]
pub struct Ended;

/// Told what became of each record of one partition, in order.
pub trait Handler<T>: Send + 'static {
    /// The record that was tracked with `item`, and sent (or meant to be sent) at `sent`, is done at `now`.
    fn done(&mut self, item: T, sent: Instant, now: Instant, result: Result<Delivery, Error>);
}

struct Waiting<T> {
    item: T,
    sent: Instant,
    future: DeliveryFuture,
}

/// Follows the records of a topic.
#[derive(Debug)]
pub struct Tracker<T, H> {
    queues: Vec<mpsc::Sender<Waiting<T>>>,
    tasks: Vec<JoinHandle<H>>,
}

impl<T: Send + 'static, H: Handler<T>> Tracker<T, H> {
    /// Starts one task for each partition, with the handler that `make` gives for it.
    pub fn start(partition_count: u32, make: impl Fn(u32) -> H) -> Self {
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        for partition in 0..partition_count {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            queues.push(sender);
            tasks.push(tokio::spawn(follow(receiver, make(partition))));
        }
        Self { queues, tasks }
    }

    /// Follows one record of this partition.
    pub async fn track(&self, partition: u32, item: T, sent: Instant, future: DeliveryFuture) -> Result<(), Ended> {
        self.queues[partition as usize].send(Waiting { item, sent, future }).await.map_err(|_| Ended)
    }

    /// As [`Self::track`], from a thread outside of the runtime.
    pub fn track_blocking(&self, partition: u32, item: T, sent: Instant, future: DeliveryFuture) -> Result<(), Ended> {
        self.queues[partition as usize].blocking_send(Waiting { item, sent, future }).map_err(|_| Ended)
    }

    /// Waits until all records are done, and gives the handlers back, by partition.
    pub async fn finish(mut self) -> Vec<H> {
        self.queues.clear();
        let mut handlers = Vec::new();
        for task in std::mem::take(&mut self.tasks) {
            match task.await {
                Ok(handler) => handlers.push(handler),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        handlers
    }
}

impl<T, H> Drop for Tracker<T, H> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn follow<T, H: Handler<T>>(mut queue: mpsc::Receiver<Waiting<T>>, mut handler: H) -> H {
    let mut taken = Vec::with_capacity(TAKE);
    while queue.recv_many(&mut taken, TAKE).await > 0 {
        for Waiting { item, sent, future } in taken.drain(..) {
            let result = match future.now() {
                Some(result) => result,
                None => future.await,
            };
            handler.done(item, sent, Instant::now(), result);
        }
    }
    handler
}
