//! Exit codes: the numbers that both programs end with, and what `--help` says of them.
//!
//! The table for operators, with what each program means by a code, is in `deploy/README.md`; a test keeps it complete.
//! The command line shares 0, 1 and 2; its others tell what became of a request.
//!
//! Invariant: a running node ends with a code of 10 or more rather than serve with a part of itself missing.

use std::process::ExitCode;

/// Why a node's program ends, as the number that its caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Anything without a number of its own.
    Failure = 1,
    /// Wrong flags or a wrong configuration, and nothing else.
    Usage = 2,
    /// A second signal, which does not wait for the stop in order.
    Interrupted = 3,
    /// An address cannot be listened on.
    AddressInUse = 10,
    /// The data folder is in use, of another node, or cannot be read.
    DataFolder = 11,
    /// The data folder belongs to another cluster than the controllers.
    OtherCluster = 12,
    /// What was durable is damaged; it is left as it is.
    Damaged = 13,
    /// A write or fsync failed.
    StorageFailed = 14,
    /// The controllers do not go on with this node: they refuse a broker, or the consensus of a controller stopped.
    NoQuorum = 15,
    /// Another process has its place.
    Replaced = 16,
    /// This build is older than the cluster's metadata version.
    TooOld = 17,
    /// The metadata of this controller is another than that of the others.
    Diverged = 18,
    /// The controllers' metadata is older than what this broker has seen committed.
    MetadataWentBack = 19,
    /// The controllers do not count on this start of the broker any more, and the next one may serve.
    StartAgain = 20,
}

/// What `--help` says of exit codes.
pub const HELP: &str = "\
Exit codes:
    0  stopped in order
    1  failure: see the message
    2  wrong flags or configuration
    3  ended at once by a second signal
   10  address in use
   11  data folder in use or not usable
   12  data folder of another cluster
   13  what is on disk is damaged
   14  storage failed: a write or fsync
   15  broker: registration refused; controller: consensus stopped
   16  replaced by another process in its place
   17  older than the cluster's metadata version: upgrade it
   18  controller: its metadata differs from the others'
   19  broker: the controllers have lost committed metadata
   20  broker: the controllers were recovered: start it again
  134  a broken invariant (abort): report it";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_the_table_for_operators_name_every_code() {
        const CODES: [Code; 14] = [
            Code::Failure,
            Code::Usage,
            Code::Interrupted,
            Code::AddressInUse,
            Code::DataFolder,
            Code::OtherCluster,
            Code::Damaged,
            Code::StorageFailed,
            Code::NoQuorum,
            Code::Replaced,
            Code::TooOld,
            Code::Diverged,
            Code::MetadataWentBack,
            Code::StartAgain,
        ];
        let table = include_str!("../../deploy/README.md");
        for number in CODES.map(|code| code as u8).into_iter().chain([0, 134]) {
            assert!(HELP.lines().any(|line| line.trim_start().starts_with(&format!("{number}  "))), "{number} in help");
            assert!(table.contains(&format!("\n| {number} | ")), "{number} in deploy/README.md");
        }
    }
}
