//! The cluster's metadata as this broker has applied it, for every thread to read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use holdfast_metadata::Image;
use holdfast_proto::ids::MetadataIndex;

/// The cluster's metadata as this broker has applied it.
pub struct Metadata {
    image: ArcSwap<Image>,
    index: watch::Sender<MetadataIndex>,
}

impl Default for Metadata {
    fn default() -> Self {
        let image = Image::default();
        let index = watch::Sender::new(image.index());
        Self { image: ArcSwap::from_pointee(image), index }
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

    /// Tells of each newer index.
    pub fn watch(&self) -> watch::Receiver<MetadataIndex> {
        self.index.subscribe()
    }
}
