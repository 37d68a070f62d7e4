//! What a log entry does to the metadata: the one place, for `state_machine`, which applies what is committed, and for
//! `survivor`, which reads the log of a controller that is stopped.

use std::io;

use openraft::{BasicNode, EntryPayload, Membership, entry::RaftEntry};

use holdfast_metadata::{Command, HistoryHash, Image, Record, Rejection, Response, apply_command, version::SUPPORTED};
use holdfast_proto::ids::{MetadataIndex, MetadataVersion};

use super::types::{Entry, LogId};

/// The voters and learners of a quorum.
pub(super) type Members = Membership<u64, BasicNode>;

/// What the proposer is told (`None` for an entry without a command), and what changed.
pub(super) type Applied = (Option<Result<Response, Rejection>>, Vec<Record>);

/// An entry's place in the log, and the command or the membership that it holds.
pub(super) fn parts(entry: Entry) -> (LogId, Option<Command>, Option<Members>) {
    let log_id = entry.log_id();
    match entry.payload {
        EntryPayload::Blank => (log_id, None, None),
        EntryPayload::Normal(command) => (log_id, Some(command), None),
        EntryPayload::Membership(members) => (log_id, None, Some(members)),
    }
}

/// Where the metadata here differs from that of most, if the command says so: the index, the hash there here, and that of
/// most. `ours` gives the hash at an index; one that is not known any more is not compared.
pub(super) fn differs(
    command: Option<&Command>,
    ours: impl FnOnce(MetadataIndex) -> Option<HistoryHash>,
) -> Option<(MetadataIndex, HistoryHash, HistoryHash)> {
    let Some(Command::CheckHistory { index, hash }) = command else { return None };
    ours(*index).filter(|ours| ours != hash).map(|ours| (*index, ours, *hash))
}

/// Carries out what an entry at this index holds. An error: the index goes back.
pub(super) fn apply(image: &mut Image, index: MetadataIndex, command: Option<&Command>) -> io::Result<Applied> {
    let Some(command) = command else {
        // The very first entry has index 0, where the empty image already is.
        if index.0 > 0 {
            image.advance_to(index).map_err(io::Error::other)?;
        }
        return Ok((None, Vec::new()));
    };
    let outcome = apply_command(image, index, command);
    if let Some(rejection) = outcome.fault() {
        tracing::error!(%index, %command, %rejection, "the metadata machine refused to break its rules");
    }
    Ok((Some(outcome.result), outcome.records))
}

/// The metadata version of the image, if this build does not know it.
pub(super) fn unknown_version(image: &Image) -> Option<MetadataVersion> {
    Some(image.version()).filter(|version| !SUPPORTED.contains(*version))
}
