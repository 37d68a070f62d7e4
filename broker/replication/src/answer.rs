//! What a leader answers to a follower's fetch. One shape on the whole way; what stands for the records changes.
//!
//! ```text
//!   leader's core ──▶ where they begin ──▶ its shell ──▶ bytes ──▶ follower's shell ──▶ where they lie ──▶ follower's core
//!     FetchReply                                                                         FetchOutcome
//! ```

use std::convert::Infallible;

use holdfast_proto::{
    error::ErrorCode,
    ids::{LeaderEpoch, Offset},
};

use crate::log::batch::PlacedBatch;

/// An answer; `R` is what stands for its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchAnswer<R> {
    /// Whole batches, contiguous, of which the first holds the offset that was asked for; none if only the high watermark
    /// moved.
    Records {
        /// The batches, in the order of their offsets.
        records: R,
        /// High watermark of the leader.
        high_watermark: Offset,
        /// Log start offset of the leader.
        log_start_offset: Offset,
    },
    /// The follower's log departs from the leader's: it has to truncate.
    Diverging {
        /// The leader's largest epoch at or below that of the follower's last record.
        leader_epoch: LeaderEpoch,
        /// Offset after that epoch in the leader's log: the follower cuts what it has beyond it.
        end_offset: Offset,
    },
    /// The fetch offset lies below the leader's log start, or the follower's last epoch is older than all that is left
    /// there: the follower has to start over at the log start.
    OutOfRange {
        /// Log start offset of the leader.
        log_start_offset: Offset,
    },
    /// The fetch is refused, or there is no answer at all.
    Failed(ErrorCode),
}

/// What a leader's core says: the records from this offset on, as many as fit, which the shell reads. At the log end only
/// the high watermark is told.
pub type FetchReply = FetchAnswer<Offset>;

/// What a follower's core is told: where the batches lie, contiguous, the first at the offset that was asked for.
pub type FetchOutcome = FetchAnswer<Vec<PlacedBatch>>;

impl<R> FetchAnswer<R> {
    /// What stands for the records, if the answer brings any.
    pub fn records(&self) -> Option<&R> {
        match self {
            Self::Records { records, .. } => Some(records),
            Self::Diverging { .. } | Self::OutOfRange { .. } | Self::Failed(_) => None,
        }
    }

    /// The same answer with something else for the records.
    pub fn map<S>(self, map: impl FnOnce(R) -> S) -> FetchAnswer<S> {
        let Ok(mapped) = self.try_map(|records| Ok::<S, Infallible>(map(records)));
        mapped
    }

    /// As [`FetchAnswer::map`], where the records may turn out not to be what they have to be.
    pub fn try_map<S, E>(self, map: impl FnOnce(R) -> Result<S, E>) -> Result<FetchAnswer<S>, E> {
        Ok(match self {
            Self::Records { records, high_watermark, log_start_offset } => {
                FetchAnswer::Records { records: map(records)?, high_watermark, log_start_offset }
            }
            Self::Diverging { leader_epoch, end_offset } => FetchAnswer::Diverging { leader_epoch, end_offset },
            Self::OutOfRange { log_start_offset } => FetchAnswer::OutOfRange { log_start_offset },
            Self::Failed(code) => FetchAnswer::Failed(code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_alone_are_replaced() {
        let (high_watermark, log_start_offset) = (Offset(2), Offset(1));
        let records = |records| FetchAnswer::Records { records, high_watermark, log_start_offset };
        assert_eq!(records(3).map(|value| value + 1), records(4));
        assert_eq!(records(3).try_map(|_| Err::<u8, _>("damaged")), Err("damaged"));
        let others = [
            FetchAnswer::Diverging { leader_epoch: LeaderEpoch(1), end_offset: Offset(2) },
            FetchAnswer::OutOfRange { log_start_offset },
            FetchAnswer::Failed(ErrorCode::NotLeaderOrFollower),
        ];
        for other in others {
            assert_eq!((other.map(|value: u8| value + 1), other.records()), (other, None));
        }
    }
}
