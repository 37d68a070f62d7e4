//! Which replicas this broker holds, and the life of each: opened, told its state, closed, deleted. Pure.
//!
//! Place: the session's actor feeds it with metadata and with what became of its effects, and carries the effects out, in
//! order. The simulation drives it the same way.
//!
//! ```text
//!            assigned            log open       deleted, or moved away         folder gone
//!   (none) ───────────▶ Opening ──────────▶ Open ─────────────────▶ Deleting ────────────▶ (none)
//!   Recovered ─────────────────────────────▲ ▲
//!   (log opened at start) ── assigned ───────┘          not in the metadata: a stray, closed and kept
//!
//!   Opening ── cannot be opened ──▶ Unopened ── topic deleted ──▶ Deleting
//!                      (found at start) ▲ └──── assigned ───────▶ Opening
//!
//!             not vouched for                        committed so, and another leads and answers
//!   Open ──────────────────────▶ Closing ──▶ Distrusted ──────────────────────────────▶ Opening, empty
//!   (found at start) ────────────────────────▲
//! ```
//!
//! Invariants:
//! 1. A folder is deleted for a committed reason alone: the deletion of the partition's topic id, or a state of the
//!    partition that names other replicas (a move is over, and its records stand on all of these). Absence is no reason.
//! 2. A state counts as the second reason only if it is at least as new as the replica itself: its partition epoch is not
//!    below the one that the replica was told last, nor its leader epoch below any in the replica's log. Otherwise the
//!    metadata has gone back, and the folder is kept as a stray. So it is if the controllers were recovered since the newest
//!    epoch that the replica knows: every state is newer then, and none says that its records stand elsewhere. Who was placed
//!    here since knows an epoch of since.
//! 3. A partition that is being opened or deleted is looked at again when that is done, with the metadata of then.
//! 4. A replica that this broker does not vouch for begins again, empty, only once the controllers have committed that it
//!    is not believed, in a state that is newer than any that the closed one was told: until then an ISR change may still be
//!    under way that counts on what it held, also where it was not believed before, for what it had copied since counts.
//!    And only where another leads and has answered in that leadership, for else there is nobody to copy from: the metadata
//!    names a leader that is dead as long as nobody has noticed. Until then what is left of it stays as it is. Where an
//!    operator let the partition go on with it, after it was closed, it goes on with what can be read of it. The controllers
//!    forget that they do not believe it when the replica leaves: if it comes back at once they are told again. Left for good,
//!    its folder is deleted once somebody leads, whatever its epochs; but not if the controllers were recovered and nothing says
//!    that it was told a state of since: it may be the last trace of what moved here under the lost metadata.
//!
//! Snapshots keep the newest 100,000 ids of deleted topics: of one that was deleted longer ago the replicas are strays.

use std::{collections::BTreeMap, ops::RangeInclusive};

use holdfast_metadata::{Image, PartitionState, recovery, trust::PartitionRecovery};
use holdfast_proto::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition};
use holdfast_replication::Assignment;

use crate::here::{assignment, image_follower::Changed};

/// What a replica knows of its partition's past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownEpochs {
    /// Partition epoch of the last assignment that it was told; `None` before the first.
    pub partition_epoch: Option<PartitionEpoch>,
    /// Latest leader epoch in its log, or that it was told.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// The newest state that a replica which is not vouched for may have been told before it was closed: only a newer one says
/// that nobody counts on it any more. `None` if it was told nothing in this start.
pub type ClosedAt = Option<PartitionEpoch>;

/// Who leads a partition, and in which leader epoch.
pub type Leadership = (BrokerId, LeaderEpoch);

/// True if `state` says that the controllers do not count on the replica of `own` that was closed at `closed_at`.
pub fn is_told(state: &PartitionState, own: BrokerId, closed_at: ClosedAt) -> bool {
    let is_newer = closed_at.is_none_or(|closed_at| state.partition_epoch > closed_at);
    is_newer && state.distrusted.iter().any(|distrust| distrust.broker_id == own)
}

/// True if the partition is led by the replica of `own` for an operator let it go on with that one.
pub fn is_recovered(image: &Image, own: BrokerId, partition: TopicPartition) -> bool {
    image.partition(partition).is_some_and(|state| {
        let is_it = |recovery: &PartitionRecovery| {
            (recovery.topic_id, recovery.partition) == (partition.topic_id, partition.partition)
                && (recovery.broker_id, recovery.leader_epoch) == (own, state.leader_epoch)
        };
        state.leader == Some(own) && image.recoveries().iter().any(is_it)
    })
}

/// What happened, as the roster has to know.
#[derive(Debug)]
pub enum Event<'a> {
    /// Newer metadata, and what of it changed.
    Metadata(&'a Changed),
    /// A log was opened, and its replica runs.
    Opened(TopicPartition),
    /// The folder of a replica that has left is gone. The partition may have come back meanwhile: it then begins empty.
    Deleted(TopicPartition),
    /// The log of a replica that was set aside, or is not vouched for, is closed. The partition may have been placed here
    /// again meanwhile.
    Closed(TopicPartition),
    /// This broker does not vouch for the open replica any more.
    Distrusted(TopicPartition),
    /// The log of the open replica takes nothing any more, and is to be opened again.
    Reopen(TopicPartition),
    /// The log cannot be opened, and not for want of anything that may come: the broker does not vouch for it.
    OpenFailed(TopicPartition),
    /// The leader that was asked has answered that it leads, in this leadership.
    LeaderAnswered(TopicPartition, Leadership),
    /// The log cannot be opened, nothing is said against its records, and it is not tried any more.
    NotOpened(TopicPartition),
    /// The broker stops: nothing is opened or deleted any more.
    Closing,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open the log, or create it; then [`Event::Opened`].
    Open(TopicPartition),
    /// Start the replica on the log that was opened at start; then [`Event::Opened`].
    Adopt(TopicPartition),
    /// Close the replica and open its log again; then [`Event::Opened`].
    Reopen(TopicPartition),
    /// Ask the leader of a replica that is not vouched for whether it is there, again and again while the metadata names this
    /// leadership; then [`Event::LeaderAnswered`].
    AskLeader(TopicPartition, Leadership),
    /// Set aside what is left of a replica that is not vouched for, and open an empty one; then [`Event::Opened`].
    Renew(TopicPartition),
    /// Open what can be read of a replica that is not vouched for, up to where it is damaged, for an operator let the partition
    /// go on with it: nobody holds more; then [`Event::Opened`].
    Salvage(TopicPartition),
    /// Close a replica that is not vouched for, if it is open, and note durably that it is not; then [`Event::Closed`], and
    /// the controllers are to be told.
    Distrust(TopicPartition, ClosedAt),
    /// Tell the controllers again that this broker does not vouch for this replica: they know it no more, or not yet.
    TellAgain(TopicPartition, ClosedAt),
    /// Tell the open replica its state.
    Assign {
        /// Which replica; it is open.
        partition: TopicPartition,
        /// Its state and settings, as committed.
        assignment: Box<Assignment>,
        /// True while a move brings it here: the limit for moves counts for it.
        is_arriving: bool,
    },
    /// Close the replica or the log, and keep the folder: the metadata does not place it here, and no deletion of it was
    /// committed; then [`Event::Closed`].
    CloseStray(TopicPartition),
    /// Close the replica, if it is open, and delete its folder; then [`Event::Deleted`].
    Delete(TopicPartition, Reason),
}

/// Why a replica leaves for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The deletion of its topic was committed.
    TopicDeleted,
    /// This state was committed, which names other replicas. An open replica is told before it is closed: a leader answers
    /// the producers that wait, and sends followers away.
    MovedAway(Box<Assignment>),
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Opened at start, not yet known to be assigned. With the latest leader epoch in its log.
    Recovered(Option<LeaderEpoch>),
    Opening,
    /// There, and not opened: it could not be looked at.
    Unopened,
    Open,
    Deleting,
    /// A stray, being closed: no second replica is opened on a folder while the first may still write to it.
    Closing,
    /// Not vouched for, and being closed.
    Distrusting(ClosedAt),
    /// Not vouched for, and closed. With the leadership of which it was asked whether it is there.
    Distrusted(ClosedAt, Option<Leadership>),
}

/// The replicas of one broker. See the module.
#[derive(Debug)]
pub struct Roster {
    own: BrokerId,
    slots: BTreeMap<TopicPartition, Slot>,
    is_closing: bool,
}

impl Roster {
    /// The roster of broker `own`, with no replicas yet.
    pub fn new(own: BrokerId) -> Self {
        Self { own, slots: BTreeMap::new(), is_closing: false }
    }

    /// A log that was opened at start, with the latest leader epoch in it. Comes before any event.
    pub fn recovered(&mut self, partition: TopicPartition, latest_epoch: Option<LeaderEpoch>) {
        self.slots.insert(partition, Slot::Recovered(latest_epoch));
    }

    /// A replica that the broker does not vouch for since its start; its log is not open. Comes before any event.
    pub fn distrusted(&mut self, partition: TopicPartition) {
        self.slots.insert(partition, Slot::Distrusted(None, None));
    }

    /// A replica that this start could not look at. Comes before any event.
    pub fn unread(&mut self, partition: TopicPartition) {
        self.slots.insert(partition, Slot::Unopened);
    }

    /// Takes one event and appends what follows. `known` tells what an open replica knows at this moment.
    pub fn step(
        &mut self,
        image: &Image,
        event: &Event<'_>,
        known: impl Fn(TopicPartition) -> KnownEpochs,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_closing {
            return;
        }
        match event {
            Event::Metadata(changed) => {
                let is_whole = matches!(changed, Changed::All);
                for partition in self.touched(image, changed) {
                    self.look_at(image, partition, is_whole, &known, effects);
                }
            }
            Event::Opened(partition) => {
                self.slots.insert(*partition, Slot::Open);
                self.look_at(image, *partition, false, &known, effects);
            }
            Event::Deleted(partition) | Event::Closed(partition) => {
                match (event, self.slots.get(partition)) {
                    (Event::Closed(_), Some(Slot::Distrusting(closed_at))) => {
                        self.slots.insert(*partition, Slot::Distrusted(*closed_at, None));
                    }
                    _ => _ = self.slots.remove(partition),
                }
                self.look_at(image, *partition, false, &known, effects);
            }
            Event::LeaderAnswered(partition, by) => self.answered(image, *partition, *by, &known, effects),
            Event::Distrusted(partition) => {
                if matches!(self.slots.get(partition), Some(Slot::Recovered(_) | Slot::Open)) {
                    let closed_at = image.partition(*partition).map(|state| state.partition_epoch);
                    self.distrust(*partition, closed_at, effects);
                }
            }
            Event::Reopen(partition) => {
                if matches!(self.slots.get(partition), Some(Slot::Open)) {
                    self.slots.insert(*partition, Slot::Opening);
                    effects.push(Effect::Reopen(*partition));
                }
            }
            // What never ran was told nothing, and told nobody anything.
            Event::OpenFailed(partition) => self.distrust(*partition, None, effects),
            Event::NotOpened(partition) => {
                self.slots.insert(*partition, Slot::Unopened);
                self.look_at(image, *partition, false, &known, effects);
            }
            Event::Closing => {
                self.is_closing = true;
                self.slots.clear();
            }
        }
    }

    /// The partitions that a change may concern, in order, each once. The work is that of the change, not of all that is
    /// held: every delta comes by here.
    fn touched(&self, image: &Image, changed: &Changed) -> Vec<TopicPartition> {
        let own = self.own;
        let mut partitions: Vec<TopicPartition> = match changed {
            Changed::All => {
                let assigned = image.partitions_of(own).map(|(partition, ..)| partition);
                assigned.chain(self.slots.keys().copied()).collect()
            }
            Changed::Some { partitions, topics, move_limit } => {
                let held = topics.iter().flat_map(|topic| self.slots.range(all_of(*topic))).map(|(held, _)| held);
                let mut touched: Vec<_> = partitions.iter().chain(held).copied().collect();
                if *move_limit {
                    let arriving = image.partitions_of(own).filter(|(_, _, state)| state.adding.contains(&own));
                    touched.extend(arriving.map(|(partition, ..)| partition));
                }
                touched
            }
        };
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    fn look_at(
        &mut self,
        image: &Image,
        partition: TopicPartition,
        is_whole: bool,
        known: &impl Fn(TopicPartition) -> KnownEpochs,
        effects: &mut Vec<Effect>,
    ) {
        if image.deleted_topics().contains(&partition.topic_id) {
            return self.delete(partition, Reason::TopicDeleted, effects);
        }
        let topic = image.topic(partition.topic_id);
        match topic.and_then(|topic| Some((topic, topic.partition(partition.partition)?))) {
            Some((topic, state)) if state.replicas.contains(&self.own) => {
                let is_arriving = state.adding.contains(&self.own);
                if let Some(Slot::Distrusted(closed_at, asked)) = self.slots.get(&partition) {
                    return self.renew(image, partition, state, (*closed_at, *asked), effects);
                }
                let assignment = || Box::new(assignment::of(image.version(), topic, state));
                self.keep(partition, assignment, is_arriving, effects);
            }
            Some((topic, state)) if self.may_leave(partition, state, known) => {
                let state = assignment::of(image.version(), topic, state);
                self.delete(partition, Reason::MovedAway(Box::new(state)), effects);
            }
            _ => self.close_stray(partition, is_whole, effects),
        }
    }

    fn keep(
        &mut self,
        partition: TopicPartition,
        assignment: impl FnOnce() -> Box<Assignment>,
        is_arriving: bool,
        effects: &mut Vec<Effect>,
    ) {
        let effect = match self.slots.get(&partition) {
            Some(Slot::Open) => {
                return effects.push(Effect::Assign { partition, assignment: assignment(), is_arriving });
            }
            Some(Slot::Opening | Slot::Deleting | Slot::Closing | Slot::Distrusting(_) | Slot::Distrusted(..)) => {
                return;
            }
            Some(Slot::Recovered(_)) => Effect::Adopt(partition),
            Some(Slot::Unopened) | None => Effect::Open(partition),
        };
        self.slots.insert(partition, Slot::Opening);
        effects.push(effect);
    }

    fn distrust(&mut self, partition: TopicPartition, closed_at: ClosedAt, effects: &mut Vec<Effect>) {
        self.slots.insert(partition, Slot::Distrusting(closed_at));
        effects.push(Effect::Distrust(partition, closed_at));
    }

    /// Asks the leader, if it is committed that a replica is not vouched for and there is somebody to copy from, so that it begins
    /// again; or lets it go on with what is left of it if an operator said so.
    fn renew(
        &mut self,
        image: &Image,
        partition: TopicPartition,
        state: &PartitionState,
        (closed_at, asked): (ClosedAt, Option<Leadership>),
        effects: &mut Vec<Effect>,
    ) {
        let is_committed = is_told(state, self.own, closed_at);
        let leads = state.leader.filter(|leader| *leader != self.own).map(|leader| (leader, state.leader_epoch));
        let is_newer = closed_at.is_none_or(|closed_at| state.partition_epoch > closed_at);
        if let Some(leadership) = leads.filter(|_| is_committed) {
            if asked != Some(leadership) {
                self.slots.insert(partition, Slot::Distrusted(closed_at, Some(leadership)));
                effects.push(Effect::AskLeader(partition, leadership));
            }
        } else if is_newer && is_recovered(image, self.own, partition) {
            self.slots.insert(partition, Slot::Opening);
            effects.push(Effect::Salvage(partition));
        } else if !is_committed {
            effects.push(Effect::TellAgain(partition, closed_at));
        }
    }

    /// The leader is there: the replica begins again, if all is as it was when the leader was asked.
    fn answered(
        &mut self,
        image: &Image,
        partition: TopicPartition,
        by: Leadership,
        known: &impl Fn(TopicPartition) -> KnownEpochs,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Slot::Distrusted(closed_at, Some(asked))) = self.slots.get(&partition).copied() else { return };
        if asked != by {
            return;
        }
        let is_as_asked = |state: &PartitionState| {
            let leads = (state.leader, state.leader_epoch) == (Some(by.0), by.1);
            leads && state.replicas.contains(&self.own) && is_told(state, self.own, closed_at)
        };
        if image.partition(partition).is_some_and(is_as_asked) {
            self.slots.insert(partition, Slot::Opening);
            effects.push(Effect::Renew(partition));
        } else {
            self.slots.insert(partition, Slot::Distrusted(closed_at, None));
            self.look_at(image, partition, false, known, effects);
        }
    }

    fn delete(&mut self, partition: TopicPartition, reason: Reason, effects: &mut Vec<Effect>) {
        let is_here =
            |slot: &Slot| matches!(slot, Slot::Open | Slot::Recovered(_) | Slot::Distrusted(..) | Slot::Unopened);
        if self.slots.get(&partition).is_some_and(is_here) {
            self.slots.insert(partition, Slot::Deleting);
            effects.push(Effect::Delete(partition, reason));
        }
    }

    /// A log that was recovered is a stray only once a whole image does not know it: changes alone tell too little.
    fn close_stray(&mut self, partition: TopicPartition, is_whole: bool, effects: &mut Vec<Effect>) {
        match self.slots.get(&partition) {
            Some(Slot::Open) => {}
            Some(Slot::Recovered(_)) if is_whole => {}
            _ => return,
        }
        self.slots.insert(partition, Slot::Closing);
        effects.push(Effect::CloseStray(partition));
    }

    /// True if `state`, which does not name this broker, is at least as new as what stands here.
    fn may_leave(
        &self,
        partition: TopicPartition,
        state: &PartitionState,
        known: &impl Fn(TopicPartition) -> KnownEpochs,
    ) -> bool {
        match self.slots.get(&partition) {
            Some(Slot::Open) => is_as_new(state, known(partition)),
            Some(Slot::Recovered(latest)) => {
                is_as_new(state, KnownEpochs { partition_epoch: None, leader_epoch: *latest })
            }
            // Nothing to delete yet, or any more.
            Some(Slot::Opening | Slot::Deleting | Slot::Closing | Slot::Distrusting(_)) | None => true,
            // What it knew is not read any more. While nobody leads it may be the last trace of something.
            Some(Slot::Distrusted(closed_at, _)) => {
                let known = closed_at.unwrap_or(PartitionEpoch(0));
                state.leader.is_some() && !recovery::is_between_states(known, state.partition_epoch)
            }
            // What it knows was not read yet, and nothing is said against it: only the deletion of its topic ends it.
            Some(Slot::Unopened) => false,
        }
    }
}

/// Every partition of a topic.
fn all_of(topic_id: TopicId) -> RangeInclusive<TopicPartition> {
    let at = |partition| TopicPartition { topic_id, partition: PartitionIndex(partition) };
    at(0)..=at(u32::MAX)
}

/// True if a committed state is not older than what a replica knows, and of the same metadata.
fn is_as_new(state: &PartitionState, known: KnownEpochs) -> bool {
    known.partition_epoch.is_none_or(|known| known <= state.partition_epoch)
        && known.leader_epoch.is_none_or(|known| known <= state.leader_epoch)
        && known.leader_epoch.is_none_or(|known| !recovery::is_between(known, state.leader_epoch))
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
