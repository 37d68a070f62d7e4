use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use holdfast_controller::{config::Config, exit::Fatal, run};
use holdfast_proto::{ids::ClusterId, v1::GetFormationResponse};

use crate::support::{Quorum, eventually};

fn same(_: &mut Config) {}

/// True if the condition holds at some moment of the next half second.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_millis(500);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn three_blank_controllers_form_one_cluster() {
    let quorum = Quorum::formed(3, same);
    quorum.converge();
    let cluster = quorum.cluster_id();
    for (at, node) in quorum.running() {
        eventually("the cluster's name", || (node.node().cluster_id() == Some(cluster)).then_some(()));
        assert_eq!(node.node().members().len(), 3, "controller {at}");
        assert!(node.node().members().iter().all(|member| member.voter));
        assert!(quorum.formation(at, None).formed);
    }
    assert_eq!(quorum.running().filter(|(_, node)| node.node().is_active()).count(), 1);
}

#[test]
fn one_controller_alone_forms_its_own_cluster_and_keeps_it() {
    let mut quorum = Quorum::formed(1, same);
    let cluster = quorum.cluster_id();
    quorum.kill(0);
    quorum.start(0);
    assert_eq!(quorum.cluster_id(), cluster);
}

#[test]
fn a_majority_of_blank_controllers_waits_for_the_last() {
    let mut quorum = Quorum::new(3, same);
    quorum.start(0);
    quorum.start(1);
    assert!(!soon(|| quorum.running().any(|(at, _)| quorum.formation(at, None).formed)), "formed without the third");
    quorum.start(2);
    quorum.active();
    quorum.converge();
}

#[test]
fn a_promise_is_given_once() {
    let mut quorum = Quorum::new(3, same);
    quorum.start(2);
    let (one, other) = (ClusterId(Uuid::from_u128(1)), ClusterId(Uuid::from_u128(2)));
    let formation = |quorum: &Quorum, promise| {
        // The process is another one after each start.
        GetFormationResponse { incarnation_id: Bytes::new(), boots: Vec::new(), ..quorum.formation(2, promise) }
    };
    let first = formation(&quorum, Some(one));
    assert_eq!((first.cluster_id.clone(), first.promised_to), (one.to_bytes(), 99));
    assert_eq!(formation(&quorum, Some(other)), first, "a second promise is not given");
    quorum.kill(2);
    quorum.start(2);
    assert_eq!(formation(&quorum, Some(other)), first, "not after a restart either");
    // The initiator finds a controller that is bound elsewhere, and forms nothing.
    quorum.start(0);
    quorum.start(1);
    assert!(!soon(|| quorum.running().any(|(at, _)| quorum.formation(at, None).formed)));
}

#[test]
fn a_folder_of_another_cluster_is_refused() {
    let mut quorum = Quorum::formed(1, same);
    quorum.kill(0);
    let config = Config { cluster_id: Some(Uuid::from_u128(7)), ..quorum.config(0) };
    let Err(refused) = run(config) else { panic!("the folder was taken") };
    assert!(matches!(refused, Fatal::OtherCluster(_)), "{refused}");
    assert_eq!(refused.number(), 12);
}

#[test]
fn a_blank_controller_that_is_told_of_another_cluster_binds_to_none() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let (cluster, lost) = (quorum.cluster_id(), quorum.passive());
    quorum.kill(lost);
    std::fs::remove_dir_all(quorum.data_dir(lost)).expect("an empty folder");
    let told = |cluster_id| Config { cluster_id: Some(cluster_id), ..quorum.config(lost) };
    let wrong = run(told(Uuid::from_u128(7))).expect("a controller");
    assert!(
        !soon(|| !quorum.formation(lost, None).cluster_id.is_empty()),
        "it is bound to a cluster that it must not join"
    );
    let folder = wrong.folder();
    wrong.kill();
    eventually("the folder to be free", || folder.upgrade().is_none());
    let right = run(told(cluster.0)).expect("the folder is as blank as it was");
    eventually("the cluster", || right.node().cluster_id() == Some(cluster));
    right.kill();
}
