//! No replica that could have missed an acknowledged record is ever elected.
//!
//! A small model of the brokers of one partition stands beside the real machine, and its replicas move between them.
//! Brokers hold logs on disks, delete them once they learn that their replica has moved away, learn the committed
//! metadata late, lead by what they know, and their proposals and the answers are delayed and lost. A leader
//! acknowledges a record once every member of its maximal ISR holds it and the ISR is at least min ISR, as it knows
//! them. After every event, everyone whom the controller might elect now or later (ISR and ELR) has to hold every
//! acknowledged record at its place.
//!
//! With metadata version 2 disks also lie, one at a time while min ISR is 2 or more: they lose their end, vanish, or are
//! copies of the present start. Or an operator gives one up, a start cannot read one, and the controllers are recovered from
//! one of them that lacks changes. Then nobody may lead who lacks an acknowledged record, and who may be elected and has a
//! disk that did not lie still holds all, but for partitions that are unsettled.

use std::cell::RefCell;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::model::Model;

/// Brokers; the first three have a replica of the one partition as it begins.
pub(crate) const BROKERS: u32 = 4;

/// A step of the model. Numbers name one of the present leaders, proposals or answers, whichever there are.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A leader appends a record. Leaders are those who believe that they lead, and are counted from 0.
    Produce(usize),
    /// A follower fetches from a leader, which is told what the follower then holds.
    Fetch {
        leader: usize,
        follower: u32,
        records: usize,
    },
    /// A leader acknowledges what it may.
    Acknowledge(usize),
    /// A leader proposes an ISR of some of its replicas, of those that have caught up and that are in it.
    Propose {
        leader: usize,
        members: u8,
    },
    /// A proposal arrives at the controller.
    Arrive(usize),
    /// An answer arrives, or is lost.
    Answer {
        n: usize,
        lost: bool,
    },
    /// The broker learns some changes of the metadata.
    Learn {
        broker: u32,
        changes: usize,
    },
    Stop(u32),
    /// The broker stops, and says how far was acknowledged if it led.
    StopInOrder(u32),
    Start {
        broker: u32,
        disk: Disk,
    },
    /// The broker stops, starts again and is unfenced before anyone does anything else.
    Bounce {
        broker: u32,
        disk: Disk,
    },
    /// A copy of the broker's disk is taken.
    Copy(u32),
    /// The broker's folder gets another token.
    Renew(u32),
    /// The controllers go on from what one of them holds, which lacks that many changes.
    Recover(usize),
    /// Every broker starts again on its disk.
    RestartAll,
    /// An operator gives up the disk of a broker that is gone, and that is lost.
    LoseDisk(u32),
    Fence(u32),
    /// The sessions of the brokers of the mask end together.
    FenceTogether(u8),
    Unfence(u32),
    Leave(u32),
    MinIsr(u32),
    /// Replicas move to the brokers of the mask, `first` leading if it is among them.
    Move {
        members: u8,
        first: u32,
    },
    /// The move under way is cancelled.
    Cancel,
    /// For a moment all goes well: everybody learns everything and fetches everything, and the ISR is proposed whole.
    CatchUp,
    Elect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Disk {
    Same,
    Empty,
    /// The copy, if there is one; without tokens only if it is from an earlier start.
    Copied,
    /// The end of the log is gone, and the broker has seen that something was cut.
    Cut,
    /// The replica is gone, and the broker knows that it had it.
    Vanished,
    /// Nothing is wrong with the replica, and this start cannot look at it.
    Unread,
}

/// What the runs have met, so that a test that tests nothing is found out.
#[derive(Default, Debug)]
pub(crate) struct Coverage {
    pub(crate) acknowledged: usize,
    pub(crate) elections: usize,
    pub(crate) elections_from_elr: usize,
    pub(crate) refused_proposals: usize,
    pub(crate) accepted_proposals: usize,
    pub(crate) untrusted_disks: usize,
    pub(crate) silent_faults: usize,
    pub(crate) frozen: usize,
    pub(crate) distrusted: usize,
    pub(crate) truncated: usize,
    pub(crate) moves_ended: usize,
    pub(crate) moves_refused: usize,
    pub(crate) deleted: usize,
    pub(crate) last_words: usize,
    pub(crate) unread: usize,
    pub(crate) disks_lost: usize,
    pub(crate) recovered: usize,
    pub(crate) lost_changes: usize,
    pub(crate) settled: usize,
    pub(crate) found: usize,
}

fn event() -> impl Strategy<Value = Event> {
    let (leader, broker) = (0..6_usize, 1..=BROKERS);
    let disk = prop_oneof![
        8 => Just(Disk::Same),
        1 => Just(Disk::Empty),
        2 => Just(Disk::Copied),
        2 => Just(Disk::Cut),
        1 => Just(Disk::Vanished),
        1 => Just(Disk::Unread),
    ];
    prop_oneof![
        10 => leader.clone().prop_map(Event::Produce),
        24 => (leader.clone(), broker.clone(), 0..4_usize)
            .prop_map(|(leader, follower, records)| Event::Fetch { leader, follower, records }),
        10 => leader.clone().prop_map(Event::Acknowledge),
        8 => (leader.clone(), any::<u8>()).prop_map(|(leader, members)| Event::Propose { leader, members }),
        6 => any::<usize>().prop_map(Event::Arrive),
        6 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(n, lost)| Event::Answer { n, lost }),
        20 => (broker.clone(), 0..6_usize).prop_map(|(broker, changes)| Event::Learn { broker, changes }),
        2 => broker.clone().prop_map(Event::Stop),
        2 => broker.clone().prop_map(Event::StopInOrder),
        4 => (broker.clone(), disk.clone()).prop_map(|(broker, disk)| Event::Start { broker, disk }),
        3 => (broker.clone(), disk).prop_map(|(broker, disk)| Event::Bounce { broker, disk }),
        2 => broker.clone().prop_map(Event::Copy),
        1 => broker.clone().prop_map(Event::Renew),
        1 => (0..3, 0..40_usize).prop_map(|(n, back)| if n == 0 { Event::Recover(back) } else { Event::RestartAll }),
        1 => broker.clone().prop_map(Event::LoseDisk),
        3 => broker.clone().prop_map(Event::Fence),
        2 => any::<u8>().prop_map(Event::FenceTogether),
        6 => broker.clone().prop_map(Event::Unfence),
        1 => broker.clone().prop_map(Event::Leave),
        3 => (0..16_u8, broker).prop_map(|(members, first)| Event::Move { members, first }),
        1 => Just(Event::Cancel),
        3 => Just(Event::CatchUp),
        2 => (1..=3_u32).prop_map(Event::MinIsr),
        1 => Just(Event::Elect),
    ]
}

#[test]
fn a_replica_that_may_be_elected_holds_every_acknowledged_record() {
    let seen = run(false);
    assert!(seen.common().iter().all(|count| *count > 20), "the runs met too little: {seen:?}");
}

#[test]
fn no_leader_lacks_acknowledged_records_though_a_disk_lost_some() {
    let seen = run(true);
    let least = seen.common().into_iter().chain([seen.silent_faults, seen.frozen, seen.distrusted, seen.last_words]);
    let since = [seen.unread, seen.disks_lost, seen.recovered, seen.lost_changes, seen.settled, seen.found];
    let least = least.chain(since);
    assert!(least.into_iter().all(|count| count > 20), "the runs met too little: {seen:?}");
}

/// Raft's figure 8, and then the controllers are recovered: whose last record is of a later leader lacks what was acknowledged
/// after it, by one that wrote nothing.
#[test]
fn what_a_leader_without_a_record_of_its_own_acknowledged_outlives_a_recovery() {
    let mut model = Model::new(true);
    let replicas = &model.c.state(model.topic).replicas;
    let (p, q, s) = (replicas[0].0, replicas[1].0, replicas[2].0);
    let events = [
        Event::CatchUp,
        Event::Fence(p),
        Event::Unfence(p),
        Event::CatchUp, // q leads, all are in sync
        Event::Stop(s),
        Event::Fence(s),
        Event::CatchUp,
        Event::Produce(0), // on q alone
        Event::Elect,
        Event::Learn { broker: p, changes: 99 },
        Event::Produce(usize::from(p > q)), // on p, in a later epoch
        Event::Stop(p),
        Event::Fence(p),
        Event::Learn { broker: q, changes: 99 },
        Event::Start { broker: s, disk: Disk::Same },
        Event::Unfence(s),
        Event::CatchUp,
        Event::CatchUp,
        Event::Acknowledge(0), // what q held
        Event::Recover(0),
        Event::RestartAll,
    ];
    for event in &events {
        model.step(event);
    }
    assert_eq!(model.acknowledged.len(), 1, "the events have another effect than was meant");
}

/// Runs the model with random events. `faulty`: disks lie, one at a time.
fn run(faulty: bool) -> Coverage {
    let total = RefCell::new(Coverage::default());
    let config = Config { cases: if faulty { 600 } else { 400 }, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(event(), 1..900), |events| {
        let mut model = Model::new(faulty);
        for event in &events {
            model.step(event);
        }
        let (mut total, seen) = (total.borrow_mut(), model.coverage);
        total.acknowledged += seen.acknowledged;
        total.elections += seen.elections;
        total.elections_from_elr += seen.elections_from_elr;
        total.refused_proposals += seen.refused_proposals;
        total.accepted_proposals += seen.accepted_proposals;
        total.untrusted_disks += seen.untrusted_disks;
        total.silent_faults += seen.silent_faults;
        total.frozen += seen.frozen;
        total.distrusted += seen.distrusted;
        total.truncated += seen.truncated;
        total.moves_ended += seen.moves_ended;
        total.moves_refused += seen.moves_refused;
        total.deleted += seen.deleted;
        total.last_words += seen.last_words;
        total.unread += seen.unread;
        total.disks_lost += seen.disks_lost;
        total.recovered += seen.recovered;
        total.lost_changes += seen.lost_changes;
        total.settled += seen.settled;
        total.found += seen.found;
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = total.into_inner();
    println!("{seen:?}");
    seen
}

impl Coverage {
    /// What every run has to meet.
    fn common(&self) -> [usize; 10] {
        [
            self.acknowledged,
            self.elections,
            self.elections_from_elr,
            self.refused_proposals,
            self.accepted_proposals,
            self.untrusted_disks,
            self.truncated,
            self.moves_ended,
            self.moves_refused,
            self.deleted,
        ]
    }
}

/// One leads alone once the controllers were recovered, and loses its end before it is known that another holds as much.
#[test]
fn who_leads_alone_since_a_recovery_of_the_controllers_and_was_cut_does_not_lead() {
    let mut model = Model::new(true);
    let events = [Event::Produce(0), Event::CatchUp, Event::Acknowledge(0), Event::Recover(0), Event::RestartAll];
    for event in &events {
        model.step(event);
    }
    assert_eq!(model.acknowledged.len(), 1);
    let leader = model.c.state(model.topic).leader.expect("led").0;
    model.step(&Event::Bounce { broker: leader, disk: Disk::Cut });
    assert_eq!(model.c.state(model.topic).leader, None);
}

/// Broker 4 starts again and is out of the ISR {2, 4}; its leader does not know that yet, and goes on. Then that loses its end.
#[test]
fn what_a_replica_copies_since_it_started_counts_once_its_leader_knows_of_that() {
    let mut model = Model::new(true);
    let events = [
        Event::Move { members: 0b1010, first: 2 },
        Event::Elect,
        Event::CatchUp,
        Event::Bounce { broker: 4, disk: Disk::Same },
        Event::Produce(0),
        Event::Produce(0),
        Event::Fetch { leader: 0, follower: 4, records: 2 },
        Event::Acknowledge(0),
        Event::Stop(2),
        Event::Start { broker: 2, disk: Disk::Cut },
        Event::Bounce { broker: 2, disk: Disk::Same },
    ];
    for event in &events {
        model.step(event);
    }
    assert_eq!(model.acknowledged, []);
}
