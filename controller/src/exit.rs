//! Why the program ends: every exit code of `holdfast-controller`, in one place.
//!
//! | code | name | what to do |
//! |---|---|---|
//! | 0 | stopped | nothing: it was asked to stop and handed the leadership over |
//! | 1 | failure | see the message |
//! | 2 | usage | correct the flags or the configuration; every problem is listed |
//! | 3 | interrupted | nothing: a second signal ended it before it had handed over; what it acknowledged is on disk |
//! | 10 | address in use | another program listens there: stop it, or change `listen` |
//! | 11 | data folder | it is locked by another process, damaged, or of a newer version: see the message |
//! | 12 | other cluster | the data folder belongs to another cluster or node: correct `data_dir`, `cluster_id` or `peers` |
//! | 13 | store damaged | the store of log and snapshots cannot be read; restore it, or empty the folder to join as a new node |
//! | 14 | storage failed | a write or fsync failed; replace the disk. The other controllers go on |
//! | 15 | consensus stopped | the Raft core ended; see the message |
//! | 16 | replaced | another controller took its place in the quorum while it was away: empty `data_dir` to join again |
//! | 134 | broken invariant | a bug: the process aborted rather than serve on. Report the message |
//!
//! A running controller ends with a code of 10 or more rather than serve with a part of itself missing.

use std::process::ExitCode;

use holdfast_node::program;

use crate::{identity, store};

/// A reason to end, with the sentence that is logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Anything without a number of its own.
    #[error("{0}")]
    Failure(String),
    /// The address is taken.
    #[error("{}", program::address_in_use(address, "listen", reason))]
    AddressInUse {
        /// What the configuration says for `listen`.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The data folder cannot be used.
    #[error("data folder: {0}")]
    DataFolder(String),
    /// The data folder belongs to another cluster or node.
    #[error("{0}")]
    OtherCluster(String),
    /// The store cannot be read.
    #[error("{0}")]
    StoreDamaged(String),
    /// A write or fsync failed.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// The Raft core has ended; the text is its reason.
    #[error("the consensus stopped: {0}")]
    ConsensusStopped(String),
    /// Another controller has its place.
    #[error(
        "this controller, id {id}, was replaced in the quorum{by} while it was away: its data folder counts for \
         nothing any more. Make sure that no other controller uses its address, empty the folder, and start it again: \
         it then joins under a new id"
    )]
    Replaced {
        /// Raft id of its data folder, which is not in the membership any more.
        id: u64,
        /// By whom, in words; empty if nobody has the address now.
        by: String,
    },
}

impl Fatal {
    /// The number that the process ends with.
    pub const fn number(&self) -> u8 {
        match self {
            Self::Failure(_) => 1,
            Self::AddressInUse { .. } => program::ADDRESS_IN_USE,
            Self::DataFolder(_) => 11,
            Self::OtherCluster(_) => 12,
            Self::StoreDamaged(_) => 13,
            Self::StorageFailed(_) => 14,
            Self::ConsensusStopped(_) => 15,
            Self::Replaced { .. } => 16,
        }
    }

    /// The number as an exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

impl From<identity::Error> for Fatal {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::OtherCluster { .. } => Self::OtherCluster(error.to_string()),
            identity::Error::Io { .. }
            | identity::Error::Locked(_)
            | identity::Error::NewerFormat { .. }
            | identity::Error::Damaged { .. } => Self::DataFolder(error.to_string()),
        }
    }
}

impl From<store::Error> for Fatal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::OtherNode { .. } => Self::OtherCluster(error.to_string()),
            store::Error::NewerFormat { .. } => Self::DataFolder(error.to_string()),
            store::Error::RocksDb { .. } | store::Error::Damaged(_) => Self::StoreDamaged(error.to_string()),
            store::Error::Latched(_) => Self::StorageFailed(error.to_string()),
        }
    }
}
