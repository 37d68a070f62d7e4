//! Controllers that were restored from a backup: they tell a state that has gone back for good, past registrations too.
//!
//! Nothing more is promised then than that nobody deletes a replica that counts because an old state does not place it
//! there. After a restart a broker knows the leader epochs in its logs and no partition epoch, so a state of the same
//! leader epoch, or of one in which its log got nothing, passes for a newer one, and is left out here.

use holdfast_broker::here::time_trust::Said;
use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::{BrokerEpoch, BrokerId};

use super::state::World;
use crate::sim::{
    broker::{Broker, Outgoing},
    controller::TIMEOUTS,
    disk::Crash,
    message::{Message, Node},
};

/// Every so many changes back.
const STEP: usize = 5;

impl World {
    /// Starts each broker once more, apart, and tells it states of before.
    pub(super) fn tell_what_has_gone_back(&mut self) {
        for id in self.shape.brokers().map(BrokerId).collect::<Vec<_>>() {
            for old in self.controller.before().step_by(STEP) {
                let outgoing = self.told(id, old);
                self.coverage.set_aside_logs +=
                    outgoing.iter().filter(|outgoing| matches!(outgoing, Outgoing::ClosedStray)).count() as u64;
                for outgoing in outgoing {
                    let Outgoing::Delete(tp) = outgoing else { continue };
                    let latest = self.disks[&id].logs.get(&tp).and_then(|log| log.epochs().latest());
                    if old.partition(tp).is_none_or(|state| latest > Some(state.leader_epoch)) {
                        self.check_deletion(id, tp);
                    }
                }
            }
        }
    }

    /// What a broker wants done that starts on its disk and is told this state first.
    fn told(&self, id: BrokerId, state: &Image) -> Vec<Outgoing> {
        let (now, index) = (self.now(), state.index());
        let mut disk = self.disks[&id].clone();
        disk.crash(Crash::Kill { done: usize::MAX });
        let mut broker = Broker::start(now, id, &mut disk, u128::MAX);
        let mut out = Vec::new();
        let registered = Message::Registered { result: Ok((BrokerEpoch(u64::MAX), index)), known: BrokerEpoch(0) };
        broker.receive(now, Node::Controller, registered, &mut disk, &mut out);
        broker.heartbeat(now, &mut disk, &mut out);
        let records = state.records().into_iter().filter(Record::travels).collect();
        let (snapshot, deltas, said) = (Some((index, records)), Vec::new(), Some(Said::Agrees(0)));
        let first = Message::Session { session: 1, snapshot, deltas, lease_ms: TIMEOUTS.session_ms, said };
        broker.receive(now, Node::Controller, first, &mut disk, &mut out);
        out
    }
}
