//! The active controller's part: answers those who want to join, finishes changes that were cut in two, and forgets
//! learners that nobody waits for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use holdfast_proto::{
    convert::{check_peer, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::DirectoryId,
    v1::{JoinQuorumRequest, JoinQuorumResponse},
};

use super::policy::{Asks, Place, Policy, Seen, Step, decide, left_over};
use crate::{
    identity::DataDir,
    node::Node,
    raft::{Change, Members},
};

/// How often the active controller looks for a change that was cut in two.
const LOOK: Duration = Duration::from_millis(500);

/// Since when this controller is active, as far as was looked; held while the membership is changed.
#[derive(Debug, Default)]
struct Turn {
    since: Option<(u64, Instant)>,
}

/// See the module. Clones share one turn: there is one change at a time.
#[derive(Clone)]
pub(crate) struct Keeper {
    node: Node,
    data: Arc<DataDir>,
    turn: Arc<Mutex<Turn>>,
}

impl Keeper {
    pub(crate) fn new(node: Node, data: Arc<DataDir>) -> Self {
        Self { node, data, turn: Arc::default() }
    }

    /// Takes at most one step for a controller that wants to vote, and says how far it is.
    pub(crate) async fn join(&self, request: JoinQuorumRequest) -> Result<JoinQuorumResponse, ErrorDetail> {
        let cluster_id = self.data.cluster_id().ok_or_else(|| {
            ErrorDetail::new(ErrorCode::NotController, "this controller belongs to no cluster yet; ask another one")
        })?;
        check_peer(request.header, cluster_id, self.node.id(), true)?;
        // Asked for in the request so that a later rule can tell folders apart; a wrong length is a wrong caller.
        let directory_id: DirectoryId = required_id(&request.directory_id, "directory_id")?;
        if request.node_id == 0 {
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, "'node_id' is 0"));
        }
        let asks = Asks { id: request.node_id, address: request.address, voted: request.voted };
        self.node.check_active()?;
        let Ok(mut turn) = Arc::clone(&self.turn).try_lock_owned() else {
            return Ok(waiting(0, 0, "another change of the quorum is under way"));
        };
        let (members, seen) = self.look(&mut turn);
        let lag = seen.last_log;
        let (change, next) = match decide(&seen, &asks, &self.policy()) {
            Step::Votes => return Ok(JoinQuorumResponse { voter: true, ..JoinQuorumResponse::default() }),
            Step::Removed { replaced_by } => {
                return Ok(JoinQuorumResponse { removed: true, replaced_by, ..JoinQuorumResponse::default() });
            }
            Step::Refuse(why) => return Err(ErrorDetail::new(ErrorCode::InvalidRequest, why)),
            Step::Wait { lag, held_by, why } => return Ok(waiting(lag, held_by, &why)),
            Step::Finish => (Change::Finish, "the last change of the quorum was finished first"),
            Step::AddLearner => {
                tracing::info!(node_id = asks.id, address = asks.address, %directory_id, "a controller with an empty \
                    disk asks to join: it is added as a learner");
                (Change::AddLearner { id: asks.id, address: asks.address }, "it was added and catches up")
            }
            Step::Promote { instead_of, forget } => {
                tracing::info!(
                    node_id = asks.id,
                    address = asks.address,
                    replaced = instead_of,
                    ?forget,
                    "the learner \
                    has caught up: it votes from now on in place of the controller whose disk is gone"
                );
                (Change::Promote { id: asks.id, instead_of, forget }, "it was made a voter")
            }
        };
        self.change(turn, members, change).await?;
        Ok(waiting(lag, 0, next))
    }

    /// Finishes what an earlier active controller left half done, while this one is active. Never ends.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.node.is_active() {
                continue;
            }
            let Ok(mut turn) = Arc::clone(&self.turn).try_lock_owned() else { continue };
            let (members, seen) = self.look(&mut turn);
            let forget = left_over(&seen, &self.policy());
            let change = if members.joint {
                tracing::info!("finishing a change of the quorum that was left half done");
                Change::Finish
            } else if !forget.is_empty() {
                tracing::info!(?forget, "forgetting learners that are gone, and whose places are held by voters");
                Change::Forget(forget)
            } else {
                continue;
            };
            // The reason is logged; the next look tries again.
            let _ = self.change(turn, members, change).await;
        }
    }

    /// The membership as it is now.
    fn look(&self, turn: &mut Turn) -> (Members, Seen) {
        let term = self.node.role().borrow().term;
        let since = match turn.since {
            Some((known, since)) if known == term => since,
            _ => turn.since.insert((term, Instant::now())).1,
        };
        let members = Members::of(self.node.consensus());
        let places = members.list.iter().cloned().map(|member| Place {
            id: member.id,
            address: member.address,
            voter: member.voter,
            heard_ms_ago: member.heard_ms_ago,
            matched: member.matched,
        });
        let seen = Seen {
            own_id: self.node.id(),
            active_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            last_log: members.last_log,
            joint: members.joint,
            places: places.collect(),
        };
        (members, seen)
    }

    fn policy(&self) -> Policy {
        let config = self.node.config();
        // Twice the longest time without a heartbeat after which a follower gives its leader up.
        Policy { peers: config.peers.clone(), silent_ms: 2 * config.election_timeout_max_ms }
    }

    /// Changes the membership. The turn is held to the end of the change, also if the caller goes away or gives up.
    async fn change(&self, turn: OwnedMutexGuard<Turn>, members: Members, change: Change) -> Result<(), ErrorDetail> {
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
                Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message))
            }
        }
    }
}

fn waiting(lag_entries: u64, replaced_by: u64, why: &str) -> JoinQuorumResponse {
    JoinQuorumResponse { lag_entries, replaced_by, waiting_for: why.to_owned(), ..JoinQuorumResponse::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use holdfast_eventually::eventually;

    use super::*;
    use crate::{Controller, config::Config, run};

    fn alone(folder: &std::path::Path) -> Controller {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let config =
            Config { data_dir: folder.to_owned(), listen: address.clone(), peers: vec![address], ..Config::default() };
        run(config).expect("a controller")
    }

    #[test]
    fn a_change_that_was_cut_in_two_is_finished_by_the_active_controller() {
        let folder = tempfile::tempdir().expect("a folder");
        let controller = alone(folder.path());
        let node = controller.node();
        eventually("the cluster", || node.is_active() && node.cluster_id().is_some());
        let own = node.id();
        // The first half alone, as a leader leaves it if it dies between the two.
        controller.block_on(Members::write_first_half(node.consensus())).expect("the first half");
        eventually("the second half", || !Members::of(node.consensus()).joint);
        let voters: BTreeSet<u64> =
            node.members().into_iter().filter(|member| member.voter).map(|member| member.id).collect();
        assert_eq!(voters, BTreeSet::from([own]));
        controller.stop();
    }
}
