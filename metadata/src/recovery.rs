//! The last resort of the controllers: they go on from what a single one of them holds, and what the others knew beyond that
//! is given up. All of it since metadata version 3.
//!
//! Nobody knows then what was decided under the lost metadata. Three things keep that from doing harm:
//!
//! 1. **Nothing that was given out is given out again.** Every number that the controllers count goes on far above what the
//!    lost metadata can have reached: index and term, leader and partition epochs, broker epochs, producer ids. So a log that
//!    was written under a lost leader epoch is never taken for one of a new leadership, and no broker finds that the metadata
//!    has gone back.
//! 2. **No partition has a leader before its logs were heard.** Who was in sync is not known any more: every replica is
//!    eligible, and the partition is *unsettled*. A leader comes once all of them have said how far they reach, all brokers
//!    have said what they hold (a replica may have moved to one that the metadata does not place it on), and so many were
//!    heard that one of them holds every acknowledged record. Who reaches farthest in (epoch of its last record, end) leads
//!    alone; the others follow it and join.
//! 3. **No earlier registration counts.** A broker has to start and register again, for only a start reports the logs.
//!
//! Why the farthest holds everything, while fewer than min ISR disks are at fault, but for the first of the limits
//! below: a record was acknowledged by an ISR of at least min ISR replicas, each on a broker of this metadata, which
//! was waited for, or on one that came since. So one of them was heard whose disk holds what it did. Nobody leads who
//! does not reach as far as that one, also if this metadata still does not believe it. Who reaches farther either got
//! its last record from a later leader, which held all that was acknowledged before, or from the same one, and then
//! more of it. Only what was acknowledged after that later leader, by one that wrote nothing itself, is not covered
//! (the case of Raft's figure 8): a leader leaves no trace in a log without a record. So those that end with a record
//! of an earlier leadership count as missing voices: min ISR of them may have acknowledged by themselves. Such voices
//! and disks at fault are not added up.
//!
//! Where more is at fault, or that ISR was on brokers that nobody knows, it is counted for how many nobody speaks: each replica that
//! is not believed, placed or found, and each that its broker does not hold, for it may have moved away, less those that were
//! found. If they are min ISR or more, they may have been the whole of it, and people have to choose.
//!
//! A broker that registered under the lost metadata for the first time is not known to this one, and a partition may have moved
//! to such brokers alone, while replicas that it left were not deleted yet. So the operator says which brokers there are
//! ([`ControllerRecovery::expected`]): those that are not known are waited for like the others, until they register, or their
//! disks are given up ([`crate::command::Command::LoseDisk`], with broker epoch 0, for they have no registration).
//!
//! Limits. A leadership without records is not told yet, and one disk that went back without a word is enough beside
//! it. Two replicas, min ISR 2: A leads epoch 1, appends r and pauses. B leads epoch 2 alone, and appends x for who
//! asks for the leader's ack alone. B goes, A leads epoch 3 and writes nothing; B comes, cuts x, copies r and joins: r
//! is acknowledged. B's folder is put back to (epoch 2, x), and the controllers are recovered: B outranks A (epoch 1,
//! r), leads, and r is lost.
//!
//! min ISR is that of this metadata: it is too high if it was lowered, or replicas were taken away, under the lost one.
//! A broker without a replica here whose disk is given up is no voice that is missing: if a whole ISR was on such brokers, who
//! reaches farthest of the others leads and lacks what they held. And a broker that the operator forgot, and that is not known,
//! is waited for by nobody: all others may be heard, and the farthest of these leads and lacks what it holds. Nothing that is
//! here tells. So:
//! * No state made by a recovery, or since, deletes a log of before it that it does not name: brokers keep such logs ([`is_between`]).
//! * What they say of them is kept on record with the partition, and shown, see [`crate::PartitionState::strays`].
//! * A partition is not given up ([`crate::command::RecoverPartition`]) while a broker that is known or expected was not heard.

use serde::{Deserialize, Serialize};

use holdfast_proto::ids::{BrokerEpoch, BrokerId, ControllerId, LeaderEpoch, MetadataIndex, PartitionEpoch};

/// How far the metadata's index goes on above the last that is known.
pub const INDEX_LEAP: u64 = 10_000_000_000;
/// How far the term of the controllers goes on above the last that is known.
pub const TERM_LEAP: u64 = 1_000_000;
/// How far the leader epoch of every partition goes on. There are 2^31 of them: enough for 2,000 recoveries.
pub const LEADER_EPOCH_LEAP: u32 = 1_000_000;
/// How far the partition epoch of every partition goes on. There are 2^32 of them: enough for 1,000 recoveries.
pub const PARTITION_EPOCH_LEAP: u32 = 4_000_000;
/// How far the broker epochs go on.
pub const BROKER_EPOCH_LEAP: u64 = 1_000_000_000;
/// How far the producer ids go on.
pub const PRODUCER_ID_LEAP: i64 = 1_000_000_000_000;

/// True if the controllers were recovered between these two leader epochs of a partition. Also if half as many elections lie
/// between them as a recovery leaps over: then a log is kept that nobody needs.
pub fn is_between(older: LeaderEpoch, newer: LeaderEpoch) -> bool {
    newer.0.saturating_sub(older.0) >= LEADER_EPOCH_LEAP / 2
}

/// The same of two partition epochs.
pub fn is_between_states(older: PartitionEpoch, newer: PartitionEpoch) -> bool {
    newer.0.saturating_sub(older.0) >= PARTITION_EPOCH_LEAP / 2
}

/// What was given up so that the controllers go on from one of them. It is kept as long as the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerRecovery {
    /// The controller whose store they go on with. It was the only voter then.
    pub controller_id: ControllerId,
    /// The last index of its log: later changes are given up.
    pub index: MetadataIndex,
    /// Term of that entry.
    pub term: u64,
    /// How far it knew then that its log was committed; what lies behind counts as committed since.
    pub committed: MetadataIndex,
    /// The controllers that were given up: whatever comes from them is of the lost metadata.
    pub given_up: Vec<ControllerId>,
    /// The brokers that were given up: no election waits for them, and their replicas count for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<BrokerId>,
    /// Brokers that this metadata does not know and that there are, by the operator: nobody leads before they were heard. One
    /// that registered and was forgotten since is not among them any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<BrokerId>,
    /// The first broker epoch that was given since. A registration below it is from before.
    pub first_broker_epoch: BrokerEpoch,
    /// When it was done, ms since 1970 by the clock of that controller.
    pub at_ms: u64,
}

/// What an operator orders, see [`ControllerRecovery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverControllers {
    /// The controller whose store they are to go on with.
    pub controller_id: ControllerId,
    /// Term of the last entry of its log.
    pub term: u64,
    /// How far it knows that its log is committed.
    pub committed: MetadataIndex,
    /// The other controllers, which are given up.
    pub given_up: Vec<ControllerId>,
    /// The brokers that are gone for good.
    pub without: Vec<BrokerId>,
    /// Brokers that there are, whether they are registered or not: all of them are waited for, also if their disks were
    /// given up before.
    pub expected: Vec<BrokerId>,
    /// When it was asked for, ms since 1970.
    pub at_ms: u64,
}
