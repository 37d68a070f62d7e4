//! What a broker proves of its folder, and which replicas it does not vouch for.

use uuid::Uuid;

use holdfast_broker::partition::roster::{self, ClosedAt};
use holdfast_metadata::{DistrustReplicas, DistrustedReplica, trust::DistrustReason};
use holdfast_proto::ids::{FolderToken, LeaderEpoch, Millis, TopicPartition};
use holdfast_replication::Replica;

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

    /// Notes, on the disk before it is told, that a replica does not count.
    pub(super) fn note_distrust(&mut self, tp: TopicPartition, closed_at: ClosedAt, disk: &mut Disk) {
        let reason = self.found.remove(&tp).unwrap_or(DistrustReason::Damaged);
        self.untold.insert(tp, (reason, closed_at));
        disk.distrusted.insert(tp, reason);
    }

    /// Asks leaders again whether they are there, as long as the metadata names them.
    pub(super) fn ask_leaders(&mut self, out: &mut Vec<Outgoing>) {
        let image = self.metadata.image();
        self.asked.retain(|tp, (leader, leader_epoch)| {
            image
                .partition(*tp)
                .is_some_and(|state| (state.leader, state.leader_epoch) == (Some(*leader), *leader_epoch))
        });
        for (tp, (leader, leader_epoch)) in &self.asked {
            let message = Message::AskLeader { tp: *tp, leader_epoch: *leader_epoch };
            out.push(Outgoing::Send(Node::Broker(*leader), message));
        }
    }

    /// Answers one that asks whether it leads, if it does.
    pub(super) fn say_if_it_leads(
        &self,
        from: Node,
        tp: TopicPartition,
        leader_epoch: LeaderEpoch,
        out: &mut Vec<Outgoing>,
    ) {
        let leads = |replica: &Replica| replica.is_leader() && replica.leader_epoch() == Some(leader_epoch);
        if self.replica(tp).is_some_and(leads) {
            out.push(Outgoing::Send(from, Message::Leads { tp, leader_epoch }));
        }
    }

    /// A leader that was asked is there.
    pub(super) fn leads(
        &mut self,
        now: Millis,
        from: Node,
        (tp, leader_epoch): (TopicPartition, LeaderEpoch),
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let Node::Broker(leader) = from else { panic!("{from:?} says that it leads") };
        let by = (leader, leader_epoch);
        if self.asked.get(&tp) == Some(&by) {
            self.asked.remove(&tp);
        }
        self.roster(now, &roster::Event::LeaderAnswered(tp, by), disk, out);
    }
}
