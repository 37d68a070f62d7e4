//! What this controller knows: the applied image, and a stream of what changes it.
//!
//! Place: the state machine writes it, everything that answers reads or feeds brokers reads it.
//!
//! 1. The image is replaced as a whole: a reader holds an unchanging one, true at its index.
//! 2. [`MetadataView::subscribe`] gives an image and every change after its index, with no gap between the two.
//! 3. The changes of the last while are kept, with the hash as of each ([`Recent`]): who knows the state at one of them needs
//!    no image.
//! 4. The stream is bounded. A subscriber that falls behind is told so, and subscribes again for a fresh image.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{broadcast, watch};

use holdfast_metadata::{HistoryHash, Image, Record};
use holdfast_proto::ids::MetadataIndex;

pub use crate::recent::Delta;
use crate::recent::Recent;

/// Changes that a subscriber may be behind before it needs a fresh image.
const DELTAS: usize = 1_024;

/// What subscribers are told, in the order of the log.
#[derive(Clone, Debug)]
pub enum Change {
    /// The records of one index; none for an entry that changed nothing.
    Delta(Arc<Delta>),
    /// The image was replaced by a snapshot's: subscribe again.
    Reset,
}

/// The last applied log entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its index in the log, which is the image's; 0 before the first.
    pub index: MetadataIndex,
    /// Raft term of the leader that wrote it.
    pub term: u64,
    /// Node id of that leader.
    pub leader: u64,
}

/// See the module. Clones share it.
#[derive(Clone)]
pub struct MetadataView {
    known: Arc<RwLock<Known>>,
    changes: broadcast::Sender<Change>,
    applied: watch::Sender<Applied>,
}

/// The image, and what led to it.
struct Known {
    image: Arc<Image>,
    recent: Recent,
}

impl Default for MetadataView {
    fn default() -> Self {
        let image = Arc::<Image>::default();
        let recent = Recent::after(image.index(), image.history());
        Self {
            known: Arc::new(RwLock::new(Known { image, recent })),
            changes: broadcast::Sender::new(DELTAS),
            applied: watch::Sender::new(Applied::default()),
        }
    }
}

impl MetadataView {
    /// The image as it is now.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.known.read().image)
    }

    /// The hash of all changes up to an index of the last while; `None` for another, and while there is no hash.
    pub fn history_at(&self, index: MetadataIndex) -> Option<HistoryHash> {
        self.known.read().recent.history_at(index)
    }

    /// The image as it is now, and every change after it.
    pub fn subscribe(&self) -> (Arc<Image>, broadcast::Receiver<Change>) {
        // Changes are published under the write lock, so none falls between the two lines.
        let known = self.known.read();
        (Arc::clone(&known.image), self.changes.subscribe())
    }

    /// Every change after an index whose hash is this one: those so far, and a stream of those to come, with no gap between
    /// the two. `None` if some of them are not kept any more, or the hash is of another history.
    pub(crate) fn resume(
        &self,
        index: MetadataIndex,
        history: Option<HistoryHash>,
    ) -> Option<(Vec<Arc<Delta>>, broadcast::Receiver<Change>)> {
        let known = self.known.read();
        let deltas = known.recent.since(index, history)?;
        Some((deltas, self.changes.subscribe()))
    }

    /// The last applied entry, and a watch on it.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    /// Waits until the image includes `index`.
    pub async fn wait_for(&self, index: MetadataIndex) -> Arc<Image> {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as this view, so the wait cannot fail.
        let _ = applied.wait_for(|applied| applied.index >= index).await;
        self.image()
    }

    /// Changes the image in place and publishes the records that the change returns.
    pub(crate) fn update<T>(&self, applied: Applied, change: impl FnOnce(&mut Image) -> (T, Vec<Record>)) -> T {
        let result = {
            let mut known = self.known.write();
            let (result, records) = change(Arc::make_mut(&mut known.image));
            let delta = Arc::new(Delta::new(applied.index, records, known.image.history()));
            known.recent.push(&delta);
            // Nobody may be subscribed.
            let _ = self.changes.send(Change::Delta(delta));
            result
        };
        self.applied.send_replace(applied);
        result
    }

    /// Replaces the image by a snapshot's.
    pub(crate) fn replace(&self, applied: Applied, image: Image) {
        {
            let recent = Recent::after(image.index(), image.history());
            let mut known = self.known.write();
            *known = Known { image: Arc::new(image), recent };
            let _ = self.changes.send(Change::Reset);
        }
        self.applied.send_replace(applied);
    }
}
