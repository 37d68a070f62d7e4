//! The first start since the controllers were recovered from this folder.

use std::collections::BTreeSet;

use holdfast_metadata::{
    Image,
    recovery::{ControllerRecovery, INDEX_LEAP},
};
use holdfast_proto::{ids::ControllerId, refusal::Recovered};

use super::{
    ask::describe,
    judge::{Answered, stands_beside},
};
use crate::{channels::Channels, config::Config, exit::Fatal, identity::DataDir, raft::Lineages};

/// Ends this controller, for good, if another one goes on from a recovery that this folder does not know, and as often:
/// nothing was decided under its own yet. Asks only at the first start since, before this controller takes part or answers.
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
    let Some((rival, theirs)) = answers.iter().find_map(|answer| Some((answer, rival(&image, answer)?))) else {
        return Ok(());
    };
    let what = format!(
        "the controller at {} goes on already, and not from this recovery: {theirs}. This one gives way, as nothing was \
         decided under it yet. If it is to go on instead, stop those; then run 'holdfast-controller recover' on this folder \
         once more, with --accept-older-store: it counts for more then",
        rival.address
    );
    Err(lineages.give_way(what).await)
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
