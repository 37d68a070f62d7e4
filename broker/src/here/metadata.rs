//! The cluster's metadata as this broker has applied it, for every thread to read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use holdfast_metadata::{HistoryHash, Image};
use holdfast_proto::ids::MetadataIndex;

/// The cluster's metadata as this broker has applied it.
pub struct Metadata {
    image: ArcSwap<Image>,
    resume: Mutex<Option<(MetadataIndex, HistoryHash)>>,
    index: watch::Sender<MetadataIndex>,
}

impl Default for Metadata {
    fn default() -> Self {
        let image = Image::default();
        let index = watch::Sender::new(image.index());
        Self { image: ArcSwap::from_pointee(image), resume: Mutex::default(), index }
    }
}

impl Metadata {
    /// The image now. It never changes; a later call may give a newer one.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// As [`Metadata::image`], cheaper, for one look.
    pub fn look(&self) -> arc_swap::Guard<Arc<Image>> {
        self.image.load()
    }

    /// Replaces the image by a newer one, and wakes those that watch.
    pub fn publish(&self, image: Image) {
        let index = image.index();
        self.image.store(Arc::new(image));
        self.index.send_replace(index);
    }

    /// Notes from where the next session may go on without a snapshot; `None`: it has to begin with one.
    pub fn note_resume_point(&self, point: Option<(MetadataIndex, HistoryHash)>) {
        *self.resume.lock() = point;
    }

    /// As it was noted last.
    pub fn resume_point(&self) -> Option<(MetadataIndex, HistoryHash)> {
        *self.resume.lock()
    }

    /// Tells of each newer index.
    pub fn watch(&self) -> watch::Receiver<MetadataIndex> {
        self.index.subscribe()
    }
}
