//! What a controller keeps of the others, and what it makes of each message. Pure; `raft::lineages` carries it out.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::refusal::Recovered;

use super::{
    judge::{Boot, Known, MAX_BOOTS, Refusal, Shown, judge},
    wire::{Heard, MAX_LINEAGES, Said, to_wire},
};

/// So many may be kept, members or not: a quorum has few.
const PRUNED_ABOVE: usize = 16;

/// What is known of each controller.
#[derive(Clone, Debug, Default)]
pub struct Table {
    known: BTreeMap<u64, Known>,
    /// Who knows the present start: the last boot is enough for them.
    confirmed: BTreeSet<u64>,
    /// Refused, and said so: for whom and why.
    refused: BTreeMap<u64, Refusal>,
    is_changed: bool,
}

/// What comes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is believed, and nothing has to be stored first.
    Believed,
    /// It is believed once this is durable, and [`Table::saved`] was told so.
    Stores(BTreeMap<u64, Known>),
    /// Its sender is not the one that is known.
    Refused {
        /// Why it is not.
        refusal: Refusal,
        /// What is known of it.
        known: Option<Known>,
        /// It was not refused for this before.
        is_new: bool,
    },
    /// The one that hears it is not the one that others know, and ends for good.
    Ends(Refusal),
}

/// The later recovery that metadata of `theirs` is outranked by, if it is; one with an empty store (`None`) is by nobody.
pub fn outranked(theirs: Option<Recovered>, ours: Option<Recovered>) -> Option<Recovered> {
    match theirs.zip(ours) {
        Some((theirs, ours)) if theirs < ours => Some(ours),
        _ => None,
    }
}

/// The history of a folder with a start more: the last 64.
pub fn with_start(mut boots: Vec<Boot>, start: Boot) -> Vec<Boot> {
    boots.push(start);
    boots.drain(..boots.len().saturating_sub(MAX_BOOTS));
    boots
}

impl Table {
    /// Of what was stored.
    pub fn new(known: impl IntoIterator<Item = (u64, Known)>) -> Self {
        Self { known: known.into_iter().collect(), ..Self::default() }
    }

    /// What a message of `node_id` to `target` tells; 0: to the one that answers.
    pub fn says(&self, node_id: u64, mut own: Shown, target: u64) -> Said {
        if self.confirmed.contains(&target) {
            own.boots.drain(..own.boots.len().saturating_sub(1));
        }
        to_wire(node_id, &own, self.known.iter())
    }

    /// What the controller `node_id`, whose history is `own`, makes of what `sender` tells.
    pub fn hear(&mut self, node_id: u64, own: &Shown, sender: u64, heard: Heard) -> Verdict {
        let Heard { sender: shown, mut others } = heard;
        if let Some(of_this) = others.remove(&node_id) {
            if let Err(refusal) = judge(Some(&of_this), own) {
                return Verdict::Ends(refusal);
            }
            if own.boots.last().is_some_and(|boot| boot.incarnation_id == of_this.incarnation_id) {
                self.confirmed.insert(sender);
            }
        }
        match judge(self.known.get(&sender), &shown) {
            Ok(known) => {
                self.refused.remove(&sender);
                others.extend(known.map(|known| (sender, known)));
            }
            Err(refusal) => {
                let is_new = self.refused.insert(sender, refusal) != Some(refusal);
                return Verdict::Refused { refusal, known: self.known.get(&sender).copied(), is_new };
            }
        }
        self.keep(others)
    }

    fn keep(&mut self, mut others: BTreeMap<u64, Known>) -> Verdict {
        let known = &self.known;
        others.retain(|id, told| match known.get(id) {
            Some(known) => told.is_newer(known),
            None => known.len() < MAX_LINEAGES,
        });
        let is_new =
            |(id, told): (&u64, &Known)| known.get(id).is_none_or(|known| known.incarnation_id != told.incarnation_id);
        if others.iter().any(is_new) {
            let mut next = known.clone();
            for (id, told) in others {
                if next.contains_key(&id) || next.len() < MAX_LINEAGES {
                    next.insert(id, told);
                }
            }
            return Verdict::Stores(next);
        }
        self.is_changed |= !others.is_empty();
        self.known.extend(others);
        Verdict::Believed
    }

    /// This is durable. Another message may have told more meanwhile, and what was stored for that may stand under this now,
    /// or this under that: what is known then is stored again, whole.
    pub fn saved(&mut self, next: BTreeMap<u64, Known>) {
        let mut differs = self.known.keys().any(|id| !next.contains_key(id));
        for (id, told) in next {
            let known = self.known.get(&id);
            if known == Some(&told) {
                continue;
            }
            differs = true;
            if known.is_none_or(|known| told.is_newer(known)) {
                self.known.insert(id, told);
            }
        }
        self.is_changed |= differs;
    }

    /// What is to be stored of what changed since the last call, if anything is. `members`: the node ids of the membership.
    pub fn take_changed(&mut self, members: impl FnOnce() -> BTreeSet<u64>) -> Option<BTreeMap<u64, Known>> {
        if self.known.len() > PRUNED_ABOVE {
            let members = members();
            self.known.retain(|id, _| members.contains(id));
            self.is_changed = true;
        }
        std::mem::take(&mut self.is_changed).then(|| self.known.clone())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::IncarnationId;

    use super::*;

    fn start(id: u128) -> Known {
        let incarnation_id = IncarnationId(Uuid::from_u128(id));
        Known { boot_counter: 1, incarnation_id, generation: 0, recovered: Recovered::default() }
    }

    fn stores(table: &mut Table, id: u64) -> BTreeMap<u64, Known> {
        match table.keep([(id, start(id.into()))].into()) {
            Verdict::Stores(next) => next,
            other => panic!("{other:?} to a start that was not known"),
        }
    }

    /// Two first messages at once: whichever is stored last lacks the other's start.
    #[test]
    fn what_two_messages_told_at_once_is_stored_again_together() {
        let mut table = Table::default();
        let stored = [stores(&mut table, 2), stores(&mut table, 3)];
        for next in stored {
            table.saved(next);
        }
        let both = BTreeMap::from([2, 3].map(|id| (id, start(id.into()))));
        assert_eq!(table.take_changed(BTreeSet::new), Some(both.clone()));
        table.saved(both);
        assert_eq!(table.take_changed(BTreeSet::new), None, "it is stored again and again");
    }
}
