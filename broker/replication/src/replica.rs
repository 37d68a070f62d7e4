//! One replica of one partition: fences, and routes each event to the role.
//!
//! ```text
//!             assignment: leader = us            assignment: leader = another
//!   Waiting ─────────────────────────▶ Leader ──────────────────────────────▶ Follower
//!      ▲                                 │  ▲                                    │
//!      └──── no leader, or not assigned ─┘  └──── each with a new leader epoch ──┘
//!                                any of them ── StorageFailed ──▶ Halted (for good)
//! ```
//!
//! Fencing comes first: what names an older leader epoch is answered with FENCED_LEADER_EPOCH, a newer one with
//! UNKNOWN_LEADER_EPOCH, and neither changes anything. An assignment with an older partition epoch is ignored.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, ProducerId},
};

use crate::{
    answer::FetchReply,
    config::{ReplicaConfig, ReplicaState},
    effect::Effect,
    event::{Assignment, Event, FetchPosition},
    follower::{Follower, FollowerVerdict},
    leader::Leader,
    log::{batch::LogGeneration, local_log::LocalLog},
    turn::Turn,
};

/// What the replica is at the moment.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// No assignment yet, none of this broker, one without a leader, or one that must not be followed.
    Waiting,
    /// It leads in the epoch of the last assignment.
    Leader(Box<Leader>),
    /// It follows the leader of the last assignment.
    Follower(Follower),
    /// Its storage failed, or its promise cannot be kept. Final.
    Halted,
}

/// One replica of one partition. Pure: the same events give the same effects.
///
/// The driver must:
/// 1. execute effects in order;
/// 2. report durability with `LogFlushed`, in order, with the generation of the append;
/// 3. answer each fetch that wants records exactly once with `FetchResponse`, and each proposal with
///    `IsrProposalResult`, also when there is no answer; it does not repeat a proposal by itself;
/// 4. pass on every storage error as `StorageFailed`;
/// 5. after a restart build the state from disk alone;
/// 6. call `step` with `Tick` at [`Replica::next_deadline`] or soon after. Safety does not hang on it.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) config: ReplicaConfig,
    pub(crate) log: LocalLog,
    pub(crate) assignment: Option<Assignment>,
    pub(crate) role: Role,
    /// Time of the last step.
    pub(crate) now: Millis,
}

/// Gives a role its surroundings, without borrowing the role.
macro_rules! turn {
    ($replica:ident, $effects:ident) => {
        Turn { config: &$replica.config, log: &mut $replica.log, now: $replica.now, effects: $effects }
    };
}

impl Replica {
    /// A replica as it starts: it waits for its assignment.
    pub fn new(config: ReplicaConfig, state: ReplicaState) -> Self {
        Self { config, log: LocalLog::new(state), assignment: None, role: Role::Waiting, now: Millis(0) }
    }

    /// Number of producers that it remembers.
    pub fn producer_count(&self) -> usize {
        self.log.producers.len()
    }

    /// True if it remembers this producer.
    pub fn knows_producer(&self, producer_id: ProducerId) -> bool {
        self.log.producers.get(producer_id).is_some()
    }

    /// Handles one event at the time `now` and appends what is to be done to `effects`. Runs to completion.
    pub fn step(&mut self, now: Millis, event: Event, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        match event {
            Event::AssignmentChanged(assignment) => self.assignment_changed(assignment, effects),
            Event::Produce { token, acks, leader_epoch, batch, timeout_ms } => {
                if let Err(code) = self.admit_produce(leader_epoch) {
                    effects.push(Effect::CompleteProduce { token, result: Err(code) });
                } else if let Role::Leader(leader) = &mut self.role {
                    leader.produce(&mut turn!(self, effects), token, acks, &batch, timeout_ms);
                }
            }
            Event::ReplicaFetch { from, broker_epoch, position } => {
                self.replica_fetch(from, broker_epoch, &position, effects);
            }
            Event::ReplicaDisconnected { from } => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.replica_disconnected(from);
                }
            }
            Event::FetchResponse { from, leader_epoch, outcome } => {
                if let Role::Follower(follower) = &mut self.role
                    && let FollowerVerdict::Halt(reason) =
                        follower.fetch_response(&mut turn!(self, effects), from, leader_epoch, outcome)
                {
                    self.halt(reason, effects);
                }
            }
            Event::LogFlushed { generation, offset } => self.log_flushed(generation, offset, effects),
            Event::Truncated { generation, producers } => {
                if self.log.truncated(generation, producers) {
                    match &mut self.role {
                        Role::Leader(leader) => leader.settle(&mut turn!(self, effects)),
                        Role::Follower(follower) => follower.truncated(&mut turn!(self, effects)),
                        Role::Waiting | Role::Halted => {}
                    }
                }
            }
            Event::LogStartChanged { offset } => {
                self.log.advance_start(offset);
            }
            Event::StorageFailed => self.halt("a write or fsync of the log failed", effects),
            Event::IsrProposalResult { leader_epoch, partition_epoch, result } => {
                let refusal = result.as_ref().err().copied();
                if let Ok(assignment) = result {
                    self.assignment_changed(assignment, effects);
                }
                if let Role::Leader(leader) = &mut self.role
                    && leader.leader_epoch == leader_epoch
                {
                    leader.proposal_answered(&mut turn!(self, effects), partition_epoch, refusal);
                }
            }
            Event::SessionLost => {
                // Somebody else may lead by now. A producer that waits should look there; what is still acknowledged
                // here after this is acknowledged by the whole ISR in this epoch, and so is safe.
                if let Role::Leader(leader) = &mut self.role {
                    leader.answer_outcome_unknown(&mut turn!(self, effects));
                }
            }
            Event::ExpireProducers => self.log.producers.expire(self.now),
            Event::Tick => {}
        }
        match &mut self.role {
            Role::Leader(leader) => leader.on_time(&mut turn!(self, effects)),
            Role::Follower(follower) => follower.on_time(&mut turn!(self, effects)),
            Role::Waiting | Role::Halted => {}
        }
    }

    /// Compares an epoch that somebody names with ours (KIP-101, KIP-320).
    fn fence(&self, named: LeaderEpoch) -> Result<(), ErrorCode> {
        match self.leader_epoch() {
            Some(current) if named < current => Err(ErrorCode::FencedLeaderEpoch),
            Some(current) if named == current => Ok(()),
            _ => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    fn fence_optional(&self, named: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        if matches!(self.role, Role::Halted) {
            return Err(ErrorCode::KafkaStorageError);
        }
        named.map_or(Ok(()), |named| self.fence(named))
    }

    fn admit_produce(&self, leader_epoch: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        self.fence_optional(leader_epoch)?;
        match self.role {
            Role::Leader(_) => Ok(()),
            Role::Halted => Err(ErrorCode::KafkaStorageError),
            Role::Waiting | Role::Follower(_) => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    fn replica_fetch(
        &mut self,
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        position: &FetchPosition,
        effects: &mut Vec<Effect>,
    ) {
        let refusal = match (self.fence_optional(Some(position.leader_epoch)), &mut self.role) {
            (Ok(()), Role::Leader(leader)) => {
                return leader.replica_fetch(&mut turn!(self, effects), from, broker_epoch, position);
            }
            (Ok(()), _) => ErrorCode::NotLeaderOrFollower,
            (Err(code), _) => code,
        };
        if position.wants_records {
            effects.push(Effect::ReplyFetch {
                to: from,
                leader_epoch: position.leader_epoch,
                reply: FetchReply::Failed(refusal),
            });
        }
    }

    fn log_flushed(&mut self, generation: LogGeneration, offset: Offset, effects: &mut Vec<Effect>) {
        if !self.log.note_flushed(generation, offset) {
            return;
        }
        match &mut self.role {
            Role::Leader(leader) => leader.settle(&mut turn!(self, effects)),
            Role::Follower(follower) => follower.own_flush_advanced(&mut turn!(self, effects)),
            Role::Waiting | Role::Halted => {}
        }
    }

    fn assignment_changed(&mut self, new: Assignment, effects: &mut Vec<Effect>) {
        if matches!(self.role, Role::Halted) {
            return;
        }
        let old = self.assignment.as_ref();
        if old.is_some_and(|old| new.partition_epoch < old.partition_epoch || new.leader_epoch < old.leader_epoch) {
            return;
        }
        if old.is_some_and(|old| new.partition_epoch == old.partition_epoch) {
            return self.settings_changed(&new, effects);
        }
        let is_same_epoch = old.is_some_and(|old| old.leader_epoch == new.leader_epoch);
        if is_same_epoch
            && old.is_some_and(|old| old.leader.is_some() && new.leader.is_some() && old.leader != new.leader)
        {
            return self.halt("two leaders were assigned in one leader epoch", effects);
        }
        let me = self.config.broker_id;
        let leader = new.leader.filter(|_| new.replicas.contains(&me) && self.may_follow(&new));
        self.assignment = Some(new);
        let Some(assignment) = &self.assignment else { return };
        match (&mut self.role, leader) {
            (Role::Leader(role), Some(leader)) if is_same_epoch && leader == me => {
                role.reassigned(&mut turn!(self, effects), assignment);
                return;
            }
            (Role::Follower(role), Some(leader)) if is_same_epoch && leader == role.leader => {
                role.reassigned(&mut turn!(self, effects), assignment);
                return;
            }
            (Role::Waiting, None) => return,
            (Role::Leader(role), _) => role.end(&mut turn!(self, effects), ErrorCode::NotLeaderOrFollower),
            (Role::Waiting | Role::Follower(_) | Role::Halted, _) => {}
        }
        effects.push(Effect::RoleChanged);
        let mut turn = turn!(self, effects);
        self.role = match leader {
            None => Role::Waiting,
            Some(leader) if leader == me => Role::Leader(Box::new(Leader::begin(&mut turn, assignment))),
            Some(leader) => Role::Follower(Follower::begin(&mut turn, leader, assignment)),
        };
    }

    /// No epoch is led twice: a leader that restarts may have lost records that a follower has already copied, and
    /// would write others in their place under the same epoch, which no divergence check could tell apart. And no epoch
    /// is followed that is older than what stands in our log. Only stale metadata can ask for either.
    fn may_follow(&self, new: &Assignment) -> bool {
        let Some(latest) = self.log.epochs.latest() else { return true };
        let leads_already = matches!(&self.role, Role::Leader(leader) if leader.leader_epoch == new.leader_epoch);
        if new.leader == Some(self.config.broker_id) {
            latest < new.leader_epoch || leads_already
        } else {
            latest <= new.leader_epoch
        }
    }

    /// The same partition epoch again: only the topic's settings can differ, they are not part of that state.
    fn settings_changed(&mut self, new: &Assignment, effects: &mut Vec<Effect>) {
        let Some(known) = &mut self.assignment else { return };
        known.min_insync_replicas = new.min_insync_replicas;
        known.flush_policy = new.flush_policy;
        known.frozen = new.frozen;
        match &mut self.role {
            Role::Leader(leader) => leader.settings_changed(&mut turn!(self, effects), known),
            Role::Follower(follower) => follower.settings_changed(&mut turn!(self, effects), known),
            Role::Waiting | Role::Halted => {}
        }
    }

    fn halt(&mut self, reason: &'static str, effects: &mut Vec<Effect>) {
        if matches!(self.role, Role::Halted) {
            return;
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.end(&mut turn!(self, effects), ErrorCode::KafkaStorageError);
        }
        self.role = Role::Halted;
        effects.push(Effect::RoleChanged);
        effects.push(Effect::Halt { reason });
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
