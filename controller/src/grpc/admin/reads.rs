//! What reads may cost: those that look at every partition do so on threads of their own, a few at a time.
//!
//! ```text
//!   metadata, validation   2 at once, 64 in all, the waiting included
//!   the cluster's status   1 at once, 64 in all; computed once an index, and shared by all who ask for it
//!   plans of moves         1 at once, 8 in all
//! ```
//!
//! So no flood of reads holds up the two threads of the consensus. Who finds no place is told OVERLOADED. A place is had
//! until the work is done: who asked may have given up long before.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use holdfast_metadata::{Image, status::Counts};
use holdfast_metadata_wire::{
    recovery,
    trust::{lost_disk_info, recovery_info},
    view::{brokers, troubled},
};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, MetadataIndex, MetadataVersion},
    v1::{BrokerInfo, ControllerRecovery, LostDiskInfo, RecoveryInfo, TroubledPartition},
};

/// Partitions in trouble that one answer names.
const MAX_TROUBLED: usize = 100;
/// Recoveries of one kind that one answer names: all, where no partition had more than one and they are few. Some 100 bytes
/// each.
const MAX_RECOVERIES: usize = 1_000;
/// Calls that may wait for a metadata index at once.
const WAITS: usize = 256;

/// See the module. Clones share it.
#[derive(Clone)]
pub(super) struct Reads {
    /// Answers that are made of the image, and commands that are tried on it.
    pub(super) answers: Lane,
    /// Plans of which replicas should move.
    pub(super) plans: Lane,
    statuses: Lane,
    status: Arc<Mutex<Option<Arc<Status>>>>,
    waits: Arc<Semaphore>,
}

/// What one image says of the cluster.
pub(super) struct Status {
    /// The index that it is true at.
    pub(super) index: MetadataIndex,
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) move_bytes_per_second: u64,
    /// The finalised metadata version.
    pub(super) version: MetadataVersion,
    pub(super) counts: Counts,
    pub(super) brokers: Vec<BrokerInfo>,
    pub(super) troubled: Vec<TroubledPartition>,
    /// The newest recoveries, the newest last.
    pub(super) recoveries: Vec<RecoveryInfo>,
    /// Those of the controllers, the newest last.
    pub(super) controller_recoveries: Vec<ControllerRecovery>,
    /// The brokers that have not registered since the last of these.
    pub(super) unheard_brokers: Vec<u32>,
    /// The disks that were given up, the newest last.
    pub(super) lost_disks: Vec<LostDiskInfo>,
}

/// Work of one kind.
#[derive(Clone)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    limit: usize,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            answers: Lane::new(2, 64),
            plans: Lane::new(1, 8),
            statuses: Lane::new(1, 64),
            status: Arc::default(),
            waits: Arc::new(Semaphore::new(WAITS)),
        }
    }
}

impl Reads {
    /// The status of this image, or of a newer one.
    pub(super) async fn status(&self, image: Arc<Image>) -> Result<Arc<Status>, ErrorDetail> {
        let index = image.index();
        let cached = Arc::clone(&self.status);
        let find = move || cached.lock().clone().filter(|status| status.index >= index);
        if let Some(status) = find() {
            return Ok(status);
        }
        let kept = Arc::clone(&self.status);
        let look = move || {
            // One before this may have done it.
            find().unwrap_or_else(|| {
                let status = Arc::new(Status::of(&image));
                *kept.lock() = Some(Arc::clone(&status));
                status
            })
        };
        self.statuses.run(look).await
    }

    /// A place to wait for a metadata index that is not there yet.
    pub(super) fn wait(&self) -> Result<OwnedSemaphorePermit, ErrorDetail> {
        Arc::clone(&self.waits).try_acquire_owned().map_err(|_| overloaded(WAITS))
    }
}

impl Status {
    fn of(image: &Image) -> Self {
        Self {
            index: image.index(),
            cluster_id: image.cluster_id(),
            move_bytes_per_second: image.move_bytes_per_second(),
            version: image.version(),
            counts: image.counts(),
            brokers: brokers(image),
            troubled: troubled(image, MAX_TROUBLED),
            recoveries: newest(image.recoveries()).iter().map(recovery_info).collect(),
            controller_recoveries: newest(image.controller_recoveries()).iter().map(recovery::to_message).collect(),
            lost_disks: newest(image.lost_disks()).iter().map(lost_disk_info).collect(),
            unheard_brokers: image.unheard_brokers().map(|broker| broker.0).collect(),
        }
    }
}

/// The last of them, so many as one answer tells.
fn newest<T>(recoveries: &[T]) -> &[T] {
    &recoveries[recoveries.len().saturating_sub(MAX_RECOVERIES)..]
}

impl Lane {
    fn new(at_once: usize, limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), turns: Arc::new(Semaphore::new(at_once)), limit }
    }

    /// Runs the work on a thread that may block, when it is its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ErrorDetail> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| overloaded(self.limit))?;
        let ended =
            |why: String| ErrorDetail::new(ErrorCode::UnknownServerError, format!("the read was ended: {why}; retry"));
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|error| ended(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((place, turn));
            done
        });
        done.await.map_err(|error| ended(error.to_string()))
    }
}

fn overloaded(limit: usize) -> ErrorDetail {
    let message = format!("as many reads of this kind are under way as there may be, {limit}; retry later");
    ErrorDetail::new(ErrorCode::Overloaded, message)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_status_is_computed_once_an_index_and_shared() {
        let reads = Reads::default();
        let image = Arc::new(Image::default());
        let all = futures::future::join_all((0..20).map(|_| reads.status(Arc::clone(&image)))).await;
        let all: Vec<_> = all.into_iter().map(|status| status.expect("a place")).collect();
        assert!(all.iter().all(|status| Arc::ptr_eq(status, &all[0])));
        // The one that is there needs no place.
        let _full = Arc::clone(&reads.statuses.places).acquire_many_owned(64).await;
        assert!(reads.status(image).now_or_never().expect("at once").is_ok());
    }

    #[tokio::test]
    async fn reads_wait_for_their_turn_and_past_the_places_they_are_refused() {
        let lane = Lane::new(1, 3);
        let (go, gate) = mpsc::channel::<()>();
        let held = {
            let lane = lane.clone();
            tokio::spawn(async move { lane.run(move || gate.recv()).await })
        };
        while lane.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut waiting: Vec<_> = (0..2).map(|number| Box::pin(lane.run(move || number))).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()), "it is not their turn");
        let refused = lane.run(|| ()).now_or_never().expect("at once").expect_err("no place");
        assert_eq!(refused.code, ErrorCode::Overloaded);
        // Who asked gives up; the work has its place all the same.
        held.abort();
        assert!(lane.run(|| ()).now_or_never().expect("at once").is_err());
        go.send(()).expect("it still runs");
        assert_eq!(futures::future::join_all(waiting).await, [Ok(0), Ok(1)]);
        assert_eq!(lane.run(|| 7).await, Ok(7));
    }
}
