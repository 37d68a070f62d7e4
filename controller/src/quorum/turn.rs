//! One change of the quorum at a time: what is looked at before a change, and the change itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

use super::seen::{Place, Policy, Seen};
use crate::{
    node::Node,
    raft::{Change, Members},
};

/// Longest wait for a change that is under way.
const WAIT: Duration = Duration::from_secs(2);
/// What is wrong is reported again after this time.
const REPEAT_LOG: Duration = Duration::from_mins(1);

/// What is kept from one look to the next; held while the membership is changed.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Of copies of data folders.
    pub(super) copies: Reported,
    /// Of voters that are gone and have no place.
    pub(super) abandoned: Reported,
}

/// What was reported last, of one kind of trouble.
#[derive(Debug, Default)]
pub(super) struct Reported(Option<(String, Instant)>);

impl Reported {
    /// True if this was not reported a moment ago.
    pub(super) fn is_new(&mut self, report: &str) -> bool {
        let is_new = |(last, at): &(String, Instant)| last != report || at.elapsed() >= REPEAT_LOG;
        let is_new = self.0.as_ref().is_none_or(is_new);
        if is_new {
            self.0 = Some((report.to_owned(), Instant::now()));
        }
        is_new
    }
}

/// The right to change the membership. Clones share it.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) node: Node,
    turn: Arc<Mutex<Turn>>,
}

impl Turns {
    /// Of this controller, which has changed nothing yet.
    pub(super) fn new(node: Node) -> Self {
        Self { node, turn: Arc::default() }
    }

    /// The turn, unless a change is under way.
    pub(super) fn try_take(&self) -> Option<OwnedMutexGuard<Turn>> {
        Arc::clone(&self.turn).try_lock_owned().ok()
    }

    /// The turn, after the change that is under way, if that ends soon.
    pub(super) async fn take(&self) -> Result<OwnedMutexGuard<Turn>, ErrorDetail> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turn).lock_owned()).await;
        turn.map_err(|_| ErrorDetail::new(ErrorCode::Overloaded, "another change of the quorum is under way; retry"))
    }

    /// The membership as it is now.
    pub(super) fn look(&self) -> (Members, Seen) {
        let members = Members::of(self.node.consensus());
        let places = members.list.iter().cloned().map(|member| Place {
            id: member.id,
            address: member.address,
            voter: member.voter,
            heard_ms_ago: member.heard_ms_ago,
            silent_ms: member.heard_ms_ago.map(|ms| self.node.active_ms(ms)),
            matched: member.matched,
        });
        let seen = Seen {
            own_id: self.node.id(),
            active_ms: self.node.active_ms(u64::MAX),
            last_log: members.last_log,
            joint: members.joint,
            places: places.collect(),
        };
        (members, seen)
    }

    /// What is asked of the parties.
    pub(super) fn policy(&self) -> Policy {
        let config = self.node.config();
        // Twice the longest time without a heartbeat after which a follower gives its leader up.
        Policy { peers: config.peers.clone(), silent_ms: 2 * config.election_timeout_max_ms }
    }

    /// Changes the membership. The turn is held to the end of the change, also if the caller goes away or gives up.
    pub(super) async fn change(
        &self,
        turn: OwnedMutexGuard<Turn>,
        members: Members,
        change: Change,
    ) -> Result<(), ErrorDetail> {
        let consensus = self.node.consensus().clone();
        let running = tokio::spawn(async move {
            let done = members.change(&consensus, change).await;
            drop(turn);
            done
        });
        let deadline = Duration::from_millis(self.node.config().proposal_timeout_ms);
        match tokio::time::timeout(deadline, running).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => {
                tracing::warn!(error, "the quorum was not changed");
                Err(ErrorDetail::new(ErrorCode::NotController, format!("the quorum was not changed: {error}; retry")))
            }
            Ok(Err(_)) | Err(_) => {
                let message = "the change of the quorum is not committed yet; it may be later".to_owned();
                Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message).with_outcome(Outcome::Unknown))
            }
        }
    }
}
