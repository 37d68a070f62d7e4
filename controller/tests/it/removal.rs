//! Controllers that an operator takes out of the quorum.

use tonic::{Response, Status};

use holdfast_controller::{config::Config, exit::Fatal};
use holdfast_proto::{
    error::ErrorCode,
    status::from_status,
    v1::{DescribeQuorumRequest, QuorumMember, RemoveControllerRequest, RemoveControllerResponse},
};

use crate::support::{Quorum, eventually};

fn same(_: &mut Config) {}

/// Asks a controller to remove one, or what would come of it.
pub(crate) fn ask(
    quorum: &Quorum,
    asked: usize,
    node_id: u64,
    validate_only: bool,
) -> Result<RemoveControllerResponse, (ErrorCode, String)> {
    let request = RemoveControllerRequest { node_id, validate_only };
    let answer = quorum.block_on(quorum.admin(asked).remove_controller(request));
    answer.map(Response::into_inner).map_err(|status: Status| {
        let detail = from_status(&status).expect("an error of ours");
        (detail.code, detail.message)
    })
}

/// Removes one through the active controller, as a broker does: again while nobody is active, or none knows enough yet.
#[track_caller]
pub(crate) fn remove(quorum: &Quorum, node_id: u64) -> RemoveControllerResponse {
    eventually("the removal", || match ask(quorum, quorum.active(), node_id, false) {
        Ok(done) => Some(done),
        Err((ErrorCode::NotController | ErrorCode::Overloaded, _)) => None,
        Err((_, why)) if why.contains("is alive and in 'peers'") => None,
        Err((code, why)) => panic!("{code}: {why}"),
    })
}

fn members(quorum: &Quorum, asked: usize) -> Vec<QuorumMember> {
    let answer = eventually("the quorum", || {
        quorum.block_on(quorum.admin(asked).describe_quorum(DescribeQuorumRequest {})).ok()
    });
    answer.into_inner().members
}

#[test]
fn a_dead_one_is_removed_and_told_when_it_comes_back() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let dead = quorum.passive();
    let id = quorum.node(dead).node().id();
    eventually("all to be alive", || members(&quorum, dead).iter().all(|member| member.alive && member.in_peers));
    let (code, why) = ask(&quorum, dead, id, true).expect_err("it lives");
    assert!(code == ErrorCode::InvalidRequest && why.contains("would join again at once"), "{code}: {why}");
    let (_, why) = ask(&quorum, dead, 7, true).expect_err("nobody has that id");
    assert!(why.contains("known: "), "{why}");

    quorum.kill(dead);
    let other = quorum.passive();
    eventually("it to be silent", || {
        members(&quorum, other).iter().any(|member| member.node_id == id && !member.alive)
    });
    let plan = eventually("a plan", || ask(&quorum, other, id, true).ok());
    assert_eq!((plan.voters_before, plan.voters_after, plan.alive_after, plan.is_active), (3, 2, 2, false));
    assert_eq!(members(&quorum, other).len(), 3, "nothing was changed yet");
    let done = remove(&quorum, id);
    assert_eq!(done.removed.map(|member| member.node_id), Some(id));
    let stay: Vec<usize> = (0..3).filter(|at| *at != dead).collect();
    quorum.votes(&stay);

    quorum.start(dead);
    let fatal = quorum.block_on(quorum.node(dead).failed());
    assert_eq!(fatal.number(), 16);
    assert!(matches!(&fatal, Fatal::Removed { .. }) && fatal.to_string().contains("quorum remove"), "{fatal}");
    quorum.votes(&stay);
    // Emptied, as the message says, it takes part again.
    quorum.kill(dead);
    std::fs::remove_dir_all(quorum.data_dir(dead)).expect("an empty folder");
    quorum.start(dead);
    quorum.votes(&[0, 1, 2]);
}

#[test]
fn the_active_one_hands_over_and_is_removed_by_the_next() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let leaves = 2;
    // Those that stay have no place for it any more; it still has one for itself.
    for at in 0..2 {
        quorum.list(at, &[0, 1]);
        quorum.restart(at);
        quorum.converge();
    }
    while quorum.active() != leaves {
        let active = quorum.active();
        quorum.restart(active);
        quorum.converge();
    }
    let id = quorum.node(leaves).node().id();
    eventually("the plan says so", || ask(&quorum, 0, id, true).is_ok_and(|plan| plan.is_active));
    let (code, _) = ask(&quorum, 0, id, false).expect_err("the next active one decides");
    assert_eq!(code, ErrorCode::NotController);
    remove(&quorum, id);
    let fatal = quorum.block_on(quorum.node(leaves).failed());
    assert!(matches!(fatal, Fatal::Removed { .. }), "{fatal}");
    quorum.kill(leaves);
    quorum.votes(&[0, 1]);
}

#[test]
fn no_majority_of_living_voters_no_removal() {
    let mut quorum = Quorum::formed(5, same);
    quorum.converge();
    for at in 0..3 {
        quorum.list(at, &[0, 1, 2]);
        quorum.restart(at);
        quorum.converge();
    }
    while quorum.active() > 2 {
        let active = quorum.active();
        quorum.restart(active);
    }
    let id = quorum.node(4).node().id();
    let dead = usize::from(quorum.active() == 0);
    quorum.kill(dead);
    quorum.kill(3);
    let (_, why) = eventually("a refusal for its reason", || {
        ask(&quorum, quorum.active(), id, true).err().filter(|(_, why)| why.contains("start the others first"))
    });
    assert!(why.contains("of the 4 voters that would stay, 2 were heard"), "{why}");
    assert_eq!(quorum.node(quorum.active()).node().members().len(), 5);
}
