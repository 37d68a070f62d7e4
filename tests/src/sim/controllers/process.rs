//! A running controller: what waits for its disk, and what is told once that is durable.

use std::collections::{BTreeMap, VecDeque};

use holdfast_controller::{
    lineage::{Kept, Known, Own, Said, Verdict, check_refusal, from_wire, outranked},
    store::mark::Around,
};
use holdfast_proto::{ids::ControllerId, refusal::Refusal};

use super::{
    disk::{Ended, Folder, Write},
    log::{is_given_up, recovered_of},
    raft::{Body, Effect, Raft},
    start::Opened,
};

/// Which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// On which machine it runs.
    pub machine: usize,
    /// Number of the start, of all starts.
    pub start: u64,
    /// The node id of its folder.
    pub node: u64,
}

/// To whom something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The one that is called under this node id.
    Node(u64),
    /// The process that asked.
    Caller(Caller),
    /// What runs on this machine: it is one of `peers`.
    Machine(usize),
}

/// A message between two processes.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The process that sent it.
    pub from: Caller,
    /// For whom it is meant.
    pub to: To,
    /// The history of who sent it, and what it knows of others.
    pub said: Said,
    /// What it says, or why the other is refused.
    pub content: Result<Body, Refusal>,
}

/// What is done in its turn, behind all writes that were queued before.
#[derive(Clone, Debug)]
enum Item {
    Write(Write),
    Send(To, Result<Body, Refusal>),
    /// Who was believed once this was durable.
    Saved(BTreeMap<u64, Kept>, Packet),
    Flushed(u64),
    Ends(Ended),
}

/// What a turn tells the world.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message leaves the process.
    Sent(Box<Packet>),
    /// It leads from now on.
    Leads(super::log::LeaderId),
    /// So much of its log is committed.
    Committed(u64),
    /// It cuts its log there, of which so much was committed.
    Cuts(u64, u64),
    /// It ends, for good.
    Ended(Ended),
}

/// How far a batch of writes is.
#[derive(Clone, Debug)]
enum Stage {
    Lowered(Vec<Write>, Around),
    Stored(Around),
}

/// A process on a machine. It lives as long as it is not killed.
#[derive(Clone, Debug)]
pub struct Process {
    caller: Caller,
    opened: Opened,
    raft: Raft,
    queue: VecDeque<Item>,
    stage: Option<Stage>,
    /// Items at the front of the queue that wait for the batch.
    waiting: usize,
}

impl Process {
    /// On a folder that was opened.
    pub const fn new(caller: Caller, opened: Opened, raft: Raft) -> Self {
        Self { caller, opened, raft, queue: VecDeque::new(), stage: None, waiting: 0 }
    }

    /// The consensus that it takes part in.
    pub const fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The node id of its folder.
    pub const fn node(&self) -> u64 {
        self.caller.node
    }

    /// Which of all processes it is.
    pub const fn caller(&self) -> Caller {
        self.caller
    }

    /// True if something waits for the disk.
    pub fn is_busy(&self) -> bool {
        self.stage.is_some() || !self.queue.is_empty()
    }

    /// Steps the consensus, and queues what comes of it.
    pub fn step(&mut self, events: &mut Vec<Event>, step: impl FnOnce(&mut Raft, &mut Vec<Effect>)) {
        self.step_for(None, events, step);
    }

    fn step_for(
        &mut self,
        asked_by: Option<Caller>,
        events: &mut Vec<Event>,
        step: impl FnOnce(&mut Raft, &mut Vec<Effect>),
    ) {
        let before = self.raft.committed();
        let mut effects = Vec::new();
        step(&mut self.raft, &mut effects);
        for effect in effects {
            match effect {
                Effect::Write(write) => {
                    let end = match &write {
                        Write::Append(from, entries) => Some(from + entries.len() as u64),
                        Write::Cut(from) => {
                            events.push(Event::Cuts(*from, before));
                            None
                        }
                        _ => None,
                    };
                    self.queue.push_back(Item::Write(write));
                    self.queue.extend(end.map(Item::Flushed));
                }
                Effect::Ask(node, body) => self.queue.push_back(Item::Send(To::Node(node), Ok(body))),
                Effect::Answer(body) => {
                    let caller = asked_by.expect("an answer has a question");
                    self.queue.push_back(Item::Send(To::Caller(caller), Ok(body)));
                }
                Effect::Leads(leader) => events.push(Event::Leads(leader)),
                Effect::Committed(committed) => events.push(Event::Committed(committed)),
            }
        }
    }

    /// What changed of others is stored, and the mark is settled: each second. One that leads and was recovered once asks
    /// `peers`, members or not, who they are.
    pub fn keep(&mut self, peers: usize) {
        if self.raft.leads() && recovered_of(self.raft.log()).is_some_and(|last| last.recoveries > 0) {
            let others = (0..peers).filter(|peer| *peer != self.caller.machine);
            self.queue.extend(others.map(|peer| Item::Send(To::Machine(peer), Ok(Body::Meet))));
        }
        if self.opened.is_behind {
            self.queue.push_back(Item::Write(Write::Settle));
        }
        let members = self.raft.members().voters.iter().flatten().copied().collect();
        if let Some(known) = self.opened.table.take_changed(|| members) {
            self.queue.push_back(Item::Write(Write::Known(known)));
        }
    }

    /// A message comes in.
    pub fn hear(&mut self, packet: Packet, now_ms: u64, patience_ms: u64, events: &mut Vec<Event>) {
        let own = self.opened.shown(self.raft.log());
        let Packet { from: Caller { node: sender, .. }, said, content, .. } = &packet;
        if let Err(refusal) = content {
            let own = Own { node_id: self.caller.node, cluster_id: None, shown: own };
            if check_refusal(refusal, &own).is_ok() {
                self.end(if refusal.known.is_some() { Ended::Copied } else { Ended::GivenUp });
            }
            return;
        }
        let heard = from_wire(*sender, said).expect("what is sent can be read");
        let (ours, theirs) = (own.recovered, heard.sender.recovered);
        if outranked(theirs, ours).is_some() {
            return self.refuse(&packet, None);
        }
        if outranked(ours, theirs).is_some() {
            return self.end(Ended::GivenUp);
        }
        if is_given_up(self.raft.log(), *sender) {
            return self.refuse(&packet, None);
        }
        match self.opened.table.hear(self.caller.node, &own, *sender, heard) {
            Verdict::Believed => self.take(packet, now_ms, patience_ms, events),
            Verdict::Stores(next) => {
                self.queue.push_back(Item::Write(Write::Known(next.clone())));
                self.queue.push_back(Item::Saved(next, packet));
            }
            Verdict::Refused { known, .. } => self.refuse(&packet, known),
            Verdict::Ends(_) => self.end(Ended::Copied),
        }
    }

    /// An answer from who is refused is passed over: it hears so when it asks.
    fn refuse(&mut self, packet: &Packet, known: Option<Known>) {
        if !matches!(packet.content, Ok(Body::AskVote { .. } | Body::Append { .. } | Body::Meet)) {
            return;
        }
        let refusal = Refusal {
            cluster_id: None,
            controller_id: ControllerId(packet.from.node),
            recovered: recovered_of(self.raft.log()).unwrap_or_default(),
            known: known.as_ref().map(Into::into),
        };
        self.queue.push_back(Item::Send(To::Caller(packet.from), Err(refusal)));
    }

    fn end(&mut self, ended: Ended) {
        self.queue.push_back(Item::Write(Write::End(ended)));
        self.queue.push_back(Item::Ends(ended));
    }

    fn take(&mut self, packet: Packet, now_ms: u64, patience_ms: u64, events: &mut Vec<Event>) {
        let (caller, node) = (packet.from, packet.from.node);
        let Ok(body) = packet.content else { return };
        match body {
            Body::AskVote { .. } | Body::Append { .. } => {
                self.step_for(Some(caller), events, |raft, effects| raft.asked(body, now_ms, patience_ms, effects));
            }
            Body::Meet => self.queue.push_back(Item::Send(To::Caller(caller), Ok(Body::Met))),
            Body::Met => {}
            Body::Voted(_) | Body::Appended(..) => {
                self.step(events, |raft, effects| raft.answered(node, &body, now_ms, effects));
            }
        }
    }

    /// The disk goes on by one step: before a batch, the batch, the mark after it; then all is done that waited for it.
    pub fn turn(&mut self, folder: &mut Folder, now_ms: u64, patience_ms: u64, events: &mut Vec<Event>) {
        match self.stage.take() {
            None => {
                let writes: Vec<Write> = self.queue.iter().filter_map(Item::write).cloned().collect();
                let around = Around::of(self.opened.slots.now(), writes.iter().filter_map(Write::change));
                if let Some(lowered) = around.lowered.clone() {
                    let put = self.opened.slots.set(lowered);
                    self.opened.put(folder, put);
                }
                // Marks where the batch ends.
                self.queue.retain(|item| item.write().is_none());
                self.stage = Some(Stage::Lowered(writes, around));
                self.waiting = self.queue.len();
            }
            Some(Stage::Lowered(writes, around)) => {
                let store = folder.store.as_mut().expect("a process has a store");
                for write in writes {
                    store.write(write);
                }
                self.stage = Some(Stage::Stored(around));
            }
            Some(Stage::Stored(around)) => {
                let put = if around.settles {
                    Some(self.opened.slots.set(around.then))
                } else {
                    self.opened.slots.raise(around.then)
                };
                if let Some(put) = put {
                    self.opened.put(folder, put);
                }
                self.done(now_ms, patience_ms, events);
            }
        }
    }

    fn done(&mut self, now_ms: u64, patience_ms: u64, events: &mut Vec<Event>) {
        for _ in 0..std::mem::take(&mut self.waiting) {
            let item = self.queue.pop_front().expect("it waits");
            match item {
                Item::Write(_) => unreachable!("writes were taken"),
                Item::Send(To::Node(node), Ok(Body::AskVote { leader, .. })) if node == self.caller.node => {
                    let vote = super::log::Vote { leader, committed: false };
                    self.step(events, |raft, effects| raft.answered(node, &Body::Voted(vote), now_ms, effects));
                }
                Item::Send(to, content) => {
                    let target = match to {
                        To::Node(node) => node,
                        To::Caller(_) | To::Machine(_) => 0,
                    };
                    let own = self.opened.shown(self.raft.log());
                    let said = self.opened.table.says(self.caller.node, own, target);
                    events.push(Event::Sent(Box::new(Packet { from: self.caller, to, said, content })));
                }
                Item::Saved(next, packet) => {
                    self.opened.table.saved(next);
                    self.take(packet, now_ms, patience_ms, events);
                }
                Item::Flushed(end) => self.step(events, |raft, effects| raft.flushed(end, effects)),
                Item::Ends(ended) => events.push(Event::Ended(ended)),
            }
        }
    }
}

impl Item {
    const fn write(&self) -> Option<&Write> {
        match self {
            Self::Write(write) => Some(write),
            _ => None,
        }
    }
}
