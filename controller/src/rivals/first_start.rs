//! The first start since the controllers were recovered from this folder.

use std::collections::BTreeSet;

use holdfast_metadata::{
    Image,
    recovery::{ControllerRecovery, INDEX_LEAP},
};
use holdfast_proto::{ids::ControllerId, refusal::Recovered};

use super::{
    ask::describe,
    judge::{Answered, active_without, stands_beside},
};
use crate::{channels::Channels, config::Config, exit::Fatal, identity::DataDir, raft::Lineages};

/// Ends this controller, for good, if another one goes on from a recovery that this folder does not know, and as often:
/// nothing was decided under its own yet. Refuses to start, until that is over, while one is active that lacks its own:
/// it would end that one, and its majority. Asks only at the first start since, before this controller takes part or
/// answers.
pub(crate) async fn give_way(
    config: &Config,
    data: &DataDir,
    channels: &Channels,
    lineages: &Lineages,
) -> Result<(), Fatal> {
    let image = lineages.metadata_at_rest().filter(|image| is_first(image, ControllerId(data.node_id())));
    let Some(image) = image else { return Ok(()) };
    let own = config.own_address();
    let others: BTreeSet<String> = config.peers.iter().filter(|peer| *peer != own).cloned().collect();
    let answers = describe(channels, others).await;
    if let Some((rival, theirs)) = answers.iter().find_map(|answer| Some((answer, rival(&image, answer)?))) {
        let what = format!(
            "the controller at {} goes on already, and not from this recovery: {theirs}. This one gives way, as \
             nothing was decided under it yet. If it is to go on instead, stop those; then run 'holdfast-controller \
             recover' on this folder once more, with --accept-older-store: it counts for more then",
            rival.address
        );
        return Err(lineages.give_way(what).await);
    }
    match active_before(&image, ControllerId(data.node_id()), &answers) {
        Some((answer, id)) => Err(Fatal::Failure(format!(
            "controller {id} is active (says the one at {}), and knows nothing of the recovery that this folder goes \
             on from: started, this one would end it, and the others with it. Nothing was changed. Stop it and those that \
             go with it, then start this one again; or start this one with an empty folder: it joins them",
            answer.address
        ))),
        None => Ok(()),
    }
}

/// True if nothing was decided since the controllers were recovered from this one.
fn is_first(image: &Image, own: ControllerId) -> bool {
    let made = |last: &ControllerRecovery| last.controller_id == own && last.index.0 + INDEX_LEAP == image.index().0;
    image.controller_recoveries().last().is_some_and(made)
}

/// The recovery that who answers goes on from, if it is none that is known here, and not of a lower number.
fn rival(image: &Image, answer: &Answered) -> Option<Recovered> {
    let ours = image.controller_recoveries();
    let cluster_id = image.cluster_id()?.to_bytes();
    let theirs = stands_beside(ours, &answer.view).filter(|_| answer.view.cluster_id == cluster_id)?;
    (theirs.recoveries >= ours.len() as u64).then_some(theirs)
}

/// Who is active in this cluster without this recovery, and who says so.
fn active_before<'a>(image: &Image, own: ControllerId, answers: &'a [Answered]) -> Option<(&'a Answered, u64)> {
    active_without(image.cluster_id()?, own, image.controller_recoveries(), answers)
}
