//! The active controller's part: answers those who want to join, finishes changes that were cut in two, and forgets
//! learners that nobody waits for.

use std::time::Duration;

use holdfast_proto::{
    convert::{check_peer, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, DirectoryId},
    v1::{JoinQuorumRequest, JoinQuorumResponse},
};

use super::{
    operator::Operator,
    policy::{Asks, Step, abandoned, decide, left_over},
    proof::{Doubt, Listening, Member, check_move},
    seen::Seen,
    turn::{Turn, Turns},
};
use crate::{
    lineage::recovered_from_wire,
    node::Node,
    peers::Peers,
    raft::{Change, Reach, Sighting},
};

/// How often the active controller looks for a change that was cut in two.
const LOOK: Duration = Duration::from_millis(500);

/// See the module. Clones share one turn: there is one change at a time.
#[derive(Clone)]
pub(crate) struct Keeper {
    peers: Peers,
    reach: Reach,
    turns: Turns,
}

impl Keeper {
    pub(crate) fn new(node: Node, peers: Peers, reach: Reach) -> Self {
        Self { peers, reach, turns: Turns::new(node) }
    }

    /// The operator's part of the same quorum.
    pub(crate) fn operator(&self) -> Operator {
        Operator { turns: self.turns.clone() }
    }

    /// Takes at most one step for a controller that wants to vote, and says how far it is.
    pub(crate) async fn join(&self, request: JoinQuorumRequest) -> Result<JoinQuorumResponse, ErrorDetail> {
        let cluster_id = self.peers.data.cluster_id().ok_or_else(|| {
            ErrorDetail::new(ErrorCode::NotController, "this controller belongs to no cluster yet; ask another one")
        })?;
        check_peer(request.header, cluster_id, self.turns.node.id(), true)?;
        // Asked for in the request so that a later rule can tell folders apart; a wrong length is a wrong caller.
        let directory_id: DirectoryId = required_id(&request.directory_id, "directory_id")?;
        if request.node_id == 0 {
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, "'node_id' is 0"));
        }
        let recovered = recovered_from_wire(request.recovered.as_ref());
        self.peers.lineages.unless_lower(request.node_id, recovered)?;
        let asks = Asks { id: request.node_id, address: request.address, voted: request.voted };
        self.turns.node.check_active()?;
        let Some(mut turn) = self.turns.try_take() else {
            return Ok(waiting(0, 0, "another change of the quorum is under way"));
        };
        let (members, seen) = self.turns.look();
        let lag = seen.last_log;
        let (change, next) = match decide(&seen, &asks, &self.turns.policy()) {
            Step::Votes => return Ok(JoinQuorumResponse { voter: true, ..JoinQuorumResponse::default() }),
            Step::Removed { replaced_by } => {
                return Ok(JoinQuorumResponse { removed: true, replaced_by, ..JoinQuorumResponse::default() });
            }
            Step::Unlisted { why, not_missed } => return Ok(JoinQuorumResponse { not_missed, ..waiting(0, 0, &why) }),
            Step::Wait { lag, held_by, why } => return Ok(waiting(lag, held_by, &why)),
            Step::Finish => (Change::Finish, "the last change of the quorum was finished first"),
            Step::SetAddress { from } => match self.prove(&mut turn, &seen, cluster_id, &asks, &from).await {
                Ok(change) => (change, "its address in the membership was changed"),
                Err(why) => return Ok(waiting(0, 0, &why)),
            },
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
                    "the learner has caught up: it votes from now on, in place of the controller that is gone if one is"
                );
                (Change::Promote { id: asks.id, instead_of, forget }, "it was made a voter")
            }
        };
        self.turns.change(turn, members, change).await?;
        Ok(waiting(lag, 0, next))
    }

    /// Finishes what an earlier active controller left half done, while this one is active. Never ends.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.turns.node.is_active() {
                continue;
            }
            let Some(mut turn) = self.turns.try_take() else { continue };
            let (members, seen) = self.turns.look();
            let policy = self.turns.policy();
            let forget = left_over(&seen, &policy);
            if let Some(report) = abandoned(&seen, &policy)
                && turn.abandoned.is_new(&report)
            {
                tracing::warn!("{report}");
            }
            let change = if members.joint {
                tracing::info!("finishing a change of the quorum that was left half done");
                Change::Finish
            } else if let Some(change) = self.own_move(&mut turn, &seen).await {
                change
            } else if !forget.is_empty() {
                tracing::info!(
                    ?forget,
                    "forgetting learners that are gone, and whose places are held or are none any more"
                );
                Change::Forget(forget)
            } else {
                continue;
            };
            // The reason is logged; the next look tries again.
            let _ = self.turns.change(turn, members, change).await;
        }
    }

    /// The change of this controller's own address, if the membership has another one.
    async fn own_move(&self, turn: &mut Turn, seen: &Seen) -> Option<Change> {
        let cluster_id = self.peers.data.cluster_id()?;
        let asks = Asks { id: seen.own_id, address: self.peers.config.own_address().to_owned(), voted: true };
        let Step::SetAddress { from } = decide(seen, &asks, &self.turns.policy()) else { return None };
        self.prove(turn, seen, cluster_id, &asks, &from).await.ok()
    }

    /// The change of a member's address, once both addresses were asked. The error says why it stays.
    async fn prove(
        &self,
        turn: &mut Turn,
        seen: &Seen,
        cluster_id: ClusterId,
        asks: &Asks,
        from: &str,
    ) -> Result<Change, String> {
        let identify = async {
            if asks.id == self.turns.node.id() {
                let incarnation = self.peers.data.incarnation_id().to_bytes().to_vec();
                let address = asks.address.clone();
                return Ok(Sighting { address, node_id: asks.id, incarnation, last_log: seen.last_log });
            }
            self.peers.identify(&asks.address, cluster_id).await
        };
        let (old, new) = tokio::join!(self.peers.identify(from, cluster_id), identify);
        // As it is now: one that is silent at its old address may have been heard there while it was asked. But what it
        // acknowledged meanwhile its new address need not have had when that was asked.
        let (_, now) = self.turns.look();
        let listening = Listening {
            heard_ms_ago: self.reach.heard_ms_ago(asks.id, from).map(|ms| self.turns.node.active_ms(ms)),
            active_ms: now.active_ms,
            silent_ms: self.turns.policy().silent_ms,
        };
        // It calls itself at no address.
        let listening = Some(listening).filter(|_| asks.id != now.own_id);
        let member = Member { id: asks.id, address: from, matched: seen.matched(asks.id), listening };
        match check_move(&member, &old, &new) {
            Ok(()) => {
                tracing::info!(
                    node_id = asks.id,
                    from,
                    to = asks.address,
                    "a controller is at another address: the \
                    membership is changed"
                );
                Ok(Change::SetAddress { id: asks.id, address: asks.address.clone() })
            }
            Err(Doubt::Unproved(why)) => Err(why),
            Err(Doubt::Copy(why)) => {
                if turn.copies.is_new(&why) {
                    tracing::error!(node_id = asks.id, "{why}");
                }
                Err(why)
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

    use crate::{Controller, config::Config, raft::Members, run};

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
