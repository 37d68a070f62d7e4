//! The metadata version over the wire: finalised by an operator, checked at registration, told with the cluster's state.

use holdfast_controller::config::Config;
use holdfast_metadata::version::{FIRST, SUPPORTED};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    status::from_status,
    v1::{DescribeClusterRequest, FinalizeVersionRequest, RegisterBrokerRequest},
};

use crate::{
    broker::{Broker, Disk, registration},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

/// The newest version that this build supports.
const NEWEST: u32 = SUPPORTED.max.0;

fn finalize(quorum: &Quorum, at: usize, version: u32, validate_only: bool) -> Result<u32, ErrorDetail> {
    let mut admin = quorum.admin(at);
    let answer = quorum.block_on(admin.finalize_version(FinalizeVersionRequest { version, validate_only }));
    answer.map(|answer| answer.into_inner().version_before).map_err(|status| from_status(&status).expect("our error"))
}

#[test]
fn a_version_that_not_all_support_is_refused_with_their_names() {
    let mut quorum = Quorum::formed(3, same);
    let _broker = Broker::start(&quorum, Disk::new(4));
    // Through one that passes it on.
    eventually("a new cluster to have the newest", || {
        (finalize(&quorum, quorum.passive(), NEWEST, false).ok()? == NEWEST).then_some(())
    });
    let refused = finalize(&quorum, quorum.active(), NEWEST + 1, true).expect_err("nobody supports it");
    assert_eq!(refused.code, ErrorCode::UnsupportedVersion);
    let ids: Vec<u64> = quorum.running().map(|(_, node)| node.node().id()).collect();
    assert!(ids.iter().all(|id| refused.message.contains(&format!("controller {id} (1 to {NEWEST})"))), "{refused}");
    // Fenced or not yet any more.
    assert!(refused.message.contains(&format!("broker 4 (1 to {NEWEST}")), "{refused}");
    let killed = quorum.passive();
    let id = quorum.node(killed).node().id();
    quorum.kill(killed);
    let refused = finalize(&quorum, quorum.active(), NEWEST + 1, false).expect_err("one does not answer");
    assert!(refused.message.contains(&format!("controller {id} (which did not say)")), "{refused}");
}

#[test]
fn a_broker_that_does_not_support_the_version_is_refused_and_told_what_to_do() {
    let quorum = Quorum::formed(1, same);
    let request = registration(quorum.cluster_id(), Disk::new(1));
    let newer =
        RegisterBrokerRequest { min_metadata_version: NEWEST + 1, max_metadata_version: NEWEST + 2, ..request.clone() };
    let refused = quorum.block_on(quorum.controller(0).register_broker(newer)).expect_err("too new");
    let detail = from_status(&refused).expect("our error");
    assert_eq!((detail.code, detail.retriable), (ErrorCode::UnsupportedVersion, false));
    assert!(
        detail.message.contains(&format!("supports metadata versions {} to {}", NEWEST + 1, NEWEST + 2)),
        "{detail}"
    );
    let older = RegisterBrokerRequest { min_metadata_version: 0, max_metadata_version: 0, ..request };
    // A build from before versions were told, as long as the newest is not finalised.
    if let Err(refused) = quorum.block_on(quorum.controller(0).register_broker(older)) {
        assert_eq!(from_status(&refused).expect("our error").code, ErrorCode::UnsupportedVersion, "{refused}");
        assert_ne!(quorum.node(0).node().view().image().version(), FIRST, "{refused}");
    }
}

#[test]
fn the_state_of_the_cluster_tells_the_version_and_what_each_node_supports() {
    let quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(7));
    // The active controller asks the others soon after it became so.
    eventually("what all controllers support", || {
        let mut admin = quorum.admin(quorum.active());
        let seen = quorum.block_on(admin.describe_cluster(DescribeClusterRequest {})).ok()?.into_inner();
        let told = seen.brokers.iter().map(|one| (one.broker_id, one.min_metadata_version, one.max_metadata_version));
        assert_eq!(told.collect::<Vec<_>>(), [(broker.id, 1, NEWEST)]);
        let known =
            seen.controllers.iter().all(|one| (one.min_metadata_version, one.max_metadata_version) == (1, NEWEST));
        (known && seen.metadata_version == NEWEST && seen.controllers.len() == 3).then_some(())
    });
}

#[test]
fn controllers_that_agree_tell_each_other_so_and_go_on() {
    let mut quorum = Quorum::formed(3, same);
    let _broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let same_everywhere = |quorum: &Quorum| {
        let active = quorum.node(quorum.active()).node().view().image();
        quorum.running().all(|(_, node)| node.node().view().history_at(active.index()) == active.history())
    };
    eventually("one history", || same_everywhere(&quorum));
    // One that starts again reads its log again, with the comparisons in it.
    let killed = quorum.passive();
    quorum.kill(killed);
    quorum.start(killed);
    quorum.converge();
    eventually("one history again", || same_everywhere(&quorum));
}
