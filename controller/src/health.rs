//! What probes are told of this controller: the decisions, and the task that keeps the answers true.
//!
//! | word | true while |
//! |---|---|
//! | `started` | folder and store are open and the port is served |
//! | `live` | runtime, session thread and disk turn ([`holdfast_node::watchdog`]); a lost quorum changes nothing |
//! | `ready` | the cluster is formed and its active controller was heard within [`READY_MS`] |
//! | `safe-to-stop-next` | [`unsafe_to_stop`] finds nothing |
//!
//! A rolling update waits for `safe-to-stop-next`, so two things must hold of it:
//!
//! 1. **It never lets a roll take a quorum away.** With a leader, a restarted controller is safe once it votes and has
//!    applied what is committed: one that came back with an empty disk is a learner first, and is not. Without a leader
//!    it is safe only if a *majority of the configured controllers*, itself included, is known to have none or to be
//!    down: then no quorum can exist that stopping one more would break. A controller that merely cannot reach the
//!    others (a wrong address, a network policy) knows this of itself alone, so a roll stops after it.
//! 2. **It never blocks the roll that repairs.** A quorum that is gone or cannot form is no reason to wait: after
//!    [`LEADERLESS_MS`] the majority above is found, for controllers that run answer "no leader" and systems where none
//!    runs refuse the connection. What is silent (a node without power) may be a quorum and is waited for; its pods come
//!    back somewhere, and then answer.
//! 3. **Nor the roll that makes the quorum larger.** Its new pods come first, and the active controller, whose pod is
//!    rolled later, has no place for them: they do not vote, and are safe as long as it says that every voter is alive.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use holdfast_node::health::{Probe, Probes};

use crate::{node::Node, peers::Peers, quorum::Standing, raft::Members};

/// A leader that was heard within this time is there, ms. Longer than an election, so that a fail-over makes nobody unready.
pub const READY_MS: u64 = 3_000;
/// Without a leader for this long a controller looks whether there can be one at all, ms.
pub const LEADERLESS_MS: u64 = 30_000;
/// Entries that a controller may lack and still let another one be stopped.
pub const MAX_LAG_ENTRIES: u64 = 64;

/// How often the answers are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often the others are asked while there is no leader.
const ASK: Duration = Duration::from_secs(5);

/// What the decisions are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// True if this controller belongs to a formed cluster.
    pub formed: bool,
    /// True if it votes, by its own log, and no change of voters is half done.
    pub voter: bool,
    /// Milliseconds since the leader was heard; `None` if it was not since this process started.
    pub leader_heard_ms: Option<u64>,
    /// Last entry that is applied here.
    pub applied: u64,
    /// Last entry that the leader says is committed; `None` before it said so.
    pub committed: Option<u64>,
    /// Milliseconds that this process is without a leader.
    pub leaderless_ms: u64,
    /// Configured controllers, this one included.
    pub controllers: usize,
    /// Others that are known to have no leader, or to be down.
    pub others_without_leader: usize,
    /// True if the active controller has no place for this one yet, and said a moment ago that every voter is alive.
    pub not_missed: bool,
}

impl Sight {
    fn is_led(&self) -> bool {
        self.leader_heard_ms.is_some_and(|age| age < READY_MS)
    }
}

/// Whether this controller serves.
pub fn is_ready(sight: &Sight) -> bool {
    sight.formed && sight.is_led()
}

/// Why another controller must not be stopped yet; `None` if it may. See the module.
pub fn unsafe_to_stop(sight: &Sight) -> Option<String> {
    if sight.not_missed && !sight.voter {
        return None;
    }
    if sight.is_led() {
        let Some(committed) = sight.committed else { return Some("what is committed is not known yet".to_owned()) };
        let lag = committed.saturating_sub(sight.applied);
        return if !sight.voter {
            Some("this controller does not vote yet, or a change of voters is half done".to_owned())
        } else if lag > MAX_LAG_ENTRIES {
            Some(format!("this controller lacks {lag} entries"))
        } else {
            None
        };
    }
    if sight.leaderless_ms < LEADERLESS_MS {
        return Some(format!("no active controller is heard, for {} s", sight.leaderless_ms / 1_000));
    }
    let (known, majority) = (1 + sight.others_without_leader, sight.controllers / 2 + 1);
    (known < majority).then(|| {
        format!(
            "this controller hears no active one, but others may: {known} of {} controllers are known to have none, {} \
             must be",
            sight.controllers, majority
        )
    })
}

/// Keeps the answers true until it is dropped.
pub(crate) async fn report(node: Node, peers: Peers, standing: watch::Receiver<Standing>, probes: Probes) {
    probes.set(Probe::Started, true);
    let mut leaderless_since = Instant::now();
    let mut asked: Option<(Instant, usize)> = None;
    let mut said: Option<String> = None;
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut sight = look(&node, &peers);
        sight.not_missed = standing.borrow().not_missed;
        if sight.is_led() {
            leaderless_since = Instant::now();
            asked = None;
        }
        sight.leaderless_ms = u64::try_from(leaderless_since.elapsed().as_millis()).unwrap_or(u64::MAX);
        if sight.leaderless_ms >= LEADERLESS_MS {
            let old = asked.is_none_or(|(at, _)| at.elapsed() >= ASK);
            if old {
                asked = Some((Instant::now(), others_without_leader(&peers).await));
            }
            sight.others_without_leader = asked.map_or(0, |(_, count)| count);
        }
        probes.set(Probe::Ready, is_ready(&sight));
        let why_not = unsafe_to_stop(&sight);
        if probes.set(Probe::SafeToStopNext, why_not.is_none()) {
            match &why_not {
                None if sight.is_led() || sight.not_missed => tracing::info!("another controller may be stopped"),
                None => tracing::warn!("no controller leads, and none can: stopping another one takes nothing away"),
                Some(why) => tracing::info!("no other controller should be stopped: {why}"),
            }
        } else if why_not.is_some() && said.is_none() {
            tracing::info!("no other controller should be stopped yet: {}", why_not.as_deref().unwrap_or_default());
        }
        said = why_not;
    }
}

fn look(node: &Node, peers: &Peers) -> Sight {
    let own = node.id();
    let members = Members::of(node.consensus());
    let heard = node.leader_heard().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    Sight {
        formed: node.cluster_id().is_some(),
        voter: members.list.iter().any(|member| member.id == own && member.voter) && !members.joint,
        leader_heard_ms: heard,
        applied: node.view().applied().borrow().index.0,
        committed: members.committed,
        leaderless_ms: 0,
        controllers: peers.config.peers.len(),
        others_without_leader: 0,
        not_missed: false,
    }
}

/// Others that say that they hear no leader, and those whose system says that no controller runs there.
async fn others_without_leader(peers: &Peers) -> usize {
    let answers = peers.formation(None).await;
    let without = answers.values().flatten().filter(|state| state.leader == 0).count();
    let silent = answers.iter().filter(|(_, answer)| answer.is_err()).map(|(address, _)| address);
    without + peers.refusing(silent).await
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
