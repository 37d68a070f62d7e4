//! The in-sync replicas of a leader, and its proposals to change them (KIP-497).
//!
//! ```text
//!               expand                              metadata with a newer partition epoch
//!   Committed ──────────▶ PendingExpand ──────────────────────────────▶ Committed
//!       │                     │  refused, and no attempt in doubt ─────▶ Committed (after a pause)
//!       │ shrink              │  refused, but an attempt is in doubt: the committed ISR itself is proposed,
//!       ▼                     ▼  whose commit makes every older proposal stale
//!   PendingShrink ─────────────────────────────────────────────────────▶ Committed
//! ```
//!
//! Invariants:
//! 1. The maximal ISR (committed, with the joiner of a proposal that may have been committed) is a superset of what the
//!    controller holds: any replica that may be elected is waited for.
//! 2. A joiner leaves the maximal ISR only when no attempt to add it can still be committed: all were answered with a
//!    definite refusal, or a newer partition epoch is known. A proposal that got lost may be held somewhere and arrive
//!    later, so one attempt of unknown outcome is enough to keep the joiner.
//! 3. One proposal is in flight at a time.
//!
//! The controller has to commit a new partition epoch for every accepted proposal, also one that equals the committed
//! ISR. If it does not, a refused joiner with an attempt in doubt holds the high watermark until it returns: safe, and
//! slow.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, Millis, PartitionEpoch},
};

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Sent; after the deadline its outcome counts as unknown.
    InFlight { deadline: Millis },
    /// To be sent again at this time, unless metadata resolves it before.
    RetryAt(Millis),
}

/// A proposal that is not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) stage: Stage,
    /// True if some attempt may still be committed although no answer said so.
    pub(crate) in_doubt: bool,
}

/// The ISR with at most one change on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IsrState {
    /// As the controller committed it.
    Committed,
    /// A replica is to join.
    PendingExpand {
        joiner: BrokerId,
        proposal: Proposal,
        /// True if the joiner was refused or has restarted while an attempt is in doubt: the committed ISR is proposed
        /// instead, to make older proposals stale.
        withdraw: bool,
    },
    /// Replicas are to leave.
    PendingShrink { leaving: Vec<BrokerId>, proposal: Proposal },
}

/// What to do with the answer to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// The controller holds another state than this leader thought: metadata will tell.
    AwaitMetadata,
    /// Perhaps committed, or yet to be: the proposal is tried again, and the maximal ISR stays as it is.
    InDoubt,
    /// Accepted, and yet the partition epoch is the old one: metadata will tell, or it is tried again.
    TryAgain,
    /// Certainly not committed; not to be repeated as it is.
    Revert,
}

/// The ISR of a leader.
#[derive(Clone, Debug)]
pub(crate) struct Isr {
    committed: Vec<BrokerId>,
    partition_epoch: PartitionEpoch,
    state: IsrState,
    /// Not before this a new change is proposed.
    quiet_until: Option<Millis>,
}

impl Isr {
    pub(crate) fn new(committed: Vec<BrokerId>, partition_epoch: PartitionEpoch) -> Self {
        Self { committed, partition_epoch, state: IsrState::Committed, quiet_until: None }
    }

    /// The controller committed a newer state: whatever was proposed from an older one is resolved.
    pub(crate) fn commit(&mut self, committed: Vec<BrokerId>, partition_epoch: PartitionEpoch) {
        assert!(partition_epoch > self.partition_epoch, "{partition_epoch} after {}", self.partition_epoch);
        self.committed = committed;
        self.partition_epoch = partition_epoch;
        self.state = IsrState::Committed;
    }

    pub(crate) fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    pub(crate) fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    pub(crate) fn state(&self) -> &IsrState {
        &self.state
    }

    /// The end of the pause after a refusal.
    pub(crate) fn quiet_until(&self) -> Option<Millis> {
        self.quiet_until
    }

    /// True if no pause forbids a new proposal at `now`; a pause that has ended is forgotten.
    pub(crate) fn may_propose(&mut self, now: Millis) -> bool {
        self.quiet_until = self.quiet_until.filter(|until| now < *until);
        self.quiet_until.is_none()
    }

    /// Committed ISR united with the joiner that is proposed.
    pub(crate) fn maximal(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.committed.iter().copied().chain(self.joiner())
    }

    /// The replica whose joining may have been committed.
    pub(crate) fn joiner(&self) -> Option<BrokerId> {
        match &self.state {
            IsrState::PendingExpand { joiner, .. } => Some(*joiner),
            IsrState::Committed | IsrState::PendingShrink { .. } => None,
        }
    }

    /// Begins a change; the state is `Committed`.
    pub(crate) fn begin(&mut self, state: IsrState) {
        assert_eq!(self.state, IsrState::Committed, "two ISR changes at once");
        self.state = state;
    }

    /// Gives a change up that was certainly not committed.
    pub(crate) fn revert(&mut self, quiet_until: Option<Millis>) {
        self.state = IsrState::Committed;
        self.quiet_until = quiet_until;
    }

    pub(crate) fn proposal_mut(&mut self) -> Option<&mut Proposal> {
        match &mut self.state {
            IsrState::Committed => None,
            IsrState::PendingExpand { proposal, .. } | IsrState::PendingShrink { proposal, .. } => Some(proposal),
        }
    }

    /// From now on the committed ISR is proposed instead of the joiner.
    pub(crate) fn withdraw(&mut self) {
        if let IsrState::PendingExpand { withdraw, .. } = &mut self.state {
            *withdraw = true;
        }
    }

    /// The members to propose, without their broker epochs.
    pub(crate) fn proposed(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let (joiner, leaving): (Option<BrokerId>, &[BrokerId]) = match &self.state {
            IsrState::Committed => (None, &[]),
            IsrState::PendingExpand { joiner, withdraw, .. } => ((!withdraw).then_some(*joiner), &[]),
            IsrState::PendingShrink { leaving, .. } => (None, leaving),
        };
        self.committed.iter().copied().filter(move |member| !leaving.contains(member)).chain(joiner)
    }

    /// The answer to the proposal that started from `partition_epoch`. Answers to older ones say nothing: they are
    /// resolved. `slow_ms` and `fast_ms` are the pauses before the next attempt.
    pub(crate) fn answered(
        &mut self,
        partition_epoch: PartitionEpoch,
        refusal: Option<ErrorCode>,
        now: Millis,
        fast_ms: u64,
        slow_ms: u64,
    ) {
        if partition_epoch != self.partition_epoch {
            return;
        }
        let Some(proposal) = self.proposal_mut() else { return };
        match refusal.map_or(Reaction::TryAgain, reaction_to) {
            Reaction::AwaitMetadata => proposal.stage = Stage::RetryAt(now.plus(slow_ms)),
            Reaction::TryAgain => proposal.stage = Stage::RetryAt(now.plus(fast_ms)),
            Reaction::InDoubt => {
                proposal.in_doubt = true;
                proposal.stage = Stage::RetryAt(now.plus(fast_ms));
            }
            Reaction::Revert if proposal.in_doubt && self.joiner().is_some() => {
                let again = if self.is_withdrawing() { now.plus(fast_ms) } else { now };
                self.withdraw();
                if let Some(proposal) = self.proposal_mut() {
                    proposal.stage = Stage::RetryAt(again);
                }
            }
            Reaction::Revert => self.revert(Some(now.plus(fast_ms))),
        }
    }

    fn is_withdrawing(&self) -> bool {
        matches!(self.state, IsrState::PendingExpand { withdraw: true, .. })
    }
}

fn reaction_to(code: ErrorCode) -> Reaction {
    match code {
        ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownLeaderEpoch
        | ErrorCode::InvalidUpdateVersion
        | ErrorCode::NotLeaderOrFollower
        | ErrorCode::NewLeaderElected => Reaction::AwaitMetadata,
        ErrorCode::IneligibleReplica
        | ErrorCode::InvalidRequest
        | ErrorCode::StaleBrokerEpoch
        | ErrorCode::BrokerIdNotRegistered
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::UnknownTopicId => Reaction::Revert,
        // Only a decision about this very change leaves no doubt. A controller that lost its place after it had passed
        // the change on says NOT_CONTROLLER; a connection that broke says nothing.
        _ => Reaction::InDoubt,
    }
}

#[cfg(test)]
#[path = "isr_tests.rs"]
mod tests;
