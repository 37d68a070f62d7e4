//! What the active controller does about one request to join, as a function of what it sees. Pure.

use super::seen::{Place, Policy, Seen};

/// Entries that a learner may lack when it becomes a voter. It lacks them for some milliseconds: the entry that makes it
/// a voter is replicated behind them.
pub(crate) const MAX_LAG_ENTRIES: u64 = 64;

/// A learner counts as [`left_over`] once it was not heard for this many times [`Policy::silent_ms`].
pub(crate) const FORGET_AFTER: u64 = 30;

/// A voter whose address has left `peers` counts as gone once it was not heard for this many times
/// [`Policy::silent_ms`]: its disk may be on the way to a new address, and then it comes back under its own id.
pub(crate) const GONE_AFTER: u64 = 10;

/// The controller that asks to join, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Raft id: a new one if its disk was lost.
    pub id: u64,
    /// Its own `host:port`, which has to be one of [`Policy::peers`].
    pub address: String,
    /// True if its own log says that it votes.
    pub voted: bool,
}

/// The next step for the controller that asks. It asks again until it votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it votes, and no change is half done.
    Votes,
    /// Nothing, for good: it has no vote any more.
    Removed {
        /// The voter at its address; 0 if there is none.
        replaced_by: u64,
    },
    /// Nothing yet: its address is not in `peers` here.
    Unlisted {
        /// The reason, in words for the log of the one that asks.
        why: String,
        /// True if every voter was heard a moment ago.
        not_missed: bool,
    },
    /// Nothing yet: something else has to happen first.
    Wait {
        /// Entries that it lacks.
        lag: u64,
        /// The voter that holds the place; 0 if that is not the reason.
        held_by: u64,
        /// What is waited for, in words for the log of the one that asks.
        why: String,
    },
    /// Finish the change of voters that is half done.
    Finish,
    /// It is a member under another address: write this one, once it has proved its id.
    SetAddress {
        /// Its address in the membership.
        from: String,
    },
    /// Add it as a learner.
    AddLearner,
    /// Make it a voter.
    Promote {
        /// The silent voter that leaves in the same step, if one does.
        instead_of: Option<u64>,
        /// Learners that earlier attempts at this address left over.
        forget: Vec<u64>,
    },
}

/// One step towards a vote: as a learner first, then in the place of a voter that is silent, if there is one.
pub(crate) fn decide(seen: &Seen, asks: &Asks, policy: &Policy) -> Step {
    let own_place = seen.places.iter().find(|place| place.id == asks.id);
    let holders = || seen.voters().filter(|place| place.address == asks.address && place.id != asks.id);
    match own_place {
        Some(place) if place.voter && place.address == asks.address => {
            return if seen.joint { Step::Finish } else { Step::Votes };
        }
        None if asks.voted => return Step::Removed { replaced_by: holders().next().map_or(0, |holder| holder.id) },
        _ => {}
    }
    if !policy.peers.contains(&asks.address) {
        let why = format!(
            "{} is not in 'peers' of the active controller ({}): make 'peers' the same on all controllers, and \
             `advertised_address` one of them",
            asks.address,
            policy.peers.join(", ")
        );
        return Step::Unlisted { why, not_missed: seen.voters().all(|place| seen.is_alive(place, policy)) };
    }
    if seen.joint {
        return Step::Finish;
    }
    if let Some(place) = own_place.filter(|place| place.address != asks.address) {
        return Step::SetAddress { from: place.address.clone() };
    }
    for holder in holders() {
        if seen.is_alive(holder, policy) {
            let why = format!(
                "controller {} votes at the same address {} and is alive: two controllers must not share an address",
                holder.id, asks.address
            );
            return Step::Wait { lag: 0, held_by: holder.id, why };
        }
        if seen.active_ms < policy.silent_ms {
            let why = format!("the active controller is too new to know that controller {} is gone", holder.id);
            return Step::Wait { lag: 0, held_by: 0, why };
        }
    }
    let Some(place) = own_place else { return Step::AddLearner };
    let lag = seen.last_log.saturating_sub(place.matched.unwrap_or(0));
    let answers = place.heard_ms_ago.is_some_and(|ms| ms < policy.silent_ms);
    if place.matched.is_none() || lag > MAX_LAG_ENTRIES || !answers {
        let why = if answers { "it has not caught up yet" } else { "it does not answer the active controller yet" };
        return Step::Wait { lag, held_by: 0, why: why.to_owned() };
    }
    let instead_of = match holders().next() {
        Some(holder) => Some(holder.id),
        None => match place_to_take(seen, policy) {
            Ok(gone) => gone,
            Err(why) => return Step::Wait { lag, held_by: 0, why },
        },
    };
    let left_over = |place: &&Place| !place.voter && place.address == asks.address && place.id != asks.id;
    Step::Promote { instead_of, forget: seen.places.iter().filter(left_over).map(|place| place.id).collect() }
}

/// For one whose address no voter has: the voter that is gone, or `None` where `peers` has more places than there are
/// voters. The error says why there is no place yet.
fn place_to_take(seen: &Seen, policy: &Policy) -> Result<Option<u64>, String> {
    if let Some(gone) = gone(seen, policy).next() {
        return Ok(Some(gone.id));
    }
    let voters = seen.voters().count();
    if voters < policy.peers.len() {
        return Ok(None);
    }
    let names: Vec<String> = without_place(seen, policy).map(name).collect();
    Err(format!(
        "'peers' has {} places and there are {voters} voters: a voter whose address is in 'peers' no longer, or another's \
         by now, has to be silent for {} ms, or to be removed (`holdfast quorum remove`), first: {}",
        policy.peers.len(),
        GONE_AFTER * policy.silent_ms,
        if names.is_empty() { "there is none".to_owned() } else { names.join(", ") }
    ))
}

/// Voters whose address has left `peers`, or is another one's by now.
fn without_place<'a>(seen: &'a Seen, policy: &'a Policy) -> impl Iterator<Item = &'a Place> {
    let is_taken = |place: &Place| {
        !seen.is_alive(place, policy)
            && seen
                .voters()
                .any(|other| other.id != place.id && other.address == place.address && seen.is_alive(other, policy))
    };
    seen.voters().filter(move |place| !policy.peers.contains(&place.address) || is_taken(place))
}

fn gone<'a>(seen: &'a Seen, policy: &'a Policy) -> impl Iterator<Item = &'a Place> {
    without_place(seen, policy).filter(|place| seen.is_silent_for(place, GONE_AFTER * policy.silent_ms))
}

fn name(place: &Place) -> String {
    format!("{} at {}", place.id, place.address)
}

/// A report of voters that are gone and whose address has left `peers`, as after `peers` was made shorter alone: no
/// majority gets by without their votes, and nobody takes their places by himself.
pub(crate) fn abandoned(seen: &Seen, policy: &Policy) -> Option<String> {
    let names: Vec<String> = gone(seen, policy).map(name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} of {} voters are gone and their addresses are not in 'peers', or another's by now: they still count in \
             every majority. Take them out with `holdfast quorum remove`: {}",
            names.len(),
            seen.voters().count(),
            names.join(", ")
        )
    })
}

/// Learners that were not heard for [`FORGET_AFTER`] times as long as makes a controller silent, and whose place is held by
/// a voter that lives, or is none any more: their disk was lost again, the old one came back, or `peers` changed. Nobody
/// waits for them.
pub(crate) fn left_over(seen: &Seen, policy: &Policy) -> Vec<u64> {
    let has_place = |place: &Place| {
        policy.peers.contains(&place.address)
            && !seen.voters().any(|other| other.address == place.address && seen.is_alive(other, policy))
    };
    let is_left_over = |place: &&Place| {
        !place.voter && seen.is_silent_for(place, FORGET_AFTER * policy.silent_ms) && !has_place(place)
    };
    if seen.joint { Vec::new() } else { seen.places.iter().filter(is_left_over).map(|place| place.id).collect() }
}
