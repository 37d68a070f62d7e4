use std::time::Instant;

use holdfast_controller::config::Config;
use holdfast_proto::{convert::peer_header, v1::AllocateProducerIdsRequest};

use crate::{
    broker::{Broker, Disk},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

/// Makes one committed change and returns the first producer id that it gave.
fn change(quorum: &Quorum, broker: &Broker) -> i64 {
    let request = AllocateProducerIdsRequest {
        header: Some(peer_header(quorum.cluster_id(), 0, broker.id.into())),
        broker_id: broker.id,
        broker_epoch: broker.epoch,
    };
    eventually("a committed change", || {
        let mut client = quorum.controller(quorum.active());
        quorum.block_on(client.allocate_producer_ids(request.clone())).ok()
    })
    .into_inner()
    .first_producer_id
}

#[test]
fn writes_go_on_after_the_active_controller_is_killed_and_it_catches_up() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    let mut last = change(&quorum, &broker);
    let cluster = quorum.cluster_id();
    for round in 0..3 {
        let killed = quorum.active();
        let at = Instant::now();
        quorum.kill(killed);
        let active = quorum.active();
        println!("round {round}: another controller was active {} ms after the kill", at.elapsed().as_millis());
        assert_ne!(active, killed);
        let next = change(&quorum, &broker);
        assert!(next > last, "an id was given twice: {next} after {last}");
        last = next;
        quorum.start(killed);
        quorum.converge();
        assert_eq!(quorum.node(killed).node().cluster_id(), Some(cluster));
        let image = quorum.node(quorum.active()).node().view().image();
        eventually("equal images", || (*quorum.node(killed).node().view().image() == *image).then_some(()));
    }
}

#[test]
fn everything_survives_a_kill_of_all() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    let last = change(&quorum, &broker);
    let cluster = quorum.cluster_id();
    for at in 0..3 {
        quorum.kill(at);
    }
    for at in 0..3 {
        quorum.start(at);
    }
    assert_eq!(quorum.cluster_id(), cluster);
    assert!(change(&quorum, &broker) > last, "an acknowledged change is gone");
}

#[test]
fn a_controller_that_was_away_long_gets_a_snapshot() {
    let mut quorum = Quorum::formed(3, |config| {
        config.snapshot_interval_entries = 40;
        config.snapshot_keep_entries = 5;
    });
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let away = quorum.passive();
    quorum.kill(away);
    let before = Instant::now();
    for _ in 0..200 {
        change(&quorum, &broker);
    }
    println!("200 committed changes one after another: {} ms", before.elapsed().as_millis());
    quorum.start(away);
    quorum.converge();
    let image = quorum.node(quorum.active()).node().view().image();
    eventually("equal images", || (*quorum.node(away).node().view().image() == *image).then_some(()));
    // And again from its own disk, snapshot and log.
    quorum.kill(away);
    quorum.start(away);
    quorum.converge();
    eventually("equal images", || (*quorum.node(away).node().view().image() == *image).then_some(()));
}

#[test]
fn a_controller_that_stops_in_order_hands_over_at_once() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    change(&quorum, &broker);
    quorum.converge();
    let stopped = quorum.active();
    let at = Instant::now();
    let others: Vec<usize> = (0..3).filter(|other| *other != stopped).collect();
    quorum.stop(stopped);
    let active = quorum.active();
    println!("stop and hand-over: {} ms", at.elapsed().as_millis());
    assert!(others.contains(&active));
    change(&quorum, &broker);
}
