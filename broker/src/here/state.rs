//! How a broker is doing: what its parts tell each other, its health and its exit.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use holdfast_node::{fatal::FatalCell, health::Probes};

use crate::exit::Fatal;

/// How a broker is doing.
pub struct BrokerState {
    recovered: AtomicBool,
    stopping: AtomicBool,
    disk_low: AtomicBool,
    asides: Mutex<AsideCounts>,
    fatal: FatalCell<Fatal>,
    phase: watch::Sender<Phase>,
    streams_end: watch::Sender<bool>,
    /// What its probes are answered.
    pub probes: Probes,
}

/// Folders of replicas that were set aside, as of when they were looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsideCounts {
    /// How many there are.
    pub folders: u64,
    /// Size of their files.
    pub bytes: u64,
}

/// How far a broker is, for health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Logs are being recovered.
    Recovering,
    /// Logs are open; the metadata is not there yet, or the controller has fenced this broker.
    Joining,
    /// The controllers count it as alive: it leads and follows.
    Serving,
    /// It was asked to stop.
    Stopping,
}

impl Default for BrokerState {
    fn default() -> Self {
        Self {
            recovered: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            disk_low: AtomicBool::new(false),
            asides: Mutex::default(),
            fatal: FatalCell::default(),
            phase: watch::Sender::new(Phase::Recovering),
            streams_end: watch::Sender::new(false),
            probes: Probes::new(),
        }
    }
}

impl BrokerState {
    /// The process has to end, for this reason; the first one wins.
    pub fn fail(&self, fatal: Fatal) {
        self.fatal.put(fatal, |fatal| {
            tracing::error!(code = fatal.number(), reason = %fatal, "the broker has to end");
        });
    }

    /// Returns once the process has to end.
    pub async fn failed(&self) -> Fatal {
        self.fatal.wait().await
    }

    /// Why the process has to end, if it has to.
    pub fn reason(&self) -> Option<Fatal> {
        self.fatal.get()
    }

    /// Logs are recovered: from now on the broker may ask to serve.
    pub fn set_recovered(&self) {
        self.recovered.store(true, Ordering::Release);
        self.set_phase(Phase::Joining);
    }

    /// True once the logs are recovered.
    pub fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// It was asked to stop: clients are told to go elsewhere.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
        self.set_phase(Phase::Stopping);
    }

    /// True once it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Every stream of clients and brokers ends now: this broker leads nothing any more, or cannot wait.
    pub fn end_streams(&self) {
        self.streams_end.send_replace(true);
    }

    /// Returns once every stream has to end.
    pub async fn streams_ended(&self) {
        let mut end = self.streams_end.subscribe();
        // An error says that the broker is gone.
        drop(end.wait_for(|end| *end).await);
    }

    /// Whether the disk is below its reserve.
    pub fn set_disk_low(&self, low: bool) {
        if self.disk_low.swap(low, Ordering::AcqRel) != low {
            if low {
                tracing::error!("the disk is below its reserve: producers get DISK_FULL until retention frees space");
            } else {
                tracing::info!("the disk is above its reserve again");
            }
        }
    }

    /// True while the disk is below its reserve.
    pub fn is_disk_low(&self) -> bool {
        self.disk_low.load(Ordering::Acquire)
    }

    /// So many folders stand aside.
    pub fn set_asides(&self, asides: AsideCounts) {
        *self.asides.lock() = asides;
    }

    /// What stood aside when it was looked at last.
    pub fn asides(&self) -> AsideCounts {
        *self.asides.lock()
    }

    /// How far it is. A broker that stops does not go back to serving.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let change = *now != phase && *now != Phase::Stopping;
            if change {
                *now = phase;
            }
            change
        });
    }

    /// Tells of each change of the phase.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}
