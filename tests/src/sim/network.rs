//! Ordered links between simulated nodes, as TCP gives them: messages arrive in order or not at all, after any delay.
//!
//! Cutting a link loses what is under way; what is sent over a cut link is lost as well.

use std::collections::BTreeMap;

use super::message::{Message, Node};

/// A message that will arrive.
#[derive(Debug)]
pub struct Delivery {
    /// Node that sent it.
    pub from: Node,
    /// Node that takes it.
    pub to: Node,
    /// What the one tells the other.
    pub message: Message,
    generation: u64,
}

#[derive(Debug, Default)]
struct Link {
    generation: u64,
    cut: bool,
    last_arrival_ms: u64,
}

/// All links. A direction of a link is made when it is first used.
#[derive(Debug, Default)]
pub struct Network {
    links: BTreeMap<(Node, Node), Link>,
}

impl Network {
    /// Puts a message on its way. Returns when it arrives, or `None` if the link is cut.
    pub fn send(
        &mut self,
        now_ms: u64,
        delay_ms: u64,
        from: Node,
        to: Node,
        message: Message,
    ) -> Option<(u64, Delivery)> {
        let link = self.links.entry((from, to)).or_default();
        if link.cut {
            return None;
        }
        link.last_arrival_ms = link.last_arrival_ms.max(now_ms + delay_ms);
        Some((link.last_arrival_ms, Delivery { from, to, message, generation: link.generation }))
    }

    /// True if the message is still under way when its time has come.
    pub fn arrives(&self, delivery: &Delivery) -> bool {
        self.links.get(&(delivery.from, delivery.to)).is_some_and(|link| link.generation == delivery.generation)
    }

    /// Loses everything between the two, in both directions, and goes on carrying.
    pub fn reset(&mut self, a: Node, b: Node) {
        for pair in [(a, b), (b, a)] {
            let link = self.links.entry(pair).or_default();
            link.generation += 1;
            link.last_arrival_ms = 0;
        }
    }

    /// Cuts or mends the link between the two, in both directions. A cut loses what is under way.
    pub fn set_cut(&mut self, a: Node, b: Node, cut: bool) {
        if cut {
            self.reset(a, b);
        }
        for pair in [(a, b), (b, a)] {
            self.links.entry(pair).or_default().cut = cut;
        }
    }

    /// Mends every link that was cut.
    pub fn heal(&mut self) {
        for link in self.links.values_mut() {
            link.cut = false;
        }
    }
}
