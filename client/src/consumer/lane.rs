//! The way to one broker, as the router and the caller see it: what wakes its task.

use tokio::sync::Notify;

use holdfast_proto::ids::BrokerId;

/// The way to one broker.
#[derive(Debug)]
pub(crate) struct FetchLane {
    pub(crate) broker: BrokerId,
    work: Notify,
    reset: Notify,
}

impl FetchLane {
    pub(super) fn new(broker: BrokerId) -> Self {
        Self { broker, work: Notify::new(), reset: Notify::new() }
    }

    /// A partition of this broker may want records.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Gives the stream up: the broker is silent.
    pub(crate) fn reset(&self) {
        self.reset.notify_one();
    }

    /// Waits until a partition may want records.
    pub(super) async fn woken(&self) {
        self.work.notified().await;
    }

    /// Waits until the stream is given up.
    pub(super) async fn given_up(&self) {
        self.reset.notified().await;
    }
}
