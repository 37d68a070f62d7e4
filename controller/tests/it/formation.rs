use std::time::{Duration, Instant};

use uuid::Uuid;

use holdfast_controller::{config::Config, exit::Fatal, run};
use holdfast_proto::ids::ClusterId;

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
    let first = quorum.formation(2, Some(one));
    assert_eq!((first.cluster_id.clone(), first.promised_to), (one.to_bytes(), 99));
    assert_eq!(quorum.formation(2, Some(other)), first, "a second promise is not given");
    quorum.kill(2);
    quorum.start(2);
    assert_eq!(quorum.formation(2, Some(other)), first, "not after a restart either");
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
