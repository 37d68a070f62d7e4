//! What goes wrong in a scripted cluster: nodes that end and come back, connections that break, calls that pass their deadline.

use uuid::Uuid;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, DirectoryId, Offset},
};
use holdfast_replication::{Event, Replica};

use super::{
    cluster::Cluster,
    links::{CONTROLLER, Link},
};
use crate::sim::{
    broker::Broker,
    disk::Crash,
    message::{Message, Node},
};

impl Cluster {
    /// Ends a process. All that are connected with it notice.
    pub(super) fn crash(&mut self, id: BrokerId, crash: Crash) -> Result<(), String> {
        self.running.remove(&id).ok_or("it is down")?;
        self.silent.remove(&id);
        self.failed.remove(&id);
        self.disks.get_mut(&id).expect("every broker has a disk").crash(crash);
        self.producing.connection_lost(id);
        for other in self.disks.keys().copied().filter(|other| *other != id).collect::<Vec<_>>() {
            self.break_connection(id, other);
        }
        self.lose((id.0, CONTROLLER));
        let mut out = Vec::new();
        self.controller.disconnected(self.now(), id, &mut out);
        self.controller_says(out);
        Ok(())
    }

    /// Starts a process that is down; it registers. `is_blank`: on an empty disk.
    pub(super) fn start(&mut self, id: BrokerId, is_blank: bool) {
        assert!(!self.running.contains_key(&id), "node {id} runs");
        self.starts += 1;
        let now = self.now();
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        if is_blank {
            self.lost_disks += 1;
            disk.replace(DirectoryId(Uuid::from_u128(u128::from(id.0) << 64 | u128::from(self.starts))), 0);
        }
        self.running.insert(id, Broker::start(now, id, disk, u128::from(self.starts)));
        self.beat(id);
    }

    /// The connection of two brokers breaks: what is on it is lost, and both notice.
    pub(super) fn break_connection(&mut self, a: BrokerId, b: BrokerId) {
        self.lose((a.0, b.0));
        for (here, there) in [(a, b), (b, a)] {
            self.broker(here, |broker, now, disk, out| broker.disconnected(now, there, disk, out));
        }
    }

    fn lose(&mut self, (a, b): Link) {
        let node = |node| if node == CONTROLLER { Node::Controller } else { Node::Broker(BrokerId(node)) };
        for (from, to) in [(a, b), (b, a)] {
            self.links.drop_all((from, to));
            self.passing.retain(|(sender, receiver, _)| (*sender, *receiver) != (node(from), node(to)));
        }
    }

    /// A node's calls to the controller pass their deadline; those under way may still arrive there.
    pub(super) fn time_out_proposals(&mut self, id: BrokerId) -> Result<(), String> {
        let replica = self.replica(id)?;
        let epochs = replica.leader_epoch().zip(replica.partition_epoch());
        let (leader_epoch, partition_epoch) = epochs.ok_or("it has no assignment")?;
        self.links.orphan_proposals(id.0);
        let result = Err(ErrorCode::RequestTimedOut);
        let (tp, event) = (self.tp, Event::IsrProposalResult { leader_epoch, partition_epoch, result });
        self.broker(id, |broker, now, disk, out| broker.step(now, tp, event, disk, out));
        Ok(())
    }

    /// The high watermarks reach the disk.
    pub(super) fn checkpoint(&mut self, id: BrokerId) {
        self.broker(id, |broker, _, disk, _| broker.note_high_watermarks(disk));
    }

    /// Retention removes what lies below, never past the high watermark.
    pub(super) fn retain(&mut self, id: BrokerId, to: Offset) {
        let tp = self.tp;
        let high_watermark = self.replica(id).map_or(Offset(0), Replica::high_watermark);
        self.oracle.retains(tp, to.min(high_watermark).0);
        self.broker(id, |broker, _, disk, out| broker.retain(tp, to.min(high_watermark), disk, out));
        self.flush(id);
    }

    /// The log loses its first batches, and says only that its mark is lost: as before recovery asked where it began.
    pub(super) fn lose_beginning(&mut self, id: BrokerId, batches: usize) -> Result<(), String> {
        let tp = self.tp;
        if self.running.contains_key(&id) {
            return Err("it runs".to_owned());
        }
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        let log = disk.logs.get_mut(&tp).ok_or("it has no log")?;
        log.lose_beginning(batches, true).ok_or("its log is empty")?;
        disk.doubted.insert(tp);
        Ok(())
    }

    /// A producer's message comes to a node; false if it is down.
    pub(super) fn produce(&mut self, id: BrokerId, producer: u32, message: Message) -> bool {
        let runs = self.running.contains_key(&id);
        self.arrives(Node::Producer(producer), Node::Broker(id), message, false);
        runs
    }
}
