//! What a controller keeps of the others, and what it makes of each message. Pure; `raft::lineages` carries it out.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::refusal::Recovered;

use super::{
    judge::{Boot, Kept, Known, MAX_BOOTS, Refusal, Shown, judge, judge_kept},
    wire::{Heard, MAX_LINEAGES, Said, to_wire},
};

/// So many may be kept, members or not: a quorum has few.
const PRUNED_ABOVE: usize = 16;

/// What is known of each controller.
#[derive(Clone, Debug, Default)]
pub struct Table {
    known: BTreeMap<u64, Kept>,
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
    Stores(BTreeMap<u64, Kept>),
    /// Its sender is not the one that is known.
    Refused {
        /// Why it is not.
        refusal: Refusal,
        /// What is known of it, by which it is not.
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
    pub fn new(known: impl IntoIterator<Item = (u64, Kept)>) -> Self {
        Self { known: known.into_iter().collect(), ..Self::default() }
    }

    /// How many controllers are refused, as they spoke last.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// What a message of `node_id` to `target` tells; 0: to the one that answers.
    pub fn says(&self, node_id: u64, mut own: Shown, target: u64) -> Said {
        if self.confirmed.contains(&target) {
            own.boots.drain(..own.boots.len().saturating_sub(1));
        }
        to_wire(node_id, &own, self.known.iter().map(|(id, kept)| (id, &kept.told)))
    }

    /// What the controller `node_id`, whose history is `own`, makes of what `sender` tells.
    pub fn hear(&mut self, node_id: u64, own: &Shown, sender: u64, heard: Heard) -> Verdict {
        let Heard { sender: shown, mut others } = heard;
        // The sender first: what one says that is refused counts for nothing, least of all against this controller.
        let shown = match judge_kept(self.known.get(&sender), &shown) {
            Ok(shown) => shown,
            Err((refusal, known)) => {
                let is_new = self.refused.insert(sender, refusal) != Some(refusal);
                return Verdict::Refused { refusal, known, is_new };
            }
        };
        self.refused.remove(&sender);
        if let Some(of_this) = others.remove(&node_id) {
            if let Err(refusal) = judge(Some(&of_this), own) {
                return Verdict::Ends(refusal);
            }
            if own.boots.last().is_some_and(|boot| boot.incarnation_id == of_this.incarnation_id) {
                self.confirmed.insert(sender);
            }
        }
        self.keep(others, shown.map(|shown| (sender, shown)))
    }

    /// `others`: as they were told of; `sender`: as it showed itself.
    fn keep(&mut self, others: BTreeMap<u64, Known>, sender: Option<(u64, Known)>) -> Verdict {
        let told = others.into_iter().map(|(id, told)| (id, Kept { told, shown: None }));
        let shown = sender.map(|(id, shown)| (id, Kept { told: shown, shown: Some(shown) }));
        let known = &self.known;
        let more = told.chain(shown).filter_map(|(id, more)| match known.get(&id) {
            Some(kept) => Some((id, kept.newest(more))).filter(|(_, next)| next != kept),
            None => (known.len() < MAX_LINEAGES).then_some((id, more)),
        });
        let more: BTreeMap<u64, Kept> = more.collect();
        let is_new = |(id, next): (&u64, &Kept)| known.get(id).is_none_or(|kept| next.is_of_another_start(kept));
        if more.iter().any(is_new) {
            let mut next = known.clone();
            for (id, kept) in more {
                if next.contains_key(&id) || next.len() < MAX_LINEAGES {
                    next.insert(id, kept);
                }
            }
            return Verdict::Stores(next);
        }
        self.is_changed |= !more.is_empty();
        self.known.extend(more);
        Verdict::Believed
    }

    /// This is durable. Another message may have told more meanwhile, and what was stored for that may stand under this now,
    /// or this under that: what is known then is stored again, whole.
    pub fn saved(&mut self, next: BTreeMap<u64, Kept>) {
        let mut differs = self.known.keys().any(|id| !next.contains_key(id));
        for (id, saved) in next {
            let known = self.known.get(&id).copied();
            if known == Some(saved) {
                continue;
            }
            differs = true;
            self.known.insert(id, known.map_or(saved, |known| known.newest(saved)));
        }
        self.is_changed |= differs;
    }

    /// What is to be stored of what changed since the last call, if anything is. `members`: the node ids of the membership.
    pub fn take_changed(&mut self, members: impl FnOnce() -> BTreeSet<u64>) -> Option<BTreeMap<u64, Kept>> {
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

    fn start(id: u128) -> Kept {
        let incarnation_id = IncarnationId(Uuid::from_u128(id));
        let known = Known { boot_counter: 1, incarnation_id, generation: 0, recovered: Recovered::default() };
        Kept { told: known, shown: Some(known) }
    }

    fn stores(table: &mut Table, id: u64) -> BTreeMap<u64, Kept> {
        match table.keep(BTreeMap::new(), Some((id, start(id.into()).told))) {
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

    fn boot(boot_counter: u64, id: u128, since: u64) -> Boot {
        Boot { boot_counter, incarnation_id: IncarnationId(Uuid::from_u128(id)), since }
    }

    fn speaks(boots: &[Boot], generation: u64) -> Heard {
        let recovered = Some(Recovered::default());
        Heard { sender: Shown { boots: boots.to_vec(), generation, recovered }, others: BTreeMap::new() }
    }

    /// What controller 1 makes of it.
    fn hears(table: &mut Table, sender: u64, heard: Heard) -> Verdict {
        let own = Shown { boots: vec![boot(1, 1, 0)], generation: 0, recovered: Some(Recovered::default()) };
        let verdict = table.hear(1, &own, sender, heard);
        if let Verdict::Stores(next) = &verdict {
            table.saved(next.clone());
        }
        verdict
    }

    /// Controller 3 spoke here in its start 8. A newcomer met a copy of its folder first, of start 5, which was started on to
    /// the number 9; and tells of that.
    #[test]
    fn a_newcomer_that_met_a_copy_first_makes_nobody_believe_it() {
        let mut table = Table::default();
        assert!(matches!(hears(&mut table, 3, speaks(&[boot(5, 5, 0), boot(8, 8, 20)], 50)), Verdict::Stores(_)));
        let copy = Known { boot_counter: 9, generation: 30, ..start(90).told };
        let told = Heard { others: [(3, copy)].into(), ..speaks(&[boot(1, 4, 0)], 1) };
        assert!(matches!(hears(&mut table, 4, told), Verdict::Stores(_)));
        for stored in [false, true] {
            if stored {
                table = Table::new(table.take_changed(BTreeSet::new).unwrap_or_else(|| table.known.clone()));
            }
            let verdict = hears(&mut table, 3, speaks(&[boot(5, 5, 0), boot(9, 90, 20)], 30));
            let expected = Refusal::Other { known: 8 };
            assert!(matches!(verdict, Verdict::Refused { refusal, .. } if refusal == expected), "{verdict:?}");
            // Of two processes one goes on at most.
            let verdict = hears(&mut table, 3, speaks(&[boot(5, 5, 0), boot(8, 8, 20)], 60));
            assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
        }
        let later = [boot(5, 5, 0), boot(8, 8, 20), boot(9, 90, 60), boot(10, 10, 60)];
        assert_eq!(hears(&mut table, 4, speaks(&[boot(1, 4, 0)], 1)), Verdict::Believed);
        assert!(matches!(hears(&mut table, 3, speaks(&later, 70)), Verdict::Stores(_)), "it goes on from both");
    }

    /// Copies of all folders ran apart for a while, and know of each other's starts; then one of them reaches the true ones.
    #[test]
    fn a_copy_that_is_refused_ends_nobody_by_what_it_says() {
        let mut table = Table::default();
        assert!(matches!(hears(&mut table, 3, speaks(&[boot(8, 8, 20)], 50)), Verdict::Stores(_)));
        let of_this = Known { boot_counter: 2, ..start(99).told };
        let copy = Heard { others: [(1, of_this)].into(), ..speaks(&[boot(7, 7, 0), boot(8, 80, 20)], 60) };
        let verdict = hears(&mut table, 3, copy);
        assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
        // The same from the one that is known: this one is a copy itself.
        let original = Heard { others: [(1, of_this)].into(), ..speaks(&[boot(8, 8, 20)], 60) };
        let verdict = hears(&mut table, 3, original);
        assert!(matches!(verdict, Verdict::Ends(_)), "{verdict:?}");
    }

    #[test]
    fn what_was_stored_before_is_read() {
        let known = start(7).told;
        let text = serde_json::to_string(&known).expect("it is written");
        assert_eq!(serde_json::from_str::<Kept>(&text).expect("it is read"), Kept { told: known, shown: None });
        let kept = Kept { told: known, shown: Some(start(8).told) };
        let text = serde_json::to_string(&kept).expect("it is written");
        assert_eq!(serde_json::from_str::<Kept>(&text).expect("it is read"), kept);
        assert_eq!(serde_json::from_str::<Known>(&text).expect("an earlier program reads it"), known);
    }
}
