//! One partition's change, from the old state to the new: who is in the ISR, who stays eligible, who leads, which
//! epochs grow. Every command that touches a partition goes through here, so that the rules stand in one place.
//!
//! 1. A replica that leaves an ISR that then has fewer than min ISR members becomes eligible (KIP-966): it was in sync, and
//!    nothing can be acknowledged until the ISR is whole again, so it keeps holding every acknowledged record. Records
//!    count as held only once flushed, so a restart on the same disk, however unclean, changes nothing of that. (With
//!    `flush.policy=interval` they count once appended; a power loss then breaks this, as that setting says.)
//! 2. Once the ISR has min ISR members, records may be acknowledged without the eligible ones: the ELR is emptied.
//! 3. A replica whose disk cannot be trusted leaves both, whatever remains.
//! 4. A move (KIP-455) ends in the step in which all replicas that the partition is to have are in sync, provided one
//!    of them may lead: those that leave are dropped from replicas, ISR and ELR, and if the leader is among them another
//!    in-sync replica leads. Who is dropped does not become eligible.
//! 5. The leader epoch grows whenever the leader changes, also to none; the partition epoch with every change.
//! 6. Once the ISR has fewer than min ISR members nothing more is acknowledged: the leader's high watermark of then is
//!    kept, with the epoch of the last record below it. An eligible replica that says it ends below, or with records of an
//!    older epoch, is eligible no more. All of this, with what else replicas said, is forgotten when the ISR is large
//!    enough again.
//! 7. Of an unsettled partition ([`crate::recovery`]) the leader that is elected is in sync alone, and nobody is eligible
//!    beside it: the others may lack what was acknowledged. A replica that the metadata does not place where a broker holds
//!    it came there by a move that is lost: it is eligible too, if it is believed, and leaves once those that are placed have
//!    copied it.

use holdfast_proto::ids::{BrokerId, LeaderEpoch, Offset};

use super::election::{self, Standings};
use crate::{
    config::TopicConfig,
    image::Topic,
    record::PartitionState,
    recovery,
    response::Rejection,
    trust::{Distrust, DistrustReason, ReplicaClaim, ReplicaReport, Vouch},
    version::RECOVERY,
};

/// A change in the making. Dropped without [`PartitionChange::finish`], it does nothing.
pub(crate) struct PartitionChange<'a> {
    standings: &'a Standings<'a>,
    config: &'a TopicConfig,
    old: &'a PartitionState,
    new: PartitionState,
    forced: bool,
    /// What would break a rule; nothing comes of the change then.
    fault: Option<String>,
}

impl<'a> PartitionChange<'a> {
    /// Starts from a partition's state.
    pub(crate) fn new(standings: &'a Standings<'a>, topic: &'a Topic, old: &'a PartitionState) -> Self {
        Self::with_config(standings, topic.config(), old)
    }

    /// Starts from a partition's state, with other settings than the topic has now.
    pub(crate) fn with_config(standings: &'a Standings<'a>, config: &'a TopicConfig, old: &'a PartitionState) -> Self {
        Self { standings, config, old, new: old.clone(), forced: false, fault: None }
    }

    fn min_isr(&self) -> usize {
        self.config.effective_min_isr(self.new.replication_factor())
    }

    /// Counts as a change even if nothing else is changed: the partition epoch grows.
    pub(crate) fn force(&mut self) {
        self.forced = true;
    }

    /// Replaces the ISR; who leaves it becomes eligible if too few remain.
    pub(crate) fn set_isr(&mut self, isr: &[BrokerId]) {
        let left: Vec<BrokerId> = self.new.isr.iter().chain(&self.new.elr).copied().collect();
        self.new.isr = self.in_assignment_order(isr);
        self.new.elr = if self.new.isr.len() < self.min_isr() { self.in_assignment_order(&left) } else { Vec::new() };
        self.new.elr.retain(|member| !self.new.isr.contains(member));
    }

    /// Takes a broker out of the ISR; it becomes eligible if too few remain.
    pub(crate) fn leave_isr(&mut self, broker: BrokerId) {
        self.leave_isr_together(|member| member == broker);
    }

    /// Takes several out of the ISR at once: all of them become eligible if too few remain. One after the other the first
    /// would not, while enough still remained.
    pub(crate) fn leave_isr_together(&mut self, leave: impl Fn(BrokerId) -> bool) {
        if self.new.isr.iter().any(|member| leave(*member)) {
            let rest: Vec<BrokerId> = self.new.isr.iter().copied().filter(|member| !leave(*member)).collect();
            self.set_isr(&rest);
        }
    }

    /// Takes a broker out of the ISR and the ELR: what it holds cannot be trusted.
    pub(crate) fn forget(&mut self, broker: BrokerId) {
        self.leave_isr(broker);
        self.new.elr.retain(|member| *member != broker);
    }

    /// Takes a broker out as [`Self::forget`] does, and keeps why.
    pub(crate) fn distrust(&mut self, broker: BrokerId, reason: DistrustReason) {
        self.forget(broker);
        self.new.distrusted.retain(|distrust| distrust.broker_id != broker);
        self.new.distrusted.push(Distrust { broker_id: broker, reason });
    }

    /// The broker's disk will not come back: what it said of this replica does not count either.
    pub(crate) fn lose(&mut self, broker: BrokerId) {
        self.distrust(broker, DistrustReason::Vanished);
        self.claim(broker, None);
    }

    /// The broker came with another folder, or with an older state of it, and says this of the replica there. It counts for
    /// nothing; but where nobody is believed people have to choose one, and have to know how far each reaches.
    pub(crate) fn other_folder(&mut self, broker: BrokerId, report: Option<&ReplicaReport>) {
        // It knows better itself what became of a replica that it does not vouch for.
        let reason = match report.map(|report| report.vouch) {
            Some(Vouch::Not(reason)) => reason,
            _ => DistrustReason::Folder,
        };
        self.distrust(broker, reason);
        self.claim(broker, report.and_then(|report| known_claim(broker, report)));
    }

    /// The broker has started again on the same disk, and says this of the replica; nothing if it does not hold it, and did
    /// not when it stopped: then the replica is one that was not made yet, unless the broker's list of them is lost.
    pub(crate) fn restart(&mut self, broker: BrokerId, report: Option<&ReplicaReport>, list_lost: bool) {
        self.leave_isr(broker);
        // What it lost once it still lacks, whatever the next start knows of that.
        let was_doubtful = self.new.claim(broker).is_some_and(|claim| claim.doubtful);
        let claim = match report {
            Some(report @ ReplicaReport { vouch: Vouch::Not(reason), .. }) => {
                self.distrust(broker, *reason);
                return self.claim(broker, known_claim(broker, report));
            }
            Some(report) => {
                self.comes_back(broker);
                claim_of(broker, report, was_doubtful)
            }
            None if list_lost => return self.distrust(broker, DistrustReason::Vanished),
            // Its list would name it: it never held a record, and speaks as a whole one does.
            None => ReplicaClaim {
                broker_id: broker,
                leader_epoch: None,
                end: Offset(0),
                doubtful: was_doubtful,
                unread: false,
                not_held: self.new.unsettled,
            },
        };
        self.claim(broker, Some(claim));
        self.drop_short();
    }

    /// A replica that was given up is there and whole by itself: one that was gone, as it was then, or what was copied since
    /// in the place of one that was set aside. An older state, for all that is known.
    fn comes_back(&mut self, broker: BrokerId) {
        let was_given_up = |distrust: &&mut Distrust| distrust.broker_id == broker && distrust.reason.is_replaced();
        self.new
            .distrusted
            .iter_mut()
            .filter(was_given_up)
            .for_each(|distrust| distrust.reason = DistrustReason::Folder);
    }

    /// The broker holds a replica of an unsettled partition that is not placed on it. One that its broker does not vouch for,
    /// or that comes with another folder or an older state of it, speaks for nobody; but people may choose it.
    pub(crate) fn found(&mut self, broker: BrokerId, report: &ReplicaReport, is_same_folder: bool) {
        if !self.new.unsettled || self.new.replicas.contains(&broker) {
            return;
        }
        self.new.replicas.push(broker);
        self.new.removing.push(broker);
        self.new.found.push(broker);
        if matches!(report.vouch, Vouch::Not(_)) || !is_same_folder {
            return self.other_folder(broker, Some(report));
        }
        self.new.elr.push(broker);
        self.claim(broker, Some(claim_of(broker, report, false)));
        self.drop_short();
    }

    /// The broker says this of a replica of a partition that is not placed on it; `None`: it holds none. One from before the
    /// controllers were recovered came too late to be counted, and is kept on record: it may hold what was acknowledged.
    pub(crate) fn stray(&mut self, broker: BrokerId, report: Option<&ReplicaReport>) {
        if self.new.unsettled || self.new.replicas.contains(&broker) {
            return;
        }
        let is_from_before = |report: &&ReplicaReport| match report.leader_epoch {
            Some(epoch) => recovery::is_between(epoch, self.new.leader_epoch),
            // It is not known; of a whole one it is, and of one whose folder is gone nothing is left.
            None => {
                !matches!(report.vouch, Vouch::Full | Vouch::Not(DistrustReason::Vanished))
                    && recovery::is_between(LeaderEpoch(0), self.new.leader_epoch)
            }
        };
        let claim = report.filter(is_from_before).map(|report| claim_of(broker, report, false));
        self.claim(broker, claim);
    }

    /// Keeps this instead of what the broker said before.
    fn claim(&mut self, broker: BrokerId, claim: Option<ReplicaClaim>) {
        self.new.claims.retain(|claim| claim.broker_id != broker);
        self.new.claims.extend(claim);
    }

    /// The leader says where its high watermark stands. Counts only if it knew already, when it said so, that the ISR is
    /// too small: until then it may have acknowledged more. `epoch`: of the last record below it.
    pub(crate) fn freeze(&mut self, high_watermark: Offset, epoch: Option<LeaderEpoch>) {
        let grows = self.new.frozen_high_watermark < Some(high_watermark);
        if grows && self.old.isr.len().max(self.new.isr.len()) < self.min_isr() {
            self.new.frozen_high_watermark = Some(high_watermark);
            self.new.frozen_leader_epoch = epoch;
            self.new.frozen_in = (self.standings.version() >= RECOVERY).then_some(self.old.leader_epoch);
            self.drop_short();
        }
    }

    /// More may be acknowledged from here on, or was.
    fn forget_frozen(&mut self) {
        (self.new.frozen_high_watermark, self.new.frozen_leader_epoch, self.new.frozen_in) = (None, None, None);
    }

    /// An eligible replica whose log does not reach the high watermark, in offset and epoch, lacks acknowledged records.
    fn drop_short(&mut self) {
        let is_short = |claim: &&ReplicaClaim| {
            let says = !claim.unread && !claim.not_held;
            self.new.elr.contains(&claim.broker_id) && says && !self.new.reaches_frozen(claim)
        };
        let short: Vec<BrokerId> = self.new.claims.iter().filter(is_short).map(|claim| claim.broker_id).collect();
        for broker in short {
            self.distrust(broker, DistrustReason::Short);
        }
    }

    /// An operator lets the partition go on with this replica alone, whatever the others hold. A move under way is over, and
    /// all its replicas stay: were it to end here, one that leaves would be deleted, and may hold what nobody else does.
    pub(crate) fn recover(&mut self, broker: BrokerId) {
        self.new.adding.clear();
        self.new.removing.clear();
        self.new.isr = vec![broker];
        self.new.elr.clear();
        self.forget_frozen();
        self.new.leader = Some(broker);
    }

    /// Gives the leadership to a member of the ISR.
    pub(crate) fn lead(&mut self, broker: BrokerId) {
        self.must(self.new.isr.contains(&broker), |new| {
            format!("broker {broker} is to lead without being in sync: {new:?}")
        });
        self.new.leader = Some(broker);
    }

    /// A broker leaves in good order: another in-sync replica leads, and the ISR does without it if it can.
    ///
    /// It stays where it is while nobody else can lead, and in the ISR while the ISR would become too small: it still
    /// follows until it stops, and writes go on so long.
    pub(crate) fn move_away(&mut self, broker: BrokerId) {
        if !self.new.isr.contains(&broker) {
            return;
        }
        let rest = self.isr_without(broker);
        if self.new.leader == Some(broker) {
            let Some(next) = rest.iter().copied().find(|member| self.standings.is_active(*member)) else {
                return;
            };
            self.lead(next);
        }
        if rest.len() >= self.min_isr() {
            self.set_isr(&rest);
        }
    }

    /// Makes `target` the replicas that the partition is to have, instead of any move under way. Replicas that only
    /// that move brought in, and that are not wanted any more, leave at once.
    ///
    /// False if that is not to be done: in-sync or eligible replicas would leave while fewer than min ISR stay in sync, or
    /// one that was until its disk was at fault. Without it nothing would tell that another is missing for whom nobody speaks.
    pub(crate) fn reassign(&mut self, target: &[BrokerId]) -> bool {
        let original = self.new.original();
        self.new.adding = without(target, &original);
        self.new.removing = without(&original, target);
        self.new.replicas = target.iter().chain(&self.new.removing).copied().collect();
        let isr = self.in_assignment_order(&self.new.isr);
        let elr = self.in_assignment_order(&self.new.elr);
        let drops = isr.len() + elr.len() < self.new.isr.len() + self.new.elr.len();
        (self.new.isr, self.new.elr) = (isr, elr);
        let forgets = self.new.distrusted.iter().any(|distrust| !self.new.replicas.contains(&distrust.broker_id));
        !(drops || forgets) || self.new.isr.len() >= self.min_isr()
    }

    /// Elects where there is no leader, ends a move that is done, counts the epochs, and gives the new state; `None` if
    /// nothing changed. An error only if a rule of the module would be broken.
    pub(crate) fn finish(mut self) -> Result<Option<PartitionState>, Rejection> {
        if self.new.isr.len() >= self.min_isr() {
            self.new.elr.clear();
        }
        if self.new.leader.is_none_or(|leader| !self.new.isr.contains(&leader)) {
            self.elect();
        }
        self.end_move();
        self.forget_what_is_over();
        if let Some(fault) = self.fault {
            return Err(Rejection::fault(fault));
        }
        if self.new == *self.old && !self.forced {
            return Ok(None);
        }
        if self.new.leader != self.old.leader {
            self.new.leader_epoch = self.old.leader_epoch.next();
        }
        self.new.partition_epoch = self.old.partition_epoch.next();
        Ok(Some(self.new))
    }

    fn elect(&mut self) {
        self.new.leader = election::candidate(self.standings, &self.new, self.min_isr());
        let Some(leader) = self.new.leader else { return };
        if !self.new.isr.contains(&leader) {
            let alone = self.new.isr.is_empty();
            self.must(alone, |new| format!("eligible replica {leader} is elected while others are in sync: {new:?}"));
            // The other eligible ones stay so until the ISR is whole again.
            self.set_isr(&[leader]);
            if self.new.unsettled {
                self.new.elr.clear();
                // It was said before the controllers were recovered: more may have been acknowledged since.
                self.forget_frozen();
            }
        }
    }

    /// Drops the replicas that leave, if all others are in sync.
    fn end_move(&mut self) {
        let target = self.new.target().to_vec();
        if !self.new.is_moving() || !target.iter().all(|replica| self.new.isr.contains(replica)) {
            return;
        }
        if self.new.leader.is_none_or(|leader| !target.contains(&leader)) {
            // Those that leave the cluster lead only what nobody else can: as long as all the others are about to, the
            // leader stays, and the move ends with the next change.
            let next = target.iter().copied().find(|replica| self.standings.is_active(*replica));
            let Some(next) = next else { return };
            self.new.leader = Some(next);
        }
        self.new.isr.clone_from(&target);
        self.new.replicas = target;
        self.new.elr.clear();
        self.new.adding.clear();
        self.new.removing.clear();
        let (isr, min_isr) = (self.new.isr.len(), self.min_isr());
        self.must(isr >= min_isr, |new| format!("a move ends with fewer than min ISR {min_isr} in sync: {new:?}"));
    }

    /// What replicas said counts while they are eligible, or while there is no leader; who is in sync is believed. What was said
    /// of strays stays until their brokers say something else.
    fn forget_what_is_over(&mut self) {
        if self.new.isr.len() >= self.min_isr() {
            self.forget_frozen();
        }
        self.new.unsettled &= self.new.leader.is_none();
        if !self.new.unsettled {
            self.new.found.clear();
        }
        let PartitionState { leader, replicas, isr, elr, claims, distrusted, .. } = &mut self.new;
        claims.retain(|ReplicaClaim { broker_id, .. }| {
            let is_replica = replicas.contains(broker_id);
            let is_stray = !is_replica && !self.old.replicas.contains(broker_id);
            elr.contains(broker_id) || (leader.is_none() && is_replica) || is_stray
        });
        distrusted.retain(|distrust| replicas.contains(&distrust.broker_id) && !isr.contains(&distrust.broker_id));
    }

    /// Keeps the first rule that is broken: the whole change is refused with it.
    fn must(&mut self, holds: bool, fault: impl FnOnce(&PartitionState) -> String) {
        if !holds && self.fault.is_none() {
            self.fault = Some(fault(&self.new));
        }
    }

    fn isr_without(&self, broker: BrokerId) -> Vec<BrokerId> {
        self.new.isr.iter().copied().filter(|member| *member != broker).collect()
    }

    fn in_assignment_order(&self, members: &[BrokerId]) -> Vec<BrokerId> {
        self.new.replicas.iter().copied().filter(|replica| members.contains(replica)).collect()
    }
}

/// What the broker's report says of how far its log reaches. `was_doubtful`: an earlier one left that in doubt already.
fn claim_of(broker_id: BrokerId, report: &ReplicaReport, was_doubtful: bool) -> ReplicaClaim {
    let ReplicaReport { leader_epoch, end, vouch, .. } = *report;
    let unread = vouch == Vouch::Unread;
    let doubtful = was_doubtful || !matches!(vouch, Vouch::Full | Vouch::Unread);
    ReplicaClaim { broker_id, leader_epoch, end, doubtful, unread, not_held: false }
}

/// What is to be shown of a replica that is not believed. Who does not vouch for it may not know its end: then it says 0.
fn known_claim(broker_id: BrokerId, report: &ReplicaReport) -> Option<ReplicaClaim> {
    let is_known = matches!(report.vouch, Vouch::Full | Vouch::Doubtful) || report.end > Offset(0);
    is_known.then(|| claim_of(broker_id, report, false))
}

/// The members of `all` that are not in `others`, in their order.
fn without(all: &[BrokerId], others: &[BrokerId]) -> Vec<BrokerId> {
    all.iter().copied().filter(|member| !others.contains(member)).collect()
}
