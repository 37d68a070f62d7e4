//! How far a log can be read that is not vouched for: what a choice among replicas rests on where nobody is believed.
//!
//! That is another number than how far the log reached when it was whole, which others were told of: what lies behind the
//! damage does not count for who goes on with the replica. It is told by the files beside the segments: the segments are not
//! read again before an operator has chosen.

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};

use super::{folder::DataDir, replica::Distrust};
use crate::{checkpoint::load_epochs, files, mark};

/// How far a log can be read. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Leader epoch of the last record that can be read. Where the notes behind the checkpoint are lost, that of the checkpoint
    /// alone: an older one as a rule, and a later one where records were cut since.
    pub last_epoch: Option<LeaderEpoch>,
    /// Where what can be read ends (exclusive).
    pub end: Option<Offset>,
    /// Where the log ended by its durable mark: others were told of records up to there, or farther.
    pub marked: Option<Offset>,
}

impl DataDir {
    /// How far the log of a partition can be read, of which it is known that it is damaged from `readable_end` on; `None`: as far
    /// as its mark says. Blocks, briefly; nothing is changed.
    pub fn reach(&self, partition: TopicPartition, readable_end: Option<Offset>) -> Reach {
        let folder = self.folder(partition);
        let marks = mark::peek(&folder.join(files::MARK));
        let marked = marks.map(|marks| marks.flushed);
        let end = readable_end.or(marked);
        let noted = marks.and_then(|marks| marks.noted);
        let epochs = load_epochs(&folder.join(files::EPOCHS), noted.as_ref()).ok().flatten();
        let start = marks.map_or(Offset(0), |marks| marks.log_start);
        let last_epoch = end.zip(epochs).and_then(|(end, epochs)| epochs.chain.of_last_record(start, end, false));
        Reach { last_epoch, end, marked }
    }
}

impl Distrust {
    /// With how far the log can be read; the reason says how far it reached where that is more.
    #[must_use]
    pub fn reaching(mut self, reach: Reach) -> Self {
        let Reach { last_epoch, end, marked } = reach;
        if let (Some(end), Some(marked)) = (end, marked.filter(|marked| end < Some(*marked))) {
            self.reason =
                format!("it can be read up to offset {end}, and held records up to {marked}: {}", self.reason);
        }
        Self { last_epoch, end, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Cause, LogConfig,
        data_dir::partitions::tests::{open, tp},
        test_support::{Sample, tempdir},
    };

    #[test]
    fn what_can_be_read_ends_at_the_damage_with_the_epoch_of_the_record_before() {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        let (mut log, _) = dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
        for base in 0..9 {
            log.append(&[Sample { epoch: base as u32 / 3, ..Sample::at(base) }.build()]).unwrap();
        }
        log.close().unwrap();
        let reach = |at| {
            let Reach { last_epoch, end, marked } = dir.reach(tp(1, 0), at);
            (last_epoch.map(|epoch| epoch.0), end.map(|end| end.0), marked.map(|marked| marked.0))
        };
        assert_eq!(reach(Some(Offset(4))), (Some(1), Some(4), Some(9)));
        assert_eq!(reach(Some(Offset(3))), (Some(0), Some(3), Some(9)), "the first record of epoch 1 is not there");
        assert_eq!(reach(Some(Offset(0))), (None, Some(0), Some(9)));
        assert_eq!(reach(None), (Some(2), Some(9), Some(9)));
        let damaged = || Distrust::new(Cause::Damaged, "a bit");
        let noted = damaged().reaching(dir.reach(tp(1, 0), Some(Offset(4))));
        assert_eq!((noted.last_epoch, noted.end), (Some(LeaderEpoch(1)), Some(Offset(4))));
        assert_eq!(noted.reason, "it can be read up to offset 4, and held records up to 9: a bit");
        assert_eq!(damaged().reaching(dir.reach(tp(1, 0), None)).reason, "a bit");
        assert_eq!(dir.reach(tp(1, 1), None), Reach::default());
    }
}
