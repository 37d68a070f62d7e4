//! Health for probes (`grpc.health.v1`): `started` once the logs are recovered, `live` while the process works, `ready`
//! and the empty name while the broker serves.

use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

use crate::{context::Context, state::Phase};

/// The names that are served.
const STARTED: &str = "started";
const LIVE: &str = "live";
const READY: &str = "ready";
const WHOLE: &str = "";

/// A reporter, and the service that tells what was reported.
pub(super) fn service()
-> (HealthReporter, tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>) {
    health_reporter()
}

/// Reports each change until the broker ends.
pub(super) async fn report(context: std::sync::Arc<Context>, reporter: HealthReporter) {
    let mut phases = context.state.phase();
    loop {
        let phase = *phases.borrow_and_update();
        let serving = |yes| if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
        let is_ready = phase == Phase::Serving;
        reporter.set_service_status(STARTED, serving(phase != Phase::Recovering)).await;
        reporter.set_service_status(LIVE, serving(true)).await;
        reporter.set_service_status(READY, serving(is_ready)).await;
        reporter.set_service_status(WHOLE, serving(is_ready)).await;
        tokio::select! {
            changed = phases.changed() => if changed.is_err() { return },
            _ = context.state.failed() => {
                for name in [STARTED, LIVE, READY, WHOLE] {
                    reporter.set_service_status(name, ServingStatus::NotServing).await;
                }
                return;
            }
        }
    }
}
