//! openraft's state machine: the metadata image in memory, rebuilt from snapshot and log at each start.
//!
//! 1. Every controller applies the same commands at the same indexes and so has the same image: applying uses
//!    neither a clock nor random numbers.
//! 2. A command that would break an invariant is refused, loudly, on every controller alike. A state that is broken
//!    already, or an index that goes back, ends the process.
//! 3. What this build does not know, and a controller that decided otherwise than most, end the process ([`Halt`]).
//! 4. The stored snapshot never goes back: a build that was overtaken by an installed one is dropped.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::{
    OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use tokio::sync::Mutex;

use holdfast_metadata::Command;
use holdfast_proto::ids::MetadataIndex;

use super::{
    applying,
    codec::{decode, decode_image_at, encode, encode_image},
    halt::Halt,
    types::{LogId, Reply, Snapshot, SnapshotMeta, StoredMembership, TypeConfig},
};
use crate::{
    exit::Fatal,
    store::{Op, Store},
    view::{Applied, MetadataView},
};

/// Applies what is committed to `view`, and keeps the last snapshot in `store`.
pub struct StateMachine {
    view: MetadataView,
    store: Store,
    halt: Halt,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    stored: Arc<Mutex<Option<SnapshotMeta>>>,
}

/// A frozen image on its way to the disk.
pub struct SnapshotBuilder {
    image: Arc<holdfast_metadata::Image>,
    meta: SnapshotMeta,
    store: Store,
    stored: Arc<Mutex<Option<SnapshotMeta>>>,
}

impl StateMachine {
    /// Reads the stored snapshot's meta data; openraft installs it. Blocks.
    pub fn open(store: Store, view: MetadataView, halt: Halt) -> io::Result<Self> {
        let stored = match store.read_snapshot()? {
            Some(snapshot) => Some(decode("snapshot's meta data", &snapshot.meta)?),
            None => None,
        };
        Ok(Self {
            view,
            store,
            halt,
            last_applied: None,
            membership: StoredMembership::default(),
            stored: Arc::new(Mutex::new(stored)),
        })
    }

    /// Applies one entry; `None` for an entry without a command. Ends this controller if its metadata differs from that of
    /// most, or is of a version that this build does not know.
    fn apply_one(&mut self, log_id: LogId, command: Option<&Command>) -> io::Result<Reply> {
        if let Some((index, ours, theirs)) = applying::differs(command, |index| self.view.history_at(index)) {
            return Err(self.halt.note(Fatal::Diverged { index, ours, theirs }));
        }
        let index = MetadataIndex(log_id.index);
        let result = self.view.update(applied(Some(&log_id)), |image| match applying::apply(image, index, command) {
            Ok((result, records)) => (Ok(result), records),
            Err(error) => (Err(error), Vec::new()),
        });
        self.halt.unless_too_old(&self.view.image())?;
        self.last_applied = Some(log_id);
        Ok(Reply { index: index.0, result: result? })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let (log_id, command, members) = applying::parts(entry);
            if let Some(members) = members {
                self.membership = StoredMembership::new(Some(log_id), members);
            }
            let reply = self.apply_one(log_id, command.as_ref())?;
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        SnapshotBuilder {
            image: self.view.image(),
            meta: SnapshotMeta { last_log_id: self.last_applied, last_membership: self.membership.clone() },
            store: self.store.clone(),
            stored: Arc::clone(&self.stored),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> Result<(), io::Error> {
        let data = snapshot.clone();
        let at = applied(meta.last_log_id.as_ref()).index;
        let decoded = tokio::task::spawn_blocking(move || decode_image_at(at, &data)).await;
        let image = self.halt.unless_unknown(decoded.map_err(io::Error::other)?)?;
        self.halt.unless_too_old(&image)?;
        // Durable first: what the image then serves must not vanish with a crash.
        put(&self.store, &self.stored, meta, snapshot).await?;
        self.view.replace(applied(meta.last_log_id.as_ref()), image);
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let store = self.store.clone();
        let stored = tokio::task::spawn_blocking(move || store.read_snapshot()).await.map_err(io::Error::other)??;
        stored
            .map(|stored| {
                let meta = decode("snapshot's meta data", &stored.meta)?;
                Ok(Snapshot { meta, snapshot: stored.data.into() })
            })
            .transpose()
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let image = Arc::clone(&self.image);
        let data = tokio::task::spawn_blocking(move || encode_image(&image)).await.map_err(io::Error::other)??;
        put(&self.store, &self.stored, &self.meta, data.clone()).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: data })
    }
}

/// Stores a snapshot unless a later one is stored.
async fn put(store: &Store, stored: &Mutex<Option<SnapshotMeta>>, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
    let mut stored = stored.lock().await;
    if stored.as_ref().is_some_and(|stored| stored.last_log_id > meta.last_log_id) {
        return Ok(());
    }
    let encoded = encode(meta)?;
    store.write(|done| Op::PutSnapshot { meta: encoded, data, done }).await?;
    *stored = Some(meta.clone());
    Ok(())
}

fn applied(log_id: Option<&LogId>) -> Applied {
    log_id.map_or_else(Applied::default, |log_id| Applied {
        index: MetadataIndex(log_id.index),
        term: log_id.leader_id.term,
        leader: log_id.leader_id.node_id,
    })
}
