//! The controller quorum as one node around the real metadata machine: sessions, fencing, and the stream of records.
//!
//! That a committed command survives is openraft's part, tested elsewhere. Here its answers get lost, sessions break,
//! and brokers learn late.

use std::collections::BTreeMap;

use holdfast_metadata::{Command, Image, Outcome, Record, Response, apply_command, invariant};
use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataIndex};

use super::message::{Message, Node};

/// Silence after which a broker is fenced, ms.
const SESSION_TIMEOUT_MS: u64 = 600;

/// What the controller says, and to whom.
pub type Outbox = Vec<(Node, Message)>;

#[derive(Debug)]
struct Session {
    broker_epoch: BrokerEpoch,
    last_heard_ms: u64,
    /// True once the snapshot was sent: deltas follow.
    streaming: bool,
}

/// The controller.
#[derive(Debug, Default)]
pub struct Controller {
    image: Image,
    sessions: BTreeMap<BrokerId, Session>,
    moves_ended: u64,
}

impl Controller {
    /// The committed state.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Moves of replicas that ended with all of them in sync.
    pub fn moves_ended(&self) -> u64 {
        self.moves_ended
    }

    /// Carries a command out and tells every session what it changed.
    pub fn execute(&mut self, command: &Command, out: &mut Outbox) -> Outcome {
        let index = MetadataIndex(self.image.index().0 + 1);
        let before = self.image.clone();
        let outcome = apply_command(&mut self.image, index, command);
        if let Err(violations) = invariant::check_step(command, &before, &self.image) {
            panic!("{command} broke the metadata's invariants: {violations:?}");
        }
        if !matches!(command, Command::AlterReplicas(_)) {
            let moving = |image: &Image| image.partitions().filter(|(_, _, state)| state.is_moving()).count() as u64;
            self.moves_ended += moving(&before).saturating_sub(moving(&self.image));
        }
        let records: Vec<Record> = outcome.records.iter().filter(|record| record.travels()).cloned().collect();
        for (broker, _) in self.sessions.iter().filter(|(_, session)| session.streaming) {
            out.push((Node::Broker(*broker), Message::Metadata { snapshot: false, index, records: records.clone() }));
        }
        outcome
    }

    /// A broker speaks.
    pub fn receive(&mut self, now_ms: u64, from: BrokerId, message: Message, out: &mut Outbox) {
        match message {
            Message::Register(command) => {
                // A new start of the process: the connection of the old one is gone with it.
                self.sessions.remove(&from);
                let outcome = self.execute(&Command::RegisterBroker(command), out);
                let index = self.image.index();
                let result = outcome.result.map(|response| match response {
                    Response::BrokerRegistered { broker_epoch } => (broker_epoch, index),
                    other => panic!("registration was answered with {other:?}"),
                });
                out.push((Node::Broker(from), Message::Registered { result }));
            }
            Message::Heartbeat { broker_epoch, applied, wants_snapshot } => {
                self.heartbeat(now_ms, from, broker_epoch, applied, wants_snapshot, out);
            }
            Message::Alter(alter) => {
                let changes = alter.changes.clone();
                let outcome = self.execute(&Command::AlterPartition(alter), out);
                let results = match outcome.result {
                    Ok(Response::PartitionsAltered { results }) => results,
                    Ok(other) => panic!("an ISR change was answered with {other:?}"),
                    Err(rejection) => vec![Err(rejection); changes.len()],
                };
                for (change, result) in changes.into_iter().zip(results) {
                    out.push((Node::Broker(from), Message::Altered { change, result }));
                }
            }
            other => panic!("the controller does not understand {other:?}"),
        }
    }

    fn heartbeat(
        &mut self,
        now_ms: u64,
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        applied: MetadataIndex,
        wants_snapshot: bool,
        out: &mut Outbox,
    ) {
        let Some(registration) = self.image.broker(from).filter(|known| known.broker_epoch == broker_epoch) else {
            return;
        };
        let fenced = registration.fenced;
        let session =
            self.sessions.entry(from).or_insert(Session { broker_epoch, last_heard_ms: now_ms, streaming: false });
        session.broker_epoch = broker_epoch;
        session.last_heard_ms = now_ms;
        if wants_snapshot {
            session.streaming = true;
            let records = self.image.records().into_iter().filter(Record::travels).collect();
            out.push((Node::Broker(from), Message::Metadata { snapshot: true, index: self.image.index(), records }));
        } else if fenced && applied == self.image.index() {
            self.execute(&Command::UnfenceBroker { broker_id: from, broker_epoch }, out);
        }
    }

    /// The connection of a broker broke: it has to begin with a snapshot again.
    pub fn disconnected(&mut self, broker: BrokerId) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.streaming = false;
        }
    }

    /// Fences brokers that were silent for too long.
    pub fn tick(&mut self, now_ms: u64, out: &mut Outbox) {
        let silent: Vec<(BrokerId, BrokerEpoch)> = self
            .sessions
            .iter()
            .filter(|(_, session)| now_ms.saturating_sub(session.last_heard_ms) > SESSION_TIMEOUT_MS)
            .map(|(broker, session)| (*broker, session.broker_epoch))
            .collect();
        for (broker_id, broker_epoch) in silent {
            self.sessions.remove(&broker_id);
            self.execute(&Command::FenceBroker { broker_id, broker_epoch }, out);
        }
    }
}
