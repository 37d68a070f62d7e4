//! What a broker proves of its folder, and which replicas it does not vouch for.

use uuid::Uuid;

use holdfast_broker::partition::roster::{self, ClosedAt};
use holdfast_metadata::{DistrustReplicas, DistrustedReplica, trust::DistrustReason};
use holdfast_proto::ids::{FolderToken, Millis, TopicPartition};

use super::{outgoing::Outgoing, process::Broker};
use crate::sim::{
    disk::Disk,
    message::{Message, Node},
};

impl Broker {
    /// Another token, which the disk holds before it is said.
    pub(super) fn next_token(&mut self, now: Millis, disk: &mut Disk) {
        self.tokens_made += 1;
        let token = FolderToken(Uuid::from_u128(self.incarnation.0.as_u128() << 32 | self.tokens_made));
        disk.tokens.push(token);
        self.token.stored(now, token, disk.syncs());
    }

    /// Confirms the token that is committed, and makes another if it is time.
    pub(super) fn prove(&mut self, now: Millis, disk: &mut Disk) {
        let epoch = self.broker_epoch();
        let own = self.metadata.image().broker(self.id).filter(|own| Some(own.broker_epoch) == epoch).cloned();
        let Some(own) = own else { return };
        if let Some(token) = own.token.filter(|token| self.token.committed(*token)) {
            disk.tokens = vec![token];
            disk.was_copied = false;
            disk.held.get_or_insert_with(|| disk.logs.keys().copied().collect());
        }
        if !own.fenced && self.token.is_due(now, disk.syncs()) {
            self.next_token(now, disk);
        }
    }

    /// Says again which replicas it does not vouch for.
    pub(super) fn tell_untold(&mut self, out: &mut Vec<Outgoing>) {
        let (image, own) = (self.metadata.image(), self.id);
        self.untold.retain(|tp, (_, closed_at)| {
            !image.partition(*tp).is_some_and(|state| roster::is_told(state, own, *closed_at))
        });
        let Some(broker_epoch) = self.broker_epoch().filter(|_| !self.untold.is_empty()) else { return };
        let one = |(tp, (reason, _)): (&TopicPartition, &(DistrustReason, ClosedAt))| {
            let TopicPartition { topic_id, partition } = *tp;
            let partition_epoch = image.partition(*tp)?.partition_epoch;
            Some(DistrustedReplica { topic_id, partition, partition_epoch, reason: *reason })
        };
        let replicas = self.untold.iter().filter_map(one).collect();
        let distrust = DistrustReplicas { broker_id: own, broker_epoch, replicas };
        out.push(Outgoing::Send(Node::Controller, Message::Distrust(distrust)));
    }

    /// Something is wrong with a replica: the broker does not vouch for it any more.
    pub fn found(
        &mut self,
        now: Millis,
        tp: TopicPartition,
        reason: DistrustReason,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        self.found.insert(tp, reason);
        self.roster(now, &roster::Event::Distrusted(tp), disk, out);
    }
}
