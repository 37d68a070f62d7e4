//! This controller's own standing: it asks to vote until it does, and whether it still does when nobody leads it.
//!
//! ```text
//!   no vote in its own log ──▶ JoinQuorum, again and again ──▶ it votes
//!   a vote, and no leader for a while ──▶ JoinQuorum { voted } ──▶ still a voter: go on
//!                                                              └─▶ replaced or removed: the process ends
//!   another address than in its log ──▶ JoinQuorum { address } ──▶ the membership is changed
//! ```
//!
//! A controller that was replaced or removed ends rather than waits ([`Fatal::Replaced`], [`Fatal::Removed`]): its folder
//! can never be of use again, and only an operator knows whether the newer disk or this one was meant to be there.
//! Ended, it is seen; waiting, it would look like a controller that starts. A voter asks only while it has no leader or
//! another address, so a quorum that works is never bothered.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use holdfast_proto::{ids::ClusterId, v1::JoinQuorumResponse};

use crate::{exit::Fatal, node::Node, peers::Peers, raft::Members};

/// Pause between two requests to join.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Longest pause between them, while nobody is active.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// A voter without a leader for this long asks whether it was replaced. Longer than an election usually takes.
const LEADERLESS: Duration = Duration::from_secs(2);
/// The same reason to wait is logged again after this time.
const REPEAT_LOG: Duration = Duration::from_secs(30);

/// What this controller is in the quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// True while it votes, by its own log.
    pub voter: bool,
    /// What it waits for, in words; `None` while it waits for nothing.
    pub waiting_for: Option<String>,
    /// True if the active controller said a moment ago that its address has no place in `peers` there yet, and that every
    /// voter is alive: nothing waits for this controller.
    pub not_missed: bool,
}

/// What the others answered.
enum Asked {
    /// The active controller took the request; its answer.
    Active(JoinQuorumResponse),
    /// Nobody is active; why, in words.
    Nobody(String),
}

/// The task that asks `peers` for a vote, and publishes what it finds in `standing`.
pub(crate) struct Keeping {
    pub(crate) node: Node,
    pub(crate) peers: Peers,
    pub(crate) standing: watch::Sender<Standing>,
}

impl Keeping {
    /// Runs until this controller has no place any more.
    pub(crate) async fn run(self) -> Fatal {
        let mut voted = false;
        let mut leaderless: Option<Instant> = None;
        let mut said: Option<(String, Instant)> = None;
        let mut pause = ASK_AGAIN;
        loop {
            let votes = self.votes();
            voted |= votes;
            let led = self.node.present_leader().is_some();
            leaderless = if led { None } else { leaderless.or_else(|| Some(Instant::now())) };
            let missed = leaderless.is_some_and(|since| since.elapsed() >= LEADERLESS);
            // The active controller sees to its own address itself.
            let moved = self.has_moved() && !self.node.is_active();
            let Some(cluster_id) = self.peers.data.cluster_id().filter(|_| self.has_place(votes)) else {
                self.wait(ASK_AGAIN).await;
                continue;
            };
            if votes && !missed && !moved {
                pause = ASK_AGAIN;
                self.say(Standing { voter: votes, ..Standing::default() }, &mut said);
                self.wait(LEADERLESS / 4).await;
                continue;
            }
            let standing = Standing { voter: votes, ..Standing::default() };
            match self.ask(cluster_id, voted).await {
                Asked::Active(answer) if answer.removed => return self.gone(answer.replaced_by),
                Asked::Active(answer) if answer.voter => self.say(standing, &mut said),
                Asked::Active(answer) => {
                    // A voter, and one without a place, waits for what others do.
                    pause = if votes || answer.not_missed { ASK_AGAIN_MAX } else { ASK_AGAIN };
                    let not_missed = answer.not_missed;
                    self.say(Standing { waiting_for: Some(answer.waiting_for), not_missed, ..standing }, &mut said);
                }
                Asked::Nobody(why) => {
                    pause = (pause * 2).min(ASK_AGAIN_MAX);
                    self.say(Standing { waiting_for: Some(why), ..standing }, &mut said);
                }
            }
            self.wait(pause).await;
        }
    }

    /// True if it votes by its own log, of both halves while a change is under way.
    fn votes(&self) -> bool {
        let own = self.node.id();
        Members::of(self.node.consensus()).list.iter().any(|member| member.id == own && member.voter)
    }

    /// True if its own log has another address for it than its configuration.
    fn has_moved(&self) -> bool {
        let (own, address) = (self.node.id(), self.peers.config.own_address());
        self.node.members().iter().any(|member| member.id == own && member.address != address)
    }

    /// False for a controller that takes part in the first formation and waits for the first entry: it has its place.
    fn has_place(&self, votes: bool) -> bool {
        votes || self.peers.data.identity().promised_to == 0 || Members::of(self.node.consensus()).is_formed()
    }

    async fn wait(&self, pause: Duration) {
        let mut role = self.node.role();
        role.mark_unchanged();
        // The role's keeper may have ended; then the process does.
        let _ = tokio::time::timeout(pause, role.changed()).await;
    }

    /// Asks the active controller, if one is known; else everyone in turn.
    async fn ask(&self, cluster_id: ClusterId, voted: bool) -> Asked {
        let own = self.peers.config.own_address();
        let known = self.node.present_leader().filter(|leader| leader.address != own);
        if let Some(leader) = known
            && let Ok(answer) = self.peers.join(&leader.address, cluster_id, leader.id.0, voted).await
        {
            return Asked::Active(answer);
        }
        let answers = self.peers.formation(None).await;
        for (address, state) in answers.iter().filter_map(|(address, answer)| Some((address, answer.as_ref().ok()?))) {
            // The others name the active controller by its id; it is found by asking the one that has it.
            if state.leader == state.node_id && state.cluster_id == Some(cluster_id) {
                match self.peers.join(address, cluster_id, state.node_id, voted).await {
                    Ok(answer) => return Asked::Active(answer),
                    Err(error) => return Asked::Nobody(format!("{address}: {error}")),
                }
            }
        }
        let of_cluster = |state: &&crate::formation::PeerState| state.formed && state.cluster_id == Some(cluster_id);
        let formed = answers.values().flatten().filter(of_cluster).count();
        let silent =
            answers.iter().filter_map(|(address, answer)| Some(format!("{address} ({})", answer.as_ref().err()?)));
        let silent: Vec<String> = silent.collect();
        let total = self.peers.config.peers.len();
        Asked::Nobody(format!(
            "cluster {cluster_id} has no active controller: {formed} of the {} others that were asked hold its log{}{}. \
             {} of {total} have to run with their disks. This controller forms nothing by itself; if the disks of a \
             majority are lost, see \"Controllers without a quorum\" in deploy/README.md",
            total - 1,
            if silent.is_empty() { "" } else { "; no answer of " },
            silent.join(", "),
            total / 2 + 1,
        ))
    }

    fn gone(&self, replaced_by: u64) -> Fatal {
        let (id, address) = (self.node.id(), self.peers.config.own_address().to_owned());
        match replaced_by {
            0 => Fatal::Removed { id, address },
            by => Fatal::Replaced { id, by, address },
        }
    }

    /// Tells what is waited for, in the log where it is new.
    fn say(&self, next: Standing, said: &mut Option<(String, Instant)>) {
        match &next.waiting_for {
            Some(why) => {
                let again = said.as_ref().is_none_or(|(last, at)| last != why || at.elapsed() >= REPEAT_LOG);
                if again {
                    tracing::warn!(node_id = self.node.id(), voter = next.voter, "waiting: {why}");
                    *said = Some((why.clone(), Instant::now()));
                }
            }
            None => {
                if said.take().is_some() {
                    tracing::info!(node_id = self.node.id(), "this controller votes");
                }
            }
        }
        self.standing.send_if_modified(|standing| {
            let changed = *standing != next;
            if changed {
                *standing = next;
            }
            changed
        });
    }
}
