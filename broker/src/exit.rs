//! Why the program ends: every reason of `holdfast-broker`, with its exit code and what to do.
//!
//! The codes are [`holdfast_node::exit`]'s; the table of them for operators is in `deploy/README.md`.

use std::process::ExitCode;

use holdfast_node::{exit::Code, program};

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
        "the controllers belong to cluster {theirs}, this data folder to cluster {ours}: correct 'controllers' or 'data_dir'"
    )]
    OtherCluster {
        /// Cluster of the data folder.
        ours: String,
        /// Cluster of the controllers.
        theirs: String,
    },
    /// A write or fsync failed.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// The controllers do not take this broker.
    #[error("registration refused: {0}")]
    RegistrationRefused(String),
    /// The cluster's metadata version is none that this build supports.
    #[error("the cluster does not take this build of the broker: {0}")]
    TooOld(String),
    /// The controllers' metadata is older than what this broker, or its logs, have seen committed.
    #[error(
        "the controllers have lost committed metadata: {0}. Were their data folders restored from older copies, or emptied? \
         This broker keeps every record, and serves none by metadata that has gone back. Start the controller whose folder is \
         the newest; if it is gone for good, see 'The controllers have lost metadata' in the runbook"
    )]
    MetadataWentBack(String),
    /// The controllers do not count on this start any more. Only a start says what the logs hold.
    #[error("{0}. This broker acknowledges nothing more and ends: start it again, so that it says what its logs hold")]
    StartAgain(String),
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
        let code = match self {
            Self::Failure(_) => Code::Failure,
            Self::AddressInUse { .. } => Code::AddressInUse,
            Self::DataFolder(_) => Code::DataFolder,
            Self::OtherCluster { .. } => Code::OtherCluster,
            Self::StorageFailed(_) => Code::StorageFailed,
            Self::RegistrationRefused(_) => Code::NoQuorum,
            Self::TooOld(_) => Code::TooOld,
            Self::MetadataWentBack(_) => Code::MetadataWentBack,
            Self::StartAgain(_) => Code::StartAgain,
            Self::Replaced { .. } => Code::Replaced,
        };
        code as u8
    }

    /// The number as an exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }
}
