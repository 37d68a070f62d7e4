//! Whether a member's address in the membership may be changed to another, by what both addresses answer. Pure.
//!
//! 1. The new address answers under the member's node id.
//! 2. Its log holds all that the member had acknowledged in this leadership when it was asked: else it is an older copy of
//!    the data folder.
//! 3. The old address does not answer under that id, unless it is the same process: a host may have two names. Two
//!    processes of one node id run on copies of one data folder, and changing the address back and forth between them
//!    would hand the vote from one to the other.
//! 4. If the old address does not answer, the member was not heard there for several times as long either, wherever it is
//!    called meanwhile, and the active controller listened all that time: one answer that is missing may only be late, or of
//!    a process that starts again.

use crate::raft::Sighting;

/// A member may come back to its old address that was heard there within so many times [`Listening::silent_ms`], about one
/// question each.
const QUESTIONS: u64 = 5;

/// The member whose address it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// Raft id of its data folder.
    pub id: u64,
    /// `host:port` in the membership.
    pub address: &'a str,
    /// Last entry that it was known to have before it was asked.
    pub matched: Option<u64>,
    /// Whether it was heard at its address in the membership; `None` if nobody listens there: it is the active one itself.
    pub listening: Option<Listening>,
}

/// What was heard at an address in the membership.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening {
    /// Milliseconds of activity since the member answered there, at whichever address it is called now; `None` if it never did.
    pub heard_ms_ago: Option<u64>,
    /// For how long the active controller would have heard it, ms.
    pub active_ms: u64,
    /// One that answers nothing for this long is not there, ms.
    pub silent_ms: u64,
}

impl Listening {
    /// True unless it was certainly silent for the time of several questions.
    fn may_be_late(&self) -> bool {
        let long_ms = QUESTIONS * self.silent_ms;
        self.active_ms < long_ms || self.heard_ms_ago.is_some_and(|ms| ms < long_ms)
    }
}

/// Why the address stays as it is, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The new address does not answer under the node id.
    Unproved(String),
    /// There is a copy of the data folder.
    Copy(String),
}

/// Decides by what the `old` and the `new` address answered; an error says why nobody of this cluster does.
pub(crate) fn check_move(
    member: &Member<'_>,
    old: &Result<Sighting, String>,
    new: &Result<Sighting, String>,
) -> Result<(), Doubt> {
    let Member { id, address: from, matched, listening } = *member;
    let new = match new {
        Ok(sighting) if sighting.node_id == id => sighting,
        Ok(sighting) => {
            let (address, other) = (&sighting.address, sighting.node_id);
            return Err(Doubt::Unproved(format!("{address} answers as controller {other}, not as {id}")));
        }
        Err(why) => {
            return Err(Doubt::Unproved(format!("the new address does not answer the active controller: {why}")));
        }
    };
    let is_same_process = |old: &Sighting| !old.incarnation.is_empty() && old.incarnation == new.incarnation;
    match old {
        Ok(old) if old.node_id == id && !is_same_process(old) => Err(Doubt::Copy(format!(
            "controller {id} answers at {from}, its address in the membership, as well as at {}: two processes run on \
             copies of one data folder. Stop one of them, and delete its copy; the address stays {from} until then",
            new.address
        ))),
        _ if matched.is_some_and(|matched| matched > new.last_log) => Err(Doubt::Copy(format!(
            "controller {id} at {} runs on an older copy of its data folder: its log lacks what it has acknowledged. \
             Start it on its own folder, or empty this one: it then joins under a new id",
            new.address
        ))),
        Err(_) if listening.is_some_and(|listening| listening.may_be_late()) => Err(Doubt::Unproved(format!(
            "controller {id} may only be late at {from}, its address in the membership: it was heard there a moment ago, or \
             nobody has listened for long enough"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Listening = Listening { heard_ms_ago: None, active_ms: 60_000, silent_ms: 1_000 };
    const THIRD: Member<'static> = Member { id: 3, address: "c", matched: Some(100), listening: Some(SILENT) };

    fn at(address: &str, node_id: u64, process: &[u8]) -> Sighting {
        Sighting { address: address.to_owned(), node_id, incarnation: process.to_vec(), last_log: 100 }
    }

    /// By what answered at the two addresses; `None`: nobody did.
    fn check(member: &Member<'_>, old: Option<Sighting>, new: Option<Sighting>) -> Result<(), Doubt> {
        let silent = || "refused".to_owned();
        check_move(member, &old.ok_or_else(silent), &new.ok_or_else(silent))
    }

    #[test]
    fn one_that_answers_at_its_new_address_alone_has_proved_its_id() {
        assert_eq!(check(&THIRD, None, Some(at("d", 3, &[1]))), Ok(()));
        assert_eq!(
            check(&THIRD, Some(at("c", 2, &[2])), Some(at("d", 3, &[1]))),
            Ok(()),
            "another node has the old address"
        );
        assert_eq!(check(&Member { matched: None, ..THIRD }, None, Some(at("d", 3, &[1]))), Ok(()));
    }

    #[test]
    fn a_new_address_that_does_not_answer_under_the_id_proves_nothing() {
        for new in [None, Some(at("d", 2, &[1]))] {
            let checked = check(&THIRD, None, new);
            assert!(matches!(checked, Err(Doubt::Unproved(_))), "{checked:?}");
        }
    }

    #[test]
    fn two_processes_of_one_id_are_told_from_one_process_with_two_names() {
        let twice = check(&THIRD, Some(at("c", 3, &[1])), Some(at("d", 3, &[2])));
        assert!(matches!(&twice, Err(Doubt::Copy(why)) if why.contains("answers at c")), "{twice:?}");
        assert_eq!(check(&THIRD, Some(at("c", 3, &[1])), Some(at("d", 3, &[1]))), Ok(()));
        let untold = check(&THIRD, Some(at("c", 3, &[])), Some(at("d", 3, &[])));
        assert!(matches!(untold, Err(Doubt::Copy(_))), "versions that do not tell their process");
    }

    #[test]
    fn one_that_was_heard_a_moment_ago_at_its_old_address_may_only_be_late_there() {
        let after = |heard_ms_ago, active_ms| {
            let listening = Some(Listening { heard_ms_ago, active_ms, ..SILENT });
            Member { listening, ..THIRD }
        };
        for (heard, active) in [(Some(4_999), 60_000), (None, 4_999), (Some(6_000), 4_999)] {
            let late = check(&after(heard, active), None, Some(at("d", 3, &[1])));
            assert!(matches!(&late, Err(Doubt::Unproved(why)) if why.contains("may only be late at c")), "{late:?}");
        }
        for (heard, active) in [(Some(5_000), 60_000), (None, 5_000)] {
            assert_eq!(check(&after(heard, active), None, Some(at("d", 3, &[1]))), Ok(()));
        }
        let own = Member { listening: None, ..THIRD };
        assert_eq!(check(&own, None, Some(at("d", 3, &[1]))), Ok(()), "nobody listens for the active one");
        let heard = after(Some(10), 60_000);
        assert_eq!(check(&heard, Some(at("c", 3, &[1])), Some(at("d", 3, &[1]))), Ok(()), "one process with two names");
        assert_eq!(check(&heard, Some(at("c", 2, &[2])), Some(at("d", 3, &[1]))), Ok(()), "its address is another's");
    }

    #[test]
    fn an_older_copy_of_the_folder_is_refused() {
        let older = check(&Member { matched: Some(101), ..THIRD }, None, Some(at("d", 3, &[1])));
        assert!(matches!(&older, Err(Doubt::Copy(why)) if why.contains("older copy")), "{older:?}");
    }
}
