//! openraft's network over `RaftService`: the answering side, free of tonic.
//!
//! Nothing reaches the consensus that was meant for another cluster or node, or that this controller may not take part
//! in because it is bound to no cluster. Log entries and snapshots of a member that this build does not know end the process:
//! it would refuse them for ever, and still look as if it were led.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use openraft::{
    async_runtime::watch::WatchReceiver as _,
    errors::{Fatal, RaftError},
    raft::AppendEntriesResponse,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, ids::MetadataIndex, v1::RaftEnvelope};

use super::{
    codec::{Unknown, decode_image_at},
    consensus::{Consensus, Raft},
    envelope::{accept, read, said, wrap},
    halt::Halt,
    lineages::{Lineages, Sender},
    network::SnapshotHead,
    role::Contact,
    types::{Entry, SNAPSHOT_TIMEOUT_MS, Snapshot, TypeConfig, Vote},
};
use crate::{exit, identity::DataDir};

/// Largest snapshot that is taken, in bytes. Past it the sender is told MESSAGE_TOO_LARGE.
const MAX_SNAPSHOT_BYTES: usize = 1 << 30;
/// From its first message to its last. Its sender gives up as soon.
const WHOLE: Duration = Duration::from_millis(SNAPSHOT_TIMEOUT_MS);

/// Answers the other controllers' messages.
#[derive(Clone)]
pub struct Inbound {
    data: Arc<DataDir>,
    raft: Raft,
    contact: Contact,
    halt: Halt,
    lineages: Lineages,
    /// The place of the one snapshot that may be on its way in.
    place: Arc<Semaphore>,
}

impl Inbound {
    /// For the node in `data`. `contact` is told of each message of the leader, `halt` why this controller has to end,
    /// `lineages` what each message shows of who sends it.
    pub fn new(data: Arc<DataDir>, consensus: &Consensus, contact: Contact, halt: Halt, lineages: Lineages) -> Self {
        let raft = consensus.raft().clone();
        Self { data, raft, contact, halt, lineages, place: Arc::new(Semaphore::new(1)) }
    }

    /// What messages show of who sends them.
    pub const fn lineages(&self) -> &Lineages {
        &self.lineages
    }

    /// Log entries and heartbeats.
    pub async fn append_entries(&self, envelope: Option<RaftEnvelope>) -> Result<RaftEnvelope, ErrorDetail> {
        let (source, envelope) = self.hear(envelope).await?;
        let request = read(&envelope).inspect_err(|detail| {
            let unread = (detail.code == ErrorCode::UnsupportedVersion).then(|| unread_entries(&envelope)).flatten();
            if let Some(vote) = unread {
                self.unless_known(source, vote, detail);
            }
        })?;
        let response = self.raft.append_entries(request).await.map_err(|error| refused(&error))?;
        // A sender of an older term leads nobody.
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.contact.heard();
        }
        self.reply(source, &response)
    }

    /// A call for votes.
    pub async fn vote(&self, envelope: Option<RaftEnvelope>) -> Result<RaftEnvelope, ErrorDetail> {
        let (source, request) = self.open(envelope).await?;
        self.reply(source, &self.raft.vote(request).await.map_err(|error| refused(&error))?)
    }

    /// The question whether a vote would be granted.
    pub async fn pre_vote(&self, envelope: Option<RaftEnvelope>) -> Result<RaftEnvelope, ErrorDetail> {
        let (source, request) = self.open(envelope).await?;
        self.reply(source, &self.raft.pre_vote(request).await.map_err(|error| refused(&error))?)
    }

    /// A call to campaign at once.
    pub async fn transfer_leader(&self, envelope: Option<RaftEnvelope>) -> Result<(), ErrorDetail> {
        let (_, request) = self.open(envelope).await?;
        match self.raft.handle_transfer_leader(request).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(ErrorDetail::new(ErrorCode::NotController, refusal.to_string())),
            Err(fatal) => Err(stopped(&fatal)),
        }
    }

    /// Begins to receive a snapshot: of the leader alone, and one at a time, for it is held in memory as a whole.
    pub async fn begin_snapshot(&self, envelope: Option<RaftEnvelope>) -> Result<IncomingSnapshot, ErrorDetail> {
        let (source, head) = self.open::<SnapshotHead>(envelope).await?;
        let known = self.raft.metrics().borrow_watched().vote;
        if !leads(source, &head.vote, &known) {
            let message = format!("{} does not lead here, where {known} is known: no snapshot is taken", head.vote);
            return Err(ErrorDetail::new(ErrorCode::NotController, message));
        }
        let Ok(place) = Arc::clone(&self.place).try_acquire_owned() else {
            let message = "another snapshot is on its way to this controller; retry once it is there";
            return Err(ErrorDetail::new(ErrorCode::Overloaded, message));
        };
        Ok(IncomingSnapshot { source, head, data: BytesMut::new(), end: Instant::now() + WHOLE, _place: place })
    }

    /// Installs a received snapshot.
    pub async fn install(&self, incoming: IncomingSnapshot) -> Result<RaftEnvelope, ErrorDetail> {
        let IncomingSnapshot { source, head, data, end: _, _place } = incoming;
        let data = data.freeze();
        check(&head, data.clone()).await.inspect_err(|detail| self.unless_known(source, head.vote, detail))?;
        let snapshot = Snapshot { meta: head.meta, snapshot: data };
        let sent_under = head.vote;
        let response = self.raft.install_full_snapshot(head.vote, snapshot).await;
        let response = response.map_err(|fatal| stopped(&fatal))?;
        if response.vote == sent_under {
            self.contact.heard();
        }
        self.reply(source, &response)
    }

    async fn open<T: DeserializeOwned>(&self, envelope: Option<RaftEnvelope>) -> Result<(u64, T), ErrorDetail> {
        let (source, envelope) = self.hear(envelope).await?;
        Ok((source, read(&envelope)?))
    }

    /// A message to this controller, of one that is no copy of another, and was not given up.
    async fn hear(&self, envelope: Option<RaftEnvelope>) -> Result<(u64, RaftEnvelope), ErrorDetail> {
        let identity = self.data.identity();
        let (source, mut envelope) = accept(envelope, identity.cluster_id, identity.node_id)?;
        let sender = Sender { node_id: source, cluster_id: identity.cluster_id };
        self.lineages.hear(sender, &said(&mut envelope)).await?;
        Ok((source, envelope))
    }

    /// Ends this controller if who leads it, or takes it in, sent what only a newer build knows. Whether that is a member
    /// does not count: what made it one may be among the entries that are not here yet.
    fn unless_known(&self, sender: u64, vote: Vote, detail: &ErrorDetail) {
        let known = self.raft.metrics().borrow_watched().vote;
        if detail.code == ErrorCode::UnsupportedVersion && leads(sender, &vote, &known) {
            let what = format!("controller {sender} sent it: {}", detail.message);
            // The caller hears the refusal itself.
            let _ = self.halt.note(exit::Fatal::TooOld { finalised: None, what });
        }
    }

    fn reply<T: Serialize>(&self, target: u64, body: &T) -> Result<RaftEnvelope, ErrorDetail> {
        let identity = self.data.identity();
        let cluster_id = identity.cluster_id.ok_or(ErrorCode::InconsistentClusterId)?;
        wrap(cluster_id, target, identity.node_id, self.lineages.shown(target), body)
            .map_err(|error| ErrorDetail::new(ErrorCode::UnknownServerError, error.to_string()))
    }
}

/// A snapshot on its way in. No other is taken until it is dropped.
pub struct IncomingSnapshot {
    source: u64,
    head: SnapshotHead,
    data: BytesMut,
    end: Instant,
    _place: OwnedSemaphorePermit,
}

impl IncomingSnapshot {
    /// Until when it has to be here as a whole.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// Appends the next chunk. Refused if the whole would be larger than 1 GiB.
    pub fn push(&mut self, chunk: &Bytes) -> Result<(), ErrorDetail> {
        if self.data.len() + chunk.len() > MAX_SNAPSHOT_BYTES {
            let message = format!("the snapshot is larger than {MAX_SNAPSHOT_BYTES} bytes");
            return Err(ErrorDetail::new(ErrorCode::MessageTooLarge, message));
        }
        self.data.extend_from_slice(chunk);
        Ok(())
    }
}

/// Whether `source` was elected with this vote, as far as can be seen from here.
fn leads(source: u64, vote: &Vote, known: &Vote) -> bool {
    vote.is_committed() && vote.leader_id().node_id == source && *vote >= *known
}

/// Refuses a snapshot that could not be installed: an error of the consensus' own would end this controller.
async fn check(head: &SnapshotHead, data: Bytes) -> Result<(), ErrorDetail> {
    let index = MetadataIndex(head.meta.last_log_id.map_or(0, |id| id.index));
    let checked = tokio::task::spawn_blocking(move || decode_image_at(index, &data).map(drop)).await;
    let (code, problem) = match checked {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if Unknown::is_cause(&error) => (ErrorCode::UnsupportedVersion, error.to_string()),
        Ok(Err(error)) => (ErrorCode::InvalidRequest, error.to_string()),
        Err(ended) => (ErrorCode::InvalidRequest, ended.to_string()),
    };
    tracing::warn!(%index, problem, "a snapshot of another controller is refused");
    Err(ErrorDetail::new(code, problem))
}

/// Vote of a message with log entries of which one is not read by this build; `None` for any other message.
fn unread_entries(envelope: &RaftEnvelope) -> Option<Vote> {
    #[derive(serde::Deserialize)]
    struct Entries {
        vote: Vote,
        entries: Vec<serde_json::Value>,
    }
    let Entries { vote, entries } = serde_json::from_slice(&envelope.body).ok()?;
    let unread = entries.into_iter().any(|entry| serde_json::from_value::<Entry>(entry).is_err());
    unread.then_some(vote)
}

fn refused(error: &RaftError<TypeConfig>) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::ShuttingDown, format!("the consensus takes no messages: {error}"))
}

fn stopped(error: &Fatal<TypeConfig>) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::ShuttingDown, format!("the consensus has stopped: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_was_elected_and_is_not_older_than_what_is_known_leads() {
        let known = Vote::new_committed(5, 1);
        let cases = [
            (1, Vote::new_committed(5, 1), true),
            (2, Vote::new_committed(6, 2), true),
            (1, Vote::new_committed(4, 1), false),
            (2, Vote::new(6, 2), false),
            (3, Vote::new_committed(6, 2), false),
        ];
        for (source, vote, expected) in cases {
            assert_eq!(leads(source, &vote, &known), expected, "{source}: {vote}");
        }
    }
}
