//! What a producer and a consumer do beside their callers: look again when the metadata changes, and from time to time.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Why it is time to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The metadata is another than before.
    Changed,
    /// So much time went by.
    Tick,
}

/// Calls `look` at each change of the metadata and each `tick`, until the owner has ended or is gone.
pub(crate) async fn run<S, V>(
    shared: Weak<S>,
    ended: CancellationToken,
    mut changes: watch::Receiver<V>,
    tick: Duration,
    look: impl Fn(&Arc<S>, Woken),
) {
    let mut tick = tokio::time::interval(tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let woken = tokio::select! {
            () = ended.cancelled() => return,
            changed = changes.changed() => match changed {
                Ok(()) => Woken::Changed,
                Err(_) => return,
            },
            _ = tick.tick() => Woken::Tick,
        };
        let Some(shared) = shared.upgrade() else { return };
        look(&shared, woken);
    }
}
