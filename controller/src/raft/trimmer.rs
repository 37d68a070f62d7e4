//! Keeps the log short by its bytes, beside openraft, which counts entries alone: a thousand large entries fill a disk.
//!
//! Every controller does so for itself. It asks openraft for a snapshot, or for a purge of what a snapshot holds; openraft
//! purges nothing that is not in one, and nothing that a follower is being sent.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;

use super::{consensus::Consensus, log_sizes::LogSizes, log_store::LogStore};
use crate::config::Config;

/// How often the size of the log is looked at. Also bounds how much may be written past the limit.
const INTERVAL: Duration = Duration::from_millis(500);

/// What is to be kept, in bytes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Entries between two snapshots.
    between_snapshots: u64,
    /// Entries behind a snapshot.
    kept_behind: u64,
}

/// What is to be done to the log now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trim {
    snapshot: bool,
    purge_to: Option<u64>,
}

/// Keeps the log within the bytes that `config` names. Ends with the consensus.
pub async fn keep_short(consensus: Consensus, log: LogStore, config: std::sync::Arc<Config>) {
    let limits = Limits { between_snapshots: config.snapshot_interval_bytes, kept_behind: config.snapshot_keep_bytes };
    let raft = consensus.raft();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (snapshot, applied) = {
            let metrics = raft.metrics();
            let now = metrics.borrow_watched();
            (now.snapshot.map(|id| id.index), now.last_applied.map(|id| id.index))
        };
        let trim = log.sizes(|sizes| decide(sizes, limits, snapshot, applied));
        let trigger = raft.trigger();
        if let Some(up_to) = trim.purge_to
            && trigger.purge_log(up_to).await.is_err()
        {
            return;
        }
        if trim.snapshot && trigger.snapshot().await.is_err() {
            return;
        }
    }
}

fn decide(sizes: &LogSizes, limits: Limits, snapshot: Option<u64>, applied: Option<u64>) -> Trim {
    let due = |applied| sizes.between(snapshot, applied) >= limits.between_snapshots;
    Trim {
        snapshot: applied.is_some_and(due),
        purge_to: snapshot.and_then(|snapshot| sizes.cut(snapshot, limits.kept_behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_entries_are_a_reason_for_a_snapshot_and_few_of_them_are_kept() {
        let limits = Limits { between_snapshots: 1_000, kept_behind: 250 };
        let mut sizes = LogSizes::default();
        for index in 0..9 {
            sizes.push(index, 100);
        }
        assert_eq!(decide(&sizes, limits, None, Some(8)), Trim::default(), "too little for a snapshot");
        sizes.push(9, 100);
        assert_eq!(decide(&sizes, limits, None, Some(8)), Trim::default(), "what is not applied is in no snapshot");
        assert_eq!(decide(&sizes, limits, None, Some(9)), Trim { snapshot: true, purge_to: None });
        assert_eq!(decide(&sizes, limits, Some(9), Some(9)), Trim { snapshot: false, purge_to: Some(7) });
        sizes.purge(7);
        assert_eq!(decide(&sizes, limits, Some(9), Some(9)), Trim::default());
    }
}
