//! Messages on their way between nodes; the controller is node 0.
//!
//! A link keeps its order. What a connection loses when it breaks, it loses whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sim::message::Message;

/// The controller's number among the nodes.
pub(super) const CONTROLLER: u32 = 0;

/// From one node to another.
pub(super) type Link = (u32, u32);

/// A message under way.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Message,
    /// A proposal whose proposer has given the call up: the answer goes nowhere.
    pub(super) is_orphan: bool,
}

/// The messages under way, and the links that keep theirs.
#[derive(Debug, Default)]
pub(super) struct Links {
    queues: BTreeMap<Link, VecDeque<Queued>>,
    held: BTreeSet<Link>,
}

impl Links {
    pub(super) fn send(&mut self, link: Link, message: Message) {
        self.queues.entry(link).or_default().push_back(Queued { message, is_orphan: false });
    }

    /// Keeps the messages of a link where they are.
    pub(super) fn hold(&mut self, link: Link) {
        self.held.insert(link);
    }

    /// Lets them go again.
    pub(super) fn release(&mut self, link: Link) {
        self.held.remove(&link);
    }

    /// Lets all links go.
    pub(super) fn release_all(&mut self) {
        self.held.clear();
    }

    /// Links that have something to deliver and are not held.
    pub(super) fn ready(&self) -> Vec<Link> {
        let is_ready = |(link, queue): &(&Link, &VecDeque<Queued>)| !queue.is_empty() && !self.held.contains(link);
        self.queues.iter().filter(is_ready).map(|(link, _)| *link).collect()
    }

    /// The oldest message of a link.
    pub(super) fn oldest(&mut self, link: Link) -> Option<Queued> {
        self.queues.get_mut(&link)?.pop_front()
    }

    /// The newest message of a link.
    pub(super) fn newest(&mut self, link: Link) -> Option<Queued> {
        self.queues.get_mut(&link)?.pop_back()
    }

    /// Everything on a link vanishes.
    pub(super) fn drop_all(&mut self, link: Link) {
        self.queues.remove(&link);
    }

    /// A broker gives up waiting for the controller: proposals on their way may still arrive, answers do not.
    pub(super) fn orphan_proposals(&mut self, from: u32) {
        for queued in self.queues.entry((from, CONTROLLER)).or_default() {
            queued.is_orphan = true;
        }
        let answers = self.queues.entry((CONTROLLER, from)).or_default();
        answers.retain(|queued| !matches!(queued.message, Message::Altered { .. }));
    }
}

/// True for what only keeps a session: it waits on no link.
pub(super) fn passes_at_once(message: &Message) -> bool {
    match message {
        Message::Register(_)
        | Message::Leave { .. }
        | Message::Distrust(_)
        | Message::Registered { .. }
        | Message::Heartbeat { .. }
        | Message::SessionEnded { .. }
        | Message::Produce { .. }
        | Message::Produced { .. } => true,
        Message::Session { snapshot, deltas, .. } => snapshot.is_none() && deltas.is_empty(),
        Message::Position { .. }
        | Message::Fetched { .. }
        | Message::AskLeader { .. }
        | Message::Leads { .. }
        | Message::Alter(_)
        | Message::Altered { .. } => false,
    }
}
