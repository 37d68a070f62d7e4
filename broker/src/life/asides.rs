//! Folders of replicas that were set aside: looked at now and then, said how many they are, deleted when it is time.
//!
//! They fill the disk otherwise, for each replica that is copied again leaves one. Their age is counted as that of records
//! is, and only while the clocks are trusted. One that may hold what nobody else does is never deleted here ([`worth`]),
//! whatever its age, and however full the disk is: an operator may need it, and says when not.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_log::{Aside, AsideWorth, Error, KeepAside, asides_due};
use holdfast_metadata::{Image, PartitionState};

use crate::here::{context::Context, state::AsideCounts};

/// How often the folders are listed at most while the disk is low, and none is known that could go.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// What stood aside when it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Asides {
    known: Vec<Aside>,
    listed: Option<Instant>,
    folders: usize,
    /// Those that were said to be kept though the disk is low.
    said: BTreeSet<PathBuf>,
}

impl Asides {
    /// Looks at the folders, and deletes those that are due; `is_trusted`: by age too.
    pub(super) async fn look(&mut self, context: &Arc<Context>, is_trusted: bool) {
        self.listed = Some(Instant::now());
        let working = Arc::clone(context);
        match tokio::task::spawn_blocking(move || working.logs.data_dir.asides()).await {
            Ok(Ok(known)) => self.known = known,
            Ok(Err(error)) => tracing::warn!(%error, "the folders that were set aside cannot be looked at"),
            Err(_the_runtime_ends) => {}
        }
        self.delete(context, is_trusted).await;
        self.tell(context);
    }

    /// Frees space where the disk is low, by what is known already: each tick comes here so long, and to list folders of
    /// thousands of files each time would keep a busy disk busier.
    pub(super) async fn look_while_low(&mut self, context: &Arc<Context>, is_trusted: bool) {
        if !self.known.is_empty() {
            self.delete(context, is_trusted).await;
            self.tell(context);
        } else if self.listed.is_none_or(|listed| listed.elapsed() >= LIST_EVERY) {
            self.look(context, is_trusted).await;
        }
    }

    async fn delete(&mut self, context: &Arc<Context>, is_trusted: bool) {
        let max_age_ms = Some(context.config.set_aside_max_age_ms).filter(|max_age_ms| is_trusted && *max_age_ms > 0);
        let keep = KeepAside { max_age_ms, is_disk_low: context.state.is_disk_low() };
        let (working, known) = (Arc::clone(context), std::mem::take(&mut self.known));
        // One that cannot say what is committed by now does not know what is needed.
        let is_informed = context.lease.holds(context.clock.now());
        let image = context.metadata.image();
        let worth = move |aside: &Aside| match worth(&image, aside) {
            AsideWorth::Spare if !is_informed => AsideWorth::Needed,
            worth => worth,
        };
        if keep.is_disk_low {
            self.tell_needed(known.iter().filter(|aside| worth(aside) == AsideWorth::Needed));
        } else {
            self.said.clear();
        }
        match tokio::task::spawn_blocking(move || delete(&working, known, keep, worth)).await {
            Ok((left, done)) => {
                self.known = left;
                if let Err(error) = done {
                    tracing::warn!(%error, "a folder that was set aside cannot be deleted");
                }
            }
            Err(_the_runtime_ends) => {}
        }
    }

    fn tell_needed<'a>(&mut self, needed: impl Iterator<Item = &'a Aside>) {
        for Aside { path, bytes, .. } in needed {
            if self.said.insert(path.clone()) {
                tracing::error!(
                    path = %path.display(),
                    bytes,
                    "the disk is below its reserve, and this replica that was set aside is kept: it may hold what nobody else \
                     does. Delete the folder by hand once you need nothing of it"
                );
            }
        }
    }

    fn tell(&mut self, context: &Context) {
        let (folders, bytes): (_, u64) = (self.known.len(), self.known.iter().map(|aside| aside.bytes).sum());
        context.state.set_asides(AsideCounts { folders: folders as u64, bytes });
        if folders != self.folders {
            tracing::info!(folders, bytes, "folders of replicas are set aside");
        }
        self.folders = folders;
    }
}

/// Deletes what is due of these, and gives what is left. Blocks.
fn delete(
    context: &Context,
    known: Vec<Aside>,
    keep: KeepAside,
    worth: impl Fn(&Aside) -> AsideWorth,
) -> (Vec<Aside>, Result<(), Error>) {
    let due = asides_due(&known, keep, worth);
    let (mut gone, mut done) = (BTreeSet::new(), Ok(()));
    for (aside, reason) in due {
        let Aside { path, age_ms, bytes, .. } = aside;
        tracing::warn!(path = %path.display(), age_ms, bytes, reason, "deleting a replica that was set aside");
        // One that cannot be deleted is tried again once it is listed again: it holds up no other.
        gone.insert(path.clone());
        if let Err(error) = context.logs.data_dir.remove_aside(aside) {
            done = Err(error);
        }
    }
    (known.into_iter().filter(|aside| !gone.contains(&aside.path)).collect(), done)
}

/// What the metadata says of a folder that stands aside. It is spare where its partition is led, more than half of the replicas
/// are in sync, and nothing that it may hold was given up since: neither did its replica halt, which knew of acknowledged
/// records that its leader lacked, nor did an operator let the partition go on without what other replicas held. What the
/// metadata does not know is needed: absence never deletes.
fn worth(image: &Image, aside: &Aside) -> AsideWorth {
    let id = aside.partition;
    if image.deleted_topics().contains(&id.topic_id) {
        return AsideWorth::Nothing;
    }
    let is_held = |state: &PartitionState| state.leader.is_some() && state.isr.len() * 2 > state.replicas.len();
    // A log with records of the leadership that a recovery began is of after it.
    let was_given_up = image.recoveries().iter().any(|recovery| {
        (recovery.topic_id, recovery.partition) == (id.topic_id, id.partition)
            && aside.latest_epoch.is_none_or(|latest| latest < recovery.leader_epoch)
    });
    if aside.has_halted || was_given_up || !image.partition(id).is_some_and(is_held) {
        return AsideWorth::Needed;
    }
    AsideWorth::Spare
}

#[cfg(test)]
#[path = "asides_tests.rs"]
mod tests;
