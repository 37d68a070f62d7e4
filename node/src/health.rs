//! What probes ask of a node (`grpc.health.v1`): four words with distinct meanings, the same on both programs.
//!
//! | service | true once or while | who asks |
//! |---|---|---|
//! | `started` | the folder is formatted or opened and its logs are recovered; stays true | startup probe, long budget |
//! | `live` | the event loops turn and the disk takes a write; see [`crate::watchdog`] | liveness probe |
//! | `ready`, and the empty name | the node serves | what sends it traffic |
//! | `safe-to-stop-next` | another node may be stopped without harm by what this one still lacks | readiness probe, so that a rolling update and a disruption budget wait for it |
//!
//! Place: a program makes one [`Probes`], hands clones to those that know an answer, and serves [`service`] on its ports:
//!
//! ```text
//! let probes = Probes::new();
//! let (health, reporting) = health::service(&probes);   // `health`: add to the router; `reporting`: spawn it
//! let watchdog = Watchdog::start(&probes, &data_dir)?;  // answers `live`; keep it until the end
//! tokio::spawn(watchdog.watch("runtime").keep());       // and one such future on each actor thread
//! probes.set(Probe::Started, true);                     // and so on, as it becomes true
//! probes.end();                                         // the node has to end: nothing is true any more
//! ```
//!
//! 1. Setting is cheap, never waits and never fails; the last one counts.
//! 2. After [`Probes::end`] every answer is "not serving" for good.
//! 3. `live` begins as true: only the watchdog takes it back.

use std::sync::Arc;

use tokio::sync::watch;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::health_reporter,
};

/// Descriptors of the health service, for server reflection.
pub use tonic_health::pb::FILE_DESCRIPTOR_SET;

/// One question. See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Folder opened, recovery done.
    Started,
    /// Event loops turn, disk takes writes.
    Live,
    /// The node serves: traffic may be sent to it.
    Ready,
    /// Another node may be stopped.
    SafeToStopNext,
}

impl Probe {
    /// In the order of declaration: an answer is stored at its probe's number.
    pub const ALL: [Self; 4] = [Self::Started, Self::Live, Self::Ready, Self::SafeToStopNext];

    /// The service names that are asked for it.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Started => &["started"],
            Self::Live => &["live"],
            Self::Ready => &["ready", ""],
            Self::SafeToStopNext => &["safe-to-stop-next"],
        }
    }
}

/// The answers as they are now. Clones share them.
#[derive(Clone, Debug)]
pub struct Probes(Arc<watch::Sender<Answers>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answers {
    yes: [bool; Probe::ALL.len()],
    ended: bool,
}

impl Default for Probes {
    fn default() -> Self {
        Self::new()
    }
}

impl Probes {
    /// Alive, and nothing else yet.
    pub fn new() -> Self {
        let probes = Self(Arc::new(watch::Sender::new(Answers::default())));
        probes.set(Probe::Live, true);
        probes
    }

    /// Answers `probe` from now on with `yes`. True if that is a change.
    pub fn set(&self, probe: Probe, yes: bool) -> bool {
        self.0.send_if_modified(|answers| {
            let change = !answers.ended && answers.yes[probe as usize] != yes;
            answers.yes[probe as usize] = yes && !answers.ended;
            change
        })
    }

    /// What a prober is told now; false for each after [`Self::end`].
    pub fn is(&self, probe: Probe) -> bool {
        self.0.borrow().yes[probe as usize]
    }

    /// The node has to end.
    pub fn end(&self) {
        self.0.send_replace(Answers { ended: true, ..Answers::default() });
    }
}

/// The service, and the future that keeps its answers up to date until it is dropped.
pub fn service(probes: &Probes) -> (HealthServer<impl Health + use<>>, impl Future<Output = ()> + Send + use<>) {
    let (reporter, service) = health_reporter();
    let mut answers = probes.0.subscribe();
    // Holds no clone of the probes, so that it ends with the last of them.
    let reporting = async move {
        loop {
            let now = *answers.borrow_and_update();
            for probe in Probe::ALL {
                let status = if now.yes[probe as usize] { ServingStatus::Serving } else { ServingStatus::NotServing };
                for name in probe.names() {
                    reporter.set_service_status(*name, status).await;
                }
            }
            if answers.changed().await.is_err() {
                return;
            }
        }
    };
    (service, reporting)
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[test]
    fn a_node_begins_alive_and_nothing_else_and_its_end_is_for_good() {
        let probes = Probes::new();
        assert_eq!(Probe::ALL.map(|probe| probes.is(probe)), [false, true, false, false]);
        assert!(probes.set(Probe::Ready, true) && !probes.set(Probe::Ready, true));
        assert!(probes.is(Probe::Ready));
        probes.end();
        assert!(!probes.set(Probe::Live, true));
        assert_eq!(Probe::ALL.map(|probe| probes.is(probe)), [false; 4]);
    }

    #[tokio::test]
    async fn every_name_is_served_and_follows_its_probe() {
        let probes = Probes::new();
        let (health, reporting) = service(&probes);
        let mut client = HealthClient::new(health);
        let asking = async {
            for (probe, yes) in [(Probe::Started, true), (Probe::Ready, true), (Probe::Ready, false)] {
                probes.set(probe, yes);
                for probe in Probe::ALL {
                    for name in probe.names() {
                        let expected =
                            if probes.is(probe) { ServingStatus::Serving } else { ServingStatus::NotServing };
                        let request = HealthCheckRequest { service: (*name).to_owned() };
                        // The reporting runs in the same task: it takes its turn at each pause.
                        loop {
                            tokio::task::yield_now().await;
                            let answer = client.check(request.clone()).await;
                            if answer.is_ok_and(|answer| answer.into_inner().status == expected as i32) {
                                break;
                            }
                        }
                    }
                }
            }
        };
        let patience = std::time::Duration::from_secs(10);
        tokio::select! {
            () = reporting => unreachable!("the probes stand"),
            asked = tokio::time::timeout(patience, asking) => asked.expect("the answers follow"),
        }
    }
}
