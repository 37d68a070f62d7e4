//! The first start since the controllers were recovered from this folder.
//!
//! Its metadata outranks that of all who were not recovered: once they meet they end, and so does their majority.
//! Nothing was decided under it yet, so it looks first whom it would end, for as long as an election takes: one look
//! may fall into a moment without a leader, and a process that is started again and again falls into one at some time.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep};

use holdfast_metadata::{
    Image,
    recovery::{ControllerRecovery, INDEX_LEAP},
};
use holdfast_proto::{
    ids::{ClusterId, ControllerId},
    refusal::Recovered,
};

use super::{
    ask::describe,
    judge::{Answered, Before, judge_before, stands_beside},
};
use crate::{channels::Channels, config::Config, exit::Fatal, identity::DataDir, raft::Lineages};

/// The longest election timeouts after which somebody campaigns who hears no leader: the lease, and the timeout itself.
const CAMPAIGN_TIMEOUTS: u32 = 2;
/// The longest election timeouts that an election takes, with one in which the votes are split.
const ELECTION_TIMEOUTS: u32 = 2;
/// Longest pause between two looks; an election timeout, where that is less.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Ends this controller, for good, if another one goes on from a recovery that this folder does not know, and as often:
/// nothing was decided under its own yet. Refuses to start, until that is over, while one is active that lacks its own,
/// or while those that lack it may be a majority. Asks only at the first start since, before this controller takes part
/// or answers: once, if all answer and none of them holds the log; else until an election would have been seen.
pub(crate) async fn give_way(
    config: &Config,
    data: &DataDir,
    channels: &Channels,
    lineages: &Lineages,
) -> Result<(), Fatal> {
    let own = ControllerId(data.node_id());
    let image = lineages.metadata_at_rest().filter(|image| is_first(image, own));
    let Some((image, cluster_id)) = image.and_then(|image| image.cluster_id().map(|cluster_id| (image, cluster_id)))
    else {
        return Ok(());
    };
    let address = config.own_address();
    let others: BTreeSet<String> = config.peers.iter().filter(|peer| *peer != address).cloned().collect();
    let timeout = Duration::from_millis(config.election_timeout_max_ms);
    let end = Instant::now() + timeout * (CAMPAIGN_TIMEOUTS + ELECTION_TIMEOUTS);
    loop {
        let began = Instant::now();
        let answers = describe(channels, others.clone()).await;
        let theirs = answers.iter().find_map(|answer| Some((answer, rival(&image, cluster_id, answer)?)));
        if let Some((answer, theirs)) = theirs {
            return Err(lineages.give_way(outrun(&answer.address, &theirs)).await);
        }
        match judge_before(cluster_id, image.controller_recoveries(), others.len(), &answers) {
            Before::Few if began < end => {
                tracing::info!("the first start since a recovery: looking for others that hold the log");
                sleep(timeout.min(PAUSE_MAX)).await;
            }
            Before::Nobody | Before::Few => return Ok(()),
            Before::Majority(addresses) => return Err(Fatal::Failure(majority(&addresses))),
            Before::Active { address, id } => return Err(Fatal::Failure(active(&address, id, own))),
        }
    }
}

/// True if nothing was decided since the controllers were recovered from this one.
fn is_first(image: &Image, own: ControllerId) -> bool {
    let made = |last: &ControllerRecovery| last.controller_id == own && last.index.0 + INDEX_LEAP == image.index().0;
    image.controller_recoveries().last().is_some_and(made)
}

/// The recovery that who answers goes on from, if it is none that is known here, and not of a lower number.
fn rival(image: &Image, cluster_id: ClusterId, answer: &Answered) -> Option<Recovered> {
    let ours = image.controller_recoveries();
    let theirs = stands_beside(ours, &answer.view).filter(|_| answer.view.cluster_id == cluster_id.to_bytes())?;
    (theirs.recoveries >= ours.len() as u64).then_some(theirs)
}

/// Why this one gives way.
fn outrun(address: &str, theirs: &Recovered) -> String {
    format!(
        "the controller at {address} goes on already, and not from this recovery: {theirs}. This one gives way, as \
         nothing was decided under it yet. If it is to go on instead, stop those; then run 'holdfast-controller \
         recover' on this folder once more, with --accept-older-store: it counts for more then"
    )
}

/// Why it does not start while one is active.
fn active(address: &str, id: u64, own: ControllerId) -> String {
    let copy = if id == own.0 { "; that is the id of this folder: a copy of it may be in use" } else { "" };
    format!(
        "controller {id} is active (says the one at {address}{copy}), and knows nothing of the recovery that this folder \
         goes on from: started, this one would end it, and the others with it. {STOP}"
    )
}

/// Why it does not start while there is a majority.
fn majority(addresses: &[String]) -> String {
    format!(
        "the controllers at {} hold the log, know nothing of the recovery that this folder goes on from, and may be a \
         majority, though none of them is active now: started, this one would end them. {STOP}",
        addresses.join(", ")
    )
}

/// What to do then.
const STOP: &str = "Nothing was changed. A leader that was just stopped is still named for a second: start this one \
                    again. Else stop all of them, then start this one again (in Kubernetes: scale the controllers to 0, \
                    delete the claims of the others, scale up); or start this one with an empty folder: it joins them";
