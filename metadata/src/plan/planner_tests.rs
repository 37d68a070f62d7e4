//! Plans: what they reach, that they move no more than needed, and that nothing is left to plan after them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use holdfast_proto::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, MetadataIndex, PartitionEpoch, PartitionIndex, TopicId,
};

use super::*;
use crate::plan::PlannedMove;
use crate::{
    command::{AlterReplicas, Command, CreateTopic, ReplicaMove},
    decide::apply_command,
    invariant,
    record::{BrokerRegistration, PartitionState, Record},
    response::Response,
    version::VersionRange,
};

fn b(n: u32) -> BrokerId {
    BrokerId(n)
}

fn goal(drain: &[u32], only_drain: bool) -> PlanGoal {
    PlanGoal { drain: drain.iter().copied().map(b).collect(), only_drain }
}

fn add_broker(image: &mut Image, n: u32, rack: Option<&str>, fenced: bool) {
    let registration = BrokerRegistration {
        broker_id: b(n),
        broker_epoch: BrokerEpoch(n.into()),
        incarnation_id: IncarnationId(Uuid::from_u128(n.into())),
        directory_id: DirectoryId(Uuid::from_u128(n.into())),
        boot_counter: 1,
        client_address: "host:1".into(),
        peer_address: "host:2".into(),
        rack: rack.map(str::to_owned),
        versions: VersionRange::default(),
        fenced,
        shutting_down: false,
        token: None,
    };
    image.apply(&Record::Broker(registration)).expect("fits");
    image.apply(&Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(u64::from(n) + 1) }).expect("fits");
}

/// Live brokers 1 to n.
fn cluster(racks: &[Option<&str>]) -> Image {
    let mut image = Image::default();
    for (n, rack) in (1..).zip(racks) {
        add_broker(&mut image, n, *rack, false);
    }
    image
}

fn run(image: &mut Image, command: &Command) -> Response {
    let index = MetadataIndex(image.index().0 + 1);
    let response = apply_command(image, index, command).result.unwrap_or_else(|why| panic!("{command}: {why}"));
    invariant::check(image).unwrap_or_else(|broken| panic!("{command}: {broken:?}"));
    response
}

fn create(image: &mut Image, id: u128, partition_count: u32, replication_factor: u32) {
    run(
        image,
        &Command::CreateTopic(CreateTopic {
            name: format!("t{id}"),
            topic_id: TopicId(Uuid::from_u128(id)),
            partition_count,
            replication_factor,
            configs: BTreeMap::new(),
        }),
    );
}

/// A topic whose replicas stand where the test says.
fn place(image: &mut Image, id: u128, replicas: &[&[u32]]) {
    let topic_id = TopicId(Uuid::from_u128(id));
    image.apply(&Record::Topic { topic_id, name: format!("t{id}") }).expect("fits");
    for (n, replicas) in (0..).zip(replicas) {
        let replicas: Vec<BrokerId> = replicas.iter().copied().map(b).collect();
        let live = |broker: &BrokerId| image.broker(*broker).is_some_and(|broker| !broker.fenced);
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(live).collect();
        let state = PartitionState { leader: isr.first().copied(), isr, replicas, ..PartitionState::default() };
        image.apply(&Record::Partition { topic_id, partition: PartitionIndex(n), state }).expect("fits");
    }
}

/// Begins the moves through the machine, which has to accept each of them.
fn begin(image: &mut Image, plan: &Plan) {
    for batch in plan.moves.chunks(1_000) {
        let moves = batch.iter().map(|wanted| ReplicaMove {
            topic_id: wanted.partition.topic_id,
            partition: wanted.partition.partition,
            new_replicas: wanted.new_replicas.clone(),
        });
        let command = AlterReplicas { moves: moves.collect(), move_bytes_per_second: None };
        let Response::ReplicasAltered { results } = run(image, &Command::AlterReplicas(command)) else { panic!() };
        for (result, wanted) in results.into_iter().zip(batch) {
            result.unwrap_or_else(|why| panic!("{wanted:?}: {why}"));
        }
    }
}

/// Ends all moves, as if every replica had caught up.
fn finish(image: &mut Image) {
    let all: Vec<_> = image.partitions().map(|(tp, _, state)| (tp, state.clone())).collect();
    for (tp, old) in all.into_iter().filter(|(_, state)| state.is_moving()) {
        let replicas = old.target().to_vec();
        let live = |broker: &BrokerId| image.broker(*broker).is_some_and(|broker| !broker.fenced);
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(live).collect();
        let state = PartitionState {
            leader: isr.first().copied(),
            leader_epoch: LeaderEpoch(old.leader_epoch.0 + 1),
            partition_epoch: PartitionEpoch(old.partition_epoch.0 + 1),
            isr,
            replicas,
            ..PartitionState::default()
        };
        image.apply(&Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state }).expect("fits");
    }
}

/// Plans, carries out, and checks that nothing is left to plan, neither on the way nor at the end.
fn carry_out(image: &mut Image, goal: &PlanGoal) -> Plan {
    let first = plan(image, goal);
    assert_eq!(plan(image, goal), first, "the same twice");
    begin(image, &first);
    assert_eq!(plan(image, goal).moves, [], "while the moves are under way");
    finish(image);
    assert_eq!(plan(image, goal).moves, [], "when they are done");
    first
}

fn loads(image: &Image) -> (Vec<usize>, Vec<usize>) {
    let (mut held, mut led) = (BTreeMap::new(), BTreeMap::new());
    for broker in image.brokers().keys() {
        held.insert(*broker, 0);
        led.insert(*broker, 0);
    }
    for (_, _, state) in image.partitions() {
        state.target().iter().for_each(|broker| *held.entry(*broker).or_default() += 1);
        *led.entry(state.target()[0]).or_default() += 1;
    }
    (held.into_values().collect(), led.into_values().collect())
}

/// Replicas that have to be copied.
fn copies(plan: &Plan) -> usize {
    let new = |wanted: &PlannedMove| wanted.new_replicas.iter().filter(|b| !wanted.old_replicas.contains(b)).count();
    plan.moves.iter().map(new).sum()
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().expect("some") - counts.iter().min().expect("some")
}

#[test]
fn nothing_moves_where_all_is_even() {
    let mut image = cluster(&[None; 3]);
    create(&mut image, 1, 6, 3);
    assert_eq!(plan(&image, &PlanGoal::default()), Plan::default());
    assert_eq!(plan(&Image::default(), &PlanGoal::default()), Plan::default());
}

#[test]
fn three_brokers_become_five_and_three_again() {
    let mut image = cluster(&[None; 3]);
    create(&mut image, 1, 20, 3);
    create(&mut image, 2, 10, 2);
    assert_eq!(loads(&image).0.iter().sum::<usize>(), 80);
    add_broker(&mut image, 4, None, false);
    add_broker(&mut image, 5, None, false);
    assert_eq!(plan(&image, &goal(&[], true)), Plan::default(), "only a drain is asked for");
    let grown = carry_out(&mut image, &PlanGoal::default());
    assert_eq!(copies(&grown), 32, "what the new ones are to have, and no more");
    let (held, led) = loads(&image);
    assert_eq!((held, led), (vec![16; 5], vec![6; 5]));
    // The topics are spread as well as all together.
    let small = image.topic_by_name("t2").expect("there");
    let on_new = small.partitions().flat_map(|(_, state)| &state.replicas).filter(|broker| broker.0 > 3).count();
    assert!((6..=10).contains(&on_new), "{on_new} of 20");

    for n in [4, 5] {
        image.apply(&Record::BrokerDrain { broker_id: b(n), draining: true }).expect("fits");
    }
    let shrunk = carry_out(&mut image, &goal(&[], true));
    assert_eq!((copies(&shrunk), shrunk.problems.len()), (32, 0));
    let (held, _) = loads(&image);
    assert_eq!(held[3..], [0, 0]);
    assert!(spread(&held[..3]) <= 2, "{held:?}");
    carry_out(&mut image, &PlanGoal::default());
    let (held, led) = loads(&image);
    assert!(spread(&held[..3]) <= 1 && spread(&led[..3]) <= 1, "{held:?} {led:?}");
}

#[test]
fn a_drain_keeps_the_order_and_the_other_replicas() {
    let mut image = cluster(&[None; 4]);
    place(&mut image, 1, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]);
    let drained = carry_out(&mut image, &goal(&[1], true));
    let new: Vec<Vec<u32>> =
        drained.moves.iter().map(|wanted| wanted.new_replicas.iter().map(|broker| broker.0).collect()).collect();
    assert_eq!(new, [[4, 2, 3], [2, 3, 4], [3, 4, 2]]);
    assert_eq!(drained.moves[0].old_replicas, [b(1), b(2), b(3)]);
}

#[test]
fn what_cannot_move_is_named() {
    let mut image = cluster(&[None; 3]);
    place(&mut image, 1, &[&[1, 2, 3], &[1, 2]]);
    let drained = carry_out(&mut image, &goal(&[1], true));
    assert_eq!(
        drained.problems,
        ["t1-0 has 3 replicas, and there are 2 active brokers that are not being drained; it stays on broker 1"]
    );
    assert_eq!(drained.moves.len(), 1);
    assert_eq!(drained.moves[0].new_replicas, [b(3), b(2)]);
}

#[test]
fn brokers_that_are_gone_or_fenced() {
    let mut image = cluster(&[None; 4]);
    add_broker(&mut image, 5, None, true);
    place(&mut image, 1, &[&[9, 1, 2], &[5, 1, 2], &[1, 2, 5], &[5]]);
    // 9 is not registered; 5 is fenced and may come back, so it keeps what it has.
    let gone = plan(&image, &goal(&[], true));
    assert_eq!(gone.moves.len(), 1);
    assert_eq!((gone.moves[0].topic.as_str(), &gone.moves[0].new_replicas), ("t1", &vec![b(3), b(1), b(2)]));
    assert_eq!(gone.problems, [""; 0]);
    // Gone for good: those with a leader can be copied from it.
    let drained = plan(&image, &goal(&[5], true));
    assert_eq!(drained.moves.len(), 3);
    assert_eq!(
        drained.problems,
        ["t1-3 has no leader that its replicas could be copied from; it stays on broker 5 until one returns"]
    );
    let targets =
        |plan: &Plan| plan.moves.iter().flat_map(|wanted| wanted.new_replicas.clone()).collect::<BTreeSet<_>>();
    assert!(!targets(&drained).contains(&b(5)) && !targets(&drained).contains(&b(9)));
    // Levelling gives a fenced broker nothing, and takes nothing from it.
    let levelled = plan(&image, &PlanGoal::default());
    for wanted in &levelled.moves {
        let has = |replicas: &[BrokerId]| replicas.contains(&b(5));
        assert_eq!(has(&wanted.old_replicas), has(&wanted.new_replicas), "{wanted:?}");
    }
}

#[test]
fn a_partition_under_way_counts_as_moved_and_only_a_drain_changes_it() {
    let mut image = cluster(&[None; 4]);
    place(&mut image, 1, &[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]]);
    let first = plan(&image, &goal(&[3], true));
    assert!(first.moves.iter().all(|wanted| wanted.new_replicas == [b(1), b(2), b(4)]));
    begin(&mut image, &first);
    // 4 is to go as well before anything arrived there.
    add_broker(&mut image, 5, None, false);
    let second = plan(&image, &goal(&[3, 4], true));
    assert_eq!(second.moves.len(), 3);
    assert_eq!(second.moves[0].old_replicas, [b(1), b(2), b(4), b(3)]);
    assert_eq!(second.moves[0].new_replicas, [b(1), b(2), b(5)]);
    begin(&mut image, &second);
    finish(&mut image);
}

#[test]
fn racks_stay_apart_and_are_put_apart() {
    let mut image = cluster(&[Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")]);
    create(&mut image, 1, 24, 3);
    place(&mut image, 2, &[&[1, 2, 3], &[1, 2, 4], &[5, 6, 4]]);
    carry_out(&mut image, &PlanGoal::default());
    carry_out(&mut image, &goal(&[6], true));
    assert_apart(&image, 3);
    assert_eq!(loads(&image).0[5], 0);
    // A rack with all its brokers gone: two replicas share one, and come apart when it returns.
    let drained = plan(&image, &goal(&[5, 6], true));
    assert_eq!(drained.problems, [""; 0]);
    begin(&mut image, &drained);
    finish(&mut image);
    assert_apart(&image, 2);
    carry_out(&mut image, &PlanGoal::default());
    assert_apart(&image, 3);
    let (held, led) = loads(&image);
    assert!(spread(&held) <= 1 && spread(&led) <= 1, "{held:?} {led:?}");
}

/// Each partition stands in so many racks.
fn assert_apart(image: &Image, racks: usize) {
    for (tp, _, state) in image.partitions() {
        let rack = |broker: &BrokerId| image.broker(*broker).and_then(|broker| broker.rack.clone());
        let used: BTreeSet<_> = state.target().iter().filter_map(rack).collect();
        assert_eq!(used.len(), racks, "{tp}: {state:?}");
    }
}

#[test]
fn leaders_are_levelled_by_order_alone_also_in_a_chain() {
    let mut image = cluster(&[None; 3]);
    // 1 leads three and shares none of them with 3; 2 hands on.
    place(&mut image, 1, &[&[1, 2], &[1, 2], &[1, 2], &[2, 3], &[3, 2], &[3, 1]]);
    place(&mut image, 2, &[&[1, 3]]);
    let plan = carry_out(&mut image, &PlanGoal::default());
    assert_eq!(copies(&plan), 0, "{plan:?}");
    assert!(spread(&loads(&image).1) <= 1, "{plan:?}");
}

#[test]
fn a_large_cluster_is_planned_in_a_moment() {
    let mut image = cluster(&[None; 30]);
    for id in 0..20 {
        create(&mut image, id, 250, 3);
    }
    for n in 31..=40 {
        add_broker(&mut image, n, None, false);
    }
    let plan = carry_out(&mut image, &PlanGoal::default());
    assert_eq!(copies(&plan), 3_750);
    let (held, led) = loads(&image);
    assert!(spread(&held) <= 1 && spread(&led) <= 1, "{held:?} {led:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_plan_is_carried_out_and_at_rest(
        racks in prop::collection::vec(0..4_usize, 3..9),
        with_racks in any::<bool>(),
        topics in prop::collection::vec((1..30_u32, 1..4_u32), 1..4),
        later in 0..3_usize,
        drain in prop::collection::btree_set(1..9_u32, 0..3),
        fenced in 1..12_u32,
    ) {
        let names = ["a", "b", "c", "d"];
        let racks: Vec<Option<&str>> = racks.iter().map(|n| with_racks.then_some(names[*n])).collect();
        let mut image = cluster(&racks[..racks.len().saturating_sub(later).max(3)]);
        for (id, (partitions, factor)) in (0..).zip(&topics) {
            create(&mut image, id, *partitions, *factor);
        }
        for (n, rack) in (1..).zip(&racks).skip(image.brokers().len()) {
            add_broker(&mut image, n, *rack, false);
        }
        if let Some(broker) = image.broker(b(fenced)) {
            let (broker_id, broker_epoch) = (broker.broker_id, broker.broker_epoch);
            run(&mut image, &Command::FenceBroker { broker_id, broker_epoch });
        }
        let drain: Vec<u32> = drain.into_iter().filter(|n| image.broker(b(*n)).is_some()).collect();
        let drained = carry_out(&mut image, &goal(&drain, true));
        let left = image.partitions().filter(|(_, _, state)| state.replicas.iter().any(|r| drain.contains(&r.0))).count();
        prop_assert_eq!(left, drained.problems.len());
        carry_out(&mut image, &goal(&drain, false));
        if !with_racks && drained.problems.is_empty() {
            let takes = |n: &u32| !drain.contains(n) && *n != fenced;
            let (held, _) = loads(&image);
            let held: Vec<usize> = (1..).zip(held).filter(|(n, _)| takes(n)).map(|(_, load)| load).collect();
            let fixed = image.partitions().any(|(_, _, state)| state.leader.is_none());
            prop_assert!(fixed || held.is_empty() || spread(&held) <= 1, "{:?}", held);
        }
    }
}
