//! What controllers believe of the disks of brokers, and what they keep of it: what a replica says of its own log, whom it is
//! not believed, and what was given up where nobody could be believed. All of it since metadata version 2.
//!
//! A broker proves with a token that its folder is the one that registered last. It makes the token itself, stores it,
//! and only then says it, so that there is no moment in which the controllers expect what the folder does not have. With
//! it the broker says of each replica how far its log reaches; elections rest on that (see the module `election` in
//! `decide`).

use serde::{Deserialize, Serialize};

use holdfast_proto::ids::{BrokerEpoch, BrokerId, FolderToken, LeaderEpoch, Offset, PartitionIndex, TopicId};

/// How far the log of a replica reaches, as its broker said when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaClaim {
    /// The broker that holds the replica.
    pub broker_id: BrokerId,
    /// Leader epoch of its last record that can be read; `None` if it holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<LeaderEpoch>,
    /// Offset after its last durable record; of one that is damaged, where it can be read no farther.
    pub end: Offset,
    /// True if records past the end may have been lost: bytes were cut off that may have counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub doubtful: bool,
    /// True if its broker could not look at it when it started: nothing is known of it, and nothing is said against it. It
    /// keeps its place among the eligible, and does not lead before another start has read it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unread: bool,
    /// True if the partition is unsettled and its broker does not hold the replica: nobody knows whether it was not made yet,
    /// or has moved away to a broker that the metadata does not know.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_held: bool,
}

/// A replica whose records do not count until they were copied again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distrust {
    /// The broker that holds the replica.
    pub broker_id: BrokerId,
    /// Why it is not believed.
    pub reason: DistrustReason,
}

/// Why a replica is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistrustReason {
    /// The broker came with another folder, or with an older state of its folder: a copy, or one that was restored.
    Folder,
    /// The replica's own folder is gone.
    Vanished,
    /// Bytes that were durable are gone or changed.
    Damaged,
    /// It stopped itself, because its leader's log contradicts what it knows to be acknowledged.
    Halted,
    /// Its log ends below the high watermark at which the partition stands.
    Short,
}

impl DistrustReason {
    /// Its one word for programs: in the metrics, and in `-o json`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Vanished => "vanished",
            Self::Damaged => "damaged",
            Self::Halted => "halted",
            Self::Short => "short",
        }
    }

    /// True if the replica is copied again in the place of a log that is gone or was set aside.
    pub fn is_replaced(self) -> bool {
        match self {
            Self::Vanished | Self::Damaged | Self::Halted => true,
            Self::Folder | Self::Short => false,
        }
    }
}

/// What a broker's folder shows when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderProof {
    /// The tokens of which one is the last that the controllers took: more than one if answers were lost.
    pub known: Vec<FolderToken>,
    /// The token to show from now on. It is durable in the folder already.
    pub next: FolderToken,
    /// Every replica in the folder, and those that should be and are not.
    #[serde(default)]
    pub replicas: Vec<ReplicaReport>,
    /// True if the folder's list of replicas is lost: one that is not reported has vanished, for all that is known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub list_lost: bool,
}

/// What a broker says of one replica when it registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaReport {
    /// Topic of the partition.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Leader epoch of its last record; `None` if it holds no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<LeaderEpoch>,
    /// Offset after its last durable record.
    pub end: Offset,
    /// Whether the broker vouches for it.
    #[serde(default, skip_serializing_if = "Vouch::is_full")]
    pub vouch: Vouch,
}

/// Whether a broker vouches for a replica of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouch {
    /// It holds everything that this replica ever counted as held.
    #[default]
    Full,
    /// Something was cut off at its end that may have counted.
    Doubtful,
    /// It could not be read at this start, for a reason that says nothing of its records. Since metadata version 3.
    Unread,
    /// It lacks what it counted as held.
    Not(DistrustReason),
}

impl Vouch {
    /// True if the broker vouches for the whole replica.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde gives the shape
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// What an operator gave up so that a partition goes on. It is kept as long as it is one of the newest
/// [`crate::limits::MAX_RECOVERIES`], or the last of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionRecovery {
    /// Topic of the partition.
    pub topic_id: TopicId,
    /// Name of the topic at the time.
    pub topic: String,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// The broker whose replica the partition goes on with.
    pub broker_id: BrokerId,
    /// The leader epoch that began with it.
    pub leader_epoch: LeaderEpoch,
    /// Where the log of that replica ended, as its broker had said; `None` if it had said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Offset>,
    /// The high watermark that was known: what lies between the end and it was acknowledged, and is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark: Option<Offset>,
    /// Leader epoch of the last record below the high watermark, if that was known: a log without a record of it lacks at
    /// least that record, wherever it ends. Since metadata version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark_epoch: Option<LeaderEpoch>,
    /// True if the high watermark was said before a recovery of the controllers: all below it was acknowledged, and more may have
    /// been since. Since metadata version 3.
    #[serde(default, skip_serializing_if = "is_false")]
    pub high_watermark_is_old: bool,
    /// What was known of the replicas, at most one each, that which was chosen among them: how far each reached. Since
    /// metadata version 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ReplicaClaim>,
    /// The replicas that were believed and not there: what they hold alone is given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<BrokerId>,
    /// When it was done, ms since 1970 by the clock of the active controller.
    pub at_ms: u64,
}

/// The disk of a broker that an operator gave up: what it holds counts for nothing since. The newest are kept, and the last of
/// each broker that is registered or expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostDisk {
    /// The broker whose disk it was.
    pub broker_id: BrokerId,
    /// The registration that was given up: a later one says what it holds by itself. Of a broker that had none, as a recovery of
    /// the controllers expects it, what [`crate::image::Image::expected_epoch`] says then.
    pub broker_epoch: BrokerEpoch,
    /// Replicas that counted before, or could have come to count, and do not any more.
    pub replicas: u32,
    /// Those of them that were in sync or eligible.
    pub eligible: u32,
    /// Partitions that got a leader by it.
    pub led: u32,
    /// When it was done, ms since 1970 by the clock of the active controller.
    pub at_ms: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde gives the shape
fn is_false(value: &bool) -> bool {
    !value
}
