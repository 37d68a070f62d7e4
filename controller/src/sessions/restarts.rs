//! Brokers that started again and want to register: what of their earlier sessions is known, and who is fenced with them.
//! Pure.
//!
//! A registration takes its broker out of each ISR by itself. If others ended at the same moment, they have to be fenced with
//! it before, by one command. Who did is known only once every other session was heard, or is over: right after a fail-over
//! nobody was heard, and all look alike.

use holdfast_proto::ids::{BrokerId, Millis};

use super::{
    event::{Earlier, Proposal, Verdict},
    session::Session,
    state::Sessions,
};

impl Sessions {
    /// What is known of the session that a registration under this id, by another start, would take the place of. Tell of
    /// the start by [`Event::Restarted`](super::Event::Restarted), unless it is [`Earlier::Alive`], and ask again then.
    pub fn earlier(&self, now: Millis, broker_id: BrokerId, is_same_folder: bool) -> Earlier {
        let Some(session) = self.brokers.get(&broker_id) else { return Earlier::Over };
        if self.is_alive(now, broker_id, is_same_folder) {
            return Earlier::Alive;
        }
        if self.in_flight.contains_key(&broker_id) || self.may_be_fenced.contains(&broker_id) {
            return Earlier::NotYet;
        }
        let mut others = self.unfenced().filter(|(id, _)| *id != broker_id);
        if !session.fenced && others.any(|(_, other)| other.is_lost() || other.is_unknown()) {
            return Earlier::NotYet;
        }
        Earlier::Over
    }

    /// True if a registration under this id by another start may displace a broker that lives: it has a connection that
    /// speaks; or it is not fenced, and only without a connection: it may not have found this controller yet, or be about to
    /// connect again. That counts against all but `is_same_folder`, the folder of the last registration: that one was
    /// started again. A stray copy tries for ever, and would take the place of the one that is whole.
    pub(super) fn is_alive(&self, now: Millis, broker_id: BrokerId, is_same_folder: bool) -> bool {
        self.brokers.get(&broker_id).is_some_and(|session| {
            let may_live = session.connection.is_some() || (!session.fenced && !is_same_folder);
            may_live && now < session.heard.plus(self.timeouts.session_ms)
        })
    }

    /// Fences those that started again together with all that are lost, once of each session it is known whether it is, and
    /// no fencing of one that is lost is under way. Who alone is lost is not fenced: its registration says enough.
    pub(super) fn end_replaced(&mut self, proposals: &mut Vec<Proposal>) {
        if !self.unfenced().any(|(_, session)| session.is_replaced()) {
            return;
        }
        let lost: Vec<_> =
            self.unfenced().filter(|(_, one)| one.is_lost()).map(|(id, session)| (id, session.epoch)).collect();
        let is_under_way = lost.iter().any(|(id, _)| self.in_flight.contains_key(id));
        if lost.len() < 2 || is_under_way || self.unfenced().any(|(_, session)| session.is_unknown()) {
            return;
        }
        for (broker_id, epoch) in lost {
            self.propose(broker_id, epoch, Verdict::Fence, proposals);
        }
    }

    fn unfenced(&self) -> impl Iterator<Item = (BrokerId, &Session)> {
        self.brokers.iter().filter(|(_, session)| !session.fenced).map(|(id, session)| (*id, session))
    }
}
