//! What a data folder says of the partitions that it holds, or should hold.

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};

/// A partition of the data folder, as it was found when the folder was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaOnDisk {
    /// Which partition it is.
    pub partition: TopicPartition,
    /// Whether its log may count.
    pub standing: Standing,
}

/// Whether the log of a partition may count as that of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is listed, and its folder is there. Opening it tells whether its log is sound.
    Held,
    /// Its folder is there, and the list does not name it: a creation or a deletion that a crash interrupted, or a folder
    /// that somebody put there. Opening it lists it; give it to [`crate::DataDir::distrust`] first if it could count.
    Adopted,
    /// It is listed, and its folder is gone: records that were held are lost. Nothing opens it as if it were new, but
    /// [`crate::DataDir::recreate_partition`] does.
    Vanished,
    /// It was said, durably, that its log does not count. Its folder may be there or not.
    Distrusted(Distrust),
}

/// Why the log of a partition does not count, and how far it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// What kind of trouble it is.
    pub cause: Cause,
    /// What is wrong with it, in words for an operator; at most 2000 bytes are kept.
    pub reason: String,
    /// Leader epoch of the last record of its log that can be read, where it is known.
    pub last_epoch: Option<LeaderEpoch>,
    /// Where what can be read of it ends (exclusive): its durable end, or where it is damaged. Where it is known.
    pub end: Option<Offset>,
}

impl Distrust {
    /// Of a log of which nothing else is known.
    pub fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into(), last_epoch: None, end: None }
    }
}

/// What kind of trouble a log that does not count is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Bytes that were durable are gone or changed, or it cannot be opened.
    #[default]
    Damaged,
    /// Its folder is gone.
    Vanished,
    /// The replica stopped itself: its leader's log contradicts what it knows to be acknowledged.
    Halted,
}

/// What became of the list of a data folder's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListState {
    /// It was read; or the folder is new.
    Kept,
    /// An earlier program, which kept none, used the folder: the list is made of the folders that are there.
    Rebuilt,
    /// It is damaged or missing: the list is made of the folders that are there, so none of them counts as vanished, and
    /// no distrust is known. It is said at each start until one was heard ([`crate::DataDir::confirm_token`]).
    Lost {
        /// What is wrong with the file.
        reason: String,
    },
}
