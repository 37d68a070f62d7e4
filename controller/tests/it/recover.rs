//! `holdfast-controller recover`: stopped in the middle, run twice, on folders that others refused, and what has to be said.

use std::{fs, path::Path};

use tempfile::TempDir;

use holdfast_controller::{
    config::Config,
    exit::Fatal,
    identity::DataDir,
    raft::Survivor,
    recover::{Recover, recover},
    store::{Marker, Op, Origin, Store, Told},
};
use holdfast_proto::{
    ids::BrokerId,
    v1::{AlterTopicRequest, ConfigEntry, CreateTopicRequest, DeleteTopicRequest, RemoveBrokerRequest},
};

use crate::{
    broker::{Broker, Disk},
    copies::{copied, ended, go_on, is_refused, restore, with_an_older_copy},
    support::{Quorum, eventually},
};

/// The controller that is gone on with.
const LEFT: usize = 0;

fn same(_: &mut Config) {}

/// The order, answered with yes, but for what loses something.
pub(crate) fn look(quorum: &Quorum, at: usize) -> Recover {
    let data_dir = quorum.data_dir(at);
    Recover { data_dir, yes: true, ..Recover::default() }
}

pub(crate) fn order(quorum: &Quorum, at: usize) -> Recover {
    Recover { accept_loss: true, ..look(quorum, at) }
}

/// Three controllers that were stopped, and the folder of the one that is gone on with.
fn stopped() -> (Quorum, TempDir) {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    let folder = copied(&quorum.data_dir(LEFT));
    (quorum, folder)
}

/// It serves alone, with so many recoveries in its metadata; the others join with empty folders.
fn serves(quorum: &mut Quorum, left: usize, recoveries: usize) {
    quorum.start(left);
    assert_eq!(quorum.active(), left);
    let others: Vec<usize> = (0..3).filter(|at| *at != left).collect();
    for at in &others {
        fs::remove_dir_all(quorum.data_dir(*at)).expect("remove");
        quorum.start(*at);
    }
    quorum.votes(&[0, 1, 2]);
    let image = quorum.node(left).node().view().image();
    let recoveries_found = image.controller_recoveries();
    assert_eq!(recoveries_found.len(), recoveries, "{recoveries_found:?}");
    if let Some(last) = recoveries_found.last() {
        assert_eq!(last.given_up.len(), others.len(), "{last:?}");
    }
}

#[test]
fn a_look_changes_nothing() {
    let (mut quorum, _) = stopped();
    recover(&look(&quorum, LEFT)).expect("it says what is there");
    (0..3).for_each(|at| quorum.start(at));
    quorum.votes(&[0, 1, 2]);
    assert!(quorum.node(LEFT).node().view().image().controller_recoveries().is_empty());
}

#[test]
fn it_can_be_stopped_at_any_point_and_run_again() {
    let (mut quorum, before) = stopped();
    // Up to its one write nothing has changed: the folder is the one of before.
    recover(&look(&quorum, LEFT)).expect("it says what is there");
    // Behind that write, before the mark of what was told follows.
    recover(&order(&quorum, LEFT)).expect("it goes on");
    let told = quorum.data_dir(LEFT).join("told");
    let (mark, mark_before) = (fs::read(&told), fs::read(before.path().join("told")).expect("a mark"));
    assert_ne!(mark.expect("a mark"), mark_before, "the mark followed: the case proves nothing else");
    fs::write(&told, mark_before).expect("write");
    // Nothing is left to be given up, and nothing is given up twice.
    recover(&order(&quorum, LEFT)).expect("it says so");
    serves(&mut quorum, LEFT, 1);
}

#[test]
fn it_can_be_run_again_where_the_folder_of_before_was_put_back() {
    let (mut quorum, before) = stopped();
    recover(&order(&quorum, LEFT)).expect("it goes on");
    restore(&quorum.data_dir(LEFT), &before);
    recover(&order(&quorum, LEFT)).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
}

#[test]
fn a_second_recovery_is_kept_beside_the_first() {
    let (mut quorum, _) = stopped();
    recover(&order(&quorum, LEFT)).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    // The controllers that joined since know of it, and are as good.
    recover(&order(&quorum, 2)).expect("it goes on");
    serves(&mut quorum, 2, 2);
}

/// The only folder that is left is one that the others refused: it starts no more, but by this order.
#[test]
fn a_refused_copy_goes_on_once_that_is_asked_for() {
    let (mut quorum, harmed, older) = with_an_older_copy();
    go_on(&mut quorum);
    quorum.kill(harmed);
    restore(&quorum.data_dir(harmed), &older);
    quorum.start(harmed);
    is_refused(&ended(&quorum, harmed));
    (0..3).for_each(|at| quorum.kill(at));

    let why = recover(&order(&quorum, harmed)).expect_err("it is not asked for");
    assert!(matches!(&why, Fatal::StoreDamaged(text) if text.contains("refused this folder as a copy")), "{why}");
    let started = holdfast_controller::run(quorum.config(harmed));
    is_refused(&started.err().expect("nothing was changed"));
    recover(&Recover { accept_older_store: true, ..order(&quorum, harmed) }).expect("it goes on");
    serves(&mut quorum, harmed, 1);
    // It is like any other since.
    quorum.restart(harmed);
    go_on(&mut quorum);
    quorum.votes(&[0, 1, 2]);
}

/// All three folders are copies of different times. Who meets one that knows more of it is refused; the order goes on with
/// the one that knows most, whatever was refused beside it.
#[test]
fn the_newest_of_three_copies_goes_on_beside_refused_ones() {
    let mut quorum = Quorum::formed(3, same);
    let mut copies = Vec::new();
    for at in 0..3 {
        go_on(&mut quorum);
        quorum.kill(at);
        copies.push(copied(&quorum.data_dir(at)));
        quorum.start(at);
    }
    go_on(&mut quorum);
    (0..3).for_each(|at| quorum.kill(at));
    for (at, copy) in copies.iter().enumerate() {
        restore(&quorum.data_dir(at), copy);
    }
    (0..3).for_each(|at| quorum.start(at));
    is_refused(&ended(&quorum, 0));
    (0..3).for_each(|at| quorum.kill(at));
    let newest = 2;
    recover(&Recover { accept_older_store: true, ..order(&quorum, newest) }).expect("it goes on");
    serves(&mut quorum, newest, 1);
}

/// Nothing says what the only folder that is left has told: it may have told more than it holds.
#[test]
fn a_folder_whose_mark_is_missing_or_damaged_goes_on_once_that_is_asked_for() {
    let (mut quorum, _) = stopped();
    let told = quorum.data_dir(LEFT).join("told");
    for damage in [None, Some([0x5a; 64])] {
        match damage {
            None => fs::remove_file(&told).expect("a mark"),
            Some(bytes) => fs::write(&told, bytes).expect("write"),
        }
        let why = recover(&order(&quorum, LEFT)).expect_err("it is not asked for");
        assert!(matches!(&why, Fatal::StoreDamaged(text) if text.contains("its mark")), "{why}");
        let started = holdfast_controller::run(quorum.config(LEFT)).err().expect("nothing was changed");
        assert!(matches!(&started, Fatal::StoreDamaged(text) if text.contains("the mark")), "{started}");
    }
    recover(&Recover { accept_older_store: true, ..order(&quorum, LEFT) }).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    quorum.restart(LEFT);
    go_on(&mut quorum);
}

/// Three controllers that know broker 1. The broker is gone.
fn with_a_broker() -> (Quorum, Broker) {
    let quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    eventually("a live broker", || {
        let image = quorum.node(quorum.active()).node().view().image();
        image.brokers().values().any(|broker| !broker.fenced).then_some(())
    });
    (quorum, broker)
}

/// The store of a stopped controller, while the folder is held.
fn opened(folder: &Path) -> (DataDir, Store) {
    let data = DataDir::open(folder).expect("a folder");
    let identity = data.identity();
    let marker = Marker { node_id: identity.node_id, directory_id: identity.directory_id.0 };
    let told = Told::open(&data.told_path(), identity.told).expect("a mark");
    let store = Store::open(&data.store_path(), &marker, Origin::Made, told).expect("a store");
    (data, store)
}

/// Sets the commit mark of a stopped controller back to this index, if it is not as old already.
fn set_committed(folder: &Path, index: u64) {
    const COMMITTED: &[u8] = b"committed";
    let (_data, store) = opened(folder);
    // A version byte, and JSON.
    let stored = store.read_state(COMMITTED).expect("read").expect("it has a commit mark");
    let mut mark: serde_json::Value = serde_json::from_slice(&stored[1..]).expect("JSON");
    let committed = mark["index"].as_u64().expect("the index of the last entry that it covers");
    mark["index"] = committed.min(index).into();
    let value = [&stored[..1], &serde_json::to_vec(&mark).expect("JSON")[..]].concat();
    store.write_blocking(|done| Op::PutState { key: COMMITTED, value, done: Some(done) }).expect("written");
}

/// What a broker has lost by it nothing brings back: nobody is to do that without knowing.
#[test]
fn a_deletion_that_is_not_known_to_be_committed_is_refused_by_name() {
    let (mut quorum, broker) = with_a_broker();
    let mut admin = quorum.admin(quorum.active());
    for name in ["stays", "goes"] {
        let request = CreateTopicRequest { name: name.to_owned(), replication_factor: 1, ..Default::default() };
        quorum.block_on(admin.create_topic(request)).expect("created");
    }
    let request = DeleteTopicRequest { name: "goes".to_owned(), ..Default::default() };
    let deleted = quorum.block_on(admin.delete_topic(request)).expect("deleted").into_inner();
    quorum.converge();
    broker.kill();
    (0..3).for_each(|at| quorum.kill(at));
    set_committed(&quorum.data_dir(LEFT), deleted.index - 1);

    recover(&look(&quorum, LEFT)).expect("it says what is there");
    let order = Recover { brokers: vec![1], ..order(&quorum, LEFT) };
    let why = recover(&order).expect_err("it is not asked for").to_string();
    assert!(why.contains("these topics are deleted: goes.") && why.contains("--accept-deletions"), "{why}");
    recover(&Recover { accept_deletions: true, ..order }).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    let image = quorum.node(LEFT).node().view().image();
    assert_eq!(image.topics_by_name().map(holdfast_metadata::Topic::name).collect::<Vec<_>>(), ["stays"]);
}

/// So it is where a topic stays and keeps less; one that goes is named as such alone, and one that keeps more is not.
#[test]
fn a_shorter_retention_that_is_not_known_to_be_committed_is_refused_by_name() {
    let (mut quorum, broker) = with_a_broker();
    let mut admin = quorum.admin(quorum.active());
    let mut last = 0;
    for name in ["goes", "less", "more"] {
        let request = CreateTopicRequest { name: name.to_owned(), replication_factor: 1, ..Default::default() };
        last = quorum.block_on(admin.create_topic(request)).expect("created").into_inner().index;
    }
    for (name, key, value) in [
        ("goes", "retention.ms", "1000"),
        ("less", "retention.ms", "3600000"),
        ("less", "retention.bytes", "1073741824"),
        ("more", "retention.ms", "-1"),
    ] {
        let entry = ConfigEntry { key: key.to_owned(), value: Some(value.to_owned()), is_default: false };
        let request = AlterTopicRequest { name: name.to_owned(), configs: vec![entry], ..Default::default() };
        quorum.block_on(admin.alter_topic(request)).expect("altered");
    }
    let request = DeleteTopicRequest { name: "goes".to_owned(), ..Default::default() };
    quorum.block_on(admin.delete_topic(request)).expect("deleted");
    quorum.converge();
    broker.kill();
    (0..3).for_each(|at| quorum.kill(at));
    set_committed(&quorum.data_dir(LEFT), last);

    recover(&look(&quorum, LEFT)).expect("it says what is there");
    let order = Recover { brokers: vec![1], ..order(&quorum, LEFT) };
    let why = recover(&order).expect_err("it is not asked for").to_string();
    let named = "these topics are deleted: goes; and these topics keep their records for less: less (retention.bytes \
                 no limit -> 1 GiB, retention.ms 7 days -> 1 hour). Every broker";
    assert!(why.contains(named) && why.contains("--accept-deletions"), "{why}");
    recover(&Recover { accept_deletions: true, ..order }).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    let image = quorum.node(LEFT).node().view().image();
    let less = image.topic_by_name("less").expect("it stays").config();
    assert_eq!((less.retention_ms, less.retention_bytes), (Some(3_600_000), Some(1 << 30)));
}

/// What nobody may have agreed to counts: each such entry is told, and a broker that one removes may be there.
#[test]
fn what_is_not_known_to_be_committed_is_told_and_a_broker_that_it_removes_has_to_be_named() {
    let (mut quorum, broker) = with_a_broker();
    let mut admin = quorum.admin(quorum.active());
    let request = CreateTopicRequest { name: "orders".to_owned(), replication_factor: 1, ..Default::default() };
    quorum.block_on(admin.create_topic(request)).expect("created");
    let removed = Broker::start(&quorum, Disk::new(2));
    removed.kill();
    let entry = ConfigEntry { key: "retention.ms".to_owned(), value: Some("-1".to_owned()), is_default: false };
    let request = AlterTopicRequest { name: "orders".to_owned(), configs: vec![entry], ..Default::default() };
    let altered = quorum.block_on(admin.alter_topic(request)).expect("altered").into_inner();
    eventually("the broker is fenced, and removed", || {
        quorum.block_on(admin.remove_broker(RemoveBrokerRequest { broker_id: 2 })).ok()
    });
    quorum.converge();
    broker.kill();
    (0..3).for_each(|at| quorum.kill(at));
    let folder = quorum.data_dir(LEFT);
    set_committed(&folder, altered.index - 1);

    {
        let (_data, store) = opened(&folder);
        let survivor = Survivor::read(store, None).expect("it is read");
        let told: Vec<&str> = survivor.open().told().0.into_iter().map(|entry| entry.text.as_str()).collect();
        for text in ["alter topic orders: retention.ms 604800000 -> -1", "unregister broker 2"] {
            assert!(told.contains(&text), "{told:?}");
        }
        assert!(!told.iter().any(|text| text.starts_with("create topic")), "that is committed: {told:?}");
    }
    recover(&look(&quorum, LEFT)).expect("it says what is there");
    let order = order(&quorum, LEFT);
    let why = recover(&order).expect_err("no broker is named").to_string();
    let apart = "Removed by an entry that is not known to be committed: 2. If it is there";
    assert!(why.contains("--brokers 1. Those that are gone") && why.contains(apart), "{why}");
    let named = Recover { brokers: vec![1], ..order };
    let why = recover(&named).expect_err("2 is not named").to_string();
    assert!(why.contains("Broker 2 is removed here by an entry that is not known to be committed"), "{why}");
    recover(&Recover { without_brokers: vec![2], ..named })
        .expect("it goes on, and nothing is left of it to be given up");
    quorum.start(LEFT);
    assert_eq!(quorum.active(), LEFT);
    let image = quorum.node(LEFT).node().view().image();
    let last = image.controller_recoveries().last().expect("it was recovered");
    assert_eq!((last.without.len(), last.expected.len()), (0, 0), "{last:?}");
}

#[test]
fn every_broker_is_named_and_those_are_expected_that_are_not_known() {
    let (mut quorum, broker) = with_a_broker();
    quorum.converge();
    broker.kill();
    (0..3).for_each(|at| quorum.kill(at));
    let why = recover(&order(&quorum, LEFT)).expect_err("no broker is named").to_string();
    assert!(why.contains("Registered here are 1;") && why.contains("--brokers 1."), "{why}");
    let why = recover(&Recover { brokers: vec![4], ..order(&quorum, LEFT) }).expect_err("1 is not named").to_string();
    assert!(why.contains("Broker 1 is registered here"), "{why}");
    let both = Recover { brokers: vec![1, 4], without_brokers: vec![1], ..order(&quorum, LEFT) };
    let why = recover(&both).expect_err("one of the two").to_string();
    assert!(why.contains("broker 1 is said to be there and to be gone for good"), "{why}");
    let named = Recover { brokers: vec![1, 4], ..order(&quorum, LEFT) };
    recover(&named).expect("it goes on");
    recover(&named).expect("again there is nothing to do");
    // One was forgotten: it is waited for as well.
    recover(&Recover { brokers: vec![1, 4, 5], ..named }).expect("it goes on");
    quorum.start(LEFT);
    assert_eq!(quorum.active(), LEFT);
    let image = quorum.node(LEFT).node().view().image();
    let expected: Vec<_> = image.controller_recoveries().iter().map(|recovery| recovery.expected.clone()).collect();
    assert_eq!(expected, [vec![BrokerId(4)], vec![BrokerId(4), BrokerId(5)]]);
    assert_eq!(image.unheard_brokers().map(|broker| broker.0).collect::<Vec<_>>(), [1, 4, 5]);
}
