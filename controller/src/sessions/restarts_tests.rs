//! Who started again registers once it is known who ended with its earlier session, and these are fenced with it.

use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataIndex, Millis};

use super::{
    ConnectionId, Earlier, Ending, Event, Proposal, RETRY_MS, Sessions, Timeouts, Verdict,
    sessions_tests::Check,
    together_tests::{connected, fences, lose, registration},
};

fn restart(check: &mut Check, now: u64, n: u32, expected: &[u32]) {
    check.step(now, Event::Restarted(BrokerId(n)), &fences(expected));
}

fn earlier(check: &Check, now: u64, n: u32) -> Earlier {
    check.sessions.earlier(Millis(now), BrokerId(n), true)
}

/// It is fenced, as the metadata says.
fn is_fenced(check: &mut Check, now: u64, n: u32) {
    let mut broker = registration(n);
    broker.fenced = true;
    check.step(now, Event::Registered { broker, index: MetadataIndex(11) }, &[]);
}

/// A controller that became active after a power loss of all.
fn after_a_power_loss() -> Check {
    Check::active((1..=3).map(registration).collect())
}

#[test]
fn after_a_power_loss_of_all_those_that_are_back_wait_for_the_one_that_stays_away() {
    let mut check = after_a_power_loss();
    restart(&mut check, 500, 1, &[]);
    restart(&mut check, 800, 2, &[]);
    assert_eq!((earlier(&check, 800, 1), earlier(&check, 800, 2)), (Earlier::NotYet, Earlier::NotYet));
    check.step(2_999, Event::Tick, &[]);
    check.step(3_000, Event::Tick, &fences(&[1, 2, 3]));
    assert_eq!(earlier(&check, 3_000, 1), Earlier::NotYet);
    for n in [1, 2, 3] {
        is_fenced(&mut check, 3_010, n);
    }
    assert_eq!(earlier(&check, 3_010, 1), Earlier::NotYet);
    check.end_all(3_010, Ending::Done);
    assert_eq!((earlier(&check, 3_010, 1), earlier(&check, 3_010, 2)), (Earlier::Over, Earlier::Over));
}

#[test]
fn after_a_power_loss_of_all_nobody_waits_once_all_are_back() {
    let mut check = after_a_power_loss();
    restart(&mut check, 500, 1, &[]);
    restart(&mut check, 800, 2, &[]);
    restart(&mut check, 900, 3, &[1, 2, 3]);
}

#[test]
fn after_a_fail_over_alone_a_start_waits_until_the_others_were_heard() {
    let mut check = after_a_power_loss();
    restart(&mut check, 100, 1, &[]);
    connect(&mut check, 200, 2);
    assert_eq!(earlier(&check, 250, 1), Earlier::NotYet);
    connect(&mut check, 300, 3);
    assert_eq!(earlier(&check, 300, 1), Earlier::Over);
    check.step(350, Event::Tick, &[]);
}

#[test]
fn one_of_the_others_that_was_heard_and_lost_goes_with_it() {
    let mut check = after_a_power_loss();
    restart(&mut check, 100, 1, &[]);
    connect(&mut check, 200, 2);
    lose(&mut check, 250, 2);
    check.step(260, Event::Tick, &[]);
    connect(&mut check, 300, 3);
    check.step(350, Event::Tick, &fences(&[1, 2]));
}

#[test]
fn a_controller_that_was_suspended_knows_as_little_as_a_new_one() {
    let mut check = connected(3);
    check.step(1_000, Event::Suspended, &[]);
    for n in [1, 2, 3] {
        let (broker_id, connection) = (BrokerId(n), ConnectionId(n.into()));
        check.step(1_010, Event::Disconnected { broker_id, connection, refused: true }, &[]);
    }
    check.step(1_500, Event::Resumed, &[]);
    restart(&mut check, 1_600, 1, &[]);
    assert_eq!(earlier(&check, 1_600, 1), Earlier::NotYet);
    check.step(4_500, Event::Tick, &fences(&[1, 2, 3]));
}

#[test]
fn a_start_waits_for_the_fencing_that_another_start_caused() {
    let mut check = connected(3);
    for n in [1, 2, 3] {
        lose(&mut check, 1_000, n);
    }
    restart(&mut check, 1_100, 1, &[1, 2, 3]);
    restart(&mut check, 1_110, 2, &[]);
    assert_eq!(earlier(&check, 1_110, 2), Earlier::NotYet);
    // It came to nothing: nobody may register before it is made again.
    check.end_all(1_120, Ending::Refused);
    assert_eq!(earlier(&check, 1_121, 2), Earlier::NotYet);
    let again = 1_120 + RETRY_MS;
    check.step(again, Event::Tick, &fences(&[1, 2, 3]));
    // Nor while nobody knows what came of it.
    check.end_all(again + 1, Ending::Doubtful);
    assert_eq!(earlier(&check, again + 2, 2), Earlier::NotYet);
    is_fenced(&mut check, again + 3, 2);
    check.step(again + 1 + RETRY_MS, Event::Tick, &fences(&[1, 3]));
    assert_eq!(earlier(&check, again + 1 + RETRY_MS, 2), Earlier::Over);
}

#[test]
fn one_that_says_something_after_all_is_not_over() {
    let mut check = after_a_power_loss();
    connect(&mut check, 50, 2);
    connect(&mut check, 60, 3);
    restart(&mut check, 100, 1, &[]);
    connect(&mut check, 150, 1);
    lose(&mut check, 200, 2);
    check.step(250, Event::Tick, &[]);
    assert_eq!(earlier(&check, 250, 1), Earlier::Alive);
}

fn connect(check: &mut Check, now: u64, n: u32) {
    let (broker_id, broker_epoch, connection) = (BrokerId(n), BrokerEpoch(n.into()), ConnectionId(n.into()));
    check.step(now, Event::Connected { broker_id, broker_epoch, connection }, &[]);
}

/// What became of a broker after a controller became active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Away,
    Lives,
    Lost,
    Starts,
}

/// Every way in which three brokers go on, in each order: nobody registers alone while another may have ended with it, and
/// those that did are fenced by one command.
#[test]
fn nobody_leaves_alone_whatever_became_of_the_others() {
    const COURSES: [Course; 4] = [Course::Away, Course::Lives, Course::Lost, Course::Starts];
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut waited = 0;
    for way in 0..64_usize {
        let courses = [COURSES[way % 4], COURSES[way / 4 % 4], COURSES[way / 16]];
        for order in ORDERS {
            waited += usize::from(goes_on(courses, order));
        }
    }
    assert!(waited > 100, "{waited}");
}

/// True if one that started again waited until a deadline.
fn goes_on(courses: [Course; 3], order: [usize; 3]) -> bool {
    let mut sessions = Sessions::new(Timeouts { session_ms: 3_000, disconnect_grace_ms: 3_000 });
    let brokers = (1..=3).map(registration).collect();
    let mut proposals: Vec<Proposal> = Vec::new();
    sessions.step(Millis(0), Event::Activated { brokers, index: MetadataIndex(10), term: 1 }, &mut proposals);
    for (at, which) in order.into_iter().enumerate() {
        let (now, n) = (Millis(100 + at as u64), which as u32 + 1);
        let (broker_id, broker_epoch, connection) = (BrokerId(n), BrokerEpoch(n.into()), ConnectionId(n.into()));
        let connected = Event::Connected { broker_id, broker_epoch, connection };
        let lost = Event::Disconnected { broker_id, connection, refused: false };
        let events = match courses[which] {
            Course::Away => vec![],
            Course::Lives => vec![connected],
            Course::Lost => vec![connected, lost],
            Course::Starts => vec![Event::Restarted(broker_id)],
        };
        for event in events {
            sessions.step(now, event, &mut proposals);
        }
    }
    let has = |course: Course| courses.contains(&course);
    let ended = courses.iter().filter(|course| **course != Course::Lives).count();
    let expected = if ended > 1 { Earlier::NotYet } else { Earlier::Over };
    for which in (0..3).filter(|which| courses[*which] == Course::Starts) {
        let known = sessions.earlier(Millis(110), BrokerId(which as u32 + 1), true);
        assert_eq!(known, expected, "{courses:?} in order {order:?}");
    }
    sessions.step(Millis(150), Event::Tick, &mut proposals);
    let waits = has(Course::Starts) && has(Course::Away);
    assert_eq!(proposals.is_empty(), waits || !has(Course::Starts) || ended < 2, "{courses:?}: {proposals:?}");
    // Those that live say so until the deadline passes.
    for now in (400..=3_000).step_by(100) {
        for which in (0..3).filter(|which| courses[*which] == Course::Lives) {
            let (broker_id, connection) = (BrokerId(which as u32 + 1), ConnectionId(which as u64 + 1));
            let beat = Event::Heartbeat { broker_id, connection, applied_index: MetadataIndex(10), ready: true };
            sessions.step(Millis(now), beat, &mut proposals);
        }
        sessions.step(Millis(now), Event::Tick, &mut proposals);
    }
    if has(Course::Starts) && ended > 1 {
        assert!(proposals.iter().all(|one| one.verdict == Verdict::Fence));
        let mut fenced: Vec<u32> = proposals.iter().map(|one| one.broker_id.0).collect();
        fenced.sort_unstable();
        let expected: Vec<u32> = (1..=3).filter(|n| courses[*n as usize - 1] != Course::Lives).collect();
        assert_eq!(fenced, expected, "{courses:?} in order {order:?}");
    }
    waits
}
