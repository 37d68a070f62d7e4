//! What others look at of a broker's process.

use holdfast_proto::ids::{BrokerEpoch, BrokerId, IncarnationId, Offset, TopicPartition};
use holdfast_replication::Replica;

use super::process::Broker;

impl Broker {
    /// Names this start of the process.
    pub fn incarnation(&self) -> IncarnationId {
        self.incarnation
    }

    /// True once this start is registered.
    pub fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// The core of a replica that is open here.
    pub fn replica(&self, tp: TopicPartition) -> Option<&Replica> {
        self.replicas.get(tp)
    }

    /// End of what consumers may read here, if this broker leads the partition as far as it knows.
    pub fn readable_end(&self, tp: TopicPartition) -> Option<Offset> {
        self.replica(tp).and_then(|replica| replica.readable_end().ok())
    }

    /// The leader as this broker knows it.
    pub fn leader_of(&self, tp: TopicPartition) -> Option<BrokerId> {
        self.metadata.image().partition(tp).and_then(|state| state.leader)
    }

    /// What this replica's core looks like, for a failure's report.
    pub fn describe(&self, tp: TopicPartition) -> String {
        let image = self.metadata.image();
        let state = image.partition(tp);
        format!(
            "image at {}, session {}: {state:?}; {}",
            image.index(),
            self.session.is_some(),
            self.replicas.describe(tp)
        )
    }

    /// Epoch of its registration.
    pub fn broker_epoch(&self) -> Option<BrokerEpoch> {
        self.registered.map(|(epoch, _)| epoch)
    }
}
