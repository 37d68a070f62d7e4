//! Folders of replicas that were set aside: looked at now and then, said how many they are, deleted when it is time.
//!
//! They fill the disk otherwise, for each replica that is copied again leaves one. Their age is counted as that of records
//! is, and only while the clocks are trusted.

use std::{collections::BTreeSet, sync::Arc};

use holdfast_log::{Aside, KeepAside, asides_due};
use holdfast_proto::ids::TopicId;

use crate::here::context::Context;

/// What stood aside when it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Asides {
    folders: usize,
}

impl Asides {
    /// Looks at the folders, and deletes those that are due; `is_trusted`: by age too.
    pub(super) async fn look(&mut self, context: &Arc<Context>, is_trusted: bool) {
        let max_age_ms = Some(context.config.set_aside_max_age_ms).filter(|max_age_ms| is_trusted && *max_age_ms > 0);
        let keep = KeepAside { max_age_ms, is_disk_low: context.state.is_disk_low() };
        let working = Arc::clone(context);
        match tokio::task::spawn_blocking(move || look(&working, keep)).await {
            Ok(Ok(left)) => self.tell(&left),
            Ok(Err(error)) => tracing::warn!(%error, "the folders that were set aside cannot be looked at"),
            Err(_the_runtime_ends) => {}
        }
    }

    fn tell(&mut self, left: &[Aside]) {
        let (folders, bytes): (_, u64) = (left.len(), left.iter().map(|aside| aside.bytes).sum());
        if folders != self.folders {
            tracing::info!(folders, bytes, "folders of replicas stand aside");
        }
        self.folders = folders;
    }
}

/// Deletes what is due, and gives what is left. Blocks.
fn look(context: &Context, keep: KeepAside) -> Result<Vec<Aside>, holdfast_log::Error> {
    let data_dir = &context.logs.data_dir;
    let asides = data_dir.asides()?;
    let deleted: BTreeSet<TopicId> = {
        let image = context.metadata.look();
        let topics = asides.iter().map(|aside| aside.partition.topic_id);
        topics.filter(|topic| image.deleted_topics().contains(topic)).collect()
    };
    let due = asides_due(&asides, keep, |topic| deleted.contains(&topic));
    for (aside, reason) in &due {
        let Aside { path, age_ms, bytes, .. } = aside;
        tracing::warn!(path = %path.display(), age_ms, bytes, reason, "deleting a replica that was set aside");
        data_dir.remove_aside(aside)?;
    }
    let gone: Vec<&Aside> = due.into_iter().map(|(aside, _)| aside).collect();
    Ok(asides.iter().filter(|aside| !gone.contains(aside)).cloned().collect())
}
