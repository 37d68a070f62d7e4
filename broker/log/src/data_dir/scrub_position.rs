//! Where the scrub of a data folder stands, kept in the folder: `scrub-position`.
//!
//! Its text: a version, the topic id, partition and offset that are read next, and a checksum. It saves work, no more: a
//! file that is damaged, missing or cannot be read means from the beginning.

use std::fs;

use holdfast_proto::ids::{Offset, PartitionIndex, TopicId, TopicPartition};

use super::folder::DataDir;
use crate::Error;

const FILE: &str = "scrub-position";
const HEAD: &str = "version: 1";

/// What a scrub reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPosition {
    /// The replica that is being read.
    pub partition: TopicPartition,
    /// From this offset on.
    pub next: Offset,
}

impl ScrubPosition {
    fn encode(self) -> String {
        let TopicPartition { topic_id, partition } = self.partition;
        let text = format!("{HEAD}\n{topic_id} {} {}\n", partition.0, self.next.0);
        format!("{text}{:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    fn decode(text: &str) -> Option<Self> {
        let content = text.get(..text.len().checked_sub(9)?)?;
        if text[content.len()..] != format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) {
            return None;
        }
        let mut fields = content.strip_prefix(HEAD)?.trim().split(' ');
        let topic_id = TopicId(fields.next()?.parse().ok()?);
        let partition = PartitionIndex(fields.next()?.parse().ok()?);
        let next = Offset(fields.next()?.parse().ok()?);
        Some(Self { partition: TopicPartition { topic_id, partition }, next })
    }
}

impl DataDir {
    /// Where the scrub stood when that was kept last; `None` if that is not known. Blocks.
    pub fn scrub_position(&self) -> Option<ScrubPosition> {
        let text = fs::read_to_string(self.path.join(FILE)).ok()?;
        ScrubPosition::decode(&text)
    }

    /// Keeps where the scrub stands, all or nothing. Blocks.
    pub fn keep_scrub_position(&self, position: ScrubPosition) -> Result<(), Error> {
        self.disk.try_replace(&self.path.join(FILE), position.encode().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data_dir::partitions::tests::{open, tp},
        disk::tests::Fault,
        test_support::tempdir,
    };

    #[test]
    fn a_position_comes_back_at_the_next_start_and_a_broken_one_is_none() {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        assert_eq!(dir.scrub_position(), None);
        let [first, second] = [1, 2].map(|n| ScrubPosition { partition: tp(9, n), next: Offset(1 << 40) });
        dir.keep_scrub_position(first).unwrap();
        dir.disk.inject(Fault::RanOut { doing: "cannot replace" });
        assert!(dir.keep_scrub_position(second).is_err());
        assert_eq!(dir.scrub_position(), Some(first), "all or nothing");
        dir.keep_scrub_position(second).unwrap();
        drop(dir);
        let dir = open(&folder);
        assert_eq!(dir.scrub_position(), Some(second));
        let text = second.encode();
        for at in 0..text.len() {
            assert_eq!(ScrubPosition::decode(&text[..at]), None, "cut at {at}");
        }
        fs::write(folder.path().join(FILE), text.replace(' ', "7")).unwrap();
        assert_eq!(dir.scrub_position(), None);
        fs::write(folder.path().join(FILE), [0xff; 40]).unwrap();
        assert_eq!(dir.scrub_position(), None);
    }
}
