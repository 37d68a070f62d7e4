//! What a broker said of its replicas when it registered, to be looked up by partition.

use std::collections::BTreeMap;

use holdfast_proto::ids::TopicPartition;

use crate::trust::ReplicaReport;

/// What a broker said of its replicas, by partition.
pub(super) struct Reports<'a>(BTreeMap<TopicPartition, &'a ReplicaReport>);

impl<'a> Reports<'a> {
    /// Of one registration. Of two reports of one replica the later counts.
    pub(super) fn of(reports: &'a [ReplicaReport]) -> Self {
        let key = |report: &ReplicaReport| TopicPartition { topic_id: report.topic_id, partition: report.partition };
        Self(reports.iter().map(|report| (key(report), report)).collect())
    }

    /// What was said of this replica, if anything.
    pub(super) fn get(&self, partition: TopicPartition) -> Option<&'a ReplicaReport> {
        self.0.get(&partition).copied()
    }
}
