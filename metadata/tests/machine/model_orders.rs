//! What is ordered in the model of [`crate::acknowledged_history`]: brokers that stop in order, and moves of replicas.

use holdfast_metadata::{AlterPartition, AlterReplicas, Command, IsrChange, IsrMember, ReplicaMove, Response};
use holdfast_proto::ids::{Offset, TopicPartition};

use crate::{cluster::b, model::Model};

impl Model {
    /// Broker `n` takes and acknowledges nothing any more. As a leader it says how far was acknowledged, and before that
    /// makes itself the whole ISR if that is still large enough; what it proposed before may still arrive.
    pub(crate) fn stop_in_order(&mut self, n: u32) {
        let TopicPartition { topic_id, partition } = self.partition();
        let trust = self.trust;
        for _ in 0..2 {
            let node = self.node(n);
            let broker_epoch = node.broker_epoch;
            let Some(leading) = node.leading.as_mut().filter(|leading| leading.high_watermark >= leading.start) else {
                break;
            };
            let is_small = leading.state.isr.len() < leading.min_isr;
            let epoch = |replica| if replica == b(n) { Some(broker_epoch) } else { None };
            let members: Vec<_> =
                leading.state.isr.iter().copied().filter(|member| is_small || *member == b(n)).collect();
            let end = leading.high_watermark;
            let (leader_epoch, partition_epoch) = (leading.state.leader_epoch, leading.state.partition_epoch);
            let high_watermark_epoch = end.checked_sub(1).map(|last| node.log[last].0).filter(|_| trust);
            let known = |replica| self.c.image.broker(replica).map_or(broker_epoch, |known| known.broker_epoch);
            let member =
                |replica| IsrMember { broker_id: replica, broker_epoch: epoch(replica).unwrap_or(known(replica)) };
            let change = IsrChange {
                topic_id,
                partition,
                leader_epoch,
                partition_epoch,
                new_isr: members.into_iter().map(member).collect(),
                high_watermark: trust.then_some(Offset(end as u64)),
                high_watermark_epoch,
            };
            let command = AlterPartition { broker_id: b(n), broker_epoch, changes: vec![change] };
            let Some(Response::PartitionsAltered { mut results }) = self.run(&Command::AlterPartition(command)) else {
                break;
            };
            let (Ok(state), Some(leading)) = (results.remove(0), &mut self.node(n).leading) else { break };
            leading.adopt(state);
            self.coverage.last_words += usize::from(is_small);
        }
        self.stop(n);
    }

    pub(crate) fn alter_replicas(&mut self, replicas: &[u32]) {
        let TopicPartition { topic_id, partition } = self.partition();
        let new_replicas = replicas.iter().copied().map(b).collect();
        let moves = vec![ReplicaMove { topic_id, partition, new_replicas }];
        let response = self.run(&Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: None }));
        let Some(Response::ReplicasAltered { results }) = response else { panic!("{response:?}") };
        self.coverage.moves_refused += results.iter().filter(|result| result.is_err()).count();
    }
}
