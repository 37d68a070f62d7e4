//! A snapshot on its way in: of the leader alone, one at a time, and none that stands still.

use std::time::Duration;

use futures::StreamExt as _;

use holdfast_controller::config::Config;
use holdfast_proto::{
    convert::peer_header,
    error::ErrorCode,
    status::from_status,
    v1::{InstallSnapshotRequest, RaftEnvelope, raft_service_client::RaftServiceClient},
};

use crate::support::{Quorum, eventually};

/// More than any deadline here; on what has none the test fails.
const LONG: Duration = Duration::from_mins(1);

fn same(_: &mut Config) {}

/// The first message of a snapshot from the controller itself, elected in this term.
fn head(quorum: &Quorum, term: u64) -> InstallSnapshotRequest {
    let id = quorum.node(0).node().id();
    let body = format!(
        r#"{{"vote": {{"leader_id": {{"term": {term}, "node_id": {id}}}, "committed": true}},
             "meta": {{"last_log_id": null, "snapshot_id": "s",
                       "last_membership": {{"log_id": null, "membership": {{"configs": [], "nodes": {{}}}}}}}}}}"#
    );
    let header = Some(peer_header(quorum.cluster_id(), id, id));
    let envelope = RaftEnvelope { header, format: 1, body: body.into(), ..RaftEnvelope::default() };
    InstallSnapshotRequest { envelope: Some(envelope), chunk: bytes::Bytes::new() }
}

/// How a snapshot of one message without an image ends, which may stand still after it.
async fn sent(
    mut raft: RaftServiceClient<tonic::transport::Channel>,
    first: InstallSnapshotRequest,
    stands_still: bool,
) -> ErrorCode {
    let first = futures::stream::iter([first]);
    let rest = futures::stream::pending().take(usize::from(stands_still));
    let answer = tokio::time::timeout(LONG, raft.install_snapshot(first.chain(rest))).await.expect("an answer");
    from_status(&answer.expect_err("a refusal")).expect("our error").code
}

#[test]
fn one_snapshot_comes_at_a_time_and_none_stands_still() {
    let quorum = Quorum::formed(1, same);
    let term = quorum.node(0).node().role().borrow().term;
    let raft = RaftServiceClient::new(quorum.channel(0));
    let finish = |term| quorum.block_on(sent(raft.clone(), head(&quorum, term), false));
    eventually("an older leader is refused", || (finish(term - 1) == ErrorCode::NotController).then_some(()));
    eventually("what holds no image is refused", || (finish(term) == ErrorCode::InvalidRequest).then_some(()));
    let (other, first) = (raft.clone(), head(&quorum, term));
    let still = quorum.runtime().spawn(async move {
        // One of those below may have the place for a moment.
        loop {
            let code = sent(other.clone(), first.clone(), true).await;
            if code != ErrorCode::Overloaded {
                return code;
            }
        }
    });
    eventually("the one that stands still has the place", || (finish(term) == ErrorCode::Overloaded).then_some(()));
    assert_eq!(quorum.block_on(still).expect("it ends"), ErrorCode::RequestTimedOut);
    eventually("the place to be free again", || (finish(term) == ErrorCode::InvalidRequest).then_some(()));
    assert!(quorum.node(0).node().is_active());
}
