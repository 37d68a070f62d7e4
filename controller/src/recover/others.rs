//! Whether the other controllers have to be given up at all: they are asked first.

use holdfast_proto::ids::ClusterId;

use super::text;
use crate::{
    channels::channels,
    exit::Fatal,
    raft::{Survivor, Voice},
    rivals::{Half, Own, Verdict, describe, judge},
};

/// Refuses while a controller of the cluster is active, or while a majority answers and holds the log, `own` included
/// if its folder can be started as it is; of each half, while the change of the voters is half done. Else says which of
/// the others answer. Blocks while they are asked.
pub(super) fn refuse(
    survivor: &Survivor,
    own: &Voice,
    cluster_id: ClusterId,
    against_majority: bool,
) -> Result<Vec<String>, Fatal> {
    let members = survivor.members();
    let failure = |why: String| Fatal::Failure(why);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failure(format!("the other controllers cannot be asked: {error}")))?;
    // Its own address too: another one may have taken its place.
    let addresses = members.iter().map(|member| member.address.clone()).collect();
    let answers = runtime.block_on(async { describe(&channels(), addresses).await });
    let address = |id: &u64| members.iter().find(|member| member.id == *id).map(|member| member.address.clone());
    let halves = survivor.halves().iter().map(|half| Half {
        others: half.iter().filter(|id| **id != own.id).filter_map(&address).collect(),
        has_own: half.contains(&own.id),
        voters: half.len(),
    });
    let halves: Vec<Half> = halves.collect();
    let own = Own {
        cluster_id,
        recoveries: survivor.image().controller_recoveries(),
        counts: own.votes && text::older(survivor).is_none(),
        halves: &halves,
    };
    match judge(&own, &answers) {
        Verdict::Few(which) => Ok(which),
        Verdict::Majority(which) if against_majority => Ok(which),
        Verdict::Majority(which) => Err(failure(text::majority(&which, own.counts))),
        Verdict::Active { address, id, beside } => Err(failure(text::active(&address, id, beside))),
    }
}
