//! Ctrl-C and SIGTERM, as something to wait for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Code;

/// Takes SIGINT, SIGTERM and SIGHUP from now on, instead of ending by them; but for those that were ignored when the
/// program started, as by `nohup`.
#[derive(Debug)]
pub struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on no signal ends the process. Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        // One that is listened to is ignored no longer: what is ignored now was so from the start.
        let ignored = ignored();
        let listen = |kind: SignalKind| {
            if is_in(ignored, kind.as_raw_value()) { Ok(None) } else { signal(kind).map(Some) }
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and tells what to exit with.
    pub async fn wait(&mut self) -> Code {
        tokio::select! {
            () = next(&mut self.interrupt) => Code::Interrupted,
            () = next(&mut self.terminate) => Code::Terminated,
            () = next(&mut self.hangup) => Code::Terminated,
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The signals that this process ignores, one bit each from signal 1 on. None where the system does not say.
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status").map_or(0, |status| mask(&status))
}

/// The mask of ignored signals in a process's status, see proc(5).
fn mask(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

const fn is_in(mask: u64, signal: i32) -> bool {
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_status() {
        let ignored = mask("Name:\tholdfast\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n");
        let found: Vec<_> = (1..=64).filter(|signal| is_in(ignored, *signal)).collect();
        assert_eq!(found, [SignalKind::hangup().as_raw_value(), 13]);
        assert_eq!(mask("SigIgn:\tx"), 0);
    }
}
