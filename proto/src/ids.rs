//! Ids, offsets and epochs as types of their own, so that one is never taken for another.
//!
//! Offsets that name an end (log end offset, high watermark, flushed end) are exclusive: the *next* offset.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a number with a meaning: ordered, hashable, shown as the bare number.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Place of a record in its partition, counted from 0 without gaps. As an end: the next offset.
    Offset(u64)
);
number!(
    /// Counts the leaderships of a partition; grows with every election (KIP-101).
    LeaderEpoch(u32)
);
number!(
    /// Counts the changes of a partition's state that the controller committed (KIP-497).
    PartitionEpoch(u32)
);
number!(
    /// Counts registrations: names one start of one broker (KIP-903).
    BrokerEpoch(u64)
);
number!(
    /// Id of a broker, given by the operator.
    BrokerId(u32)
);
number!(
    /// Raft id of a controller. Belongs to its disk, not to its name.
    ControllerId(u64)
);
number!(
    /// Index of a partition in its topic, from 0.
    PartitionIndex(u32)
);
number!(
    /// Id of a producer, unique in the cluster; -1 in a batch means none (KIP-98).
    ProducerId(i64)
);
number!(
    /// Epoch of a producer id; an older one is fenced (KIP-98, KIP-360).
    ProducerEpoch(i16)
);
number!(
    /// Sequence number of a record of one producer in one partition; wraps from `i32::MAX` to 0 (KIP-98).
    Sequence(i32)
);
number!(
    /// Index of a committed change of the metadata.
    MetadataIndex(u64)
);
number!(
    /// Counts the sets of commands and records that controllers may use (Kafka: `metadata.version`, KIP-584), from 1.
    MetadataVersion(u32)
);
number!(
    /// A point in monotonic time, in milliseconds since an arbitrary start. Never compared across processes.
    Millis(u64)
);
number!(
    /// A point in wall-clock time, in milliseconds since 1970. May jump; safety never hangs on it.
    TimestampMs(i64)
);

impl Offset {
    /// The offset `count` records further on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl LeaderEpoch {
    /// The epoch of the next leadership.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl PartitionEpoch {
    /// The epoch after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl ProducerId {
    /// What a batch without idempotence carries.
    pub const NONE: Self = Self(-1);
}

impl Sequence {
    /// The sequence `count` records further on, wrapping past `i32::MAX` to 0 as Kafka's does.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(((self.0 as i64 + count as i64) % (i32::MAX as i64 + 1)) as i32)
    }
}

impl Millis {
    /// This point in time, `ms` later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How long after `earlier` this is; 0 if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Declares a 16-byte random id.
macro_rules! unique {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl $name {
            /// The id's 16 bytes, as they travel.
            pub fn to_bytes(self) -> bytes::Bytes {
                bytes::Bytes::copy_from_slice(self.0.as_bytes())
            }

            /// The id that these bytes hold; `None` unless there are exactly 16.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }
    };
}

unique!(
    /// Id of a topic; a topic deleted and created again has another (KIP-516).
    TopicId
);
unique!(
    /// Id of a cluster, chosen at its first formation.
    ClusterId
);
unique!(
    /// Id of a data folder, chosen when it is formatted.
    DirectoryId
);
unique!(
    /// Id of one start of a process.
    IncarnationId
);
unique!(
    /// What a broker's data folder shows to prove that it is the one that registered last, and not a copy of it.
    FolderToken
);

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicPartition {
    /// Id of the topic.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_wraps_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(5).plus(0), Sequence(5));
    }

    #[test]
    fn an_id_survives_the_wire() {
        let id = TopicId(Uuid::from_u128(7));
        assert_eq!(TopicId::from_bytes(&id.to_bytes()), Some(id));
        assert_eq!(TopicId::from_bytes(b"short"), None);
    }
}
