//! The controllers' quorum, and taking a controller out of it, as they are asked for and answered.

use std::time::Duration;

use holdfast_proto::ids::ControllerId;

/// The quorum as the active controller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// Raft id of the active controller.
    pub active_controller: ControllerId,
    /// Raft term of the active controller.
    pub term: u64,
    /// Index of the last entry of its log.
    pub last_log_index: u64,
    /// Voters and learners, by id.
    pub members: Vec<QuorumMember>,
    /// True while a change of voters is half done.
    pub changing: bool,
}

/// A controller of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumMember {
    /// Raft id, new with each empty data folder.
    pub id: ControllerId,
    /// Address in the membership, `host:port`.
    pub address: String,
    /// True for a voter, false for a learner.
    pub voter: bool,
    /// Time since it acknowledged something; `None` if it did not while the active controller was active.
    pub heard_ago: Option<Duration>,
    /// Entries that it lacks; `None` if that is not known.
    pub lag_entries: Option<u64>,
    /// True if it was heard a moment ago.
    pub alive: bool,
    /// True if its address is in `peers` of the active controller.
    pub in_peers: bool,
}

/// A controller to take out of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Raft id, new with each empty data folder.
    pub id: ControllerId,
    /// Only say what would become of the quorum.
    pub validate_only: bool,
}

/// What becomes of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalPlan {
    /// The controller that leaves, as it was.
    pub removed: QuorumMember,
    /// How many voters there are before.
    pub voters_before: u32,
    /// How many voters are left.
    pub voters_after: u32,
    /// Voters after that were alive a moment ago.
    pub alive_after: u32,
    /// True if it is the active controller: it hands the leadership over first.
    pub is_active: bool,
}
