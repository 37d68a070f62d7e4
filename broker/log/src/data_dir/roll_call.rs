//! The start of a data folder: its list of partitions is held against the folders that are there.

use std::{collections::BTreeSet, path::Path};

use holdfast_proto::ids::TopicPartition;

use super::{
    identity::ListKept,
    list_file::{LIST, ListFile},
    replica::{ListState, ReplicaOnDisk, Standing},
    replica_list::{Entries, Entry, Problem},
};
use crate::Error;

/// What a start finds.
pub(super) struct Roll {
    /// What the list says from now on.
    pub(super) entries: Entries,
    pub(super) replicas: Vec<ReplicaOnDisk>,
    pub(super) state: ListState,
}

/// Finds the list, or makes one of the folders. `kept` is what the identity says of it, which the start with the boot counter
/// `written_by` wrote.
pub(super) fn roll_call(
    path: &Path,
    kept: Option<ListKept>,
    written_by: u64,
    is_new: bool,
    folders: &BTreeSet<TopicPartition>,
) -> Result<Roll, Error> {
    // An earlier program counts starts and writes no list.
    let found = ListFile::load(path, kept.map_or(0, |_| written_by))?;
    if let Some(Err(Problem::Newer(version))) = &found {
        let reason =
            format!("it has format version {version}, which this program does not know: use the newer program again");
        return Err(Error::BadFolder { path: path.join(LIST), reason });
    }
    let (entries, state) = match (kept, found) {
        (_, _) if is_new => (Entries::new(), ListState::Kept),
        (Some(ListKept::Kept), Some(Ok(entries))) => (entries, ListState::Kept),
        (Some(ListKept::Lost), Some(Ok(entries))) => {
            (entries, ListState::Lost { reason: "an earlier start found it missing or damaged".to_owned() })
        }
        (Some(_), None) => (made_of(folders), ListState::Lost { reason: format!("the file {LIST} is missing") }),
        (Some(_), Some(Err(problem))) => {
            let what = if let Problem::Lost(reason) = problem { reason } else { String::new() };
            (made_of(folders), ListState::Lost { reason: format!("the file {LIST} does not count: {what}") })
        }
        // An earlier program used the folder. What it deleted is no loss; but it knew nothing of distrust, and whether it
        // has copied such a log since is not known.
        (None, found) => {
            let mut entries = made_of(folders);
            let stale = found.and_then(Result::ok).unwrap_or_default().into_iter();
            let distrusted = stale.filter(|(of, entry)| folders.contains(of) && matches!(entry, Entry::Distrusted(_)));
            entries.extend(distrusted);
            (entries, ListState::Rebuilt)
        }
    };
    if let ListState::Lost { reason } = &state {
        tracing::error!(
            path = %path.display(),
            reason,
            "the list of this folder's partitions was lost and is made of the folders that are there: none that has \
             vanished is known, nor any that is not to be trusted"
        );
    }
    Ok(Roll { replicas: compare(&entries, folders), entries, state })
}

fn made_of(folders: &BTreeSet<TopicPartition>) -> Entries {
    folders.iter().map(|partition| (*partition, Entry::Held)).collect()
}

fn compare(entries: &Entries, folders: &BTreeSet<TopicPartition>) -> Vec<ReplicaOnDisk> {
    let all: BTreeSet<TopicPartition> = entries.keys().chain(folders).copied().collect();
    let standing = |partition| match entries.get(&partition) {
        Some(Entry::Distrusted(distrust)) => Standing::Distrusted(distrust.clone()),
        Some(Entry::Held) if folders.contains(&partition) => Standing::Held,
        Some(Entry::Held) => Standing::Vanished,
        None => Standing::Adopted,
    };
    all.into_iter().map(|partition| ReplicaOnDisk { partition, standing: standing(partition) }).collect()
}
