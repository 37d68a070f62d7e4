//! The thread of the sessions' actor: started, and stopped.

use std::thread::{self, JoinHandle};

use actix::{Actor as _, System};

use holdfast_node::watchdog::Turns;

use super::{actor::SessionsActor, handle::SessionsHandle};
use crate::node::Node;

/// Stops the actor's thread when it is dropped.
pub(crate) struct Stopper {
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the sessions panicked");
        }
    }
}

/// Starts the actor on a thread of its own, which counts its turns.
pub(crate) fn start(node: Node, turns: Turns) -> Result<(SessionsHandle, Stopper), std::io::Error> {
    let (tx, rx) = std::sync::mpsc::channel();
    let thread = thread::Builder::new().name("sessions".to_owned()).spawn(move || {
        let runner = System::new();
        let actor = runner.block_on(async {
            actix::spawn(turns.keep());
            SessionsActor::new(node).start()
        });
        // The starter waits for it below.
        let _ = tx.send((actor, System::current()));
        if let Err(error) = runner.run() {
            tracing::error!(%error, "the thread of the sessions ended");
        }
    })?;
    let (actor, system) = rx.recv().map_err(std::io::Error::other)?;
    Ok((SessionsHandle::new(actor), Stopper { system, thread: Some(thread) }))
}
