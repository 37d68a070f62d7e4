//! What is printed.

use std::fmt::Write as _;

use holdfast_metadata::Image;
use holdfast_proto::ids::ClusterId;

use crate::raft::{Survivor, Voice};

/// What a store that is behind its mark means.
pub(super) const OLDER_STORE: &str = "\
Its store was cut, or is an older copy: it lacks entries that it acknowledged, and which may have been committed with
it. Any other controller whose store is whole knows more: go on with that one. If there is none, this goes on from
what is left, and gives up the rest:
  --accept-older-store";

/// What the folder holds.
pub(super) fn found(folder: &str, node_id: u64, cluster_id: ClusterId, survivor: &Survivor) -> String {
    let image = survivor.image();
    let (index, committed) = (image.index().0, survivor.committed().0);
    let uncertain = match index.saturating_sub(committed) {
        0 => String::new(),
        count => format!("; the {count} after it may have been committed, and count as committed from now on"),
    };
    let brokers: Vec<String> = image.brokers().keys().map(ToString::to_string).collect();
    let mut text = format!(
        "controller {node_id} in {folder}, of cluster {cluster_id}\n\
         last entry of its log:  term {}, index {index}\n\
         known to be committed:  up to index {committed}{uncertain}\n\
         last vote:              term {}\n\
         metadata:               {} topics, {} partitions; brokers {}\n\
         controllers:            {}",
        survivor.last_term(),
        survivor.vote_term(),
        image.topic_count(),
        image.partition_count(),
        if brokers.is_empty() { "none".to_owned() } else { brokers.join(", ") },
        voices(&survivor.members()),
    );
    if let Some(behind) = survivor.behind() {
        let _ = write!(text, "\nNOT WHOLE: {behind}");
    }
    text
}

fn voices(members: &[Voice]) -> String {
    let one = |member: &Voice| {
        let learner = if member.votes { "" } else { ", which does not vote" };
        format!("{} ({}{learner})", member.id, member.address)
    };
    if members.is_empty() { "none".to_owned() } else { members.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// What would be given up.
pub(super) fn given_up(survivor: &Survivor, others: &[Voice], after: &Image) -> String {
    let without = after.controller_recoveries().last().map_or(&[][..], |recovery| &recovery.without[..]);
    let without: Vec<String> = without.iter().map(ToString::to_string).collect();
    let brokers = match without.len() {
        0 => String::new(),
        _ => format!("\n  brokers {}: what they hold counts for nothing, also if they come back", without.join(", ")),
    };
    format!(
        "\nto be given up, for good:\n  \
         controllers {}: they must never be started again with the folders that they have\n  \
         every change of the metadata after term {}, index {}: topics, settings, moves, brokers{brokers}\n\
         No record is given up by this. Every broker has to start again; a partition gets its leader once all brokers have \
         said what they hold.",
        voices(others),
        survivor.last_term(),
        survivor.image().index(),
    )
}

/// What to do where nothing was chosen yet.
pub(super) fn how_to_choose(folder: &str) -> String {
    format!(
        "\nnothing was changed. First try everything to start a majority of the controllers as they are.\n\
         If that cannot be: run this on each controller that is left, and go on with the one whose last entry has the \
         highest term, and of the same term the highest index:\n  \
         holdfast-controller recover --data-dir {folder} --accept-loss"
    )
}

/// What was done, and what comes next.
pub(super) fn done(address: &str, after: &Image) -> String {
    let unheard: Vec<String> = after.unheard_brokers().map(|broker| broker.to_string()).collect();
    format!(
        "\nit is the only controller from now on, and the metadata goes on with index {}. This is kept in the cluster for \
         ever.\nnext:\n  \
         1. start this controller, at {address}; it serves alone\n  \
         2. start the other controllers with empty folders: they join by themselves\n  \
         3. start every broker again: {}. Those that the metadata does not know yet first\n  \
         4. holdfast cluster status: which brokers are waited for, and which partitions have no leader",
        after.index(),
        if unheard.is_empty() { "there is none".to_owned() } else { unheard.join(", ") },
    )
}
