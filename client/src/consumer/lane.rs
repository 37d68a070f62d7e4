//! The way to one broker, as the router and the caller see it: what wakes its task.

use tokio::sync::Notify;

use holdfast_proto::ids::BrokerId;

use crate::stream_end::StreamEnd;

/// The way to one broker.
#[derive(Debug)]
pub(crate) struct FetchLane {
    pub(crate) broker: BrokerId,
    work: Notify,
    pub(crate) end: StreamEnd,
}

impl FetchLane {
    pub(super) fn new(broker: BrokerId) -> Self {
        Self { broker, work: Notify::new(), end: StreamEnd::default() }
    }

    /// A partition of this broker may want records.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until a partition may want records.
    pub(super) async fn woken(&self) {
        self.work.notified().await;
    }
}
