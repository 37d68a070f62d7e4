//! Who leads. Election is clean only: from the ISR, else from the eligible replicas, else nobody until one returns.
//! There is no switch for anything else.
//!
//! An eligible replica whose broker started again since counts by what the broker said of its log then, for disks lose
//! what they had:
//! 1. Where the high watermark of the last leader is known, who does not reach it is not eligible any more (the change
//!    that learns of it says so); and who ends with a record of a leadership between that of the last record below it and
//!    the one of that leader is not elected by it, nor while another eligible one is known to hold everything: that record may
//!    have been cut off since, as a disk shows it that went back.
//! 2. Where it is not, it is elected only once so many eligible replicas have said how far they reach that one of them
//!    holds everything: min ISR of them, if at most min ISR - 1 disks are wrong. And only if none of these reaches farther,
//!    also one that is gone again. That goes for one that looks whole too: a disk that was restored to a few seconds ago
//!    shows the last token and a sound log, and nothing on it tells what it lacks.
//! 3. Of a partition that is unsettled ([`crate::recovery`]) one is elected only once every broker, and every eligible
//!    replica, has said what it holds, if fewer than min ISR voices are missing: and only who reaches farthest. Nobody speaks for
//!    one that is not believed, or that its broker does not hold: it may have moved away, to a broker that the metadata does not
//!    know. Each that was found elsewhere takes the place of such a one. Where anybody is missing so, one that was cut at its
//!    end waits for one that is whole and reaches as far. A leader that wrote nothing leaves no trace in a log, and may have had
//!    acknowledged what earlier ones wrote: who ends with a record of an earlier leadership counts as missing too. One that is not believed and that its broker vouches for, as it may
//!    have been copied since, holds up whom it outreaches.
//! 4. Where fewer than min ISR are eligible, as others are not believed, or one leads alone since a recovery, one that was cut at its end is elected only if one
//!    that is whole was heard, which it reaches: nobody else speaks for what was cut off. After a power loss of all each may
//!    have a torn end, and that alone holds nobody up: then min ISR were heard, and what they all lost was acknowledged by
//!    none. Nor does it hold up a single replica.
//! 5. One that its broker could not read when it started is not elected, and says nothing of how far anybody reaches; it
//!    stays eligible, for nothing was said against it.
//! 6. Of those that may be elected one that did not start again comes first, then who reaches farthest.

use std::collections::BTreeMap;

use holdfast_proto::ids::{BrokerId, LeaderEpoch, MetadataVersion, Offset};

use crate::{
    image::Image,
    record::PartitionState,
    trust::{Distrust, ReplicaClaim},
};

/// How a broker stands in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No live session, or not registered: leads nothing.
    Fenced,
    /// Alive, but about to stop: leads only what nobody else can.
    Leaving,
    /// Alive, and not about to stop: leads and is given leaderships.
    Active,
}

/// How the brokers stand once the command in hand is carried out.
pub(crate) struct Standings<'a> {
    image: &'a Image,
    changed: BTreeMap<BrokerId, Standing>,
    /// The broker that the command registers or forgets: nobody waits for it any more.
    heard: Option<BrokerId>,
}

impl<'a> Standings<'a> {
    /// As the image has them.
    pub(crate) fn of(image: &'a Image) -> Self {
        Self { image, changed: BTreeMap::new(), heard: None }
    }

    /// As the image has them, but for one broker.
    pub(crate) fn with(image: &'a Image, broker: BrokerId, standing: Standing) -> Self {
        Self { image, changed: BTreeMap::from([(broker, standing)]), heard: None }
    }

    /// As the image has them, but for those that are fenced.
    pub(crate) fn without(image: &'a Image, fenced: impl Iterator<Item = BrokerId>) -> Self {
        Self { image, changed: fenced.map(|broker| (broker, Standing::Fenced)).collect(), heard: None }
    }

    /// As the image has them, but for one broker that is fenced and says what it holds, or is forgotten.
    pub(crate) fn hearing(image: &'a Image, broker: BrokerId) -> Self {
        Self { image, changed: BTreeMap::from([(broker, Standing::Fenced)]), heard: Some(broker) }
    }

    /// True if every broker that was not given up has registered since the controllers were recovered.
    pub(crate) fn all_heard(&self) -> bool {
        self.image.unheard_brokers().all(|broker| Some(broker) == self.heard)
    }

    /// The metadata version that counts.
    pub(crate) fn version(&self) -> MetadataVersion {
        self.image.version()
    }

    /// How this broker stands.
    pub(crate) fn get(&self, broker: BrokerId) -> Standing {
        match self.changed.get(&broker) {
            Some(standing) => *standing,
            None => match self.image.broker(broker) {
                Some(registration) if registration.is_active() => Standing::Active,
                Some(registration) if !registration.fenced => Standing::Leaving,
                _ => Standing::Fenced,
            },
        }
    }

    /// True if this broker is alive and stays.
    pub(crate) fn is_active(&self, broker: BrokerId) -> bool {
        self.get(broker) == Standing::Active
    }
}

/// The replica that has to lead now: of the ISR before the ELR, of each those that stay before those that leave, of the
/// ISR the first assigned, of the ELR as the module says. `None` if no replica that certainly holds every acknowledged
/// record is alive.
pub(crate) fn candidate(standings: &Standings<'_>, state: &PartitionState, min_isr: usize) -> Option<BrokerId> {
    let from_isr = |wanted: Standing| state.isr.iter().copied().find(|member| standings.get(*member) == wanted);
    let from_elr = |wanted: Standing| {
        let alive = state.elr.iter().copied().filter(|member| standings.get(*member) == wanted);
        let electable = alive.filter(|member| is_electable(standings, state, min_isr, *member));
        // The first of equals: the maximum would be the last.
        electable.rev().max_by_key(|member| state.claim(*member).map_or(Reach::Whole, Reach::of))
    };
    from_isr(Standing::Active)
        .or_else(|| from_isr(Standing::Leaving))
        .or_else(|| from_elr(Standing::Active))
        .or_else(|| from_elr(Standing::Leaving))
}

/// How far an eligible replica reaches, as far as it is known. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Claimed(Option<LeaderEpoch>, Offset),
    Whole,
}

impl Reach {
    fn of(claim: &ReplicaClaim) -> Self {
        Self::Claimed(claim.leader_epoch, claim.end)
    }
}

/// True if this eligible replica certainly holds every acknowledged record, while at most min ISR - 1 disks are wrong.
fn is_electable(standings: &Standings<'_>, state: &PartitionState, min_isr: usize, member: BrokerId) -> bool {
    if state.unsettled {
        return reaches_farthest(standings, state, min_isr, member);
    }
    let Some(claim) = state.claim(member) else { return true };
    if claim.unread {
        return false;
    }
    if state.frozen_high_watermark.is_some() {
        let holds_all =
            |other: BrokerId| state.claim(other).is_none_or(|claim| !claim.unread && state.holds_frozen(claim));
        if holds_all(member) {
            return true;
        }
        // A disk that went back may show records that were cut off since: who certainly holds everything is waited for. But
        // of so many that end in one leadership a disk is right, and the longest holds what that one does.
        let agrees = |other: &&ReplicaClaim| {
            let is_eligible = state.elr.contains(&other.broker_id) && !other.unread;
            is_eligible && other.leader_epoch == claim.leader_epoch && state.reaches_frozen(other)
        };
        let is_waited_for = state.elr.iter().any(|other| holds_all(*other));
        if is_waited_for && state.claims.iter().filter(agrees).count() < min_isr {
            return false;
        }
    }
    // Who did not start again and is there leads before this one is looked at, or leaves before it.
    let heard: Vec<Reach> = state.elr.iter().filter_map(|member| heard(standings, state, *member)).collect();
    heard.len() >= min_isr.min(state.elr.len())
        && heard.iter().all(|reach| *reach <= Reach::of(claim))
        && (!claim.doubtful || !is_depleted(state, min_isr) || has_whole_claim(state))
}

/// True if fewer are eligible than have to be heard: others are not believed, or were not in sync with who led alone.
fn is_depleted(state: &PartitionState, min_isr: usize) -> bool {
    state.elr.len() < min_isr
}

/// True if an eligible replica said that nothing of it was cut off.
fn has_whole_claim(state: &PartitionState) -> bool {
    state.elr.iter().any(|member| state.claim(*member).is_some_and(|claim| !claim.doubtful && !claim.unread))
}

/// True if nobody can reach farther than this replica of an unsettled partition, so that it holds every acknowledged record.
fn reaches_farthest(standings: &Standings<'_>, state: &PartitionState, min_isr: usize, member: BrokerId) -> bool {
    let claims: Option<Vec<&ReplicaClaim>> =
        state.elr.iter().map(|other| state.claim(*other).filter(|claim| !claim.unread)).collect();
    let Some(claims) = claims.filter(|_| standings.all_heard()) else { return false };
    let Some(own) = claims.iter().find(|claim| claim.broker_id == member && !claim.not_held) else {
        return false;
    };
    let is_whole_and_as_far = |claim: &&ReplicaClaim| !claim.doubtful && Reach::of(claim) >= Reach::of(own);
    let is_earlier = |claim: &&&ReplicaClaim| {
        let holds_any = claim.end > Offset(0) || claim.doubtful;
        holds_any && !claim.not_held && claim.leader_epoch < own.leader_epoch
    };
    let missing = missing_voices(state, &claims) + claims.iter().filter(is_earlier).count();
    // One that was copied again under the lost metadata counted then, and its broker vouches for it.
    let is_outreached = |distrust: &Distrust| {
        let claim = state.claim(distrust.broker_id).filter(|claim| !claim.unread && !distrust.reason.is_replaced());
        claim.is_some_and(|claim| Reach::of(claim) > Reach::of(own))
    };
    missing < min_isr
        && claims.iter().all(|claim| Reach::of(claim) <= Reach::of(own))
        && !state.distrusted.iter().any(is_outreached)
        && (missing == 0 || claims.iter().any(is_whole_and_as_far))
}

/// How many members the last ISR of an unsettled partition may have had that say nothing for it: those that are not
/// believed, wherever they are, and those that do not hold it, but for as many as were found in their place.
fn missing_voices(state: &PartitionState, claims: &[&ReplicaClaim]) -> usize {
    let is_found = |broker: BrokerId| state.found.contains(&broker);
    let away = claims.iter().filter(|claim| claim.not_held && !is_found(claim.broker_id)).count();
    let found = claims.iter().filter(|claim| !claim.not_held && is_found(claim.broker_id)).count();
    let found_in_vain = state.found.iter().filter(|broker| !state.elr.contains(broker)).count();
    state.replicas.len() - state.elr.len() + away.saturating_sub(found + found_in_vain)
}

/// How far an eligible replica reaches, if it is known; it may have said so and be gone again.
fn heard(standings: &Standings<'_>, state: &PartitionState, member: BrokerId) -> Option<Reach> {
    match state.claim(member) {
        Some(claim) if claim.unread => None,
        Some(claim) => Some(Reach::of(claim)),
        None => (standings.get(member) != Standing::Fenced).then_some(Reach::Whole),
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
