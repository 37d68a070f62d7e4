//! How each replica is, why it is not well, and what happens next. Pure.

use holdfast_log::Cause;
use holdfast_metadata::{PartitionState, trust::DistrustReason};
use holdfast_proto::ids::BrokerId;

use crate::partition::findings::{Why, reason_of};

/// How a replica is. Each replica is in one of these states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Open, and nothing is known against it.
    Open,
    /// Open, and its records do not count before it has copied what it lacks.
    Copying,
    /// Open, and it may lack what it counted as held.
    InDoubt,
    /// Open, and damaged: it goes on with what is sound.
    Kept,
    /// Its log does not count: it is closed.
    Distrusted,
    /// It could not be looked at, and is tried again.
    Unread,
    /// Placed here, and not open yet.
    Opening,
}

impl State {
    /// In the order of declaration: a count is stored at its state's number.
    pub(super) const ALL: [Self; 7] =
        [Self::Open, Self::Copying, Self::InDoubt, Self::Kept, Self::Distrusted, Self::Unread, Self::Opening];

    /// As the metrics have it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Copying => "copying",
            Self::InDoubt => "in_doubt",
            Self::Kept => "kept",
            Self::Distrusted => "distrusted",
            Self::Unread => "unread",
            Self::Opening => "opening",
        }
    }
}

/// Why a replica is not well, and what happens next, as the metrics have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: &'static str,
    pub(super) next: &'static str,
}

/// What this broker sees of a replica of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) is_open: bool,
    pub(super) is_in_doubt: bool,
    /// This start could not look at it, or it cannot be opened now.
    pub(super) was_unread: bool,
    /// What its data folder has noted against it.
    pub(super) noted: Option<Cause>,
    /// It is damaged, and goes on for this reason.
    pub(super) stays: Option<Why>,
}

/// How the replica is that broker `own` has of a partition with this state; `None`: the metadata does not know it, or not yet.
pub(super) fn look(own: BrokerId, state: Option<&PartitionState>, seen: Seen) -> (State, Option<Trouble>) {
    let told = state.and_then(|state| state.distrusted.iter().find(|distrust| distrust.broker_id == own));
    let can_copy = state.and_then(|state| state.leader).is_some_and(|leader| leader != own);
    let or_waits = |next| if can_copy { next } else { "waits_for_leader" };
    if let Some(why) = seen.stays {
        let next = match why {
            Why::Last => "goes_on",
            Why::HandsOver => "hands_over",
            Why::NotFinalised => "waits_for_finalize",
        };
        return (State::Kept, Some(Trouble { reason: DistrustReason::Damaged.word(), next }));
    }
    if let Some(cause) = seen.noted {
        let next = match (state, told) {
            (None, _) => "waits_for_metadata",
            (Some(_), None) => "told_to_controllers",
            (Some(_), Some(_)) => or_waits("copied_again"),
        };
        return (State::Distrusted, Some(Trouble { reason: reason_of(cause).word(), next }));
    }
    if let (true, Some(told)) = (seen.is_open, told) {
        return (State::Copying, Some(Trouble { reason: told.reason.word(), next: or_waits("copied_again") }));
    }
    if seen.is_open && seen.is_in_doubt {
        return (State::InDoubt, Some(Trouble { reason: "in_doubt", next: or_waits("catches_up") }));
    }
    if seen.is_open {
        return (State::Open, None);
    }
    if seen.was_unread {
        return (State::Unread, Some(Trouble { reason: "unread", next: "opened_again" }));
    }
    (State::Opening, None)
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::trust::Distrust;

    use super::*;

    const OWN: BrokerId = BrokerId(1);

    fn state(leader: Option<u32>, told: Option<DistrustReason>) -> PartitionState {
        let distrusted = told.map(|reason| Distrust { broker_id: OWN, reason }).into_iter().collect();
        PartitionState { leader: leader.map(BrokerId), distrusted, ..PartitionState::default() }
    }

    fn of(state: Option<&PartitionState>, seen: Seen) -> (State, &'static str, &'static str) {
        let (state, trouble) = look(OWN, state, seen);
        trouble.map_or((state, "", ""), |trouble| (state, trouble.reason, trouble.next))
    }

    #[test]
    fn a_replica_that_is_closed_says_what_it_waits_for() {
        let noted = Seen { noted: Some(Cause::Damaged), ..Seen::default() };
        let damaged = Some(DistrustReason::Damaged);
        let distrusted = |next| (State::Distrusted, "damaged", next);
        assert_eq!(of(None, noted), distrusted("waits_for_metadata"));
        assert_eq!(of(Some(&state(Some(2), None)), noted), distrusted("told_to_controllers"));
        assert_eq!(of(Some(&state(Some(2), damaged)), noted), distrusted("copied_again"));
        for leader in [None, Some(OWN.0)] {
            assert_eq!(of(Some(&state(leader, damaged)), noted), distrusted("waits_for_leader"));
        }
        let vanished = Seen { noted: Some(Cause::Vanished), ..noted };
        assert_eq!(of(Some(&state(Some(2), None)), vanished).1, "vanished");
    }

    #[test]
    fn a_replica_that_goes_on_says_why() {
        let stays = |why| of(Some(&state(Some(1), None)), Seen { is_open: true, stays: Some(why), ..Seen::default() });
        assert_eq!(stays(Why::Last), (State::Kept, "damaged", "goes_on"));
        assert_eq!(stays(Why::HandsOver), (State::Kept, "damaged", "hands_over"));
        assert_eq!(stays(Why::NotFinalised), (State::Kept, "damaged", "waits_for_finalize"));
    }

    #[test]
    fn one_that_is_open_is_well_unless_something_is_known() {
        let open = Seen { is_open: true, ..Seen::default() };
        assert_eq!(of(Some(&state(Some(2), None)), open), (State::Open, "", ""));
        let short = state(Some(2), Some(DistrustReason::Short));
        assert_eq!(of(Some(&short), open), (State::Copying, "short", "copied_again"));
        let doubt = Seen { is_in_doubt: true, ..open };
        assert_eq!(of(Some(&state(Some(2), None)), doubt), (State::InDoubt, "in_doubt", "catches_up"));
        assert_eq!(of(Some(&state(None, None)), doubt).2, "waits_for_leader");
        let unread = Seen { was_unread: true, ..Seen::default() };
        assert_eq!(of(Some(&state(Some(2), None)), unread), (State::Unread, "unread", "opened_again"));
        assert_eq!(of(Some(&state(Some(2), None)), Seen { is_open: true, ..unread }), (State::Open, "", ""));
        assert_eq!(of(Some(&state(Some(2), None)), Seen::default()), (State::Opening, "", ""));
    }

    #[test]
    fn each_state_has_a_place_and_a_word_of_its_own() {
        for (at, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, at);
            assert!(State::ALL[..at].iter().all(|other| other.word() != state.word()));
        }
    }
}
