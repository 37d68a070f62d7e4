//! The controller quorum as one node: the metadata machine and the sessions as they ship, and the stream of records.
//!
//! That a committed command survives is openraft's part, tested elsewhere. Here its answers get lost, sessions break,
//! another controller becomes active, and brokers learn late, or of an older state first.

use std::collections::BTreeMap;

use holdfast_controller::sessions::{ConnectionId, Earlier, Ending, Event, Proposal, Sessions, Timeouts, Verdict};
use holdfast_metadata::{
    Command, ControllerVersions, EndedSession, FinalizeVersion, Image, Outcome, Record, RegisterBroker, Rejection,
    Response, apply_command, invariant, is_same_folder, refusal, version::SUPPORTED,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, ControllerId, MetadataIndex, Millis},
};

use super::{
    clocks::WallClocks,
    message::{Message, Node},
};

/// Deadlines of sessions. The lease is as long as the session.
pub const TIMEOUTS: Timeouts = Timeouts { session_ms: 600, disconnect_grace_ms: 150 };

/// Older states that are kept, to be told to brokers that begin a session.
const HISTORY: usize = 40;

/// The records of one index.
type Delta = (MetadataIndex, Vec<Record>);

/// What the controller says, and to whom.
pub type Outbox = Vec<(Node, Message)>;

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    session: u64,
    broker_epoch: BrokerEpoch,
    /// True once it was sent the snapshot that it begins with: no change comes before.
    is_informed: bool,
}

/// The one node that stands for the quorum.
#[derive(Debug)]
pub struct Controller {
    image: Image,
    sessions: Sessions,
    connections: BTreeMap<BrokerId, Connection>,
    /// When each broker was heard last, under its current registration.
    heard: BTreeMap<BrokerId, Millis>,
    next_connection: u64,
    /// Counts the controllers that became active.
    term: u64,
    /// The last states and the records that led on from each.
    history: Vec<(Image, Vec<Delta>)>,
    moves_ended: u64,
    fenced: u64,
    fenced_together: u64,
    starts_held_back: u64,
    /// The wall clocks, theirs and the brokers', as they are heard.
    pub wall_clocks: WallClocks,
}

impl Default for Controller {
    fn default() -> Self {
        let mut controller = Self {
            image: Image::default(),
            sessions: Sessions::new(TIMEOUTS),
            connections: BTreeMap::new(),
            heard: BTreeMap::new(),
            next_connection: 0,
            term: 0,
            history: Vec::new(),
            moves_ended: 0,
            fenced: 0,
            fenced_together: 0,
            starts_held_back: 0,
            wall_clocks: WallClocks::default(),
        };
        let controllers = vec![ControllerVersions { controller_id: ControllerId(1), versions: Some(SUPPORTED) }];
        let newest = Command::FinalizeVersion(FinalizeVersion { version: SUPPORTED.max, controllers });
        controller.execute(Millis(0), &newest, &mut Vec::new()).result.expect("nobody is there who does not know it");
        controller.become_active(Millis(0), &mut Vec::new());
        controller
    }
}

impl Controller {
    /// The state as it is committed.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Moves of replicas that ended with all of them in sync.
    pub fn moves_ended(&self) -> u64 {
        self.moves_ended
    }

    /// Brokers that were fenced because their session ended.
    pub fn fenced(&self) -> u64 {
        self.fenced
    }

    /// Times that several were fenced by one command.
    pub fn fenced_together(&self) -> u64 {
        self.fenced_together
    }

    /// Registrations that had to come again, until it was known who ended with their brokers.
    pub fn starts_held_back(&self) -> u64 {
        self.starts_held_back
    }

    /// The last states before this one, oldest first.
    pub fn before(&self) -> impl Iterator<Item = &Image> {
        self.history.iter().map(|(image, _)| image)
    }

    /// When this broker was heard last.
    pub fn last_heard(&self, broker: BrokerId) -> Option<Millis> {
        self.heard.get(&broker).copied()
    }

    /// Carries a command out and tells every session what it changed.
    pub fn execute(&mut self, now: Millis, command: &Command, out: &mut Outbox) -> Outcome {
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
        self.remember(before, index, &records);
        for (broker, connection) in self.connections.iter().filter(|(_, connection)| connection.is_informed) {
            let deltas = vec![(index, records.clone())];
            let message =
                Message::Session { session: connection.session, snapshot: None, deltas, lease_ms: 0, said: None };
            out.push((Node::Broker(*broker), message));
        }
        for record in &outcome.records {
            let event = match record {
                Record::Broker(broker) => Event::Registered { broker: broker.clone(), index },
                Record::RemoveBroker { broker_id } => Event::Unregistered(*broker_id),
                _ => continue,
            };
            self.step(now, event, out);
        }
        outcome
    }

    fn remember(&mut self, before: Image, index: MetadataIndex, records: &[Record]) {
        for (_, since) in &mut self.history {
            since.push((index, records.to_vec()));
        }
        self.history.push((before, vec![(index, records.to_vec())]));
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
    }

    fn step(&mut self, now: Millis, event: Event, out: &mut Outbox) {
        let mut proposals = Vec::new();
        self.sessions.step(now, event, &mut proposals);
        let (fences, others): (Vec<_>, Vec<_>) = proposals.into_iter().partition(|one| one.verdict == Verdict::Fence);
        if !fences.is_empty() {
            self.fenced += fences.len() as u64;
            self.fenced_together += u64::from(fences.len() > 1);
            let session = |one: &Proposal| EndedSession { broker_id: one.broker_id, broker_epoch: one.epoch };
            let brokers = fences.iter().map(session).collect();
            self.propose(now, &Command::FenceBrokers { brokers }, fences, out);
        }
        for proposal in others {
            let Proposal { broker_id, epoch: broker_epoch, .. } = proposal;
            self.propose(now, &Command::UnfenceBroker { broker_id, broker_epoch }, vec![proposal], out);
        }
    }

    fn propose(&mut self, now: Millis, command: &Command, proposals: Vec<Proposal>, out: &mut Outbox) {
        let ending = match self.execute(now, command, out).result {
            Ok(_) => Ending::Done,
            Err(_) => Ending::Refused,
        };
        for proposal in proposals {
            self.step(now, Event::Ended(proposal, ending), out);
        }
    }

    /// Another controller becomes active: every session breaks, and it knows nothing of the time before.
    pub fn become_active(&mut self, now: Millis, out: &mut Outbox) {
        self.connections.clear();
        self.wall_clocks.forget();
        self.step(now, Event::Deposed, out);
        let brokers = self.image.brokers().values().cloned().collect();
        self.term += 1;
        self.step(now, Event::Activated { brokers, index: self.image.index(), term: self.term }, out);
    }

    /// A broker speaks. `old_state`: tell it an older state first, if the session begins.
    pub fn receive(&mut self, now: Millis, from: BrokerId, message: Message, old_state: usize, out: &mut Outbox) {
        match message {
            Message::Register(command) => self.register(now, from, *command, out),
            Message::Distrust(distrust) => {
                // One of an older start is refused, and the newer one has said it itself.
                let _ = self.execute(now, &Command::DistrustReplicas(distrust), out);
            }
            Message::Heartbeat { session, broker_epoch, applied, is_ready, next_token, wall_ms } => {
                let has_other = |token| self.image.broker(from).is_some_and(|broker| broker.token != Some(token));
                if let Some(token) = next_token.filter(|token| has_other(*token)) {
                    let command = Command::RenewFolderToken { broker_id: from, broker_epoch, token };
                    let _ = self.execute(now, &command, out);
                }
                self.wall_clocks.heartbeat(now, from, wall_ms);
                self.heartbeat(now, from, (session, broker_epoch), (applied, is_ready), old_state, out);
            }
            Message::Alter(alter) => {
                let changes = alter.changes.clone();
                let outcome = self.execute(now, &Command::AlterPartition(alter), out);
                let results = match outcome.result {
                    Ok(Response::PartitionsAltered { results }) => results,
                    Ok(other) => panic!("an ISR change was answered with {other:?}"),
                    Err(rejection) => vec![Err(rejection); changes.len()],
                };
                for (change, result) in changes.into_iter().zip(results) {
                    out.push((Node::Broker(from), Message::Altered { change, result: result.map(Box::new) }));
                }
            }
            Message::Leave { broker_epoch, has_stopped } => {
                let command = if has_stopped {
                    Command::FenceBroker { broker_id: from, broker_epoch }
                } else {
                    Command::BeginControlledShutdown { broker_id: from, broker_epoch }
                };
                // One of an older start is refused, and nobody asks.
                let _ = self.execute(now, &command, out);
            }
            other => panic!("the controller does not understand {other:?}"),
        }
    }

    fn register(&mut self, now: Millis, from: BrokerId, command: RegisterBroker, out: &mut Outbox) {
        let known = |image: &Image| image.broker(from).map_or(BrokerEpoch(0), |broker| broker.broker_epoch);
        let old = self.image.broker(from);
        let mut earlier = Earlier::Over;
        // As the edge has it: one that is refused, or registered already, ends no session.
        if refusal(&self.image, &Command::RegisterBroker(command.clone())).is_none()
            && old.is_none_or(|old| old.incarnation_id != command.incarnation_id)
        {
            let is_same_folder = old.is_none_or(|old| is_same_folder(old, &command));
            earlier = self.sessions.earlier(now, from, is_same_folder);
            if earlier != Earlier::Alive {
                self.step(now, Event::Restarted(from), out);
                earlier = self.sessions.earlier(now, from, is_same_folder);
            }
        }
        if earlier == Earlier::NotYet {
            self.starts_held_back += 1;
            let result = Err(Rejection::new(ErrorCode::Overloaded, "it is not known yet who ended with it"));
            return out.push((Node::Broker(from), Message::Registered { result, known: known(&self.image) }));
        }
        let old_session_alive = earlier == Earlier::Alive;
        let command = RegisterBroker { old_session_alive, ..command };
        let outcome = self.execute(now, &Command::RegisterBroker(command), out);
        let index = self.image.index();
        let known = known(&self.image);
        let result = outcome.result.map(|response| match response {
            Response::BrokerRegistered { broker_epoch } => (broker_epoch, index),
            other => panic!("registration was answered with {other:?}"),
        });
        out.push((Node::Broker(from), Message::Registered { result, known }));
    }

    fn heartbeat(
        &mut self,
        now: Millis,
        from: BrokerId,
        (session, broker_epoch): (u64, BrokerEpoch),
        (applied_index, ready): (MetadataIndex, bool),
        old_state: usize,
        out: &mut Outbox,
    ) {
        if self.image.broker(from).is_none_or(|known| known.broker_epoch != broker_epoch) {
            return out.push((Node::Broker(from), Message::SessionEnded { session }));
        }
        self.heard.insert(from, now);
        let known = self.connections.get(&from);
        let is_new = known.as_ref().is_none_or(|known| known.session != session || known.broker_epoch != broker_epoch);
        let id = match known {
            Some(known) if !is_new => known.id,
            _ => {
                self.next_connection += 1;
                let id = ConnectionId(self.next_connection);
                self.connections.insert(from, Connection { id, session, broker_epoch, is_informed: false });
                self.step(now, Event::Connected { broker_id: from, broker_epoch, connection: id }, out);
                id
            }
        };
        self.step(now, Event::Heartbeat { broker_id: from, connection: id, applied_index, ready }, out);
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.is_informed = true;
        }
        let (snapshot, since) = if is_new { self.whole_state(old_state) } else { (None, Vec::new()) };
        let lease_ms = self.sessions.lease_ms(from, id);
        let said = Some(self.wall_clocks.judge(now, from, self.image.brokers().keys().copied()));
        let answer = Message::Session { session, snapshot, deltas: Vec::new(), lease_ms, said };
        out.push((Node::Broker(from), answer));
        for delta in since {
            let message = Message::Session { session, snapshot: None, deltas: vec![delta], lease_ms: 0, said: None };
            out.push((Node::Broker(from), message));
        }
    }

    /// The state as a session begins with it: now, or an older one and all that followed.
    #[expect(clippy::type_complexity, reason = "as the message has it")]
    fn whole_state(&self, back: usize) -> (Option<(MetadataIndex, Vec<Record>)>, Vec<(MetadataIndex, Vec<Record>)>) {
        let records = |image: &Image| image.records().into_iter().filter(Record::travels).collect();
        let older = back.checked_sub(1).and_then(|back| self.history.iter().rev().nth(back));
        match older {
            Some((image, since)) => (Some((image.index(), records(image))), since.clone()),
            None => (Some((self.image.index(), records(&self.image))), Vec::new()),
        }
    }

    /// The connection of a broker broke.
    pub fn disconnected(&mut self, now: Millis, broker_id: BrokerId, out: &mut Outbox) {
        if let Some(Connection { id, .. }) = self.connections.remove(&broker_id) {
            self.step(now, Event::Disconnected { broker_id, connection: id, refused: false }, out);
        }
    }

    /// Lets time pass: deadlines are compared.
    pub fn tick(&mut self, now: Millis, out: &mut Outbox) {
        self.step(now, Event::Tick, out);
    }
}
