//! Controllers whose metadata is made to differ by hand: the one that differs ends, the others go on.

use std::{net::TcpListener, path::Path};

use holdfast_eventually::eventually;
use holdfast_metadata::{ControllerVersions, FinalizeVersion, Record, VersionRange, version::SUPPORTED};
use holdfast_proto::{
    convert::peer_header,
    ids::{ControllerId, MetadataVersion},
    v1::{AppendEntriesRequest, RaftEnvelope, raft_service_client::RaftServiceClient},
};

use super::*;
use crate::{Controller, channels::channels, config::Config, raft::Reach, run};

/// Controllers that are started in one process, all at once.
fn controllers(folder: &Path, count: usize) -> Vec<Controller> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let mut peers: Vec<String> =
        listeners.iter().map(|listener| listener.local_addr().expect("an address").to_string()).collect();
    drop(listeners);
    peers.sort();
    let config = |listen: &String| Config {
        data_dir: folder.join(listen.replace(':', "-")),
        listen: listen.clone(),
        peers: peers.clone(),
        formation_interval_ms: 50,
        ..Config::default()
    };
    peers.iter().map(|listen| run(config(listen)).expect("a controller")).collect()
}

fn active(controllers: &[Controller]) -> usize {
    eventually("an active controller of a named cluster", || {
        controllers.iter().position(|one| one.node().is_active() && one.node().cluster_id().is_some())
    })
}

fn agreement(controller: &Controller) -> Agreement {
    Agreement::new(controller.node().clone(), channels(), Reach::default())
}

/// As if this controller had made other records of an earlier command.
fn tamper(controller: &Controller) {
    let view = controller.node().view();
    let applied = *view.applied().borrow();
    let hash = HistoryHash::from_bytes(&[9; 16]).expect("16 bytes");
    view.update(applied, |image| ((), image.apply(&Record::History { hash }).map(|()| Vec::new()).expect("it fits")));
}

/// A change after which the tampered controller knows its own hash at the index.
fn change(controller: &Controller, limit: u64) {
    let command = Command::AlterReplicas(holdfast_metadata::AlterReplicas {
        moves: Vec::new(),
        move_bytes_per_second: Some(limit),
    });
    controller.block_on(controller.node().propose(Proposer::Operator, command)).expect("committed");
}

#[test]
fn a_follower_that_decided_otherwise_ends_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let controllers = controllers(folder.path(), 3);
    let leads = active(&controllers);
    let odd = (leads + 1) % 3;
    let asks = agreement(&controllers[leads]);
    let mut checked = None;
    eventually("all voters to tell their hash", || {
        assert_eq!(controllers[leads].block_on(asks.check(&mut checked)), None);
        checked
    });
    assert!(controllers.iter().all(|one| one.fatal().is_none()), "they agree");
    tamper(&controllers[odd]);
    change(&controllers[leads], 5);
    let fatal = eventually("the odd one to end", || {
        assert_eq!(controllers[leads].block_on(asks.check(&mut checked)), None);
        controllers[odd].fatal()
    });
    assert!(matches!(fatal, Fatal::Diverged { ours, theirs, .. } if ours != theirs), "{fatal}");
    change(&controllers[leads], 6);
    let others = (0..3).filter(|at| *at != odd);
    assert!(others.into_iter().all(|at| controllers[at].fatal().is_none()), "the others go on");
    assert_eq!(controllers[leads].node().view().image().move_bytes_per_second(), 6);
}

#[test]
fn an_active_controller_that_decided_otherwise_than_most_ends_itself_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let controllers = controllers(folder.path(), 3);
    let leads = active(&controllers);
    tamper(&controllers[leads]);
    change(&controllers[leads], 5);
    // Its own watch may find it before this.
    let asks = agreement(&controllers[leads]);
    let fatal = eventually("the odd one to be found", || {
        controllers[leads].fatal().or_else(|| controllers[leads].block_on(asks.check(&mut None)))
    });
    assert!(matches!(fatal, Fatal::Diverged { .. }), "{fatal}");
    let others = (0..3).filter(|at| *at != leads);
    assert!(others.into_iter().all(|at| controllers[at].fatal().is_none()), "the others go on");
}

#[test]
fn a_controller_ends_when_a_version_is_finalised_that_it_does_not_know_and_does_not_start_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut alone = controllers(folder.path(), 1);
    active(&alone);
    let one = alone.pop().expect("one");
    let config = one.node().config().clone();
    // As a newer build of it would say.
    let newer = MetadataVersion(SUPPORTED.max.0 + 1);
    let voter = ControllerVersions {
        controller_id: ControllerId(one.node().id()),
        versions: Some(VersionRange { max: newer, ..SUPPORTED }),
    };
    let command = FinalizeVersion { version: newer, controllers: vec![voter] };
    let _ends = one.block_on(one.node().propose(Proposer::Operator, Command::FinalizeVersion(command)));
    let fatal = one.block_on(one.failed());
    let is_told = |fatal: &Fatal| matches!(fatal, Fatal::TooOld { finalised: Some(told), .. } if *told == newer);
    assert!(is_told(&fatal), "{fatal}");
    assert!(fatal.to_string().contains("Upgrade it"), "{fatal}");
    let held = one.folder();
    one.kill();
    eventually("the folder to be free", || held.upgrade().is_none());
    let again = match run(config) {
        Ok(started) => started.block_on(started.failed()),
        Err(fatal) => fatal,
    };
    assert!(is_told(&again), "{again}");
}

#[test]
fn an_entry_that_a_controller_cannot_read_ends_it_and_is_not_refused_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let controllers = controllers(folder.path(), 1);
    active(&controllers);
    let one = &controllers[0];
    let (node, cluster_id) = (one.node(), one.node().cluster_id().expect("named"));
    let id = node.id();
    let send = |source: u64, term: u64| {
        let leader = serde_json::json!({ "term": term, "node_id": id });
        let vote = serde_json::json!({ "leader_id": leader, "committed": true });
        let entry = serde_json::json!({
            "log_id": { "leader_id": leader, "index": 99 }, "payload": { "Normal": { "added_later": {} } }
        });
        let body = serde_json::json!({
            "vote": vote, "prev_log_id": null, "entries": [entry], "leader_commit": null
        });
        let header = Some(peer_header(cluster_id, id, source));
        let envelope =
            RaftEnvelope { header, format: 1, body: body.to_string().into_bytes().into(), ..RaftEnvelope::default() };
        one.block_on(async {
            let channel = channels().get(&node.config().listen, crate::channels::Purpose::Calls).expect("a channel");
            RaftServiceClient::new(channel).append_entries(AppendEntriesRequest { envelope: Some(envelope) }).await
        })
        .expect_err("it cannot be read")
    };
    send(id + 1, 1_000);
    send(id, 0);
    assert_eq!(one.fatal(), None, "neither a stranger nor a leader of the past ends it");
    send(id, 1_000);
    let fatal = one.fatal().expect("it ends");
    assert!(matches!(&fatal, Fatal::TooOld { finalised: None, what } if what.contains("added_later")), "{fatal}");
}
