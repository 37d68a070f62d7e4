//! Moves of replicas (KIP-455): what each step makes of the state, and every way in which faults cross a move.

use holdfast_metadata::{
    AlterReplicas, AlterTopic, Command, PartitionState, Record, RegisterBroker, ReplicaMove, Response,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, b};

fn ids(members: &[u32]) -> Vec<BrokerId> {
    members.iter().copied().map(b).collect()
}

fn wanted(topic_id: TopicId, replicas: &[u32]) -> ReplicaMove {
    ReplicaMove { topic_id, partition: PartitionIndex(0), new_replicas: ids(replicas) }
}

/// Moves partition 0; what it comes to, and the state after it with its replicas.
fn start(c: &mut Cluster, topic_id: TopicId, replicas: &[u32]) -> Result<String, ErrorCode> {
    let moves = vec![wanted(topic_id, replicas)];
    let command = Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: None });
    let (records, response) = c.ok(&command);
    let Response::ReplicasAltered { mut results } = response else { panic!("{response:?}") };
    match results.remove(0) {
        Ok(()) => Ok(told(c, topic_id)),
        Err(rejection) => {
            assert_eq!(records, [], "a refused move changes nothing");
            Err(rejection.code)
        }
    }
}

fn cancel(c: &mut Cluster, topic_id: TopicId) -> Result<String, ErrorCode> {
    start(c, topic_id, &[])
}

/// `replicas +adding -removing: leader @ epochs isr elr`.
fn told(c: &Cluster, topic_id: TopicId) -> String {
    let state = c.state(topic_id);
    let list = |members: &[BrokerId]| members.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let part = |sign: &str, members: &[BrokerId]| match members {
        [] => String::new(),
        members => format!(" {sign}{}", list(members)),
    };
    let (adding, removing) = (part("+", &state.adding), part("-", &state.removing));
    format!("{}{adding}{removing}: {}", list(&state.replicas), c.shown(topic_id))
}

/// Five brokers; a topic on 1, 2 and 3, led by 1.
fn five() -> (Cluster, TopicId) {
    let mut c = Cluster::new(5);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!(told(&c, t), "1,2,3: 1 @0/0 isr 1,2,3 elr -");
    (c, t)
}

#[test]
fn a_move_begins_and_ends_with_its_last_replica_in_sync() {
    let (mut c, t) = five();
    let command =
        Command::AlterReplicas(AlterReplicas { moves: vec![wanted(t, &[4, 2, 3])], move_bytes_per_second: None });
    let begun = PartitionState {
        leader: Some(b(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(1),
        replicas: ids(&[4, 2, 3, 1]),
        isr: ids(&[2, 3, 1]),
        elr: vec![],
        adding: ids(&[4]),
        removing: ids(&[1]),
        ..PartitionState::default()
    };
    let partition = PartitionIndex(0);
    let record = Record::Partition { topic_id: t, partition, state: begun };
    assert_eq!(c.ok(&command), (vec![record], Response::ReplicasAltered { results: vec![Ok(())] }));
    assert_eq!(c.ok(&command).0, [], "the same again changes nothing");
    // The leader is left out: with the record that lets 4 in, 4 leads.
    assert_eq!(c.alter(t, &[1, 2, 3, 4]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(told(&c, t), "4,2,3: 4 @1/2 isr 4,2,3 elr -");
    assert_eq!(cancel(&mut c, t), Err(ErrorCode::NoReassignmentInProgress));
}

#[test]
fn a_leader_that_stays_leads_on_in_its_epoch() {
    let (mut c, t) = five();
    assert_eq!(start(&mut c, t, &[5, 1, 4]).as_deref(), Ok("5,1,4,2,3 +5,4 -2,3: 1 @0/1 isr 1,2,3 elr -"));
    assert_eq!(c.alter(t, &[1, 2, 3, 4]).as_deref(), Ok("1 @0/2 isr 1,4,2,3 elr -"));
    assert_eq!(c.alter(t, &[1, 2, 3, 4, 5]).as_deref(), Ok("1 @0/3 isr 5,1,4 elr -"));
    assert_eq!(told(&c, t), "5,1,4: 1 @0/3 isr 5,1,4 elr -");
    c.ok(&Command::ElectLeaders { partitions: vec![] });
    assert_eq!(told(&c, t), "5,1,4: 5 @1/4 isr 5,1,4 elr -");
}

#[test]
fn a_new_order_is_there_at_once() {
    let (mut c, t) = five();
    assert_eq!(start(&mut c, t, &[3, 1, 2]).as_deref(), Ok("3,1,2: 1 @0/1 isr 3,1,2 elr -"));
    assert_eq!(start(&mut c, t, &[3, 1, 2]).as_deref(), Ok("3,1,2: 1 @0/1 isr 3,1,2 elr -"));
}

#[test]
fn fewer_replicas_are_there_at_once_if_they_are_in_sync() {
    let (mut c, t) = five();
    assert_eq!(start(&mut c, t, &[2, 3]).as_deref(), Ok("2,3: 2 @1/1 isr 2,3 elr -"));
    let (mut c, t) = five();
    assert_eq!(c.alter(t, &[1, 3]).as_deref(), Ok("1 @0/1 isr 1,3 elr -"));
    assert_eq!(start(&mut c, t, &[2, 1]).as_deref(), Ok("2,1,3 -3: 1 @0/2 isr 1,3 elr -"));
    assert_eq!(c.alter(t, &[1, 2, 3]).as_deref(), Ok("1 @0/3 isr 2,1 elr -"));
}

#[test]
fn more_replicas_ask_for_more_in_sync_only_at_the_end() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 1, &[]);
    assert_eq!(start(&mut c, t, &[2, 1]).as_deref(), Ok("2,1 +2: 1 @0/1 isr 1 elr -"));
    let min_isr = |c: &Cluster| c.image.topic(t).expect("there").effective_min_isr(c.state(t));
    assert_eq!(min_isr(&c), 1);
    assert_eq!(c.alter(t, &[1, 2]).as_deref(), Ok("1 @0/2 isr 2,1 elr -"));
    assert_eq!(min_isr(&c), 2);
    // One replica on another broker: nobody is asked for two on the way.
    let u = c.topic("u", 1, 1, &[]);
    let home = c.state(u).replicas[0].0;
    let away = home % 3 + 1;
    assert!(start(&mut c, u, &[away]).is_ok());
    assert_eq!(c.image.topic(u).expect("there").effective_min_isr(c.state(u)), 1);
    assert_eq!(c.alter(u, &[home, away]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(c.state(u).replicas, [b(away)]);
}

#[test]
fn a_move_is_refused_with_everything_that_is_wrong() {
    let (mut c, t) = five();
    c.leave(4);
    c.ok(&Command::SetBrokerDrain { broker_id: b(5), draining: true });
    let moves = vec![
        wanted(t, &[4, 5, 5, 9]),
        wanted(t, &[1, 2, 3]),
        ReplicaMove { partition: PartitionIndex(7), ..wanted(t, &[1]) },
        ReplicaMove { topic_id: TopicId(uuid::Uuid::nil()), ..wanted(t, &[1]) },
    ];
    let command = Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: Some(7) });
    let (records, response) = c.ok(&command);
    assert_eq!(records, [Record::MoveLimit { bytes_per_second: 7 }]);
    let Response::ReplicasAltered { results } = response else { panic!("{response:?}") };
    let refusals: Vec<_> = results.into_iter().map(|result| result.expect_err("refused")).collect();
    assert_eq!(refusals[0].code, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(
        refusals[0].message,
        "broker 5 is named twice; broker 4 is shutting down; broker 5 is being drained; broker 9 is not registered"
    );
    assert_eq!(refusals[1].code, ErrorCode::InvalidRequest, "the same partition twice");
    assert_eq!(refusals[2].code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refusals[3].code, ErrorCode::UnknownTopicId);
    assert_eq!(start(&mut c, t, &[1]), Err(ErrorCode::InvalidReplicaAssignment), "fewer than min.insync.replicas");
    let many =
        Command::AlterReplicas(AlterReplicas { moves: vec![wanted(t, &[1, 2]); 1_001], move_bytes_per_second: None });
    assert_eq!(c.refused(&many).code, ErrorCode::InvalidRequest);
}

#[test]
fn a_fenced_broker_may_be_a_target_and_replicas_may_stay_on_a_drained_one() {
    let (mut c, t) = five();
    c.fence(4);
    c.ok(&Command::SetBrokerDrain { broker_id: b(2), draining: true });
    assert_eq!(start(&mut c, t, &[4, 2, 3]).as_deref(), Ok("4,2,3,1 +4 -1: 1 @0/1 isr 2,3,1 elr -"));
    assert_eq!(c.alter(t, &[1, 2, 3, 4]), Err(ErrorCode::IneligibleReplica));
    c.unfence(4);
    assert_eq!(c.alter(t, &[1, 2, 3, 4]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(told(&c, t), "4,2,3: 4 @1/2 isr 4,2,3 elr -");
}

#[test]
fn a_cancelled_move_leaves_what_was_there() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 3]).expect("begun");
    assert_eq!(c.alter(t, &[1, 2, 3, 4]).as_deref(), Ok("1 @0/2 isr 4,3,1,2 elr -"));
    // The order that it had is not known any more: those that were to stay come first.
    assert_eq!(cancel(&mut c, t).as_deref(), Ok("3,1,2: 1 @0/3 isr 3,1,2 elr -"));
}

#[test]
fn a_cancel_is_refused_while_the_new_replicas_are_needed() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 3]).expect("begun");
    c.alter(t, &[1, 2, 3, 4]).expect("joined");
    c.fence(1);
    c.fence(2);
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: 4 @1/4 isr 4,3 elr -");
    assert_eq!(cancel(&mut c, t), Err(ErrorCode::NotEnoughReplicas));
    // Eligible ones are needed as well.
    c.fence(4);
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: 3 @2/5 isr 3 elr 4");
    assert_eq!(cancel(&mut c, t), Err(ErrorCode::NotEnoughReplicas));
    c.unfence(1);
    assert_eq!(c.alter(t, &[3, 1]).as_deref(), Ok("3 @2/6 isr 3,1 elr -"));
    assert_eq!(cancel(&mut c, t).as_deref(), Ok("3,1,2: 3 @2/7 isr 3,1 elr -"));
}

#[test]
fn a_cancel_moves_the_leader_away_from_what_the_move_brought() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 3]).expect("begun");
    c.alter(t, &[1, 2, 3, 4]).expect("joined");
    c.ok(&Command::ElectLeaders { partitions: vec![] });
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: 4 @1/3 isr 4,3,1,2 elr -");
    assert_eq!(cancel(&mut c, t).as_deref(), Ok("3,1,2: 3 @2/4 isr 3,1,2 elr -"));
}

#[test]
fn no_replica_leaves_a_partition_that_nobody_leads() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 3]).expect("begun");
    for n in [1, 2, 3] {
        c.fence(n);
    }
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: none @2/4 isr - elr 3,2");
    assert_eq!(cancel(&mut c, t), Err(ErrorCode::LeaderNotAvailable), "4 and 5 may hold what the others lost");
    assert_eq!(start(&mut c, t, &[1, 4, 2]), Err(ErrorCode::LeaderNotAvailable));
    // With all of them in it nothing is deleted.
    assert_eq!(start(&mut c, t, &[4, 5]).as_deref(), Ok("4,5,3,1,2 +4,5 -3,1,2: none @2/5 isr - elr 3,2"));
    c.unfence(3);
    assert_eq!(cancel(&mut c, t).as_deref(), Ok("3,1,2: 3 @3/7 isr 3 elr 2"));
}

#[test]
fn a_new_move_replaces_the_one_under_way() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 2, 3]).expect("begun");
    // 4 is no longer wanted and was not in sync: it is gone at once.
    assert_eq!(start(&mut c, t, &[2, 5, 1]).as_deref(), Ok("2,5,1,3 +5 -3: 1 @0/2 isr 2,1,3 elr -"));
    assert_eq!(start(&mut c, t, &[5, 4]).as_deref(), Ok("5,4,2,1,3 +5,4 -2,1,3: 1 @0/3 isr 2,1,3 elr -"));
    assert_eq!(c.alter(t, &[1, 2, 3, 4]).as_deref(), Ok("1 @0/4 isr 4,2,1,3 elr -"));
    // In sync, but enough others are.
    assert_eq!(start(&mut c, t, &[1, 2, 3]).as_deref(), Ok("1,2,3: 1 @0/5 isr 1,2,3 elr -"));
}

#[test]
fn a_move_survives_fencing_and_restarts_and_waits_for_everybody() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 3]).expect("begun");
    c.alter(t, &[1, 2, 3, 4]).expect("joined");
    // A target that is in sync falls out, and comes back empty.
    c.start(4, 1, 44);
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: 1 @0/3 isr 3,1,2 elr -");
    c.unfence(4);
    assert_eq!(c.alter(t, &[1, 2, 3, 5]).as_deref(), Ok("1 @0/4 isr 5,3,1,2 elr -"));
    // One that stays falls out: the move waits for it too.
    c.fence(3);
    assert_eq!(c.alter(t, &[1, 2, 4, 5]).as_deref(), Ok("1 @0/6 isr 4,5,1,2 elr -"));
    // The leader, which is to leave, dies.
    c.fence(1);
    assert_eq!(told(&c, t), "4,5,3,1,2 +4,5 -1,2: 4 @1/7 isr 4,5,2 elr -");
    c.unfence(3);
    assert_eq!(c.alter(t, &[2, 3, 4, 5]).as_deref(), Ok("4 @1/8 isr 4,5,3 elr -"));
    assert_eq!(told(&c, t), "4,5,3: 4 @1/8 isr 4,5,3 elr -");
}

#[test]
fn a_move_does_not_end_on_brokers_that_all_leave() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 2, &[("min.insync.replicas", "1")]);
    assert_eq!(told(&c, t), "1,2: 1 @0/0 isr 1,2 elr -");
    c.alter(t, &[1]).expect("shrunk");
    c.leave(1);
    // The leaver leads on, for nobody else can.
    assert_eq!(start(&mut c, t, &[3]).as_deref(), Ok("3,1,2 +3 -1,2: 1 @0/2 isr 1 elr -"));
    assert_eq!(c.alter(t, &[1, 3]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(told(&c, t), "3: 3 @1/3 isr 3 elr -");
    // All that are to stay are about to stop: the leader, which is not, leads until then.
    let u = c.topic("u", 1, 2, &[("min.insync.replicas", "1")]);
    assert_eq!(told(&c, u), "2,3: 2 @0/0 isr 2,3 elr -");
    c.ok(&Command::AlterTopic(AlterTopic {
        topic_id: u,
        configs: [("min.insync.replicas".to_owned(), Some("2".to_owned()))].into(),
        partition_count: None,
    }));
    c.leave(3);
    assert_eq!(told(&c, u), "2,3: 2 @0/1 isr 2,3 elr -");
    c.ok(&Command::AlterTopic(AlterTopic {
        topic_id: u,
        configs: [("min.insync.replicas".to_owned(), Some("1".to_owned()))].into(),
        partition_count: None,
    }));
    assert_eq!(start(&mut c, u, &[3]).as_deref(), Ok("3,2 -2: 2 @0/2 isr 3,2 elr -"));
    c.fence(3);
    assert_eq!(told(&c, u), "3,2 -2: 2 @0/3 isr 2 elr -");
    c.restart(3);
    c.unfence(3);
    assert_eq!(c.alter(u, &[2, 3]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(told(&c, u), "3: 3 @1/4 isr 3 elr -");
}

#[test]
fn an_eligible_replica_that_is_all_that_shall_stay_ends_the_move_as_it_returns() {
    let mut c = Cluster::new(2);
    let t = c.topic("t", 1, 2, &[("min.insync.replicas", "1")]);
    c.ok(&Command::SetBrokerDrain { broker_id: b(2), draining: true });
    c.fence(1);
    c.fence(2);
    assert_eq!(told(&c, t), "1,2: none @2/2 isr - elr 2");
    assert_eq!(start(&mut c, t, &[2]).as_deref(), Ok("2,1 -1: none @2/3 isr - elr 2"));
    c.unfence(2);
    assert_eq!(told(&c, t), "2: 2 @3/4 isr 2 elr -");
}

#[test]
fn proposals_from_before_a_move_are_stale() {
    let (mut c, t) = five();
    let before = c.proposal(t, &[1, 2]);
    start(&mut c, t, &[4, 2, 3]).expect("begun");
    assert_eq!(c.propose(before), Err(ErrorCode::InvalidUpdateVersion));
    let join = c.proposal(t, &[1, 2, 3, 4]);
    cancel(&mut c, t).expect("cancelled");
    assert_eq!(c.propose(join), Err(ErrorCode::InvalidUpdateVersion));
    // Taken away and given back: the old proposal is still stale.
    let join = |c: &Cluster| c.proposal(t, &[1, 2, 3, 4]);
    start(&mut c, t, &[4, 2, 3]).expect("begun");
    let old = join(&c);
    cancel(&mut c, t).expect("cancelled");
    start(&mut c, t, &[4, 2, 3]).expect("begun");
    assert_eq!(c.propose(old), Err(ErrorCode::InvalidUpdateVersion));
}

#[test]
fn a_deleted_topics_moves_are_gone_and_a_moving_topic_can_grow() {
    let (mut c, t) = five();
    start(&mut c, t, &[4, 5, 2, 3]).expect("begun");
    c.ok(&Command::AlterTopic(AlterTopic { topic_id: t, configs: [].into(), partition_count: Some(2) }));
    let topic = c.image.topic(t).expect("there");
    assert_eq!(topic.partition(PartitionIndex(1)).expect("there").replicas.len(), 3, "the factor of before the move");
    let asked_for_4 = AlterTopic {
        topic_id: t,
        configs: [("min.insync.replicas".to_owned(), Some("4".to_owned()))].into(),
        partition_count: None,
    };
    assert_eq!(c.refused(&Command::AlterTopic(asked_for_4)).code, ErrorCode::InvalidConfig);
    c.ok(&Command::DeleteTopic { topic_id: t });
    assert_eq!(start(&mut c, t, &[]), Err(ErrorCode::UnknownTopicId));
}

#[test]
fn a_drained_broker_gets_no_new_replicas_and_keeps_its_mark() {
    let mut c = Cluster::new(3);
    let drain = |n, draining| Command::SetBrokerDrain { broker_id: b(n), draining };
    assert_eq!(c.ok(&drain(3, true)).0, [Record::BrokerDrain { broker_id: b(3), draining: true }]);
    assert_eq!(c.ok(&drain(3, true)).0, [], "again changes nothing");
    assert_eq!(c.refused(&drain(9, true)).code, ErrorCode::BrokerIdNotRegistered);
    let t = c.topic("t", 4, 2, &[]);
    assert!(c.image.topic(t).expect("there").partitions().all(|(_, state)| !state.replicas.contains(&b(3))));
    let rejection = c.refused(&Command::CreateTopic(holdfast_metadata::CreateTopic {
        name: "u".into(),
        topic_id: TopicId(uuid::Uuid::from_u128(5)),
        partition_count: 1,
        replication_factor: 3,
        configs: [].into(),
    }));
    assert_eq!(
        rejection.message,
        "replication factor 3 is more than the 2 live brokers that are not being drained; drained: 3"
    );
    c.restart(3);
    c.unfence(3);
    assert!(c.image.is_draining(b(3)), "a restart does not undo it");
    c.fence(3);
    c.ok(&Command::UnregisterBroker { broker_id: b(3) });
    c.start(3, 1, 33);
    assert!(!c.image.is_draining(b(3)), "removal does");
    c.ok(&drain(3, true));
    assert_eq!(c.ok(&drain(3, false)).0, [Record::BrokerDrain { broker_id: b(3), draining: false }]);
}

#[test]
fn a_move_that_ends_early_does_not_forget_whose_disk_is_at_fault() {
    let mut c = Cluster::with_tokens(4);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    start(&mut c, t, &[4, 2, 3]).expect("begun");
    c.alter(t, &[1, 4]).expect("4 is in sync");
    let copy = c.proving(4, 1, &[]);
    let directory_id = c.registration(4, 1, 99).directory_id;
    c.ok(&Command::RegisterBroker(RegisterBroker { directory_id, ..copy }));
    assert_eq!((&c.state(t).isr[..], c.state(t).distrusted.len()), (&[b(1)][..], 1));
    // Of 1 alone it would not be known any more that another one is missing, should its end be cut.
    assert_eq!(cancel(&mut c, t), Err(ErrorCode::NotEnoughReplicas));
    c.alter(t, &[1, 2]).expect("2 is in sync");
    cancel(&mut c, t).expect("enough are in sync");
}
