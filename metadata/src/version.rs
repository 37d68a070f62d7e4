//! Which commands and records a cluster may use: its metadata version (Kafka: `metadata.version`, KIP-584).
//!
//! A controller of an older build cannot carry out what a newer one proposes. So each command and record belongs to a
//! version, an operator finalises a version once every node knows it, and only then the active controller proposes what
//! came with it. Until then a mixed cluster is one that decides alike.
//!
//! To add a command, a record, a field, or a key or value of a topic's settings: raise [`SUPPORTED`]`.max`, give it the new number in the table of `needs`, and leave it out
//! of what is stored while an older version is finalised. The number of what is there never changes.

use std::fmt;

use serde::{Deserialize, Serialize};

use holdfast_proto::ids::MetadataVersion;

/// The first version, which a cluster has before any is finalised.
pub const FIRST: MetadataVersion = MetadataVersion(1);

/// Brokers prove their folders and say how far their replicas reach; elections rest on it ([`crate::trust`]).
pub const TRUST: MetadataVersion = MetadataVersion(2);

/// The controllers can go on from a single one of them; partitions are unsettled then ([`crate::recovery`]). A broker can
/// start though it cannot read some of its replicas ([`crate::trust::Vouch::Unread`]). Brokers whose sessions end together
/// are fenced by one command. An operator can give up a broker's disk ([`crate::trust::LostDisk`]). The
/// recovery of a partition keeps what every replica had said ([`crate::trust::PartitionRecovery`]).
pub const RECOVERY: MetadataVersion = MetadataVersion(3);

/// What this build supports.
pub const SUPPORTED: VersionRange = VersionRange { min: FIRST, max: RECOVERY };

/// The metadata versions that a node supports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    /// The oldest that is supported.
    pub min: MetadataVersion,
    /// The newest one, not below the oldest.
    pub max: MetadataVersion,
}

impl VersionRange {
    /// As a message has it: 0 stands for a node from before versions were told.
    pub fn from_numbers(min: u32, max: u32) -> Self {
        let number = |number: u32| MetadataVersion(number.max(FIRST.0));
        Self { min: number(min), max: number(max) }
    }

    /// True if a node with this range may be part of a cluster with that version.
    pub fn contains(self, version: MetadataVersion) -> bool {
        self.min <= version && version <= self.max
    }
}

impl Default for VersionRange {
    /// That of a node from before versions were told.
    fn default() -> Self {
        Self { min: FIRST, max: FIRST }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}
