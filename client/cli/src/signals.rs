//! Ctrl-C and SIGTERM, as something to wait for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Code;

/// Takes SIGINT, SIGTERM and SIGHUP from now on, instead of ending by them.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on no signal ends the process. Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and tells what to exit with.
    pub async fn wait(&mut self) -> Code {
        tokio::select! {
            _ = self.interrupt.recv() => Code::Interrupted,
            _ = self.terminate.recv() => Code::Terminated,
            _ = self.hangup.recv() => Code::Terminated,
        }
    }
}
