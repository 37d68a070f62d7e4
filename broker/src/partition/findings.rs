//! What was found to be wrong with replicas of this broker, until somebody looks at it: by reads, by the scrub, by the core
//! of a replica that contradicts its leader, by the log writer.
//!
//! A replica has one finding at most, the first: what follows from it is the same. So the memory is bounded by the
//! replicas. A finding names the opening of the log that it is about: a reader may be late, and the replica made again.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_log::{Cause, Error, LogReader};
use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::{error::ErrorCode, ids::TopicPartition};

/// What is wrong with a replica.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The kind of it, as controllers keep it.
    pub reason: DistrustReason,
    /// What was found, in words, with file and offset where there are some.
    pub detail: String,
    /// The opened log that it is about; `None`: what cannot be opened.
    pub log: Option<LogReader>,
}

impl Finding {
    /// That the replica with this log is damaged.
    pub fn damaged(log: &LogReader, detail: String) -> Self {
        Self { reason: DistrustReason::Damaged, detail, log: Some(log.clone()) }
    }

    /// True if it is about the replica that has this log.
    pub fn is_about(&self, log: &LogReader) -> bool {
        self.log.as_ref().is_none_or(|own| own.is_same(log))
    }
}

/// How a data folder notes this reason. What only controllers find is never noted there.
pub fn cause_of(reason: DistrustReason) -> Cause {
    match reason {
        DistrustReason::Vanished => Cause::Vanished,
        DistrustReason::Halted => Cause::Halted,
        DistrustReason::Damaged | DistrustReason::Folder | DistrustReason::Short => Cause::Damaged,
    }
}

/// What a data folder noted, as controllers keep it.
pub fn reason_of(cause: Cause) -> DistrustReason {
    match cause {
        Cause::Damaged => DistrustReason::Damaged,
        Cause::Vanished => DistrustReason::Vanished,
        Cause::Halted => DistrustReason::Halted,
    }
}

/// Where a reader of one replica's log says what it found.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The replica that is read.
    pub partition: TopicPartition,
    /// The log of it that is read.
    pub log: LogReader,
    /// Where it is said.
    pub findings: Arc<Findings>,
}

impl Reporter {
    /// What a reader is told of an error. Damage has consequences: it is a finding. If the replica `is_spare`, another is in
    /// sync and will lead instead: the reader is told to look for that one.
    pub fn read_failed(&self, error: &Error, is_spare: bool) -> ErrorCode {
        let code = code_of(error);
        if code != ErrorCode::OffsetOutOfRange && code != ErrorCode::NotLeaderOrFollower {
            tracing::error!(partition = %self.partition, %error, "a log cannot be read");
        }
        if code != ErrorCode::LogDamaged {
            return code;
        }
        self.findings.put(self.partition, Finding::damaged(&self.log, error.to_string()));
        if is_spare { ErrorCode::KafkaStorageError } else { code }
    }
}

fn code_of(error: &Error) -> ErrorCode {
    match error {
        Error::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        Error::Damaged { .. } | Error::BadBatch(_) => ErrorCode::LogDamaged,
        Error::Closed => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    }
}

/// Findings that nobody has looked at yet. See the module.
#[derive(Debug, Default)]
pub struct Findings {
    waiting: Mutex<BTreeMap<TopicPartition, Finding>>,
    filled: Notify,
}

impl Findings {
    /// Adds a finding, unless the replica has one that waits.
    pub fn put(&self, partition: TopicPartition, finding: Finding) {
        self.waiting.lock().entry(partition).or_insert(finding);
        self.filled.notify_one();
    }

    /// Waits for findings and takes all.
    pub async fn take(&self) -> BTreeMap<TopicPartition, Finding> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn what_a_folder_notes_is_told_as_it_was_found() {
        for reason in [DistrustReason::Damaged, DistrustReason::Vanished, DistrustReason::Halted] {
            assert_eq!(reason_of(cause_of(reason)), reason);
        }
    }

    #[test]
    fn the_first_finding_of_a_replica_is_the_one_that_is_told() {
        let findings = Findings::default();
        assert!(findings.take().now_or_never().is_none());
        let partition = TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) };
        let finding = |detail: &str| Finding { reason: DistrustReason::Damaged, detail: detail.to_owned(), log: None };
        findings.put(partition, finding("first"));
        findings.put(partition, finding("second"));
        let taken = findings.take().now_or_never().expect("there is one");
        assert_eq!(taken.into_values().map(|finding| finding.detail).collect::<Vec<_>>(), ["first"]);
        assert!(findings.take().now_or_never().is_none());
    }
}
