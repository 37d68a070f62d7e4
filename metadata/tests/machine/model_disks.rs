//! The disks of the model: starting on one that is whole, lost, copied or cut, and the tokens that prove it.

use holdfast_metadata::{
    Command,
    trust::{DistrustReason, FolderProof, ReplicaReport, Vouch},
};
use holdfast_proto::ids::{FolderToken, Offset};

use crate::{acknowledged_history::Disk, cluster::b, model::Model};

impl Model {
    /// Broker `n` starts on that disk and registers, unless it runs or the disk is none that the run allows now.
    pub(crate) fn start(&mut self, n: u32, disk: Disk) {
        let tp = self.partition();
        self.next_disk += 1;
        let fresh = self.next_disk;
        let (trust, next) = (self.trust, FolderToken(self.c.fresh()));
        let expected = self.c.image.broker(b(n)).and_then(|broker| broker.token);
        let others_lack = self.nodes.iter().any(|(id, node)| *id != n && node.lacks);
        let node = self.node(n);
        let is_silent = matches!(disk, Disk::Cut | Disk::Vanished | Disk::Copied) && trust;
        if node.running
            || (trust && others_lack && !matches!(disk, Disk::Same | Disk::Unread))
            || (!trust && matches!(disk, Disk::Cut | Disk::Vanished | Disk::Unread))
        {
            return;
        }
        let mut vouch = Vouch::Full;
        let was_cut = disk == Disk::Cut && !node.log.is_empty();
        match disk {
            Disk::Same => node.boot += 1,
            // Its boot counter alone would not give it away.
            Disk::Empty => (node.disk, node.boot, node.log) = (fresh, node.boot + 1, Vec::new()),
            Disk::Copied => {
                // A copy of the present start cannot be told from a restart; the counter tells older ones.
                let Some(copy) = node.copy.take().filter(|copy| trust || copy.boot < node.boot) else { return };
                (node.boot, node.log, node.tokens) = (copy.boot + 1, copy.log, copy.tokens);
                vouch = Vouch::Doubtful;
            }
            Disk::Cut => {
                node.boot += 1;
                node.log.truncate(node.log.len() / 2);
                vouch = Vouch::Doubtful;
            }
            Disk::Vanished => {
                node.boot += 1;
                node.log.clear();
                vouch = Vouch::Not(DistrustReason::Vanished);
            }
            Disk::Unread => {
                node.boot += 1;
                vouch = Vouch::Unread;
            }
        }
        node.in_doubt = match vouch {
            Vouch::Full | Vouch::Unread => node.in_doubt && disk != Disk::Empty,
            Vouch::Doubtful => true,
            Vouch::Not(_) => false,
        };
        if node.in_doubt && vouch == Vouch::Full {
            vouch = Vouch::Doubtful;
        }
        if matches!(disk, Disk::Empty | Disk::Copied) {
            node.copy = None;
        }
        node.lacks |= !matches!(disk, Disk::Same | Disk::Unread);
        node.unread = disk == Disk::Unread && !node.log.is_empty();
        node.running = true;
        let known = node.tokens.clone();
        node.tokens = if trust { vec![next] } else { Vec::new() };
        let is_unread = node.unread;
        let end = if is_unread { 0 } else { node.log.len() as u64 };
        let report = ReplicaReport {
            topic_id: tp.topic_id,
            partition: tp.partition,
            leader_epoch: node.log.last().map(|(epoch, _)| *epoch).filter(|_| !is_unread),
            end: Offset(end),
            vouch,
        };
        // It has no replica before it was told to hold one, and none once that has moved away.
        let holds = !node.log.is_empty() || was_cut || matches!(vouch, Vouch::Not(_));
        let replicas = if holds { vec![report] } else { Vec::new() };
        let (boot, directory) = (node.boot, node.disk);
        let mut registration = self.c.registration(n, boot, directory);
        self.coverage.silent_faults += usize::from(is_silent && expected.is_some_and(|token| known.contains(&token)));
        registration.folder = trust.then_some(FolderProof { known, next, replicas, list_lost: false });
        self.run(&Command::RegisterBroker(registration));
        self.coverage.untrusted_disks += usize::from(!matches!(disk, Disk::Same | Disk::Unread));
        self.coverage.unread += usize::from(is_unread);
        let (known, broker_epoch) = (self.images.len() - 1, self.c.epoch(n));
        let node = self.node(n);
        (node.known, node.broker_epoch) = (known, broker_epoch);
    }

    /// The disk of broker `n`, which is down, is lost, and given up. It comes back with a new one.
    pub(crate) fn lose_disk(&mut self, n: u32) {
        self.next_disk += 1;
        let fresh = self.next_disk;
        let others_lack = self.nodes.iter().any(|(id, node)| *id != n && node.lacks);
        let (broker_epoch, trust) = (self.c.epoch(n), self.trust);
        let is_fenced = self.c.image.broker(b(n)).is_some_and(|broker| broker.fenced);
        let node = self.node(n);
        if !trust || node.running || others_lack || !is_fenced {
            return;
        }
        (node.disk, node.boot, node.copy, node.lacks, node.in_doubt) = (fresh, 0, None, true, false);
        node.log.clear();
        node.tokens.clear();
        self.run(&Command::LoseDisk { broker_id: b(n), broker_epoch, at_ms: 5 });
        self.coverage.disks_lost += 1;
    }

    /// The broker stores another token, and shows that one from now on.
    pub(crate) fn renew(&mut self, n: u32) {
        let token = FolderToken(self.c.fresh());
        let trust = self.trust;
        let node = self.node(n);
        if !trust || !node.running {
            return;
        }
        node.tokens.push(token);
        let broker_epoch = node.broker_epoch;
        let renewed = self.run(&Command::RenewFolderToken { broker_id: b(n), broker_epoch, token });
        if renewed.is_some() {
            self.node(n).tokens = vec![token];
        }
    }
}
