//! Whether a controller may be taken out of the quorum by command, and what becomes of the quorum then. Pure.
//!
//! 1. **Those that stay can decide.** A majority of the voters that stay was heard a moment ago.
//! 2. **It would not come back by itself.** One that is alive and has a place in `peers` would join again at once.
//! 3. **The active controller does not remove itself.** It hands the leadership over; the next one decides again.

use super::seen::{Place, Policy, Seen};

/// What becomes of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The controller that leaves.
    pub place: Place,
    /// How many voters there are before.
    pub voters_before: usize,
    /// How many voters are left.
    pub voters_after: usize,
    /// Voters after that were heard a moment ago.
    pub alive_after: usize,
    /// True if it is the active one: it hands over, and the next one decides.
    pub hands_over: bool,
}

/// Why it is not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A moment later it may be.
    NotYet(String),
    /// Something else has to be done first.
    Refused(String),
}

/// Decides about the controller with this node id.
pub(crate) fn plan_removal(seen: &Seen, id: u64, policy: &Policy) -> Result<Plan, Refusal> {
    let Some(place) = seen.places.iter().find(|place| place.id == id) else {
        let known: Vec<String> = seen.places.iter().map(|place| place.id.to_string()).collect();
        return Err(Refusal::Refused(format!(
            "no controller of the quorum has node id {id}; known: {}",
            known.join(", ")
        )));
    };
    if seen.joint {
        return Err(Refusal::NotYet("a change of voters is under way".to_owned()));
    }
    let is_active = id == seen.own_id;
    let is_alive = seen.is_alive(place, policy);
    let is_unknown = |place: &Place| !seen.is_alive(place, policy) && !seen.is_silent_for(place, policy.silent_ms);
    if is_unknown(place) {
        return Err(Refusal::NotYet(format!(
            "the active controller is too new to know whether controller {id} is alive"
        )));
    }
    if is_alive && !is_active && policy.peers.contains(&place.address) {
        return Err(Refusal::Refused(format!(
            "controller {id} at {} is alive and in 'peers' of the active controller: it would join again at once. End \
             its process first, or take its address out of 'peers' on the controllers that stay",
            place.address
        )));
    }
    let stay: Vec<&Place> = seen.voters().filter(|other| other.id != id).collect();
    let alive_after = stay.iter().filter(|other| seen.is_alive(other, policy)).count();
    let majority = stay.len() / 2 + 1;
    let unknown = stay.iter().filter(|other| is_unknown(other)).count();
    if alive_after < majority && alive_after + unknown >= majority {
        return Err(Refusal::NotYet(format!(
            "the active controller is too new to know whether {unknown} of the voters that would stay are alive"
        )));
    }
    if alive_after < majority {
        return Err(Refusal::Refused(format!(
            "of the {} voters that would stay, {alive_after} were heard a moment ago and {majority} have to be: start \
             the others first",
            stay.len()
        )));
    }
    Ok(Plan {
        place: place.clone(),
        voters_before: seen.voters().count(),
        voters_after: stay.len(),
        alive_after,
        hands_over: is_active,
    })
}
