//! Moves of replicas at random, while everything else goes wrong.

use holdfast_metadata::{AlterReplicas, Command, ReplicaMove, Response};
use holdfast_proto::ids::BrokerId;

use super::{BROKERS, MIN_INSYNC_REPLICAS, Upcoming, World};

impl World {
    /// Moves a partition to some brokers, and soon perhaps cancels that, and begins it again: a replica that goes and
    /// comes back is empty, whatever it said before.
    pub fn begin_some_move(&mut self) {
        let partitions = self.partitions();
        let tp = partitions[self.rng.usize(..partitions.len())];
        let mut brokers: Vec<BrokerId> = (1..=BROKERS).map(BrokerId).collect();
        self.rng.shuffle(&mut brokers);
        brokers.truncate(self.rng.usize(MIN_INSYNC_REPLICAS..=MIN_INSYNC_REPLICAS + 2));
        let wanted = ReplicaMove { topic_id: tp.topic_id, partition: tp.partition, new_replicas: brokers };
        if self.rng.bool() {
            let cancel = ReplicaMove { new_replicas: Vec::new(), ..wanted.clone() };
            let (cancel_after_ms, again_after_ms) = (self.rng.u64(..600), self.rng.u64(..30));
            self.later(cancel_after_ms, Upcoming::Move(cancel));
            self.later(cancel_after_ms + again_after_ms, Upcoming::Move(wanted.clone()));
        }
        self.move_replicas(wanted);
    }

    /// An operator asks for one move.
    pub(super) fn move_replicas(&mut self, wanted: ReplicaMove) {
        let command = AlterReplicas { moves: vec![wanted], move_bytes_per_second: None };
        let mut out = Vec::new();
        let outcome = self.controller.execute(&Command::AlterReplicas(command), &mut out);
        self.controller_says(out);
        match outcome.result {
            Ok(Response::ReplicasAltered { results }) => {
                let accepted = results.iter().filter(|result| result.is_ok()).count() as u64;
                self.coverage.moves_accepted += accepted;
                self.coverage.moves_refused += results.len() as u64 - accepted;
            }
            other => panic!("a move was answered with {other:?}"),
        }
    }
}
