//! What this controller knows: the applied image, and a stream of what changes it.
//!
//! Place: the state machine writes it, everything that answers reads or feeds brokers reads it.
//!
//! 1. The image is replaced as a whole: a reader holds an unchanging one, true at its index.
//! 2. [`MetadataView::subscribe`] gives an image and every change after its index, with no gap between the two.
//! 3. The stream is bounded. A subscriber that falls behind is told so, and subscribes again for a fresh image.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{broadcast, watch};

use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::MetadataIndex;

/// Changes that a subscriber may be behind before it needs a fresh image.
const DELTAS: usize = 1_024;

/// What subscribers are told, in the order of the log.
#[derive(Clone, Debug)]
pub enum Change {
    /// The records of one index; none for an entry that changed nothing.
    Delta(Delta),
    /// The image was replaced by a snapshot's: subscribe again.
    Reset,
}

/// The records of one index.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Index of the log entry that they come from.
    pub index: MetadataIndex,
    /// Its records, applied together.
    pub records: Arc<[Record]>,
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
    image: Arc<RwLock<Arc<Image>>>,
    changes: broadcast::Sender<Change>,
    applied: watch::Sender<Applied>,
}

impl Default for MetadataView {
    fn default() -> Self {
        Self {
            image: Arc::default(),
            changes: broadcast::Sender::new(DELTAS),
            applied: watch::Sender::new(Applied::default()),
        }
    }
}

impl MetadataView {
    /// The image as it is now.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.read())
    }

    /// The image as it is now, and every change after it.
    pub fn subscribe(&self) -> (Arc<Image>, broadcast::Receiver<Change>) {
        // Changes are published under the write lock, so none falls between the two lines.
        let image = self.image.read();
        (Arc::clone(&image), self.changes.subscribe())
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

    /// Changes the image in place and publishes what the change returns.
    pub(crate) fn update<T>(&self, applied: Applied, change: impl FnOnce(&mut Image) -> (T, Change)) -> T {
        let result = {
            let mut image = self.image.write();
            let (result, change) = change(Arc::make_mut(&mut image));
            // Nobody may be subscribed.
            let _ = self.changes.send(change);
            result
        };
        self.applied.send_replace(applied);
        result
    }

    /// Replaces the image by a snapshot's.
    pub(crate) fn replace(&self, applied: Applied, image: Image) {
        {
            let mut current = self.image.write();
            *current = Arc::new(image);
            let _ = self.changes.send(Change::Reset);
        }
        self.applied.send_replace(applied);
    }
}
