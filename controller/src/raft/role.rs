//! Who leads the consensus, whether this controller may act on it, and when the leader was heard.
//!
//! The stored vote names a leader also after a restart, and in a controller that nobody speaks to any more: [`Role`] says
//! who it is, [`Contact`] whether it is there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openraft::{BasicNode, RaftMetrics, ServerState, async_runtime::watch::WatchReceiver as _, errors::Fatal};
use parking_lot::Mutex;
use tokio::sync::watch;

use holdfast_proto::{detail::ControllerHint, ids::ControllerId};

use super::{consensus::Consensus, types::TypeConfig};
use crate::{exit, view::MetadataView};

/// Who leads, as this controller knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Raft term of this controller; 0 before the first, and once the consensus has stopped.
    pub term: u64,
    /// True if this controller leads, has applied an entry of its leadership, and votes. One that was voted out hands over
    /// by itself, and proposes nothing more.
    pub active: bool,
    /// The leader, if one is known.
    pub leader: Option<ControllerHint>,
}

/// When this controller last heard the leader of its term. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Contact(Arc<Mutex<Option<Instant>>>);

impl Contact {
    /// The leader was heard now and this controller follows it, or this controller leads and a majority answers.
    pub(crate) fn heard(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Time since the leader was heard; `None` if it was not since this process started.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().map(|at| at.elapsed())
    }
}

/// Keeps `role` until the consensus stops; returns why it did.
pub async fn watch_role(consensus: Consensus, view: MetadataView, role: watch::Sender<Role>) -> exit::Fatal {
    let mut metrics = consensus.raft().metrics();
    let mut applied = view.applied();
    loop {
        let now = metrics.borrow_watched().clone();
        if let Err(fatal) = &now.running_state {
            role.send_replace(Role::default());
            return match fatal {
                Fatal::StorageError(error) => exit::Fatal::StorageFailed(error.to_string()),
                fatal => exit::Fatal::ConsensusStopped(fatal.to_string()),
            };
        }
        let next = current_role(&now, &view);
        let changed = role.send_if_modified(|role| {
            let changed = *role != next;
            if changed {
                role.clone_from(&next);
            }
            changed
        });
        if changed {
            let leader = next.leader.as_ref().map(|leader| leader.address.as_str());
            tracing::info!(term = next.term, active = next.active, leader, "role");
        }
        let closed = tokio::select! {
            changed = metrics.changed() => changed.is_err(),
            changed = applied.changed(), if !next.active => changed.is_err(),
        };
        if closed {
            role.send_replace(Role::default());
            return exit::Fatal::ConsensusStopped("it ended without a word".to_owned());
        }
    }
}

fn current_role(metrics: &RaftMetrics<TypeConfig>, view: &MetadataView) -> Role {
    let leader = metrics.current_leader.and_then(|id| {
        let node: &BasicNode = metrics.membership_config.get_node(&id)?;
        Some(ControllerHint { id: ControllerId(id), address: node.addr.clone() })
    });
    let applied = *view.applied().borrow();
    let leads = metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id);
    let caught_up = applied.term == metrics.current_term && applied.leader == metrics.id;
    let votes = metrics.membership_config.voter_ids().any(|id| id == metrics.id);
    Role { term: metrics.current_term, active: leads && caught_up && votes, leader }
}
