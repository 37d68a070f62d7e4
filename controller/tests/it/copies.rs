//! A controller's whole folder is an older copy, or is used twice: its votes and acknowledgements do not count twice.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use uuid::Uuid;

use holdfast_controller::{config::Config, exit::Fatal, run};
use holdfast_proto::ids::ClusterId;

use crate::support::{Quorum, copy, eventually, free_ports};

fn same(_: &mut Config) {}

pub(crate) fn copied(folder: &Path) -> TempDir {
    let kept = tempfile::tempdir().expect("a folder");
    copy(folder, kept.path());
    kept
}

pub(crate) fn restore(folder: &Path, from: &TempDir) {
    fs::remove_dir_all(folder).expect("remove");
    copy(from.path(), folder);
}

/// A quorum, one of it that does not lead, and its folder as it was a while ago.
pub(crate) fn with_an_older_copy() -> (Quorum, usize, TempDir) {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let harmed = quorum.passive();
    quorum.kill(harmed);
    let older = copied(&quorum.data_dir(harmed));
    quorum.start(harmed);
    (quorum, harmed, older)
}

/// Why the controller ends.
#[track_caller]
pub(crate) fn ended(quorum: &Quorum, at: usize) -> Fatal {
    let failed = quorum.node(at).failed();
    let ended = quorum.block_on(async { tokio::time::timeout(Duration::from_secs(30), failed).await });
    ended.expect("it ends")
}

#[track_caller]
pub(crate) fn is_refused(fatal: &Fatal) {
    assert!(matches!(fatal, Fatal::Copied { .. }) && fatal.number() == 16, "{fatal}");
    let text = fatal.to_string();
    assert!(text.contains("the whole data folder away, never a part of it"), "{text}");
}

/// Lets another controller lead: a vote, and entries.
pub(crate) fn go_on(quorum: &mut Quorum) {
    let active = quorum.active();
    quorum.kill(active);
    quorum.active();
    quorum.start(active);
    quorum.converge();
}

/// A controller that is refused once does not start again on that folder, and with an empty one it joins under a new id.
fn starts_over(quorum: &mut Quorum, at: usize) {
    let old = quorum.node(at).node().id();
    quorum.kill(at);
    match run(quorum.config(at)) {
        Ok(_) => panic!("controller {at} started"),
        Err(fatal) => is_refused(&fatal),
    }
    fs::remove_dir_all(quorum.data_dir(at)).expect("remove");
    quorum.start(at);
    assert_ne!(quorum.node(at).node().id(), old);
    quorum.votes(&[0, 1, 2]);
}

#[test]
fn a_restored_folder_is_recognised_within_one_start_and_after_more() {
    for restarts in [0, 3] {
        let (mut quorum, harmed, older) = with_an_older_copy();
        for _ in 0..restarts {
            quorum.restart(harmed);
        }
        go_on(&mut quorum);
        quorum.kill(harmed);
        restore(&quorum.data_dir(harmed), &older);
        quorum.start(harmed);
        is_refused(&ended(&quorum, harmed));
        assert_ne!(quorum.active(), harmed, "the others go on");
        starts_over(&mut quorum, harmed);
    }
}

#[test]
fn a_restored_folder_elects_nobody_without_the_third() {
    let (mut quorum, harmed, older) = with_an_older_copy();
    go_on(&mut quorum);
    let other = (0..3).find(|at| *at != harmed && *at != quorum.active()).expect("a third");
    let third = 3 - harmed - other;
    for at in 0..3 {
        quorum.kill(at);
    }
    restore(&quorum.data_dir(harmed), &older);
    quorum.start(other);
    quorum.start(harmed);
    is_refused(&ended(&quorum, harmed));
    assert!(!quorum.node(other).node().is_active(), "nobody voted for it");
    quorum.start(third);
    quorum.active();
    starts_over(&mut quorum, harmed);
}

#[test]
fn of_two_processes_on_copies_one_goes_on_at_most() {
    let quorum = Quorum::formed(3, same);
    quorum.converge();
    let original = quorum.passive();
    let copy_of_it = copied(&quorum.data_dir(original));
    let mut config = quorum.config(original);
    let _ = fs::remove_file(copy_of_it.path().join("lock"));
    config.data_dir = copy_of_it.path().to_owned();
    config.advertised_address = format!("127.0.0.1:{}", free_ports(1)[0]);
    config.listen.clone_from(&config.advertised_address);
    config.peers[original].clone_from(&config.advertised_address);
    let second = run(config).expect("it is a folder like any");
    let (first, second) = (quorum.node(original).failed(), second.failed());
    let ended = quorum.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), async {
            tokio::select! { fatal = first => fatal, fatal = second => fatal }
        })
        .await
    });
    is_refused(&ended.expect("one of them ends"));
    eventually("the others to go on", || (0..3).any(|at| quorum.node(at).node().is_active()).then_some(()));
}

#[test]
fn a_folder_that_was_never_copied_is_believed_whatever_is_killed() {
    let mut quorum = Quorum::formed(3, same);
    for round in 0..6 {
        go_on(&mut quorum);
        for at in 0..3 {
            quorum.kill(at);
        }
        // One alone starts several times, and is heard by nobody.
        quorum.start(round % 3);
        quorum.restart(round % 3);
        for at in (0..3).filter(|at| *at != round % 3) {
            quorum.start(at);
        }
        quorum.active();
    }
    quorum.votes(&[0, 1, 2]);
}

/// The last start of a controller, and its generation, as another one tells it.
pub(crate) fn told_of(quorum: &Quorum, by: usize, node_id: u64) -> Option<(u64, u64)> {
    let boots = quorum.formation(by, None).boots;
    boots.iter().rfind(|boot| boot.node_id == node_id).map(|boot| (boot.boot_counter, boot.generation))
}

/// Nobody is formed: one controller gives its promise, and its folder is restored to before it.
#[test]
fn a_folder_that_forgot_its_promise_is_recognised_before_anything_is_formed() {
    // Copied while the start ran that gave it, and before it.
    for in_one_start in [true, false] {
        let mut quorum = Quorum::new(3, same);
        let (asking, promised) = (0, 1);
        quorum.start(asking);
        quorum.start(promised);
        let id = quorum.node(promised).node().id();
        if !in_one_start {
            quorum.kill(promised);
        }
        let older = copied(&quorum.data_dir(promised));
        let _ = fs::remove_file(older.path().join("lock"));
        if !in_one_start {
            quorum.start(promised);
        }
        eventually("the other hears it", || told_of(&quorum, asking, id));
        let cluster = ClusterId(Uuid::from_u128(7));
        let answer = quorum.formation(promised, Some(cluster));
        assert_eq!((answer.cluster_id, answer.promised_to), (cluster.to_bytes(), 99));
        let own = answer.boots.iter().rfind(|boot| boot.node_id == id).expect("it shows its own history");
        let said = (own.boot_counter, own.generation);
        eventually("the other hears that it told something", || {
            told_of(&quorum, asking, id).filter(|heard| *heard == said)
        });
        quorum.kill(promised);
        restore(&quorum.data_dir(promised), &older);
        quorum.start(promised);
        is_refused(&ended(&quorum, promised));
        quorum.kill(promised);
        match run(quorum.config(promised)) {
            Ok(_) => panic!("it started again"),
            Err(fatal) => is_refused(&fatal),
        }
        // With an empty folder it is another controller, and they form a cluster.
        fs::remove_dir_all(quorum.data_dir(promised)).expect("remove");
        quorum.start(promised);
        quorum.start(2);
        quorum.converge();
    }
}

/// The same without the copy: starts, promises and kills are no reason to refuse anybody.
#[test]
fn a_controller_that_starts_again_with_its_promise_is_believed() {
    let mut quorum = Quorum::new(3, same);
    quorum.start(1);
    quorum.start(2);
    let id = quorum.node(1).node().id();
    let cluster = ClusterId(Uuid::from_u128(7));
    quorum.formation(1, Some(cluster));
    for _ in 0..3 {
        quorum.kill(1);
        quorum.start(1);
        let known =
            quorum.formation(1, None).boots.iter().rfind(|boot| boot.node_id == id).map(|boot| boot.boot_counter);
        eventually("the other hears its start", || {
            told_of(&quorum, 2, id).filter(|(counter, _)| Some(*counter) == known)
        });
    }
    assert_eq!(quorum.formation(1, None).cluster_id, cluster.to_bytes());
}
