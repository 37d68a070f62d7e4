//! Why the program ends: every reason of `holdfast-controller`, with its exit code and what to do.
//!
//! The codes are [`holdfast_node::exit`]'s; the table of them for operators is in `deploy/README.md`.

use std::process::ExitCode;

use holdfast_metadata::{HistoryHash, version::SUPPORTED};
use holdfast_node::{exit::Code, program};
use holdfast_proto::ids::{MetadataIndex, MetadataVersion};

use crate::{identity, store};

/// A reason to end, with the sentence that is logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Anything without a number of its own.
    #[error("{0}")]
    Failure(String),
    /// The address is taken.
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
    /// The data folder belongs to another cluster or node.
    #[error("{0}")]
    OtherCluster(String),
    /// The store cannot be read.
    #[error("{0}")]
    StoreDamaged(String),
    /// The disk failed, as it was written, synced or read.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// The Raft core has ended; the text is its reason.
    #[error("the consensus stopped: {0}")]
    ConsensusStopped(String),
    /// Another controller has its place.
    #[error(
        "this controller, id {id}, was replaced in the quorum by controller {by} at the same address {address} while it \
         was away: its data folder counts for nothing any more. Make sure that no other controller uses its address, \
         empty the folder, and start it again: it then joins under a new id"
    )]
    Replaced {
        /// Raft id of its data folder, which is not in the membership any more.
        id: u64,
        /// Raft id of the voter at its address.
        by: u64,
        /// Address of both, `host:port`, as it is configured here.
        address: String,
    },
    /// The membership does not have it any more, and nobody its address.
    #[error(
        "this controller, id {id}, does not belong to the quorum any more: it was removed (`holdfast quorum remove`), or \
         one at another address took its place. Its data folder counts for nothing any more. To let a controller take \
         part again at {address}, put that into 'peers' of all, empty the folder, and start it: it then joins under a \
         new id"
    )]
    Removed {
        /// Raft id of its data folder, which is not in the membership any more.
        id: u64,
        /// Its own address, `host:port`, as it is configured.
        address: String,
    },
    /// Its data folder is an older copy of one that went on, or another process goes on with it.
    #[error(
        "this controller, id {id}, may take part no more: {what}. Its data folder was restored from a copy, or another \
         process goes on with one: make sure that no other process uses this folder or a copy of it. {}",
        store::WHOLE_FOLDER
    )]
    Copied {
        /// Raft id of its data folder.
        id: u64,
        /// Who says so, and what it misses.
        what: String,
    },
    /// It was given up when the controllers were recovered from another one, and was not gone.
    #[error(
        "this controller, id {id}, may take part no more: {what}. What its data folder holds is of the metadata that was given \
         up. {}",
        store::WHOLE_FOLDER
    )]
    GivenUp {
        /// Raft id of its data folder.
        id: u64,
        /// Who says so, and when it was given up.
        what: String,
    },
    /// This build does not know what the cluster's metadata version has.
    #[error(
        "this controller is older than the cluster's metadata version{}: {what}. It supports versions {SUPPORTED}. \
         Upgrade it to the build of the other controllers; its data folder stays as it is",
        finalised.map(|version| format!(" {version}")).unwrap_or_default()
    )]
    TooOld {
        /// The finalised version, where it is known.
        finalised: Option<MetadataVersion>,
        /// What it met, in words.
        what: String,
    },
    /// This controller made something else of the log than most others did.
    #[error(
        "the metadata of this controller differs from that of most others: its hash of all changes up to index {index} is \
         {ours}, theirs is {theirs}. This is a fault of Holdfast: report it, and keep a copy of the data folder. The \
         others go on without this controller. If all run the same build, empty the folder and start it again: it then \
         joins under a new id, and takes their metadata over"
    )]
    Diverged {
        /// Where they were compared.
        index: MetadataIndex,
        /// The hash of the metadata here.
        ours: HistoryHash,
        /// That of the active controller, and of most.
        theirs: HistoryHash,
    },
}

impl Fatal {
    /// The number that the process ends with.
    pub const fn number(&self) -> u8 {
        let code = match self {
            Self::Failure(_) => Code::Failure,
            Self::AddressInUse { .. } => Code::AddressInUse,
            Self::DataFolder(_) => Code::DataFolder,
            Self::OtherCluster(_) => Code::OtherCluster,
            Self::StoreDamaged(_) => Code::Damaged,
            Self::StorageFailed(_) => Code::StorageFailed,
            Self::ConsensusStopped(_) => Code::NoQuorum,
            Self::Replaced { .. } | Self::Removed { .. } | Self::Copied { .. } | Self::GivenUp { .. } => Code::Replaced,
            Self::TooOld { .. } => Code::TooOld,
            Self::Diverged { .. } => Code::Diverged,
        };
        code as u8
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

impl Fatal {
    /// Why a store that opened cannot be read as a log or a snapshot.
    pub(crate) fn of_store(error: std::io::Error) -> Self {
        match error.downcast::<store::Error>() {
            Ok(error) => error.into(),
            // What was read cannot be decoded.
            Err(error) => Self::StoreDamaged(format!("{error}. {}", store::WHOLE_FOLDER)),
        }
    }
}

impl From<store::Error> for Fatal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::OtherNode { .. } => Self::OtherCluster(error.to_string()),
            store::Error::NewerFormat { .. } => Self::DataFolder(error.to_string()),
            store::Error::RocksDb { .. } | store::Error::Damaged(_) | store::Error::Behind { .. } => {
                Self::StoreDamaged(error.to_string())
            }
            store::Error::Unreadable { .. } | store::Error::Mark { .. } | store::Error::Latched(_) => {
                Self::StorageFailed(error.to_string())
            }
        }
    }
}
