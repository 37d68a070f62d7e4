//! Health for probes (`grpc.health.v1`): `started` once the port is served, `live` while the consensus runs, `ready` and
//! the empty name while this controller belongs to a formed cluster and knows its active controller.

use tonic_health::{ServingStatus, server::HealthReporter};

use crate::node::Node;

const STARTED: &str = "started";
const LIVE: &str = "live";
const READY: &str = "ready";
const WHOLE: &str = "";

/// Reports each change until the controller ends.
pub(super) async fn report(node: Node, reporter: HealthReporter) {
    let serving = |yes| if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
    reporter.set_service_status(STARTED, serving(true)).await;
    reporter.set_service_status(LIVE, serving(true)).await;
    let mut role = node.role();
    loop {
        let ready = role.borrow_and_update().leader.is_some();
        reporter.set_service_status(READY, serving(ready)).await;
        reporter.set_service_status(WHOLE, serving(ready)).await;
        if role.changed().await.is_err() {
            break;
        }
    }
    for name in [LIVE, READY, WHOLE] {
        reporter.set_service_status(name, serving(false)).await;
    }
}
