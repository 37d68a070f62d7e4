//! What is believed of the disks of brokers, and what is done where nobody is believed.

use holdfast_metadata::{
    Command, DistrustReplicas, DistrustedReplica, Response,
    trust::{Distrust, DistrustReason, ReplicaReport, Vouch},
    version::{RECOVERY, TRUST},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, FolderToken, LeaderEpoch, MetadataVersion, Offset, PartitionEpoch, PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, b};

pub(crate) fn report(topic_id: TopicId, epoch: u32, end: u64, vouch: Vouch) -> ReplicaReport {
    let leader_epoch = Some(LeaderEpoch(epoch));
    ReplicaReport { topic_id, partition: PartitionIndex(0), leader_epoch, end: Offset(end), vouch }
}

/// Three brokers that prove their folders, and a topic of one partition on them with min ISR 2.
pub(crate) fn three() -> (Cluster, TopicId) {
    three_of(RECOVERY)
}

/// The same, with this metadata version.
pub(crate) fn three_of(version: MetadataVersion) -> (Cluster, TopicId) {
    let mut c = Cluster::with_version(3, version);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    (c, t)
}

/// Broker `n` starts again on its disk, and serves.
pub(crate) fn back(c: &mut Cluster, n: u32, reports: &[ReplicaReport]) {
    let boot = c.image.broker(b(n)).expect("there").boot_counter + 1;
    let registration = c.proving(n, boot, reports);
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

/// The leader, ISR and ELR of partition 0, without its epochs.
pub(crate) fn standing(c: &Cluster, t: TopicId) -> String {
    let shown = c.shown(t);
    let (leader, rest) = shown.split_once(" @").expect("as it is shown");
    format!("{leader} {}", rest.split_once(' ').expect("as it is shown").1)
}

fn reasons(c: &Cluster, t: TopicId) -> Vec<Distrust> {
    c.state(t).distrusted.clone()
}

/// The leader says where its high watermark stands.
pub(crate) fn freeze(c: &mut Cluster, t: TopicId, isr: &[u32], high_watermark: u64) {
    let mut proposal = c.proposal(t, isr);
    proposal.changes[0].high_watermark = Some(Offset(high_watermark));
    proposal.changes[0].high_watermark_epoch = Some(LeaderEpoch(3));
    c.propose(proposal).expect("accepted");
}

/// Brokers 3 and 2 end, then 1, which led alone and had said how far was acknowledged.
pub(crate) fn all_gone(c: &mut Cluster, t: TopicId, high_watermark: u64) {
    c.fence(3);
    c.fence(2);
    freeze(c, t, &[1], high_watermark);
    c.fence(1);
}

#[test]
fn a_folder_without_the_last_token_holds_nothing_however_often_it_was_started() {
    let (mut c, t) = three();
    c.fence(2);
    c.fence(1);
    assert_eq!(standing(&c, t), "3 isr 3 elr 1");
    let mut copy = c.proving(1, 2, &[report(t, 0, 10, Vouch::Full)]);
    // The original registers and stops again; the copy was started often enough to be the later boot.
    back(&mut c, 1, &[report(t, 0, 10, Vouch::Full)]);
    c.fence(1);
    copy.boot_counter = 9;
    copy.replaces = Some(c.epoch(1));
    c.ok(&Command::RegisterBroker(copy));
    assert_eq!(standing(&c, t), "3 isr 3 elr -");
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(1), reason: DistrustReason::Folder }]);
    c.unfence(1);
    c.alter(t, &[1, 3]).expect("it was copied again");
    assert_eq!(reasons(&c, t), []);
}

#[test]
fn a_registration_whose_answer_was_lost_costs_nothing() {
    let (mut c, t) = three();
    c.fence(2);
    c.fence(1);
    // The folder stored its next token before it said it, and says both.
    let first = c.proving(1, 2, &[report(t, 0, 10, Vouch::Full)]);
    c.ok(&Command::RegisterBroker(first.clone()));
    let mut second = c.proving(1, 3, &[report(t, 0, 10, Vouch::Full)]);
    let (before, after) = (first.folder.expect("there"), second.folder.as_mut().expect("there"));
    after.known = vec![before.known[0], before.next];
    c.ok(&Command::RegisterBroker(second));
    assert_eq!(standing(&c, t), "3 isr 3 elr 1", "it is eligible as before");
    // And where the first never arrived.
    let lost = c.proving(1, 4, &[]);
    let mut third = c.proving(1, 5, &[report(t, 0, 10, Vouch::Full)]);
    let next = lost.folder.expect("there").next;
    third.folder.as_mut().expect("there").known.push(next);
    c.ok(&Command::RegisterBroker(third));
    assert_eq!(standing(&c, t), "3 isr 3 elr 1");
}

#[test]
fn a_token_is_renewed_while_the_broker_runs_and_an_older_copy_is_found_out() {
    let (mut c, t) = three();
    c.fence(2);
    let mut copy = c.proving(1, 2, &[report(t, 0, 10, Vouch::Full)]);
    let renew = |c: &Cluster, epoch| Command::RenewFolderToken {
        broker_id: b(1),
        broker_epoch: epoch,
        token: FolderToken(c.image.broker(b(2)).expect("there").directory_id.0),
    };
    let command = renew(&c, c.epoch(1));
    assert_eq!(c.ok(&command).1, Response::FolderTokenRenewed);
    assert_eq!(c.ok(&command).0, [], "again changes nothing");
    let late = renew(&c, BrokerEpoch(77));
    assert_eq!(c.refused(&late).code, ErrorCode::StaleBrokerEpoch);
    c.fence(1);
    assert_eq!(standing(&c, t), "3 isr 3 elr 1");
    copy.replaces = Some(c.epoch(1));
    c.ok(&Command::RegisterBroker(copy));
    assert_eq!(standing(&c, t), "3 isr 3 elr -");
}

#[test]
fn a_registration_that_was_long_on_its_way_displaces_nobody() {
    let (mut c, t) = three();
    c.fence(1);
    let mut late = c.proving(1, 2, &[]);
    late.replaces = Some(c.epoch(1));
    let mut newer = c.proving(1, 3, &[report(t, 0, 0, Vouch::Full)]);
    newer.replaces = Some(c.epoch(1));
    c.ok(&Command::RegisterBroker(newer));
    let refusal = c.refused(&Command::RegisterBroker(late));
    assert_eq!(refusal.code, ErrorCode::StaleBrokerEpoch);
    let mut first = c.registration(9, 1, 9);
    first.replaces = Some(BrokerEpoch(4));
    assert_eq!(c.refused(&Command::RegisterBroker(first.clone())).code, ErrorCode::StaleBrokerEpoch);
    first.replaces = Some(BrokerEpoch(0));
    c.ok(&Command::RegisterBroker(first));
}

#[test]
fn a_replica_that_its_broker_does_not_vouch_for_is_out_and_the_others_stay() {
    let mut c = Cluster::with_tokens(3);
    let settings = [("min.insync.replicas", "2")];
    let (t, u) = (c.topic("t", 1, 3, &settings), c.topic("u", 1, 3, &settings));
    (1..=3).for_each(|n| drop(c.fence(n)));
    assert_eq!((standing(&c, t), standing(&c, u)), ("none isr - elr 2,3".into(), "none isr - elr 2,3".into()));
    let vanished = report(t, 0, 0, Vouch::Not(DistrustReason::Vanished));
    back(&mut c, 2, &[vanished, report(u, 0, 5, Vouch::Full)]);
    assert_eq!((standing(&c, t), standing(&c, u)), ("none isr - elr 3".into(), "none isr - elr 2,3".into()));
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(2), reason: DistrustReason::Vanished }]);
    assert_eq!(reasons(&c, u), []);
    back(&mut c, 3, &[report(t, 0, 5, Vouch::Full), report(u, 0, 5, Vouch::Full)]);
    assert_eq!((standing(&c, t), standing(&c, u)), ("3 isr 3 elr -".into(), "2 isr 2 elr 3".into()));
}

#[test]
fn what_a_broker_does_not_name_whose_list_of_replicas_is_lost_has_vanished() {
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    // With its list it would say so; a replica that is not named was not made yet, and keeps its place.
    let boot = c.image.broker(b(2)).expect("there").boot_counter + 1;
    let listed = c.proving(2, boot, &[]);
    c.ok(&Command::RegisterBroker(listed));
    assert_eq!(standing(&c, t), "none isr - elr 2,3");
    let mut lost = c.proving(2, boot + 1, &[]);
    lost.folder.as_mut().expect("proven").list_lost = true;
    c.ok(&Command::RegisterBroker(lost));
    assert_eq!(standing(&c, t), "none isr - elr 3");
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(2), reason: DistrustReason::Vanished }]);
}

#[test]
fn a_running_broker_resigns_from_a_replica_alone() {
    let mut c = Cluster::with_tokens(3);
    let (t, u) = (c.topic("t", 1, 3, &[]), c.topic("u", 1, 3, &[]));
    let leader = c.state(t).leader.expect("led");
    let other = c.state(u).leader;
    let (partition, reason) = (PartitionIndex(0), DistrustReason::Damaged);
    let replica = |topic_id, partition_epoch| DistrustedReplica { topic_id, partition, partition_epoch, reason };
    let (unknown, epoch) = (TopicId(c.fresh()), c.state(t).partition_epoch);
    let broker_epoch = c.epoch(leader.0);
    let distrust = |replicas| Command::DistrustReplicas(DistrustReplicas { broker_id: leader, broker_epoch, replicas });
    let late = c.ok(&distrust(vec![replica(t, PartitionEpoch(epoch.0 + 1))])).0;
    assert_eq!(late, [], "another state than the broker knows");
    let command = distrust(vec![replica(t, epoch), replica(unknown, epoch)]);
    assert_eq!(c.ok(&command).1, Response::ReplicasDistrusted);
    let state = c.state(t);
    assert!(state.leader.is_some_and(|led| led != leader) && !state.isr.contains(&leader), "{state:?}");
    assert_eq!((c.state(u).leader, c.state(u).isr.len()), (other, 3));
    let again = c.ok(&command).0;
    assert_eq!(again, [], "again changes nothing");
}

#[test]
fn who_resigns_from_a_replica_that_was_not_believed_before_ends_the_partition_epoch() {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    let (broker_id, reason) = (b(3), DistrustReason::Damaged);
    let distrust = |c: &mut Cluster| {
        let (topic_id, partition, partition_epoch) = (t, PartitionIndex(0), c.state(t).partition_epoch);
        let replicas = vec![DistrustedReplica { topic_id, partition, partition_epoch, reason }];
        c.ok(&Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch: c.epoch(3), replicas }));
    };
    distrust(&mut c);
    // It has copied everything again, and its leader takes it in: the proposal is on its way.
    let expand = c.proposal(t, &[1, 2, 3]);
    let before = c.state(t).partition_epoch;
    distrust(&mut c);
    assert_eq!(c.state(t).partition_epoch, before.next());
    let refused = c.propose(expand);
    assert!(refused.is_err(), "it counts on what is gone by now: {refused:?}");
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(3), reason }]);
}

#[test]
fn an_eligible_replica_that_ends_below_the_high_watermark_is_not_eligible() {
    let (mut c, t) = three();
    c.fence(3);
    c.fence(2);
    assert_eq!(standing(&c, t), "1 isr 1 elr 2");
    freeze(&mut c, t, &[1], 100);
    c.fence(1);
    assert_eq!(c.state(t).frozen_high_watermark, Some(Offset(100)));
    back(&mut c, 2, &[report(t, 3, 99, Vouch::Full)]);
    assert_eq!(standing(&c, t), "none isr - elr 1");
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(2), reason: DistrustReason::Short }]);
    back(&mut c, 1, &[report(t, 3, 100, Vouch::Doubtful)]);
    assert_eq!(standing(&c, t), "1 isr 1 elr -");
    c.alter(t, &[1, 2]).expect("copied");
    assert_eq!((c.state(t).frozen_high_watermark, reasons(&c, t)), (None, vec![]));
}

#[test]
fn an_old_copy_that_ends_past_the_high_watermark_with_what_was_cut_off_since_is_not_eligible() {
    let (mut c, t) = three();
    all_gone(&mut c, t, 90);
    back(&mut c, 2, &[report(t, 2, 100, Vouch::Full)]);
    assert_eq!(standing(&c, t), "none isr - elr 1");
    assert_eq!(reasons(&c, t), [Distrust { broker_id: b(2), reason: DistrustReason::Short }]);
    back(&mut c, 1, &[report(t, 3, 90, Vouch::Doubtful)]);
    assert_eq!(standing(&c, t), "1 isr 1 elr -");
}

/// It led meanwhile, alone, and what it wrote then was cut off when it followed again: its disk shows it once more.
#[test]
fn records_of_a_leadership_before_that_of_the_high_watermark_prove_nothing() {
    for waits_for in [1, 2] {
        let (mut c, t) = three();
        c.fence(3);
        c.fence(2);
        while c.state(t).leader_epoch <= LeaderEpoch(4) {
            c.fence(1);
            c.unfence(1);
        }
        let frozen_in = c.state(t).leader_epoch;
        let between = frozen_in.0 - 1;
        freeze(&mut c, t, &[1], 90);
        assert_eq!(c.state(t).frozen_in, Some(frozen_in));
        c.fence(1);
        let went_back = |c: &mut Cluster| back(c, 2, &[report(t, between, 100, Vouch::Full)]);
        if waits_for == 1 {
            went_back(&mut c);
            assert_eq!(standing(&c, t), "none isr - elr 1,2");
        }
        back(&mut c, 1, &[report(t, 3, 90, Vouch::Full)]);
        assert_eq!(standing(&c, t), "1 isr 1 elr 2");
        if waits_for == 2 {
            c.fence(1);
            went_back(&mut c);
            assert_eq!(standing(&c, t), "none isr - elr 1,2", "who holds everything is waited for");
        }
    }
}

#[test]
fn two_that_end_in_one_leadership_need_nobody_else_to_prove_it() {
    let (mut c, t) = three();
    let together = c.fencing(&[2, 3]);
    c.ok(&together);
    while c.state(t).leader_epoch <= LeaderEpoch(4) {
        c.fence(1);
        c.unfence(1);
    }
    freeze(&mut c, t, &[1], 90);
    c.fence(1);
    back(&mut c, 2, &[report(t, 4, 100, Vouch::Full)]);
    assert_eq!(standing(&c, t), "none isr - elr 1,2,3");
    back(&mut c, 3, &[report(t, 4, 95, Vouch::Full)]);
    assert_eq!(standing(&c, t), "2 isr 2 elr 1,3");
}

#[test]
fn a_high_watermark_that_was_said_before_the_isr_was_too_small_is_not_kept() {
    let (mut c, t) = three();
    c.fence(3);
    freeze(&mut c, t, &[1], 7);
    assert_eq!(c.state(t).frozen_high_watermark, None, "what it had in flight may still have been acknowledged");
    freeze(&mut c, t, &[1], 9);
    assert_eq!(c.state(t).frozen_high_watermark, Some(Offset(9)));
}

/// What is said of a replica that could not be looked at.
fn unread(topic_id: TopicId) -> ReplicaReport {
    ReplicaReport { leader_epoch: None, ..report(topic_id, 0, 0, Vouch::Unread) }
}

#[test]
fn a_replica_that_cannot_be_read_is_out_of_sync_and_not_given_up() {
    let (mut c, t) = three_of(TRUST);
    c.fence(3);
    c.fence(2);
    assert_eq!(standing(&c, t), "1 isr 1 elr 2");
    freeze(&mut c, t, &[1], 100);
    let early = c.proving(2, 2, &[unread(t)]);
    assert_eq!(c.refused(&Command::RegisterBroker(early)).code, ErrorCode::UnsupportedVersion);
    c.finalise(RECOVERY);
    back(&mut c, 2, &[unread(t)]);
    assert_eq!((standing(&c, t), reasons(&c, t)), ("1 isr 1 elr 2".to_owned(), vec![]), "it is not short either");
    back(&mut c, 1, &[unread(t)]);
    assert_eq!(
        (standing(&c, t), reasons(&c, t)),
        ("none isr - elr 1,2".to_owned(), vec![]),
        "alive, and neither leads"
    );
    let refused = c.refused(&c.recovering(t, 1)).to_string();
    assert!(refused.contains("broker 2 could not read its replica"), "{refused}");
    back(&mut c, 1, &[report(t, 3, 100, Vouch::Full)]);
    assert_eq!(standing(&c, t), "1 isr 1 elr 2", "as if it had been read at once");
    c.alter(t, &[1, 2]).expect("it was opened since, and has copied");
    assert!(c.state(t).claims.is_empty());
}

/// The disk may never read it again: who has nothing else goes on with what is left of it.
#[test]
fn the_last_replica_is_recovered_with_though_it_could_not_be_read() {
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    back(&mut c, 2, &[unread(t)]);
    back(&mut c, 1, &[report(t, 3, 50, Vouch::Full)]);
    let refused = c.refused(&c.recovering(t, 2)).to_string();
    assert!(refused.contains("Broker 2 has not said how far its own can be read"), "{refused}");
    c.fence(1);
    let recovery = c.recover(t, 2);
    assert_eq!((c.state(t).leader, recovery.end), (Some(b(2)), None), "nobody knows how far it can be read");
}

#[test]
fn a_replica_that_cannot_be_read_says_nothing_of_how_far_others_reach() {
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    assert_eq!(standing(&c, t), "none isr - elr 2,3");
    back(&mut c, 2, &[unread(t)]);
    back(&mut c, 3, &[report(t, 4, 90, Vouch::Full)]);
    assert_eq!(c.state(t).leader, None, "the other may hold more");
    back(&mut c, 2, &[report(t, 4, 95, Vouch::Full)]);
    assert_eq!(c.state(t).leader, Some(b(2)), "it does");
}

#[test]
fn who_lost_something_waits_for_another_and_the_one_that_reaches_farthest_leads() {
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    assert_eq!(standing(&c, t), "none isr - elr 2,3");
    back(&mut c, 2, &[report(t, 4, 90, Vouch::Doubtful)]);
    assert_eq!(c.state(t).leader, None, "nobody knows what was cut");
    back(&mut c, 1, &[report(t, 4, 95, Vouch::Full)]);
    assert_eq!(c.state(t).leader, None, "it was out before: what it holds says nothing");
    back(&mut c, 3, &[report(t, 4, 91, Vouch::Doubtful)]);
    assert_eq!(c.state(t).leader, Some(b(3)));
}

#[test]
fn a_disk_of_a_moment_ago_looks_whole_so_who_looks_whole_waits_too() {
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    back(&mut c, 2, &[report(t, 4, 90, Vouch::Doubtful)]);
    let boot = c.image.broker(b(3)).expect("there").boot_counter + 1;
    let registration = c.proving(3, boot, &[report(t, 3, 200, Vouch::Full)]);
    c.ok(&Command::RegisterBroker(registration));
    assert_eq!(c.state(t).leader, Some(b(2)), "both have said it, and the later epoch reaches farther");
    let (mut c, t) = three();
    (1..=3).for_each(|n| drop(c.fence(n)));
    back(&mut c, 3, &[report(t, 4, 90, Vouch::Full)]);
    assert_eq!(c.state(t).leader, None, "more may have been acknowledged");
    back(&mut c, 2, &[report(t, 4, 95, Vouch::Full)]);
    assert_eq!((c.state(t).leader, c.state(t).isr.as_slice()), (Some(b(2)), &[b(2)][..]));
    // Where the high watermark is known, nobody has to be asked.
    let (mut c, t) = three();
    c.fence(1);
    c.fence(2);
    freeze(&mut c, t, &[3], 90);
    c.fence(3);
    back(&mut c, 3, &[report(t, 4, 90, Vouch::Full)]);
    assert_eq!(c.state(t).leader, Some(b(3)));
}

#[test]
fn why_a_replica_is_not_believed_is_what_its_broker_said_last() {
    let (mut c, t) = three();
    let says = |c: &mut Cluster, boot: u64, disk: Option<u128>, vouch: Vouch| {
        let reports = [report(t, 0, 40, vouch)];
        let mut registration = c.proving(3, boot, &reports);
        if let Some(disk) = disk {
            registration.directory_id = c.registration(3, boot, disk).directory_id;
        }
        c.ok(&Command::RegisterBroker(registration));
        reasons(c, t)
    };
    let reason = |reason| [Distrust { broker_id: b(3), reason }];
    let damaged = Vouch::Not(DistrustReason::Damaged);
    assert_eq!(says(&mut c, 2, None, damaged), reason(DistrustReason::Damaged), "it is set aside");
    assert_eq!(says(&mut c, 3, None, Vouch::Full), reason(DistrustReason::Folder), "it was copied again up to here");
    assert_eq!(says(&mut c, 1, Some(77), Vouch::Full), reason(DistrustReason::Folder), "another folder");
    assert_eq!(says(&mut c, 1, Some(78), damaged), reason(DistrustReason::Damaged), "its copy is set aside too");
}
