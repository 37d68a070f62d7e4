//! What goes on being lost where a partition went on with a replica: decided by offset **and** leader epoch, from what was
//! kept of it.
//!
//! An offset alone proves nothing. A log that ends past the high watermark may hold records of an older leader there, which
//! others replaced, and which were never acknowledged: only a log that has a record of the epoch of the last acknowledged
//! one, or of a later epoch, is the same below both ends.

use holdfast_proto::ids::{LeaderEpoch, Offset};

/// What of the acknowledged records is given up. Offsets: the first, and the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// No record below the high watermark.
    Nothing,
    /// These offsets, and no other below the high watermark.
    Offsets(Offset, Offset),
    /// It is not known; these offsets at least, if any is certain.
    Unknown {
        /// Offsets that are lost for certain.
        at_least: Option<(Offset, Offset)>,
        /// Why more may be.
        why: Doubt,
    },
}

/// Why it is not known what is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The broker of the replica had not said how far it reaches.
    Silent,
    /// Where the high watermark stood was not known.
    NoHighWatermark,
    /// The last record of the replica is of an older leader epoch than the last one below the high watermark: what stands
    /// below its end may have been replaced on the others.
    OlderEpoch {
        /// That of the last record of the replica; `None` if it held no record.
        replica: Option<LeaderEpoch>,
        /// That of the last record below the high watermark.
        high_watermark: LeaderEpoch,
    },
    /// The two leader epochs were not kept, or not known.
    NoEpoch,
    /// The high watermark was said before a recovery of the controllers: more may have been acknowledged since.
    OldHighWatermark,
}

impl Loss {
    /// The offsets that are lost for certain; `None` if none is.
    pub fn certain(self) -> Option<(Offset, Offset)> {
        match self {
            Self::Nothing => None,
            Self::Offsets(from, to) => Some((from, to)),
            Self::Unknown { at_least, .. } => at_least,
        }
    }

    /// The same, where the high watermark was said before a recovery of the controllers.
    pub(super) fn at_least_since_recovery(self) -> Self {
        match self {
            Self::Nothing => Self::Unknown { at_least: None, why: Doubt::OldHighWatermark },
            Self::Offsets(from, to) => Self::Unknown { at_least: Some((from, to)), why: Doubt::OldHighWatermark },
            unknown @ Self::Unknown { .. } => unknown,
        }
    }
}

/// The end and the last leader epoch of the replica that was chosen; the high watermark, and the epoch of the last record
/// below it. `has_claim`: what the chosen replica had said is known, so that no epoch means no record.
pub(super) fn loss(
    end: Option<Offset>,
    epoch: Option<LeaderEpoch>,
    has_claim: bool,
    high_watermark: Option<Offset>,
    high_watermark_epoch: Option<LeaderEpoch>,
) -> Loss {
    let unknown = |at_least, why| Loss::Unknown { at_least, why };
    let Some(end) = end else { return unknown(None, Doubt::Silent) };
    let Some(high_watermark) = high_watermark else { return unknown(None, Doubt::NoHighWatermark) };
    let between = |from: Offset| (from < high_watermark).then_some((from, high_watermark));
    let exact = between(end).map_or(Loss::Nothing, |(from, to)| Loss::Offsets(from, to));
    if end == Offset(0) || high_watermark == Offset(0) {
        return exact;
    }
    match (high_watermark_epoch, has_claim) {
        (Some(wanted), true) if epoch >= Some(wanted) => exact,
        (Some(wanted), true) => {
            // It has no record of that epoch, and the last one below the high watermark is of it.
            let last = Offset(high_watermark.0 - 1);
            unknown(between(end.min(last)), Doubt::OlderEpoch { replica: epoch, high_watermark: wanted })
        }
        _ => unknown(between(end), Doubt::NoEpoch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(end: Option<u64>, epoch: Option<u32>, high_watermark: Option<u64>, wanted: Option<u32>) -> Loss {
        let epochs = (epoch.map(LeaderEpoch), wanted.map(LeaderEpoch));
        loss(end.map(Offset), epochs.0, epoch.is_some(), high_watermark.map(Offset), epochs.1)
    }

    fn at_least(from: u64, to: u64, why: Doubt) -> Loss {
        Loss::Unknown { at_least: Some((Offset(from), Offset(to))), why }
    }

    #[test]
    fn of_the_same_or_a_later_epoch_the_offsets_tell_it() {
        assert_eq!(of(Some(3), Some(5), Some(9), Some(5)), Loss::Offsets(Offset(3), Offset(9)));
        assert_eq!(of(Some(9), Some(5), Some(9), Some(5)), Loss::Nothing);
        assert_eq!(of(Some(12), Some(6), Some(9), Some(5)), Loss::Nothing);
    }

    #[test]
    fn of_an_older_epoch_nobody_knows_however_far_it_reaches() {
        let why = Doubt::OlderEpoch { replica: Some(LeaderEpoch(4)), high_watermark: LeaderEpoch(5) };
        assert_eq!(of(Some(3), Some(4), Some(9), Some(5)), at_least(3, 9, why));
        assert_eq!(of(Some(9), Some(4), Some(9), Some(5)), at_least(8, 9, why), "the last one is not there");
        assert_eq!(of(Some(12), Some(4), Some(9), Some(5)), at_least(8, 9, why));
    }

    #[test]
    fn an_empty_log_lacks_all_and_an_empty_partition_nothing() {
        assert_eq!(of(Some(0), None, Some(9), Some(5)), Loss::Offsets(Offset(0), Offset(9)));
        assert_eq!(of(Some(4), Some(1), Some(0), None), Loss::Nothing);
    }

    #[test]
    fn what_was_not_said_or_not_kept_is_no_proof() {
        let unknown = |why| Loss::Unknown { at_least: None, why };
        assert_eq!(of(None, None, Some(9), Some(5)), unknown(Doubt::Silent));
        assert_eq!(of(Some(3), Some(5), None, None), unknown(Doubt::NoHighWatermark));
        assert_eq!(of(Some(3), None, Some(9), None), at_least(3, 9, Doubt::NoEpoch), "kept by an older build");
        assert_eq!(of(Some(9), Some(5), Some(9), None), unknown(Doubt::NoEpoch));
        assert_eq!(of(Some(9), Some(5), Some(9), None).certain(), None);
    }
}
