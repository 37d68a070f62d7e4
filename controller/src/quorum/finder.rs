//! Looks for controllers that are not reached at their address in the membership, at the configured ones.
//!
//! Only who has to call them looks: the active controller, and everyone while there is none; so that a quorum forms even
//! if all controllers came back under other addresses. Who is called elsewhere is asked for at its address in the
//! membership as well, and so is the leader by those that it leads. A round asks every address at once, with a deadline;
//! between rounds that find nothing the pause doubles. Where they are called then, [`Reach`] says.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use holdfast_net::{backoff::Backoff, jitter::jittered};

use crate::{
    node::Node,
    peers::Peers,
    raft::{Members, Reach, Sighting},
};

/// How often it is seen whether somebody is lost.
const LOOK: Duration = Duration::from_millis(250);
/// First and longest pause between two rounds of questions.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(10);

/// The task that asks `peers` and tells `reach` what it finds.
pub(crate) struct Finder {
    pub(crate) node: Node,
    pub(crate) peers: Peers,
    pub(crate) reach: Reach,
}

impl Finder {
    /// Looks and asks until the process ends.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(ASK_AGAIN, ASK_AGAIN_MAX);
        let (mut lost, mut next) = (BTreeSet::new(), Instant::now());
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let members = Members::of(self.node.consensus());
            self.reach.follow(&members.list.iter().map(|member| (member.id, member.address.clone())).collect());
            let wanted = self.reach.sought(self.led_by());
            let ids = self.reach.lost();
            if !ids.is_subset(&lost) {
                backoff.reset();
                next = Instant::now();
            }
            lost = ids;
            let Some(cluster_id) = self.peers.data.cluster_id() else { continue };
            if wanted.is_empty() || Instant::now() < next {
                continue;
            }
            let addresses = self.peers.others().chain(wanted.values()).cloned().collect();
            let mut sightings = self.peers.sightings(&addresses, cluster_id).await;
            sightings.retain(|sighting| holds_what_it_acknowledged(&members, sighting));
            if self.reach.learn(&wanted, &sightings) {
                backoff.reset();
            }
            next = Instant::now() + jittered(backoff.next_pause());
        }
    }

    /// The controller that leads, if it is another one.
    fn led_by(&self) -> Option<u64> {
        let own = self.node.id();
        self.node.present_leader().map(|leader| leader.id.0).filter(|leader| *leader != own)
    }
}

/// False for an older copy of a data folder, as far as the active controller knows.
fn holds_what_it_acknowledged(members: &Members, sighting: &Sighting) -> bool {
    let member = members.list.iter().find(|member| member.id == sighting.node_id);
    member.and_then(|member| member.matched).is_none_or(|matched| matched <= sighting.last_log)
}
