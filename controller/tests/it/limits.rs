//! What strangers may send, and what it costs the controllers' disks.

use std::{
    io::{ErrorKind, Read as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use tonic::Status;

use holdfast_controller::{
    config::Config,
    identity::DataDir,
    store::{Marker, Origin, Store, Told},
};
use holdfast_metadata::version::SUPPORTED;
use holdfast_proto::{
    convert::peer_header,
    error::ErrorCode,
    status::from_status,
    v1::{AlterPartitionsRequest, AlterTopicRequest, ConfigEntry, CreateTopicRequest, IsrChange, IsrMember},
};

use crate::{
    broker::{Broker, Disk},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> ErrorCode {
    from_status(&result.expect_err("a refusal")).expect("our error").code
}

fn last_index(quorum: &Quorum) -> u64 {
    quorum.node(quorum.active()).node().view().image().index().0
}

/// Index of the first entry in the log of a controller that is not running.
fn oldest_entry(folder: &Path) -> Option<u64> {
    let data = DataDir::open(folder).expect("a folder");
    let identity = data.identity();
    let marker = Marker { node_id: identity.node_id, directory_id: identity.directory_id.0 };
    let told = Told::open(&data.told_path(), true).expect("a mark");
    let store = Store::open(&data.store_path(), &marker, Origin::Made, told).expect("a store");
    store.read_log(0, u64::MAX, 1).expect("a log").first().map(|(index, _)| *index)
}

#[test]
fn what_is_refused_is_not_logged() {
    let quorum = Quorum::formed(1, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    eventually("a live broker", || {
        quorum.node(0).node().view().image().brokers().values().any(|broker| !broker.fenced).then_some(())
    });
    eventually("the newest version", || {
        (quorum.node(0).node().view().image().version() == SUPPORTED.max).then_some(())
    });
    let before = last_index(&quorum);
    let mut admin = quorum.admin(0);
    for (name, wanted) in
        [("\u{1}".repeat(3 << 20), ErrorCode::InvalidTopic), ("a b".to_owned(), ErrorCode::InvalidTopic)]
    {
        let request = CreateTopicRequest { name, replication_factor: 1, ..CreateTopicRequest::default() };
        assert_eq!(code(quorum.block_on(admin.create_topic(request))), wanted);
    }
    let long = ConfigEntry { key: "retention.ms".to_owned(), value: Some("0".repeat(3 << 20)), is_default: false };
    let request = CreateTopicRequest {
        name: "t".to_owned(),
        replication_factor: 1,
        configs: vec![long.clone()],
        ..CreateTopicRequest::default()
    };
    assert_eq!(code(quorum.block_on(admin.create_topic(request))), ErrorCode::InvalidConfig);
    let request = AlterTopicRequest { name: "t".to_owned(), configs: vec![long], ..AlterTopicRequest::default() };
    assert_eq!(code(quorum.block_on(admin.alter_topic(request))), ErrorCode::InvalidConfig);

    let mut client = quorum.controller(0);
    let cluster_id = quorum.cluster_id();
    let proposal = |broker_id, broker_epoch, members| AlterPartitionsRequest {
        header: Some(peer_header(cluster_id, 0, 1)),
        broker_id,
        broker_epoch,
        changes: vec![IsrChange {
            topic_id: vec![7; 16].into(),
            new_isr: vec![IsrMember::default(); members],
            ..IsrChange::default()
        }],
    };
    let refused = [
        (proposal(9, 1, 1), ErrorCode::BrokerIdNotRegistered),
        (proposal(1, broker.epoch + 1, 1), ErrorCode::StaleBrokerEpoch),
        (proposal(1, broker.epoch, 1_000_000), ErrorCode::InvalidRequest),
    ];
    for (request, wanted) in refused {
        assert_eq!(code(quorum.block_on(client.alter_partitions(request))), wanted);
    }
    assert_eq!(last_index(&quorum), before, "a refusal has no place in the log");
}

#[test]
fn the_log_is_short_in_bytes_whatever_the_number_of_its_entries() {
    let mut quorum = Quorum::formed(1, |config| {
        config.snapshot_interval_bytes = 65_536;
        config.snapshot_keep_bytes = 1_000;
    });
    let _broker = Broker::start(&quorum, Disk::new(1));
    eventually("a live broker", || {
        quorum.node(0).node().view().image().brokers().values().any(|broker| !broker.fenced).then_some(())
    });
    let mut admin = quorum.admin(0);
    // Each is a valid change of some kilobytes.
    for number in 0..60 {
        let zeros = "0".repeat(1_000);
        let configs = ["retention.ms", "retention.bytes"].map(|key| ConfigEntry {
            key: key.to_owned(),
            value: Some(format!("{zeros}{}", 1_000_000 + number)),
            is_default: false,
        });
        let request = CreateTopicRequest {
            name: format!("t{number}"),
            partition_count: 1,
            replication_factor: 1,
            configs: configs.to_vec(),
            ..CreateTopicRequest::default()
        };
        quorum.block_on(admin.create_topic(request)).expect("created");
    }
    let image = quorum.node(0).node().view().image();
    eventually("a purge", || {
        quorum.kill(0);
        let oldest = oldest_entry(&quorum.data_dir(0));
        quorum.start(0);
        quorum.active();
        oldest.filter(|oldest| *oldest > 20)
    });
    // What was purged is in the snapshot.
    eventually("the same state", || {
        (quorum.node(0).node().view().image().topic_count() == image.topic_count()).then_some(())
    });
}

#[test]
fn silent_connections_take_no_port_from_a_probe() {
    let quorum = Quorum::formed(1, |config| config.max_connections = 8);
    let connect = || TcpStream::connect(&quorum.addresses[0]).expect("a connection");
    let silent: Vec<TcpStream> = (0..8).map(|_| connect()).collect();
    eventually("an answer", || quorum.probe(0, "live").then_some(()));
    for mut connection in silent {
        connection.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        // The server's own settings, and then the end.
        match connection.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}
