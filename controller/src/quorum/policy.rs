//! What the active controller does about one request to join, as a function of what it sees. Pure.

/// Entries that a learner may lack when it becomes a voter. It lacks them for some milliseconds: the entry that makes it
/// a voter is replicated behind them.
pub(crate) const MAX_LAG_ENTRIES: u64 = 64;

/// A learner counts as [`left_over`] once it was not heard for this many times [`Policy::silent_ms`].
pub(crate) const FORGET_AFTER: u64 = 30;

/// One controller of the membership, as the active one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Raft id: a controller with an empty disk has a new one.
    pub id: u64,
    /// `host:port` in the membership. A lost disk and the one after it have the same.
    pub address: String,
    /// True for a voter, of either half while a change is under way.
    pub voter: bool,
    /// Milliseconds since it acknowledged something under its own id; `None` if it never did in this leadership.
    pub heard_ms_ago: Option<u64>,
    /// Last entry that it is known to have.
    pub matched: Option<u64>,
}

/// The membership, as the active controller sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Node id of the active controller.
    pub own_id: u64,
    /// Milliseconds that it has been active for, at least.
    pub active_ms: u64,
    /// Last entry of its log.
    pub last_log: u64,
    /// True while a change of voters is half done.
    pub joint: bool,
    /// Voters and learners, the active controller among them.
    pub places: Vec<Place>,
}

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

/// What is asked of the parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Configured addresses of all controllers.
    pub peers: Vec<String>,
    /// A controller that acknowledged nothing for this long is not there, ms.
    pub silent_ms: u64,
}

/// The next step for the controller that asks. It asks again until it votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it votes, and no change is half done.
    Votes,
    /// Nothing, for good: another voter has its place.
    Removed {
        /// The voter at its address, if there is one.
        replaced_by: u64,
    },
    /// Refuse: asking again does not help.
    Refuse(String),
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
    /// Add it as a learner.
    AddLearner,
    /// Make it a voter.
    Promote {
        /// The silent voter that leaves in the same step, if the place had one.
        instead_of: Option<u64>,
        /// Learners that earlier attempts at this address left over.
        forget: Vec<u64>,
    },
}

/// One step towards a vote: as a learner first, then in the place of a voter that is silent, if there is one.
pub(crate) fn decide(seen: &Seen, asks: &Asks, policy: &Policy) -> Step {
    let own_place = seen.places.iter().find(|place| place.id == asks.id);
    let holder = seen.places.iter().find(|place| place.voter && place.address == asks.address && place.id != asks.id);
    match own_place {
        Some(place) if place.voter => return if seen.joint { Step::Finish } else { Step::Votes },
        None if asks.voted => return Step::Removed { replaced_by: holder.map_or(0, |holder| holder.id) },
        _ => {}
    }
    if !policy.peers.contains(&asks.address) {
        return Step::Refuse(format!(
            "{} is not in 'peers' of the active controller ({}): make 'peers' the same on all controllers, and \
             `advertised_address` one of them",
            asks.address,
            policy.peers.join(", ")
        ));
    }
    if seen.joint {
        return Step::Finish;
    }
    if let Some(holder) = holder {
        let alive = holder.id == seen.own_id || holder.heard_ms_ago.is_some_and(|ms| ms < policy.silent_ms);
        if alive {
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
    let left_over = |place: &&Place| !place.voter && place.address == asks.address && place.id != asks.id;
    Step::Promote {
        instead_of: holder.map(|holder| holder.id),
        forget: seen.places.iter().filter(left_over).map(|place| place.id).collect(),
    }
}

/// Learners whose place is held by a voter that lives, and that were not heard for [`FORGET_AFTER`] times as long as makes
/// a controller silent: their disk was lost again, or the old one came back. Nobody waits for them.
pub(crate) fn left_over(seen: &Seen, policy: &Policy) -> Vec<u64> {
    let patience = FORGET_AFTER * policy.silent_ms;
    let lives = |place: &Place| place.id == seen.own_id || place.heard_ms_ago.is_some_and(|ms| ms < policy.silent_ms);
    let is_left_over = |place: &&Place| {
        !place.voter
            && seen.active_ms >= patience
            && place.heard_ms_ago.is_none_or(|ms| ms >= patience)
            && seen.places.iter().any(|other| other.voter && other.address == place.address && lives(other))
    };
    if seen.joint { Vec::new() } else { seen.places.iter().filter(is_left_over).map(|place| place.id).collect() }
}
