//! One broker after another, with what the sessions propose.

use uuid::Uuid;

use holdfast_metadata::{BrokerRegistration, VersionRange};
use holdfast_proto::ids::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, MetadataIndex, Millis};

use super::*;

const TIMEOUTS: Timeouts = Timeouts { session_ms: 3_000, disconnect_grace_ms: 500 };
pub(super) const B1: BrokerId = BrokerId(1);

fn directory(number: u128) -> DirectoryId {
    DirectoryId(Uuid::from_u128(number))
}

pub(super) fn broker(epoch: u64, fenced: bool) -> BrokerRegistration {
    BrokerRegistration {
        broker_id: B1,
        broker_epoch: BrokerEpoch(epoch),
        incarnation_id: IncarnationId(Uuid::from_u128(epoch.into())),
        directory_id: directory(1),
        boot_counter: epoch,
        client_address: "c:1".to_owned(),
        peer_address: "p:1".to_owned(),
        rack: None,
        versions: VersionRange::default(),
        fenced,
        shutting_down: false,
        token: None,
    }
}

pub(super) struct Check {
    pub(super) sessions: Sessions,
    /// Time of the last step, ms.
    now: u64,
    /// All that was proposed.
    proposals: Vec<Proposal>,
}

/// What a proposal says, but for its number.
pub(super) type Wanted = (BrokerId, BrokerEpoch, Verdict);

impl Check {
    pub(super) fn active(brokers: Vec<BrokerRegistration>) -> Self {
        let mut check = Self { sessions: Sessions::new(TIMEOUTS), now: 0, proposals: Vec::new() };
        check.step(0, Event::Activated { brokers, index: MetadataIndex(10), term: 1 }, &[]);
        check
    }

    /// A step after ticks from which nothing follows.
    #[track_caller]
    pub(super) fn step(&mut self, now: u64, event: Event, expected: &[Wanted]) {
        for tick in (self.now..now).step_by(400).skip(1) {
            self.step_after_nothing(tick, Event::Tick, &[]);
        }
        self.step_after_nothing(now, event, expected);
    }

    #[track_caller]
    pub(super) fn step_after_nothing(&mut self, now: u64, event: Event, expected: &[Wanted]) {
        self.now = now;
        let mut proposals = Vec::new();
        self.sessions.step(Millis(now), event, &mut proposals);
        let wanted: Vec<Wanted> = proposals.iter().map(|one| (one.broker_id, one.epoch, one.verdict)).collect();
        assert_eq!(wanted, expected, "at {now}");
        self.proposals.extend(proposals);
    }

    /// The last proposal has ended.
    pub(super) fn end(&mut self, now: u64, ending: Ending) {
        let last = *self.proposals.last().expect("one was made");
        self.step(now, Event::Ended(last, ending), &[]);
    }

    /// All of the last proposals, those of one command, have ended.
    pub(super) fn end_all(&mut self, now: u64, ending: Ending) {
        for proposal in std::mem::take(&mut self.proposals) {
            self.step(now, Event::Ended(proposal, ending), &[]);
        }
    }

    /// For the first registration.
    pub(super) fn connect(&mut self, now: u64, connection: u64) {
        self.connect_as(now, 1, connection);
    }

    pub(super) fn connect_as(&mut self, now: u64, epoch: u64, connection: u64) {
        let (broker_epoch, connection) = (BrokerEpoch(epoch), ConnectionId(connection));
        self.step(now, Event::Connected { broker_id: B1, broker_epoch, connection }, &[]);
    }

    #[track_caller]
    pub(super) fn beat(&mut self, now: u64, connection: u64, applied: u64, ready: bool, expected: &[Wanted]) {
        let event = Event::Heartbeat {
            broker_id: B1,
            connection: ConnectionId(connection),
            applied_index: MetadataIndex(applied),
            ready,
        };
        self.step(now, event, expected);
    }
}

pub(super) fn fence(epoch: u64) -> Wanted {
    (B1, BrokerEpoch(epoch), Verdict::Fence)
}

pub(super) fn unfence(epoch: u64) -> Wanted {
    (B1, BrokerEpoch(epoch), Verdict::Unfence)
}

#[test]
fn a_ready_broker_that_caught_up_is_unfenced_once() {
    let mut check = Check::active(vec![]);
    check.step(5, Event::Registered { broker: broker(1, true), index: MetadataIndex(20) }, &[]);
    check.connect(10, 1);
    check.beat(20, 1, 19, true, &[]);
    check.beat(30, 1, 20, false, &[]);
    check.beat(40, 1, 20, true, &[unfence(1)]);
    check.beat(50, 1, 20, true, &[]);
    check.step(60, Event::Registered { broker: broker(1, false), index: MetadataIndex(21) }, &[]);
    check.end(61, Ending::Done);
    check.beat(70, 1, 21, true, &[]);
}

#[test]
fn silence_fences_after_the_session_timeout_and_life_unfences() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.beat(1_000, 1, 10, true, &[]);
    check.step(3_999, Event::Tick, &[]);
    check.step(4_000, Event::Tick, &[fence(1)]);
    check.step(4_100, Event::Tick, &[]);
    check.step(4_200, Event::Registered { broker: broker(1, true), index: MetadataIndex(30) }, &[]);
    check.end(4_201, Ending::Done);
    // It wakes up: it must first have seen its own fencing.
    check.beat(9_000, 1, 29, true, &[]);
    check.beat(9_010, 1, 30, true, &[unfence(1)]);
}

#[test]
fn there_is_no_lease_while_a_fencing_is_on_the_way_nor_for_a_connection_that_was_replaced() {
    let mut check = Check::active(vec![broker(1, false)]);
    let lease = |check: &Check, connection| check.sessions.lease_ms(B1, ConnectionId(connection));
    check.connect(100, 1);
    check.beat(1_000, 1, 10, true, &[]);
    assert_eq!((lease(&check, 1), lease(&check, 2)), (3_000, 0));
    check.step(4_000, Event::Tick, &[fence(1)]);
    check.beat(4_050, 1, 10, true, &[]);
    assert_eq!(lease(&check, 1), 0, "it may commit");
    check.end(4_100, Ending::Refused);
    assert_eq!(lease(&check, 1), 0, "it may still commit");
    check.beat(4_150, 1, 10, true, &[]);
    check.step(4_100 + RETRY_MS, Event::Tick, &[]);
    assert_eq!(lease(&check, 1), 3_000, "the broker was heard since");
    check.step(7_150, Event::Tick, &[fence(1)]);
    check.step(7_200, Event::Registered { broker: broker(1, true), index: MetadataIndex(30) }, &[]);
    check.end(7_201, Ending::Done);
    assert_eq!(lease(&check, 1), 3_000, "it is fenced, and learns so first");
    check.connect(7_300, 2);
    assert_eq!((lease(&check, 1), lease(&check, 2)), (0, 3_000));
    check.step(7_400, Event::Deposed, &[]);
    assert_eq!(lease(&check, 2), 0);
}

#[test]
fn a_fencing_that_may_be_logged_is_proposed_again_and_gives_no_lease_until_it_is_known() {
    let mut check = Check::active(vec![broker(1, false)]);
    let lease = |check: &Check| check.sessions.lease_ms(B1, ConnectionId(1));
    check.connect(100, 1);
    check.step(3_100, Event::Tick, &[fence(1)]);
    check.end(3_200, Ending::Doubtful);
    check.beat(3_250, 1, 10, true, &[]);
    assert_eq!(lease(&check), 0);
    check.step(3_200 + RETRY_MS, Event::Tick, &[fence(1)]);
    check.end(3_400, Ending::Refused);
    check.step(3_400 + RETRY_MS, Event::Tick, &[fence(1)]);
    assert_eq!(lease(&check), 0, "the first may still commit");
    check.step(3_600, Event::Registered { broker: broker(1, true), index: MetadataIndex(30) }, &[]);
    check.end(3_601, Ending::Done);
    assert_eq!(lease(&check), 3_000);
    check.beat(3_700, 1, 30, true, &[unfence(1)]);
}

#[test]
fn the_time_in_which_this_controller_stood_still_fences_nobody() {
    let other = BrokerRegistration { broker_id: BrokerId(2), ..broker(1, false) };
    let mut check = Check::active(vec![broker(1, false), other]);
    check.connect(100, 1);
    check.step(1_000, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step_after_nothing(3_900, Event::Tick, &[]);
    check.step(4_399, Event::Tick, &[]);
    check.step(4_400, Event::Tick, &[fence(1)]);
    // As long as it is, and a timeout from its end.
    check.step(6_899, Event::Tick, &[]);
    check.step(6_900, Event::Tick, &[(BrokerId(2), BrokerEpoch(1), Verdict::Fence)]);
}

#[test]
fn after_the_longest_standstill_everyone_has_a_full_timeout() {
    for woke in [1_000, 10_000, 60_000] {
        let mut check = Check::active(vec![broker(1, false)]);
        check.connect(100, 1);
        check.step_after_nothing(woke, Event::Tick, &[]);
        check.step(woke + 2_999, Event::Tick, &[]);
        check.step(woke + 3_000, Event::Tick, &[fence(1)]);
    }
}

#[test]
fn a_controller_that_stands_still_again_and_again_forgives_no_more_than_one_timeout() {
    let mut check = Check::active(vec![broker(1, false)]);
    for now in (501..6_000).step_by(501) {
        check.step_after_nothing(now, Event::Tick, &[]);
    }
    check.step_after_nothing(6_100, Event::Tick, &[fence(1)]);
}

#[test]
fn the_end_of_an_unfencing_fences_nobody() {
    let mut check = Check::active(vec![broker(1, true)]);
    check.connect(100, 1);
    check.beat(200, 1, 10, true, &[unfence(1)]);
    // Its outcome is not known, and it was carried out.
    check.step(300, Event::Registered { broker: broker(1, false), index: MetadataIndex(11) }, &[]);
    check.end(301, Ending::Doubtful);
    check.beat(500, 1, 11, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(1)), 3_000);
}

#[test]
fn the_end_of_an_earlier_proposal_changes_nothing() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(3_100, Event::Tick, &[fence(1)]);
    let early = check.proposals[0];
    check.step(3_150, Event::Deposed, &[]);
    check.step(3_200, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(9), term: 2 }, &[]);
    check.connect(3_201, 2);
    check.step(6_201, Event::Tick, &[fence(1)]);
    check.step(6_300, Event::Ended(early, Ending::Done), &[]);
    check.beat(6_301, 2, 9, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(2)), 0, "the later one is on the way");
}

#[test]
fn another_term_knows_what_came_of_the_fencings_of_the_one_before() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(3_100, Event::Tick, &[fence(1)]);
    check.end(3_150, Ending::Doubtful);
    check.step(3_160, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(9), term: 3 }, &[]);
    check.connect(3_300, 2);
    check.beat(3_400, 2, 9, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(2)), 3_000);
}

#[test]
fn a_broken_connection_fences_after_the_grace_unless_it_is_made_again() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(1_000, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step(1_499, Event::Tick, &[]);
    check.connect(1_499, 2);
    check.step(1_600, Event::Tick, &[]);
    // The end of the old connection says nothing about the new one.
    check.step(1_700, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step(2_400, Event::Tick, &[]);
    check.step(2_500, Event::Disconnected { broker_id: B1, connection: ConnectionId(2), refused: false }, &[]);
    check.step(3_000, Event::Tick, &[fence(1)]);
    // The proposal came to nothing: it is made again, but not at once.
    check.end(3_100, Ending::Refused);
    check.step(3_100 + RETRY_MS - 1, Event::Tick, &[]);
    check.step(3_100 + RETRY_MS, Event::Tick, &[fence(1)]);
}

#[test]
fn a_new_active_controller_gives_a_full_timeout_first() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.step(2_999, Event::Tick, &[]);
    check.step(3_000, Event::Tick, &[fence(1)]);
    check.step(3_001, Event::Deposed, &[]);
    check.step(9_000, Event::Tick, &[]);
    check.step(9_001, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(40), term: 2 }, &[]);
    check.step(12_000, Event::Tick, &[]);
    check.step(12_001, Event::Tick, &[fence(1)]);
}

#[test]
fn one_that_starts_over_keeps_the_connections_of_those_that_are_still_registered() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.beat(1_000, 1, 10, true, &[]);
    check.step(2_000, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(40), term: 1 }, &[]);
    check.beat(2_500, 1, 40, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(1)), 3_000);
    check.step(5_499, Event::Tick, &[]);
    check.step(5_500, Event::Tick, &[fence(1)]);
    // The proposal is on the way, and its entry is among the changes that were missed.
    check.step(5_600, Event::Activated { brokers: vec![broker(1, true)], index: MetadataIndex(50), term: 1 }, &[]);
    check.end(5_700, Ending::Done);
    check.beat(5_800, 1, 49, true, &[]);
    check.beat(5_900, 1, 50, true, &[unfence(1)]);
    check.step(6_000, Event::Activated { brokers: vec![broker(2, true)], index: MetadataIndex(60), term: 1 }, &[]);
    assert_eq!(check.sessions.others_connected(BrokerId(9)), 0, "another registration has no connection yet");
}

#[test]
fn a_new_registration_takes_the_place_of_the_old_one() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(200, Event::Registered { broker: broker(2, true), index: MetadataIndex(50) }, &[]);
    check.beat(210, 1, 50, true, &[]);
    check.connect_as(220, 2, 2);
    check.beat(230, 2, 50, true, &[unfence(2)]);
}

#[test]
fn a_connection_of_an_earlier_start_or_an_earlier_number_takes_the_place_of_none() {
    let mut check = Check::active(vec![broker(2, false)]);
    let present =
        |check: &Check| (1..=4).filter(|id| check.sessions.is_present(B1, ConnectionId(*id))).collect::<Vec<_>>();
    check.connect_as(100, 2, 2);
    // They were on their way while the broker registered, and while it gave up a connection, again.
    check.connect_as(110, 1, 3);
    check.connect_as(120, 2, 1);
    assert_eq!(present(&check), [2]);
    check.beat(200, 3, 10, true, &[]);
    check.step(210, Event::Disconnected { broker_id: B1, connection: ConnectionId(3), refused: false }, &[]);
    check.connect_as(220, 2, 4);
    assert_eq!(present(&check), [4]);
}

#[test]
fn no_connection_outlives_the_leadership_that_it_was_opened_in() {
    for is_told in [true, false] {
        let mut check = Check::active(vec![broker(1, false)]);
        check.connect(100, 1);
        if is_told {
            check.step(200, Event::Deposed, &[]);
        }
        check.step(300, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(9), term: 2 }, &[]);
        assert!(!check.sessions.is_present(B1, ConnectionId(1)));
        check.step(400, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
        check.step(3_299, Event::Tick, &[]);
        check.step(3_300, Event::Tick, &[fence(1)]);
    }
}

#[test]
fn what_one_broker_says_costs_the_same_however_many_there_are() {
    let other = BrokerRegistration { broker_id: BrokerId(2), ..broker(1, false) };
    let mut check = Check::active(vec![broker(1, false), other]);
    check.connect(100, 1);
    check.beat(2_800, 1, 10, true, &[]);
    // The other's deadline has passed: it is looked at at the next tick.
    let (broker_id, connection, applied_index) = (B1, ConnectionId(1), MetadataIndex(10));
    check.step_after_nothing(3_000, Event::Heartbeat { broker_id, connection, applied_index, ready: true }, &[]);
    check.step_after_nothing(3_001, Event::Tick, &[(BrokerId(2), BrokerEpoch(1), Verdict::Fence)]);
}

#[test]
fn who_connects_again_does_not_count_among_the_others() {
    let other = BrokerRegistration { broker_id: BrokerId(2), ..broker(1, false) };
    let mut check = Check::active(vec![broker(1, false), other]);
    check.connect(100, 1);
    assert_eq!((check.sessions.others_connected(B1), check.sessions.others_connected(BrokerId(2))), (0, 1));
}

#[test]
fn a_broker_that_leaves_is_not_unfenced() {
    let leaving = BrokerRegistration { shutting_down: true, ..broker(1, true) };
    let mut check = Check::active(vec![leaving]);
    check.connect(1, 1);
    check.beat(2, 1, 10, true, &[]);
}

#[test]
fn who_is_alive_for_a_second_registration() {
    const SAME: bool = true;
    const OTHER: bool = false;
    let mut check = Check::active(vec![broker(1, false)]);
    let alive = |check: &Check, now, folder| check.sessions.is_alive(Millis(now), B1, folder);
    // Just active: the broker may not have found this controller yet. Its own folder is let in, another is not.
    assert!(!alive(&check, 10, SAME));
    assert!(alive(&check, 10, OTHER));
    assert!(!alive(&check, 3_000, OTHER));
    check.connect(100, 1);
    assert!(alive(&check, 110, SAME) && alive(&check, 110, OTHER));
    check.step(200, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    assert!(!alive(&check, 201, SAME), "a killed broker comes back at once");
    assert!(alive(&check, 201, OTHER), "it may connect again: no copy of it takes its place");
    let fenced = BrokerRegistration { fenced: true, ..broker(1, false) };
    check.step(300, Event::Registered { broker: fenced, index: MetadataIndex(11) }, &[]);
    assert!(!alive(&check, 301, OTHER), "it is gone");
    assert!(!check.sessions.is_alive(Millis(0), BrokerId(9), OTHER));
}
