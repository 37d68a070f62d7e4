//! A cluster under test: runs commands, and after each one checks every invariant, the snapshot, the replay of the
//! records, and the stored form of the command.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{
    AlterPartition, Command, ControllerVersions, CreateTopic, EndedSession, FinalizeVersion, Image, IsrChange,
    IsrMember, Outcome, PartitionState, Record, RecoverPartition, RegisterBroker, Rejection, Response, apply_command,
    decide, invariant, refusal,
    trust::{FolderProof, PartitionRecovery, ReplicaReport},
    version::SUPPORTED,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{
        BrokerEpoch, BrokerId, ClusterId, ControllerId, DirectoryId, FolderToken, IncarnationId, MetadataIndex,
        MetadataVersion, PartitionIndex, TopicId, TopicPartition,
    },
};

/// Carries out commands on an image and checks them from all sides, see the module.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) image: Image,
    /// Built from the records alone, as a broker does.
    replayed: Image,
    next_id: u128,
}

/// The id of broker `n`.
pub(crate) fn b(n: u32) -> BrokerId {
    BrokerId(n)
}

/// Settings of a topic from literals.
pub(crate) fn configs(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A state in one line: `leader @ leader epoch / partition epoch, isr, elr`.
pub(crate) fn show(state: &PartitionState) -> String {
    let list = |members: &[BrokerId]| match members {
        [] => "-".to_owned(),
        members => members.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let leader = state.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let (leader_epoch, partition_epoch) = (state.leader_epoch, state.partition_epoch);
    format!("{leader} @{leader_epoch}/{partition_epoch} isr {} elr {}", list(&state.isr), list(&state.elr))
}

impl Cluster {
    /// Neither brokers nor topics; the cluster has no id.
    pub(crate) fn empty() -> Self {
        Self { image: Image::default(), replayed: Image::default(), next_id: 1_000 }
    }

    /// Brokers 1 to `count`, alive, with broker epochs 1 to `count`.
    pub(crate) fn new(count: u32) -> Self {
        let mut cluster = Self::empty();
        for n in 1..=count {
            cluster.start(n, 1, n.into());
            cluster.unfence(n);
        }
        cluster
    }

    /// As [`Self::new`], with the newest metadata version finalised: brokers prove their folders.
    pub(crate) fn with_tokens(count: u32) -> Self {
        Self::with_version(count, SUPPORTED.max)
    }

    /// The same, with this version.
    pub(crate) fn with_version(count: u32, version: MetadataVersion) -> Self {
        let mut cluster = Self::empty();
        cluster.finalise(version);
        for n in 1..=count {
            let registration = cluster.proving(n, 1, &[]);
            cluster.ok(&Command::RegisterBroker(registration));
            cluster.unfence(n);
        }
        cluster
    }

    /// Finalises this metadata version, which the only controller and all brokers know.
    pub(crate) fn finalise(&mut self, version: MetadataVersion) {
        let controllers = vec![ControllerVersions { controller_id: ControllerId(1), versions: Some(SUPPORTED) }];
        self.ok(&Command::FinalizeVersion(FinalizeVersion { version, controllers }));
    }

    /// Gives the cluster its id.
    pub(crate) fn form(&mut self) {
        let cluster_id = ClusterId(self.fresh());
        self.ok(&Command::FormCluster { cluster_id });
    }

    /// Goes on with this image.
    pub(crate) fn replace(&mut self, image: Image) {
        self.replayed = image.clone();
        self.image = image;
    }

    /// A new start of broker `n` on its disk, boot `boot`, that shows its last token and says this of its replicas.
    pub(crate) fn proving(&mut self, n: u32, boot: u64, replicas: &[ReplicaReport]) -> RegisterBroker {
        let known = self.image.broker(b(n)).and_then(|broker| broker.token).into_iter().collect();
        let folder =
            FolderProof { known, next: FolderToken(self.fresh()), replicas: replicas.to_vec(), list_lost: false };
        RegisterBroker { folder: Some(folder), ..self.registration(n, boot, n.into()) }
    }

    /// Runs a command and checks everything that always holds.
    pub(crate) fn run(&mut self, command: &Command) -> Outcome {
        let stored = serde_json::to_string(command).expect("a command is JSON");
        assert_eq!(&serde_json::from_str::<Command>(&stored).expect("stored commands are read"), command);
        let before = self.image.clone();
        let index = MetadataIndex(before.index().0 + 1);
        let outcome = apply_command(&mut self.image, index, command);
        let expected = outcome.result.as_ref().err().cloned();
        assert_eq!(refusal(&before, command), expected, "{command}: what is asked before is what becomes of it");
        invariant::check(&self.image).unwrap_or_else(|v| panic!("{command}: {v:?}"));
        invariant::check_step(command, &before, &self.image).unwrap_or_else(|v| panic!("{command}: {v:?}"));
        self.replayed.apply_all(index, &outcome.records).expect("records fit");
        assert_eq!(self.replayed, self.image, "replay differs after {command}");
        let snapshot = Image::from_records(index, &self.image.records()).expect("a snapshot fits");
        assert_eq!(snapshot, self.image, "the snapshot differs after {command}");
        for broker_id in self.image.brokers().keys() {
            let counted =
                (self.image.partitions_of(*broker_id).count(), self.image.partitions_led_by(*broker_id).count());
            let load = self.image.load(*broker_id);
            assert_eq!((load.replicas as usize, load.leaders as usize), counted, "broker {broker_id} after {command}");
        }
        let stored = serde_json::to_string(&outcome).expect("an outcome is JSON");
        assert_eq!(serde_json::from_str::<Outcome>(&stored).expect("stored outcomes are read"), outcome);
        if outcome.result.is_err() {
            assert!(outcome.records.is_empty(), "{command} was refused, but made {:?}", outcome.records);
        }
        outcome
    }

    /// Runs a command that has to succeed.
    pub(crate) fn ok(&mut self, command: &Command) -> (Vec<Record>, Response) {
        let outcome = self.run(command);
        (outcome.records, outcome.result.unwrap_or_else(|rejection| panic!("{command}: {rejection}")))
    }

    /// Runs a command that has to be refused.
    pub(crate) fn refused(&mut self, command: &Command) -> Rejection {
        self.run(command).result.expect_err("refused")
    }

    /// A fresh number for an id.
    pub(crate) fn fresh(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    /// The registration of a new start of broker `n`: `boot` counts the starts of disk `disk`.
    pub(crate) fn registration(&mut self, n: u32, boot: u64, disk: u128) -> RegisterBroker {
        RegisterBroker {
            broker_id: b(n),
            incarnation_id: IncarnationId(self.fresh()),
            directory_id: DirectoryId(Uuid::from_u128(disk)),
            boot_counter: boot,
            client_address: format!("broker-{n}:9092"),
            peer_address: format!("broker-{n}:9093"),
            rack: None,
            versions: SUPPORTED,
            old_session_alive: false,
            replaces: None,
            folder: None,
        }
    }

    /// Broker `n` starts and registers; it stays fenced.
    pub(crate) fn start(&mut self, n: u32, boot: u64, disk: u128) -> Vec<Record> {
        let registration = self.registration(n, boot, disk);
        self.ok(&Command::RegisterBroker(registration)).0
    }

    /// Broker `n` starts again on the same disk and registers; it stays fenced.
    pub(crate) fn restart(&mut self, n: u32) -> Vec<Record> {
        let old = &self.image.brokers()[&b(n)];
        let (boot, disk) = (old.boot_counter + 1, old.directory_id.0.as_u128());
        self.start(n, boot, disk)
    }

    /// Current broker epoch of broker `n`.
    pub(crate) fn epoch(&self, n: u32) -> BrokerEpoch {
        self.image.brokers()[&b(n)].broker_epoch
    }

    pub(crate) fn fence(&mut self, n: u32) -> Vec<Record> {
        self.ok(&Command::FenceBroker { broker_id: b(n), broker_epoch: self.epoch(n) }).0
    }

    /// The command by which the sessions of these brokers end together.
    pub(crate) fn fencing(&self, brokers: &[u32]) -> Command {
        let ended = brokers.iter().map(|n| EndedSession { broker_id: b(*n), broker_epoch: self.epoch(*n) });
        Command::FenceBrokers { brokers: ended.collect() }
    }

    pub(crate) fn unfence(&mut self, n: u32) -> Vec<Record> {
        self.ok(&Command::UnfenceBroker { broker_id: b(n), broker_epoch: self.epoch(n) }).0
    }

    /// Broker `n` begins to leave; the answer is how many partitions it still leads.
    pub(crate) fn leave(&mut self, n: u32) -> u32 {
        match self.ok(&Command::BeginControlledShutdown { broker_id: b(n), broker_epoch: self.epoch(n) }).1 {
            Response::ControlledShutdown { remaining_leaders } => remaining_leaders,
            other => panic!("{other:?}"),
        }
    }

    /// Creates a topic under a fresh id, and panics if it is refused.
    pub(crate) fn topic(&mut self, name: &str, partitions: u32, replicas: u32, entries: &[(&str, &str)]) -> TopicId {
        let topic_id = TopicId(self.fresh());
        self.ok(&Command::CreateTopic(CreateTopic {
            name: name.to_owned(),
            topic_id,
            partition_count: partitions,
            replication_factor: replicas,
            configs: configs(entries),
        }));
        topic_id
    }

    /// Partition 0 of a topic.
    pub(crate) fn state(&self, topic_id: TopicId) -> &PartitionState {
        self.image.partition(TopicPartition { topic_id, partition: PartitionIndex(0) }).expect("there")
    }

    /// [`show`] of partition 0 of a topic.
    pub(crate) fn shown(&self, topic_id: TopicId) -> String {
        show(self.state(topic_id))
    }

    /// The proposal of partition 0's present leader for this ISR, all with current epochs.
    pub(crate) fn proposal(&self, topic_id: TopicId, isr: &[u32]) -> AlterPartition {
        let state = self.state(topic_id);
        let leader = state.leader.expect("led");
        AlterPartition {
            broker_id: leader,
            broker_epoch: self.epoch(leader.0),
            changes: vec![IsrChange {
                topic_id,
                partition: PartitionIndex(0),
                leader_epoch: state.leader_epoch,
                partition_epoch: state.partition_epoch,
                new_isr: isr.iter().map(|n| IsrMember { broker_id: b(*n), broker_epoch: self.epoch(*n) }).collect(),
                high_watermark: None,
                high_watermark_epoch: None,
            }],
        }
    }

    /// The order to let partition 0 go on with this broker's replica, with the current epoch.
    pub(crate) fn recovering(&self, topic_id: TopicId, n: u32) -> Command {
        Command::RecoverPartition(RecoverPartition {
            topic_id,
            partition: PartitionIndex(0),
            broker_id: b(n),
            partition_epoch: self.state(topic_id).partition_epoch,
            at_ms: 5,
        })
    }

    /// Carries out [`Self::recovering`]; what is kept of it.
    pub(crate) fn recover(&mut self, topic_id: TopicId, n: u32) -> PartitionRecovery {
        match self.ok(&self.recovering(topic_id, n)).1 {
            Response::PartitionRecovered { recovery } => recovery,
            other => panic!("{other:?}"),
        }
    }

    /// Runs proposals; the first result as shown state or error.
    pub(crate) fn propose(&mut self, command: AlterPartition) -> Result<String, ErrorCode> {
        match self.ok(&Command::AlterPartition(command)).1 {
            Response::PartitionsAltered { mut results } => {
                results.remove(0).map(|state| show(&state)).map_err(|rejection| rejection.code)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The leader's proposal of this ISR for partition 0.
    pub(crate) fn alter(&mut self, topic_id: TopicId, isr: &[u32]) -> Result<String, ErrorCode> {
        let proposal = self.proposal(topic_id, isr);
        self.propose(proposal)
    }

    /// What a proposal would come to: the code of its refusal, whole or in its first change.
    pub(crate) fn decided(&self, command: &AlterPartition) -> Result<(), ErrorCode> {
        match decide(&self.image, &Command::AlterPartition(command.clone())).result {
            Ok(Response::PartitionsAltered { mut results }) => {
                results.remove(0).map(|_| ()).map_err(|rejection| rejection.code)
            }
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => Err(rejection.code),
        }
    }
}
