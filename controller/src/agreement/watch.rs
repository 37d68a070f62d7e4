//! When the voters are asked, and what follows: on the active controller, soon after it became so, and then after so many
//! changes or so much time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::time::MissedTickBehavior;

use holdfast_metadata::{Command, HistoryHash};
use holdfast_proto::ids::MetadataIndex;

use super::{
    judge::{Verdict, judge},
    voters::{Agreement, Said},
};
use crate::{admission::Proposer, exit::Fatal};

/// How often it is looked whether to ask.
const LOOK: Duration = Duration::from_secs(1);
/// Asked again after so many entries of the log: fewer than are kept in memory to compare.
const EVERY_ENTRIES: u64 = 1_000;
/// Asked again after this long.
const EVERY: Duration = Duration::from_mins(1);

/// When the voters were asked last, in this leadership.
struct Asked {
    at: Instant,
    index: MetadataIndex,
}

impl Agreement {
    /// Asks again and again while this controller is active. Ends only if this controller must not go on.
    pub(crate) async fn watch(self) -> Fatal {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<Asked> = None;
        let mut checked = None;
        loop {
            ticks.tick().await;
            if !self.node.is_active() {
                asked = None;
                continue;
            }
            let index = self.node.view().image().index();
            let due = asked
                .as_ref()
                .is_none_or(|last| last.at.elapsed() >= EVERY || index.0 >= last.index.0.saturating_add(EVERY_ENTRIES));
            if due {
                asked = Some(Asked { at: Instant::now(), index });
                if let Some(fatal) = self.check(&mut checked).await {
                    return fatal;
                }
            }
        }
    }

    /// Asks once. `checked` is the hash that the log was told last: the same need not be told again. A reason to end, if
    /// this controller differs from most.
    pub(crate) async fn check(&self, checked: &mut Option<HistoryHash>) -> Option<Fatal> {
        let image = self.node.view().image();
        let (index, own) = (image.index(), image.history());
        let said = self.ask(index).await;
        if said.values().any(|said| *said == Said::Nothing) {
            // It could not read the commands either.
            tracing::info!("a controller of an older build votes: the metadata is not compared until it is upgraded");
            return None;
        }
        let Some(ours) = own else {
            if said.values().all(|said| said.versions().is_some()) {
                self.propose(Command::BeginHistory).await;
            }
            return None;
        };
        let mut hashes: BTreeMap<u64, Option<HistoryHash>> =
            said.iter().map(|(id, said)| (*id, said.history())).collect();
        // What is not among the last changes any more is known here.
        hashes.entry(self.node.id()).and_modify(|own| *own = Some(ours));
        match judge(self.node.id(), &hashes) {
            Verdict::Wait => tracing::debug!(%index, "too few voters tell their hash: compared later"),
            Verdict::Split(hashes) => {
                tracing::error!(%index, ?hashes, "the metadata of the controllers differs, and none of them is that of \
                    most: report it");
            }
            Verdict::OwnIsOdd { hash: theirs } => return Some(Fatal::Diverged { index, ours, theirs }),
            Verdict::Most { hash, odd } => {
                if !odd.is_empty() {
                    tracing::error!(%index, %hash, ?odd, "these controllers made something else of the log than most: \
                        they end when they learn of it");
                }
                if (*checked != Some(hash) || !odd.is_empty())
                    && self.propose(Command::CheckHistory { index, hash }).await
                {
                    *checked = Some(hash);
                }
            }
        }
        None
    }

    async fn propose(&self, command: Command) -> bool {
        match self.node.propose(Proposer::Controller, command).await {
            Ok(_) => true,
            Err(error) => {
                tracing::info!(%error, "the comparison of the metadata is not in the log yet");
                false
            }
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
