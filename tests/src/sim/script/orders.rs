//! What the controller does in a story: fencing, and what an operator asks of it.

use holdfast_metadata::{AlterReplicas, Command, ReplicaMove, Response};
use holdfast_proto::ids::BrokerId;

use super::cluster::Cluster;

impl Cluster {
    /// Has the controller carry a command out.
    pub(super) fn execute(&mut self, command: &Command) -> Result<Response, String> {
        let mut out = Vec::new();
        let outcome = self.controller.execute(self.now(), command, &mut out);
        self.controller_says(out);
        outcome.result.map_err(|rejection| rejection.to_string())
    }

    /// The controller fences a broker, whose heartbeats it does not hear from now on.
    pub(super) fn fence(&mut self, id: BrokerId) -> Result<(), String> {
        let registration = self.controller.image().broker(id).ok_or("it never registered")?;
        let command = Command::FenceBroker { broker_id: id, broker_epoch: registration.broker_epoch };
        if self.running.contains_key(&id) {
            self.silent.insert(id);
        }
        self.execute(&command).map(drop)
    }

    /// The broker is heard again, on a new session: it is let in once it knows what it missed.
    pub(super) fn unfence(&mut self, id: BrokerId) {
        self.silent.remove(&id);
        self.broker(id, |broker, _, _, _| broker.lost_session());
        self.beat(id);
    }

    /// Makes a broker the preferred leader, and has it elected.
    pub(super) fn elect(&mut self, id: BrokerId) -> Result<(), String> {
        let others = self.committed().target().iter().copied().filter(|other| *other != id);
        let replicas = [id].into_iter().chain(others).collect();
        self.move_to(replicas)?;
        self.execute(&Command::ElectLeaders { partitions: vec![self.tp] })?;
        if self.committed().leader == Some(id) { Ok(()) } else { Err("it may not lead".to_owned()) }
    }

    /// A move begins that leaves a broker out.
    pub(super) fn take_away(&mut self, id: BrokerId) -> Result<(), String> {
        let rest = self.committed().target().iter().copied().filter(|other| *other != id).collect();
        self.move_to(rest)
    }

    /// A move begins that brings a broker in.
    pub(super) fn give_back(&mut self, id: BrokerId) -> Result<(), String> {
        let replicas = self.committed().target().iter().copied().chain([id]).collect();
        self.move_to(replicas)
    }

    fn move_to(&mut self, new_replicas: Vec<BrokerId>) -> Result<(), String> {
        let wanted = ReplicaMove { topic_id: self.tp.topic_id, partition: self.tp.partition, new_replicas };
        let command = AlterReplicas { moves: vec![wanted], move_bytes_per_second: None };
        match self.execute(&Command::AlterReplicas(command))? {
            Response::ReplicasAltered { results } => {
                results.into_iter().try_for_each(|result| result.map(drop).map_err(|rejection| rejection.to_string()))
            }
            other => Err(format!("a move was answered with {other:?}")),
        }
    }
}
