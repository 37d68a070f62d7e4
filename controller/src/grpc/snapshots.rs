//! The whole state for sessions that need it, encoded once for all of them and not on the runtime's threads.
//!
//! After a fail-over every broker may want it at the same time. The first that asks has it encoded; the others wait for that,
//! and are sent the same bytes with the changes since, as long as these are few beside it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, broadcast};

use holdfast_metadata::HistoryHash;
use holdfast_metadata_wire::stream;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, ids::MetadataIndex};

use crate::{
    recent::bytes_of,
    view::{Change, Delta, MetadataView},
};

/// Changes since an encoded snapshot that are always few, in bytes.
const FEW_BYTES: usize = 64 << 10;

/// A snapshot as it is sent.
#[derive(Clone)]
struct Encoded {
    index: MetadataIndex,
    history: Option<HistoryHash>,
    bytes: Bytes,
}

/// How a session begins that is sent the whole state.
pub(super) struct Beginning {
    /// The state at some index, encoded.
    pub(super) snapshot: Bytes,
    /// Index as of which it is.
    pub(super) index: MetadataIndex,
    /// The changes from there to the present.
    pub(super) deltas: Vec<Arc<Delta>>,
    /// Those that are still to come.
    pub(super) changes: broadcast::Receiver<Change>,
}

/// The last encoded snapshot. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Snapshots(Arc<Mutex<Option<Encoded>>>);

impl Snapshots {
    /// A snapshot, the changes since, and those to come.
    pub(super) async fn begin(&self, view: &MetadataView) -> Result<Beginning, ErrorDetail> {
        let mut last = self.0.lock().await;
        if let Some(known) = last.clone()
            && let Some((deltas, changes)) = view.resume(known.index, known.history)
            && are_few(&deltas, known.bytes.len())
        {
            return Ok(Beginning { snapshot: known.bytes, index: known.index, deltas, changes });
        }
        let (image, changes) = view.subscribe();
        let (index, history) = (image.index(), image.history());
        let encoded = tokio::task::spawn_blocking(move || stream::snapshot(&image)).await;
        let bytes = encoded.map_err(|error| {
            ErrorDetail::new(ErrorCode::ShuttingDown, format!("the metadata was not encoded: {error}"))
        })?;
        tracing::debug!(%index, bytes = bytes.len(), "the metadata was encoded for sessions that begin");
        *last = Some(Encoded { index, history, bytes: bytes.clone() });
        Ok(Beginning { snapshot: bytes, index, deltas: Vec::new(), changes })
    }
}

/// True if it costs less to send the changes than to encode the state again.
fn are_few(deltas: &[Arc<Delta>], snapshot_bytes: usize) -> bool {
    deltas.iter().map(|delta| bytes_of(delta)).sum::<usize>() <= FEW_BYTES.max(snapshot_bytes / 4)
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::Record;

    use super::*;
    use crate::view::Applied;

    /// The next change of the view, of so many records.
    fn change(view: &MetadataView, records: usize) {
        let index = MetadataIndex(view.image().index().0 + 1);
        let applied = Applied { index, ..Applied::default() };
        let records: Vec<Record> = (0..records as u64).map(|n| Record::MoveLimit { bytes_per_second: n }).collect();
        view.update(applied, |image| {
            image.apply_all(index, &records).expect("it fits");
            ((), records)
        });
    }

    #[tokio::test]
    async fn sessions_share_one_encoding_and_get_the_changes_since() {
        let view = MetadataView::default();
        change(&view, 1);
        let snapshots = Snapshots::default();
        let first = snapshots.begin(&view).await.expect("encoded");
        assert_eq!((first.index, first.deltas.len()), (MetadataIndex(1), 0));
        change(&view, 1);
        let mut second = snapshots.begin(&view).await.expect("the same");
        assert_eq!(second.snapshot.as_ptr(), first.snapshot.as_ptr(), "the very same bytes");
        let told = second.deltas.iter().map(|delta| delta.index.0).collect::<Vec<_>>();
        assert_eq!((second.index, told), (MetadataIndex(1), vec![2]));
        change(&view, 1);
        assert!(matches!(second.changes.try_recv(), Ok(Change::Delta(delta)) if delta.index.0 == 3));
        let again = stream::read_snapshot(first.snapshot.clone()).expect("read");
        assert_eq!((again.index, again.history), (MetadataIndex(1), view.history_at(MetadataIndex(1))));
    }

    #[tokio::test]
    async fn the_state_is_encoded_again_once_much_changed() {
        let view = MetadataView::default();
        change(&view, 1);
        let snapshots = Snapshots::default();
        let first = snapshots.begin(&view).await.expect("encoded");
        change(&view, 5_000);
        let second = snapshots.begin(&view).await.expect("encoded again");
        assert_eq!((second.index, second.deltas.len()), (MetadataIndex(2), 0));
        view.replace(Applied { index: MetadataIndex(9), ..Applied::default() }, {
            let mut image = holdfast_metadata::Image::default();
            image.advance_to(MetadataIndex(9)).expect("upwards");
            image
        });
        let third = snapshots.begin(&view).await.expect("encoded again");
        assert_eq!(third.index, MetadataIndex(9), "what was before the new image does not connect");
        assert_ne!(first.snapshot, second.snapshot);
    }
}
