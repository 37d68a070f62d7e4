//! The leader epochs of a log that is opened: from their checkpoint, held against the segments.

use std::sync::Arc;

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::EpochChain;

use super::{
    recovery::{Recovery, damaged},
    replay::epochs_of,
};
use crate::{
    Error,
    checkpoint::StoredEpochs,
    files,
    hints::first_header,
    segment::{Segment, Tally},
};

impl Recovery<'_> {
    /// The epochs, and whether the checkpoint says something else. `active` are those of the last segment, if it was read.
    ///
    /// [`Error::Damaged`]: the checkpoint is whole, and a closed segment begins with a batch of another epoch. Both were
    /// durable before the next segment began, and the checkpoint alone has a checksum over the epoch.
    pub(super) fn epochs(
        &self,
        segments: &[Arc<Segment>],
        active: Option<&[(LeaderEpoch, Offset)]>,
        log_start: Offset,
        end: Offset,
    ) -> Result<(EpochChain, bool), Error> {
        let stored = self.stored.as_ref();
        // What is read through speaks for itself.
        let unread = &segments[..segments.len() - usize::from(active.is_some())];
        let believed = match stored {
            Some(stored) if begins_as(unread, stored, log_start)? => Some(&stored.chain),
            Some(_) => {
                let path = self.folder.join(files::EPOCHS);
                tracing::warn!(path = %path.display(), "the leader epochs differ from those of the segments, which count");
                None
            }
            None => None,
        };
        let mut epochs = match (believed, active) {
            (Some(chain), None) if chain.latest_entry().is_none_or(|newest| newest.start_offset <= end) => {
                chain.clone()
            }
            (Some(chain), Some(active)) => {
                let base = segments[segments.len() - 1].base();
                let before = chain.iter().filter(|entry| entry.start_offset < base);
                let mut epochs = EpochChain::from_entries(before).unwrap_or_default();
                for (epoch, start) in active {
                    epochs.assign(*epoch, *start);
                }
                epochs
            }
            _ => epochs_of(segments)?,
        };
        // An epoch without records is known to the checkpoint alone.
        let checked = stored.filter(|stored| stored.has_checksum).map(|stored| &stored.chain);
        if let Some(newest) = believed.or(checked).and_then(EpochChain::latest_entry)
            && newest.start_offset >= end
            && epochs.latest() < Some(newest.leader_epoch)
        {
            epochs.assign(newest.leader_epoch, end);
        }
        epochs.truncate_from_start(log_start);
        let changed = match stored {
            Some(stored) => stored.filed.is_none() || stored.chain != epochs,
            None => !epochs.is_empty(),
        };
        Ok((epochs, changed))
    }
}

/// True if the first batch of each segment has the epoch that the chain says. False: the chain is to be made again.
fn begins_as(segments: &[Arc<Segment>], stored: &StoredEpochs, log_start: Offset) -> Result<bool, Error> {
    // Where an epoch began below the log start is forgotten.
    for segment in segments.iter().filter(|segment| segment.size() > 0 && segment.base() >= log_start) {
        let at_start = Tally::new(segment.base());
        let Some(header) = first_header(segment, 0)? else {
            return Err(damaged(segment, &at_start, "no batch begins there".to_owned()));
        };
        match stored.chain.epoch_at(segment.base()) {
            Some(epoch) if epoch == header.leader_epoch => {}
            Some(epoch) if stored.has_checksum => {
                let found = header.leader_epoch;
                let reason = format!("a batch of leader epoch {found} stands where the checkpoint says {epoch}");
                return Err(damaged(segment, &at_start, reason));
            }
            Some(_) | None => return Ok(false),
        }
    }
    Ok(true)
}
