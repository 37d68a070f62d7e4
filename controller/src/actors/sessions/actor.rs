//! The actor itself. No wait of its handlers is longer than a step: proposals are made in futures beside it.

use std::{
    future::ready,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture, StreamHandler, WrapFuture as _,
};
use futures::StreamExt as _;
use tokio::sync::broadcast;
use tokio_stream::wrappers::WatchStream;

use holdfast_metadata::{Command, EndedSession, Record, registered, version::RECOVERY};
use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{BrokerId, Millis},
};

use super::{
    messages::{Connect, Happened, HasSession, Heartbeat, IsAlive},
    starts::{Starts, not_yet},
};
use crate::{
    admission::Proposer,
    node::Node,
    raft::Role,
    sessions::{ConnectionId, Earlier, Ending, Event, Proposal, Sessions, Timeouts, Verdict},
    view::Change,
};

/// Messages that may wait.
const MAILBOX: usize = 4_096;
/// How often deadlines are looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(50);

/// The rules of the sessions, with what they need of the outside.
pub(super) struct SessionsActor {
    node: Node,
    sessions: Sessions,
    /// Of the leadership that the sessions are of.
    term: u64,
    /// Number of the time of activity that they were told of last; `None`: that there is none.
    spell: Option<u64>,
    started: Instant,
    /// Starts of brokers that wait to register.
    starts: Starts,
    changes: Option<broadcast::Receiver<Change>>,
}

impl Actor for SessionsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.add_stream(WatchStream::new(self.node.role()));
        // Woken by each applied entry: the changes themselves are read in order from the broadcast.
        context.add_stream(WatchStream::new(self.node.view().applied()).map(|_| Applied));
        context.run_interval(TICK, |actor, context| actor.step(Event::Tick, context));
    }
}

impl SessionsActor {
    /// Without a session yet.
    pub(super) fn new(node: Node) -> Self {
        let timeouts = Timeouts {
            session_ms: node.config().broker_session_timeout_ms,
            disconnect_grace_ms: node.config().broker_disconnect_grace_ms,
        };
        // No spell has this number: what is true is told at the first step.
        let spell = Some(0);
        let (sessions, starts) = (Sessions::new(timeouts), Starts::default());
        Self { node, sessions, term: 0, spell, started: Instant::now(), starts, changes: None }
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// Refuses while the sessions are none, are suspended, or are of an earlier leadership: the role may have changed a moment
    /// ago, and this actor hears of it behind the calls that wait. Who asks asks again.
    fn check_active(&mut self, context: &mut Context<Self>) -> Result<(), ErrorDetail> {
        self.follow_activity(context);
        if self.sessions.decides() && self.node.role().borrow().term == self.term {
            return Ok(());
        }
        Err(self.not_active())
    }

    /// Why nothing can be said of a session now.
    fn not_active(&self) -> ErrorDetail {
        self.node.check_active().err().unwrap_or_else(|| ErrorDetail::from(ErrorCode::NotController))
    }

    /// Refuses what comes by another connection than the broker's present one, which ends the stream: nobody else tells
    /// the broker that it is not heard by it.
    fn check_present(&self, broker_id: BrokerId, connection: ConnectionId) -> Result<(), ErrorDetail> {
        if self.sessions.is_present(broker_id, connection) {
            return Ok(());
        }
        let message = "the session is not the broker's present one on this controller: open another";
        Err(ErrorDetail::new(ErrorCode::NotController, message))
    }

    /// Tells the sessions whether this controller is active now, if that is not what they were told last.
    fn follow_activity(&mut self, context: &mut Context<Self>) {
        let spell = self.node.spell().map(|spell| spell.number);
        if spell != self.spell {
            self.spell = spell;
            self.take(if spell.is_some() { Event::Resumed } else { Event::Suspended }, context);
        }
    }

    fn step(&mut self, event: Event, context: &mut Context<Self>) {
        self.follow_activity(context);
        self.take(event, context);
    }

    /// Takes an event, and proposes what follows: what is fenced in one step by one command.
    fn take(&mut self, event: Event, context: &mut Context<Self>) {
        let mut proposals = Vec::new();
        self.sessions.step(self.now(), event, &mut proposals);
        let mut commands = Vec::new();
        let (fences, others): (Vec<_>, Vec<_>) = proposals.into_iter().partition(|one| one.verdict == Verdict::Fence);
        if fences.len() > 1 && self.node.view().image().version() >= RECOVERY {
            let brokers = fences.iter().map(|one| EndedSession { broker_id: one.broker_id, broker_epoch: one.epoch });
            let brokers: Vec<_> = brokers.collect();
            tracing::info!(?brokers, "the sessions of these brokers ended together: fencing them");
            commands.push((Command::FenceBrokers { brokers }, fences));
        } else {
            commands.extend(fences.into_iter().map(|one| (command_of(&one), vec![one])));
        }
        commands.extend(others.into_iter().map(|one| (command_of(&one), vec![one])));
        for (command, proposals) in commands {
            self.propose(command, proposals, context);
        }
        self.answer_starts();
    }

    /// Lets those register of whose earlier sessions it is known by now what became of them.
    fn answer_starts(&mut self) {
        if self.starts.is_empty() {
            return;
        }
        if self.sessions.decides() {
            self.starts.answer(self.now(), &self.sessions);
        } else {
            self.starts.refuse(&self.not_active());
        }
    }

    /// Proposes the command that these proposals come to.
    fn propose(&self, command: Command, proposals: Vec<Proposal>, context: &mut Context<Self>) {
        let node = self.node.clone();
        let proposed = async move {
            let text = command.to_string();
            match node.propose(Proposer::Controller, command).await {
                Ok(_) => Ending::Done,
                Err(error) => {
                    tracing::warn!(command = text, %error, "the proposal failed");
                    match error.outcome {
                        Outcome::NotAppended => Ending::Refused,
                        Outcome::Unknown => Ending::Doubtful,
                    }
                }
            }
        };
        context.spawn(proposed.into_actor(self).map(move |ending, actor, context| {
            // The registration's own record first, so that the same is not proposed again.
            actor.read_changes(context);
            for proposal in proposals {
                actor.step(Event::Ended(proposal, ending), context);
            }
        }));
    }

    /// Takes over the registrations as they are, and the changes from there on.
    fn activate(&mut self, context: &mut Context<Self>) {
        let (image, changes) = self.node.view().subscribe();
        self.changes = Some(changes);
        let brokers = image.brokers().values().cloned().collect();
        self.step(Event::Activated { brokers, index: image.index(), term: self.term }, context);
    }

    fn read_changes(&mut self, context: &mut Context<Self>) {
        loop {
            let Some(changes) = &mut self.changes else { return };
            match changes.try_recv() {
                Ok(Change::Delta(delta)) => {
                    for record in &delta.records {
                        let event = match record {
                            Record::Broker(broker) => Event::Registered { broker: broker.clone(), index: delta.index },
                            Record::RemoveBroker { broker_id } => Event::Unregistered(*broker_id),
                            _ => continue,
                        };
                        self.step(event, context);
                    }
                }
                Err(broadcast::error::TryRecvError::Empty) => return,
                // Too far behind, or a new image: start over, with fresh timeouts for all. The streams go on.
                Ok(Change::Reset) | Err(broadcast::error::TryRecvError::Lagged(_)) => {
                    tracing::warn!("the sessions fell behind the metadata: they start over");
                    return self.activate(context);
                }
                Err(broadcast::error::TryRecvError::Closed) => {
                    self.changes = None;
                }
            }
        }
    }
}

impl StreamHandler<Role> for SessionsActor {
    fn handle(&mut self, role: Role, context: &mut Self::Context) {
        if role.active && (!self.sessions.is_active() || role.term != self.term) {
            self.term = role.term;
            self.activate(context);
        } else if !role.active && self.sessions.is_active() {
            self.changes = None;
            self.step(Event::Deposed, context);
        }
    }

    /// The watch ends with the controller; the actor then waits to be stopped.
    fn finished(&mut self, _: &mut Self::Context) {}
}

/// An entry was applied.
struct Applied;

impl StreamHandler<Applied> for SessionsActor {
    fn handle(&mut self, _: Applied, context: &mut Self::Context) {
        self.read_changes(context);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Happened> for SessionsActor {
    type Result = ();

    fn handle(&mut self, Happened(event): Happened, context: &mut Self::Context) {
        self.read_changes(context);
        self.step(event, context);
    }
}

impl Handler<Heartbeat> for SessionsActor {
    type Result = Result<u64, ErrorDetail>;

    fn handle(&mut self, message: Heartbeat, context: &mut Self::Context) -> Self::Result {
        let Heartbeat { broker_id, connection, applied_index, ready } = message;
        self.read_changes(context);
        self.check_active(context)?;
        self.check_present(broker_id, connection)?;
        self.step(Event::Heartbeat { broker_id, connection, applied_index, ready }, context);
        Ok(self.sessions.lease_ms(broker_id, connection))
    }
}

impl Handler<Connect> for SessionsActor {
    type Result = Result<u64, ErrorDetail>;

    fn handle(&mut self, message: Connect, context: &mut Self::Context) -> Self::Result {
        let Connect { broker_id, broker_epoch, connection } = message;
        self.read_changes(context);
        self.check_active(context)?;
        let limit = self.node.config().max_broker_sessions as usize;
        if self.sessions.others_connected(broker_id) >= limit {
            let message = format!("{limit} brokers have a session, which is max_broker_sessions");
            return Err(ErrorDetail::new(ErrorCode::Overloaded, message));
        }
        // It may have registered again since its epoch was looked at.
        registered(&self.node.view().image(), broker_id, broker_epoch)?;
        self.step(Event::Connected { broker_id, broker_epoch, connection }, context);
        self.check_present(broker_id, connection)?;
        Ok(self.term)
    }
}

impl Handler<HasSession> for SessionsActor {
    type Result = Result<bool, ErrorDetail>;

    fn handle(&mut self, message: HasSession, context: &mut Self::Context) -> Self::Result {
        self.read_changes(context);
        self.check_active(context)?;
        Ok(self.sessions.earlier(self.now(), message.broker_id, false) == Earlier::Alive)
    }
}

impl Handler<IsAlive> for SessionsActor {
    type Result = ResponseFuture<Result<bool, ErrorDetail>>;

    fn handle(&mut self, message: IsAlive, context: &mut Self::Context) -> Self::Result {
        self.read_changes(context);
        if let Err(detail) = self.check_active(context) {
            return Box::pin(ready(Err(detail)));
        }
        let IsAlive { broker_id, is_same_folder } = message;
        if self.sessions.earlier(self.now(), broker_id, is_same_folder) == Earlier::Alive {
            return Box::pin(ready(Ok(true)));
        }
        let answered = self.starts.wait(self.now(), broker_id, is_same_folder);
        self.step(Event::Restarted(broker_id), context);
        // Without an answer the broker has asked again, or this actor ends.
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(not_yet())) })
    }
}

/// The command of one proposal.
fn command_of(proposal: &Proposal) -> Command {
    let Proposal { broker_id, epoch: broker_epoch, verdict, number: _ } = *proposal;
    match verdict {
        Verdict::Fence => {
            tracing::info!(%broker_id, %broker_epoch, "the broker's session ended: fencing it");
            Command::FenceBroker { broker_id, broker_epoch }
        }
        Verdict::Unfence => {
            tracing::info!(%broker_id, %broker_epoch, "the broker is ready: unfencing it");
            Command::UnfenceBroker { broker_id, broker_epoch }
        }
    }
}
