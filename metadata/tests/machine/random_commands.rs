//! Any sequence of commands, sensible or not: [`Cluster::run`] checks invariants, snapshot, replay and stored forms.

use proptest::prelude::*;

use holdfast_metadata::{AlterReplicas, AlterTopic, Command, CreateTopic, IsrMember, ReplicaMove};
use holdfast_proto::ids::{BrokerEpoch, LeaderEpoch, PartitionEpoch, TopicId, TopicPartition};

use crate::cluster::{Cluster, b, configs};

/// What happens next; numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Step {
    Start { broker: u32, disk: Disk, old_session_alive: bool },
    Fence { broker: u32, stale: bool },
    Unfence { broker: u32, stale: bool },
    Leave { broker: u32 },
    Unregister { broker: u32 },
    Create { name: u8, partitions: u32, replicas: u32, min_isr: u32 },
    Delete { topic: usize },
    MinIsr { topic: usize, min_isr: Option<u32> },
    AddPartitions { topic: usize, count: u32 },
    Alter { partition: usize, members: u8, twist: u8 },
    Move { partition: usize, replicas: Vec<u32>, limit: Option<u64> },
    Drain { broker: u32, draining: bool },
    Elect { all: bool, partition: usize },
    ProducerIds { broker: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Disk {
    Same,
    New,
    Old,
}

fn step() -> impl Strategy<Value = Step> {
    let broker = 1..=5_u32;
    let disk = prop_oneof![4 => Just(Disk::Same), 1 => Just(Disk::New), 1 => Just(Disk::Old)];
    let stale = prop::bool::weighted(0.1);
    prop_oneof![
        4 => (broker.clone(), disk, stale).prop_map(|(broker, disk, old_session_alive)| Step::Start {
            broker,
            disk,
            old_session_alive
        }),
        6 => (broker.clone(), stale).prop_map(|(broker, stale)| Step::Fence { broker, stale }),
        10 => (broker.clone(), stale).prop_map(|(broker, stale)| Step::Unfence { broker, stale }),
        2 => broker.clone().prop_map(|broker| Step::Leave { broker }),
        1 => broker.clone().prop_map(|broker| Step::Unregister { broker }),
        3 => (0..4_u8, 0..5_u32, 0..5_u32, 1..4_u32).prop_map(|(name, partitions, replicas, min_isr)| Step::Create {
            name,
            partitions,
            replicas,
            min_isr
        }),
        1 => any::<usize>().prop_map(|topic| Step::Delete { topic }),
        2 => (any::<usize>(), prop::option::of(1..4_u32)).prop_map(|(topic, min_isr)| Step::MinIsr { topic, min_isr }),
        1 => (any::<usize>(), 0..9_u32).prop_map(|(topic, count)| Step::AddPartitions { topic, count }),
        16 => (any::<usize>(), any::<u8>(), 0..24_u8)
            .prop_map(|(partition, members, twist)| Step::Alter { partition, members, twist }),
        6 => (any::<usize>(), prop::collection::vec(1..=5_u32, 0..5), prop::option::weighted(0.1, 0..9_u64))
            .prop_map(|(partition, replicas, limit)| Step::Move { partition, replicas, limit }),
        1 => (broker.clone(), any::<bool>()).prop_map(|(broker, draining)| Step::Drain { broker, draining }),
        2 => (any::<bool>(), any::<usize>()).prop_map(|(all, partition)| Step::Elect { all, partition }),
        1 => broker.prop_map(|broker| Step::ProducerIds { broker }),
    ]
}

/// The command that a step means now; `None` if it means nothing.
fn command(c: &mut Cluster, step: &Step) -> Option<Command> {
    let epoch = |c: &Cluster, broker: u32, stale: bool| {
        let epoch = c.image.broker(b(broker)).map_or(BrokerEpoch(0), |registration| registration.broker_epoch);
        if stale { BrokerEpoch(epoch.0.saturating_sub(1)) } else { epoch }
    };
    let topic = |c: &Cluster, n: usize| Some(c.image.topics().nth(n % c.image.topic_count().max(1))?.topic_id());
    let partition =
        |c: &Cluster, n: usize| c.image.partitions().nth(n % c.image.partition_count().max(1)).map(|(tp, ..)| tp);
    Some(match *step {
        Step::Start { broker, disk, old_session_alive } => {
            let old = c.image.broker(b(broker)).map(|old| (old.boot_counter, old.directory_id.0.as_u128()));
            let (boot, directory) = old.unwrap_or((0, broker.into()));
            let fresh = c.fresh().as_u128();
            let mut registration = match disk {
                Disk::Same => c.registration(broker, boot + 1, directory),
                Disk::New => c.registration(broker, boot + 1, fresh),
                Disk::Old => c.registration(broker, boot.max(1), directory),
            };
            registration.old_session_alive = old_session_alive;
            Command::RegisterBroker(registration)
        }
        Step::Fence { broker, stale } => {
            Command::FenceBroker { broker_id: b(broker), broker_epoch: epoch(c, broker, stale) }
        }
        Step::Unfence { broker, stale } => {
            Command::UnfenceBroker { broker_id: b(broker), broker_epoch: epoch(c, broker, stale) }
        }
        Step::Leave { broker } => {
            Command::BeginControlledShutdown { broker_id: b(broker), broker_epoch: epoch(c, broker, false) }
        }
        Step::Unregister { broker } => Command::UnregisterBroker { broker_id: b(broker) },
        Step::Create { name, partitions, replicas, min_isr } => Command::CreateTopic(CreateTopic {
            name: format!("topic{name}"),
            topic_id: TopicId(c.fresh()),
            partition_count: partitions,
            replication_factor: replicas,
            configs: configs(&[("min.insync.replicas", &min_isr.to_string())]),
        }),
        Step::Delete { topic: n } => Command::DeleteTopic { topic_id: topic(c, n)? },
        Step::MinIsr { topic: n, min_isr } => Command::AlterTopic(AlterTopic {
            topic_id: topic(c, n)?,
            configs: [("min.insync.replicas".to_owned(), min_isr.map(|min| min.to_string()))].into(),
            partition_count: None,
        }),
        Step::AddPartitions { topic: n, count } => {
            Command::AlterTopic(AlterTopic { topic_id: topic(c, n)?, configs: [].into(), partition_count: Some(count) })
        }
        Step::Alter { partition: n, members, twist } => {
            let tp = partition(c, n)?;
            return proposal(c, tp, members, twist);
        }
        Step::Move { partition: n, ref replicas, limit } => {
            let TopicPartition { topic_id, partition } = partition(c, n)?;
            let new_replicas = replicas.iter().copied().map(b).collect();
            let moves = vec![ReplicaMove { topic_id, partition, new_replicas }];
            Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: limit })
        }
        Step::Drain { broker, draining } => Command::SetBrokerDrain { broker_id: b(broker), draining },
        Step::Elect { all: true, .. } => Command::ElectLeaders { partitions: Vec::new() },
        Step::Elect { all: false, partition: n } => Command::ElectLeaders { partitions: vec![partition(c, n)?] },
        Step::ProducerIds { broker } => {
            Command::AllocateProducerIds { broker_id: b(broker), broker_epoch: epoch(c, broker, false) }
        }
    })
}

/// The leader's proposal for the replicas of the mask, with a fault for a small `twist`.
fn proposal(c: &Cluster, tp: TopicPartition, members: u8, twist: u8) -> Option<Command> {
    let state = c.image.partition(tp)?;
    let leader = state.leader?;
    let epoch = |broker| c.image.broker(broker).map_or(BrokerEpoch(0), |registration| registration.broker_epoch);
    let mut new_isr: Vec<IsrMember> = state
        .replicas
        .iter()
        .enumerate()
        .filter(|(n, broker)| **broker == leader || members & (1 << n) != 0)
        .map(|(_, broker)| IsrMember { broker_id: *broker, broker_epoch: epoch(*broker) })
        .collect();
    let mut change = holdfast_metadata::IsrChange {
        topic_id: tp.topic_id,
        partition: tp.partition,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        new_isr: Vec::new(),
        high_watermark: None,
        high_watermark_epoch: None,
    };
    match twist {
        0 => change.leader_epoch = LeaderEpoch(change.leader_epoch.0 ^ 1),
        1 => change.partition_epoch = PartitionEpoch(change.partition_epoch.0 ^ 1),
        2 => new_isr.retain(|member| member.broker_id != leader),
        3 => new_isr[0].broker_epoch.0 ^= 1,
        4 => new_isr.push(new_isr[0]),
        5 => new_isr.push(IsrMember { broker_id: b(members.into()), broker_epoch: BrokerEpoch(1) }),
        _ => (),
    }
    change.new_isr = new_isr;
    Some(Command::AlterPartition(holdfast_metadata::AlterPartition {
        broker_id: leader,
        broker_epoch: epoch(leader),
        changes: vec![change],
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_command_breaks_an_invariant(steps in prop::collection::vec(step(), 1..120)) {
        let mut c = Cluster::new(5);
        c.topic("topic0", 2, 3, &[]);
        for step in &steps {
            if let Some(command) = command(&mut c, step) {
                c.run(&command);
            }
        }
    }
}
