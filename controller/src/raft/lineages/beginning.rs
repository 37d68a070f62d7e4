//! What a controller has to go on with that did not take part since its snapshot was made.

use holdfast_metadata::Image;
use holdfast_proto::ids::MetadataIndex;

use super::known::{Inner, Lineages};
use crate::raft::{
    codec::{decode, decode_image_at},
    types::SnapshotMeta,
};

impl Lineages {
    /// The metadata of the store's snapshot, if the log has no entry behind it. `None` too if that cannot be read: the
    /// consensus says so as it starts. Blocks.
    pub(crate) fn metadata_at_rest(&self) -> Option<Image> {
        let Inner { store, log, .. } = &*self.inner;
        if log.has_entries() {
            return None;
        }
        let stored = store.read_snapshot().ok()??;
        let meta: SnapshotMeta = decode("snapshot's meta data", &stored.meta).ok()?;
        let at = MetadataIndex(meta.last_log_id.map_or(0, |id| id.index));
        decode_image_at(at, &stored.data).ok()
    }
}
