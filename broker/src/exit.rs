//! Why the program ends: every exit code of `holdfast-broker`, in one place.
//!
//! | code | name | what to do |
//! |---|---|---|
//! | 0 | stopped | nothing: it was asked to stop and handed its partitions over |
//! | 1 | failure | see the message |
//! | 2 | usage | correct the flags or the configuration; every problem is listed |
//! | 3 | interrupted | a second signal came while it stopped: partitions fail over as after a kill; nothing acknowledged is lost |
//! | 10 | address in use | another program listens there: stop it, or change `client_listen` or `peer_listen` |
//! | 11 | data folder | it is locked by another process, or belongs to another broker: see the message |
//! | 12 | other cluster | the controllers belong to another cluster than the data folder: correct `controllers` |
//! | 13 | log damaged | a log is damaged below its durable mark; it was left as it is. See the message |
//! | 14 | storage failed | a write or fsync failed; replace the disk. Other replicas lead on |
//! | 15 | registration refused | the controllers do not accept what it says of itself: see the message |
//! | 16 | replaced | another process with the same broker id took its place: stop one of the two, or give them different ids |
//! | 134 | broken invariant | a bug: the process aborted rather than serve on. Report the message |
//!
//! A running broker ends with a code of 10 or more rather than serve with a part of itself missing.

use std::process::ExitCode;

use holdfast_node::program;

/// A reason to end, with the sentence that is logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Anything without a number of its own.
    #[error("{0}")]
    Failure(String),
    /// An address is taken.
    #[error("{}", program::address_in_use(address, option, reason))]
    AddressInUse {
        /// The address that could not be bound.
        address: String,
        /// The option that gave it.
        option: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The data folder cannot be used.
    #[error("data folder: {0}")]
    DataFolder(String),
    /// The controllers belong to another cluster.
    #[error(
        "the controllers belong to cluster {theirs}, this data folder to cluster {ours}: correct `controllers` or `data_dir`"
    )]
    OtherCluster {
        /// Cluster of the data folder.
        ours: String,
        /// Cluster of the controllers.
        theirs: String,
    },
    /// Logs are damaged at or below what was durable.
    #[error("{0}")]
    LogDamaged(String),
    /// A write or fsync failed.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// The controllers do not take this broker.
    #[error("registration refused: {0}")]
    RegistrationRefused(String),
    /// Another process registered under the same broker id while this one had no session.
    #[error(
        "this broker was replaced by another process with the same broker id {broker_id} (broker epoch {theirs}, for \
         nodes at {address}); this one (incarnation {incarnation}, broker epoch {ours}) acknowledges nothing more and \
         ends. Stop one of the two, or give them different ids"
    )]
    Replaced {
        /// The id of both.
        broker_id: u32,
        /// The id that names this start of the process.
        incarnation: String,
        /// Epoch of this start's registration.
        ours: u64,
        /// Epoch of the other's.
        theirs: u64,
        /// Where the other is reached by nodes.
        address: String,
    },
}

impl Fatal {
    /// The number that the process ends with.
    pub const fn number(&self) -> u8 {
        match self {
            Self::Failure(_) => 1,
            Self::AddressInUse { .. } => program::ADDRESS_IN_USE,
            Self::DataFolder(_) => 11,
            Self::OtherCluster { .. } => 12,
            Self::LogDamaged(_) => 13,
            Self::StorageFailed(_) => 14,
            Self::RegistrationRefused(_) => 15,
            Self::Replaced { .. } => 16,
        }
    }

    /// The number as an exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }
}
