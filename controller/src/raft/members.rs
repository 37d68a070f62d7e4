//! The membership of the consensus, read and changed.
//!
//! Every change is proposed under the condition that the membership is still the one that was read: of two changes that
//! were decided at the same time one is refused. A change of voters is two entries, the joint and the uniform one; if
//! only the first is written, [`Members::joint`] says so and [`Change::Finish`] writes the second.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use openraft::{BasicNode, ChangeMembers, Instant as _, async_runtime::watch::WatchReceiver as _, raft::Precondition};

use super::{
    consensus::Consensus,
    types::{LogId, TypeConfig},
};

/// One controller of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Raft id: a controller with an empty disk has a new one.
    pub id: u64,
    /// `host:port`, from the entry that added it.
    pub address: String,
    /// True for a voter, of either half while a change is under way.
    pub voter: bool,
    /// True for one that votes also after that.
    pub stays: bool,
    /// On the leader: milliseconds since it acknowledged something, if it did in this leadership.
    pub heard_ms_ago: Option<u64>,
    /// On the leader: the last entry that it is known to have.
    pub matched: Option<u64>,
}

/// The membership as this node's log has it.
#[derive(Clone, Debug)]
pub struct Members {
    /// The entry that set it; `None` before the first.
    version: Option<LogId>,
    /// True while a change of voters is half done.
    pub joint: bool,
    /// Voters and learners, in the order of their ids.
    pub list: Vec<Member>,
    /// Last entry of this node's log.
    pub last_log: u64,
    /// Last entry that a majority has, as the leader told it last; `None` before it did.
    pub committed: Option<u64>,
}

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a learner: it gets the log and has no vote.
    AddLearner {
        /// Raft id of the new controller's data folder.
        id: u64,
        /// `host:port` at which the others reach it.
        address: String,
    },
    /// Makes a learner a voter, in the same step removes a voter, and forgets learners.
    Promote {
        /// The learner that becomes a voter.
        id: u64,
        /// The voter that leaves.
        instead_of: Option<u64>,
        /// Learners that are removed in the same step; may be empty.
        forget: Vec<u64>,
    },
    /// Writes another address of a member; nobody's vote changes. One entry.
    SetAddress {
        /// Raft id of the member.
        id: u64,
        /// `host:port` at which the others reach it from now on.
        address: String,
    },
    /// Removes a voter; the others stay as they are.
    RemoveVoter(u64),
    /// Removes these learners; the voters stay as they are.
    Forget(Vec<u64>),
    /// Writes the second half of a change of voters.
    Finish,
}

impl Members {
    /// What `raft` knows now.
    pub fn of(consensus: &Consensus) -> Self {
        let metrics = consensus.raft().metrics().borrow_watched().clone();
        let membership = &metrics.membership_config;
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let staying = membership.get_joint_config().last();
        let heard = |id: &u64| {
            let at = metrics.heartbeat.as_ref()?.get(id)?.as_ref()?;
            Some(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
        };
        let matched = |id: &u64| Some(metrics.replication.as_ref()?.get(id)?.as_ref()?.index);
        let list = membership.nodes().map(|(id, node)| Member {
            id: *id,
            address: node.addr.clone(),
            voter: voters.contains(id),
            stays: staying.is_some_and(|staying| staying.contains(id)),
            heard_ms_ago: heard(id),
            matched: matched(id),
        });
        Self {
            version: *membership.log_id(),
            joint: membership.get_joint_config().len() > 1,
            list: list.collect(),
            last_log: metrics.last_log_index.unwrap_or(0),
            committed: metrics.cluster_committed.map(|committed| committed.index),
        }
    }

    /// Who is to lead after this node: of the voters that stay and were heard lately the one that is furthest, for it is
    /// ready soonest, and of several the one that was heard last. One that is gone would take nothing, and this one leads no
    /// more once it has handed over.
    pub fn successor(&self, own: u64, heard_within_ms: u64) -> Option<u64> {
        let heard = |member: &&Member| member.heard_ms_ago.is_some_and(|ms| ms < heard_within_ms);
        let others = self.list.iter().filter(|member| member.stays && member.id != own).filter(heard);
        others.max_by_key(|member| (member.matched, Reverse(member.heard_ms_ago))).map(|member| member.id)
    }

    /// True once the log holds a membership.
    pub const fn is_formed(&self) -> bool {
        self.version.is_some()
    }

    /// Proposes a change of exactly this membership and waits until it is committed. Must run to its end: a caller that
    /// may be cancelled spawns it. The error is for the log.
    pub async fn change(self, consensus: &Consensus, change: Change) -> Result<(), String> {
        // A voter that is removed never stays as a learner.
        let (members, retain) = match change {
            Change::AddLearner { id, address } => {
                (ChangeMembers::AddNodes(BTreeMap::from([(id, BasicNode::new(address))])), true)
            }
            Change::Promote { id, instead_of, forget } => {
                let steps = vec![
                    ChangeMembers::AddVoterIds(BTreeSet::from([id])),
                    ChangeMembers::RemoveVoters(instead_of.into_iter().collect()),
                    ChangeMembers::RemoveNodes(forget.into_iter().collect()),
                ];
                (ChangeMembers::Batch(steps), false)
            }
            Change::SetAddress { id, address } => {
                (ChangeMembers::SetNodes(BTreeMap::from([(id, BasicNode::new(address))])), true)
            }
            Change::RemoveVoter(id) => (ChangeMembers::RemoveVoters(BTreeSet::from([id])), false),
            Change::Forget(learners) => (ChangeMembers::RemoveNodes(learners.into_iter().collect()), true),
            Change::Finish => (ChangeMembers::AddVoterIds(BTreeSet::new()), false),
        };
        let unchanged = Precondition::<TypeConfig>::LastMembershipLogId { last_membership_log_id: self.version };
        let changed = consensus.raft().change_membership_if(members, retain, [unchanged]).await;
        changed.map(|_| ()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
impl Members {
    /// Leaves a change of voters half done, as a leader does if it dies between the two entries. Old and new voters
    /// are the same, so that one controller can test it.
    pub(crate) async fn write_first_half(consensus: &Consensus) -> Result<(), String> {
        let metrics = consensus.raft().metrics().borrow_watched().clone();
        let nodes: BTreeMap<u64, BasicNode> =
            metrics.membership_config.nodes().map(|(id, node)| (*id, node.clone())).collect();
        let voters: BTreeSet<u64> = nodes.keys().copied().collect();
        let joint =
            openraft::Membership::new(vec![voters.clone(), voters], nodes).map_err(|error| error.to_string())?;
        let written = consensus.raft().append_membership(joint, openraft::EntryPayload::Blank, []).await;
        written.map(|_| ()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_voter_that_is_heard_takes_the_leadership() {
        let member = |id, voter, heard_ms_ago, matched| {
            let address = format!("c{id}");
            Member { id, address, voter, stays: voter, heard_ms_ago, matched: Some(matched) }
        };
        let list = vec![
            member(1, true, Some(0), 100),
            member(2, true, Some(10), 90),
            member(3, true, Some(10), 95),
            member(4, true, Some(5_000), 100),
            member(5, true, None, 100),
            member(6, false, Some(10), 100),
        ];
        let mut members = Members { version: None, joint: false, list, last_log: 100, committed: None };
        assert_eq!(members.successor(1, 1_000), Some(3));
        members.list.push(member(7, true, Some(5), 95));
        assert_eq!(members.successor(1, 1_000), Some(7), "as far, and heard later");
        members.list[6].stays = false;
        assert_eq!(members.successor(1, 1_000), Some(3), "the other leaves");
        members.list.retain(|member| ![2, 3].contains(&member.id));
        assert_eq!(members.successor(1, 1_000), None, "nobody is heard");
    }
}
