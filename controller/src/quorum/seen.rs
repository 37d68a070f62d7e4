//! The quorum as the active controller sees it when it decides who votes. Pure.

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
    /// How many of these the active controller was active for, and could have heard it.
    pub silent_ms: Option<u64>,
    /// Last entry that it is known to have.
    pub matched: Option<u64>,
}

/// The membership, as the active controller sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Node id of the active controller.
    pub own_id: u64,
    /// Milliseconds that it was active for in this leadership. In a gap it hears nobody, which says nothing of them.
    pub active_ms: u64,
    /// Last entry of its log.
    pub last_log: u64,
    /// True while a change of voters is half done.
    pub joint: bool,
    /// Voters and learners, the active controller among them.
    pub places: Vec<Place>,
}

/// What is asked of the parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Configured addresses of all controllers.
    pub peers: Vec<String>,
    /// A controller that acknowledged nothing for this long is not there, ms.
    pub silent_ms: u64,
}

impl Seen {
    /// Those with a vote.
    pub(crate) fn voters(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.voter)
    }

    /// Last entry that the member is known to have.
    pub(crate) fn matched(&self, id: u64) -> Option<u64> {
        self.places.iter().find(|place| place.id == id)?.matched
    }

    /// True for the active controller, and for one that it heard a moment ago.
    pub(crate) fn is_alive(&self, place: &Place, policy: &Policy) -> bool {
        place.id == self.own_id || place.heard_ms_ago.is_some_and(|ms| ms < policy.silent_ms)
    }

    /// True if it certainly was not heard for so long of the time in which the active controller was active.
    pub(crate) fn is_silent_for(&self, place: &Place, ms: u64) -> bool {
        place.id != self.own_id && self.active_ms >= ms && place.silent_ms.is_none_or(|silent| silent >= ms)
    }
}
