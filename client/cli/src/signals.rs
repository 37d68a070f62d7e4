//! Ctrl-C and SIGTERM, as something to wait for.
//!
//! Invariant: the second signal ends the process, whatever the command does. One that waits for it has a second to end by
//! itself; where nobody waits any more, the first one ends it.

use std::{
    io,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    exit::{Code, Failure, Result},
    output::note,
};

/// How long a command may take to notice the second signal.
const NOTICE: Duration = Duration::from_secs(1);
/// How long standard error may take the last line: who reads it may stand still.
const LAST_LINE: Duration = Duration::from_millis(200);

/// Signals that commands have taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// Those who wait for signals, or will.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);
static WATCH: Once = Once::new();

/// Takes SIGINT, SIGTERM and SIGHUP from now on, instead of ending by them; but for those that were ignored when the
/// program started, as by `nohup`.
#[derive(Debug)]
pub struct Signals(Streams);

#[derive(Debug)]
struct Streams {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on no first signal ends the process. Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let streams = Streams::open()?;
        let mut watched = Ok(());
        WATCH.call_once(|| watched = start_watch());
        watched?;
        LISTENERS.fetch_add(1, Ordering::Relaxed);
        Ok(Self(streams))
    }

    /// Works on to the end, or until a signal comes.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            code = self.wait() => Err(Failure::new(code, "interrupted")),
        }
    }

    /// Waits for one, and tells what to exit with.
    pub async fn wait(&mut self) -> Code {
        let code = self.0.next().await;
        TAKEN.fetch_add(1, Ordering::Relaxed);
        code
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Watches from a thread and a runtime of its own: all threads of the command's may be stuck, as in writing to a terminal
/// that stands still.
fn start_watch() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let streams = {
        let _within = runtime.enter();
        Streams::open()?
    };
    let watching = move || runtime.block_on(watch(streams));
    thread::Builder::new().name("signals".to_owned()).spawn(watching).map(drop)
}

/// Ends the process for commands that do not notice.
async fn watch(mut streams: Streams) {
    for come in 1.. {
        let code = streams.next().await;
        if come > 1 {
            sleep(NOTICE).await;
        }
        if goes_unnoticed(come, TAKEN.load(Ordering::Relaxed), LISTENERS.load(Ordering::Relaxed)) {
            let (said, is_said) = mpsc::channel::<()>();
            thread::spawn(move || {
                note("interrupted: what was under way is cut off");
                drop(said);
            });
            let _said_or_late = is_said.recv_timeout(LAST_LINE);
            std::process::exit(code as i32);
        }
    }
}

/// True if nobody does anything about the last of so many signals. The first may wait until its command looks.
const fn goes_unnoticed(come: usize, taken: usize, listeners: usize) -> bool {
    taken < come && (listeners == 0 || come > 1)
}

impl Streams {
    fn open() -> io::Result<Self> {
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

    async fn next(&mut self) -> Code {
        tokio::select! {
            () = next_of(&mut self.interrupt) => Code::Interrupted,
            () = next_of(&mut self.terminate) => Code::Terminated,
            () = next_of(&mut self.hangup) => Code::Terminated,
        }
    }
}

async fn next_of(signal: &mut Option<Signal>) {
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
    fn the_second_signal_ends_a_command_that_does_not_notice_and_the_first_one_that_does_not_listen() {
        assert!(!goes_unnoticed(1, 0, 1) && !goes_unnoticed(2, 2, 2));
        // A command that ends by the first one is done with it before the watch looks.
        assert!(!goes_unnoticed(1, 1, 0) && !goes_unnoticed(2, 2, 0) && goes_unnoticed(2, 1, 0));
        assert!(goes_unnoticed(2, 1, 1) && goes_unnoticed(3, 2, 1) && goes_unnoticed(1, 0, 0));
    }

    #[test]
    fn what_is_ignored_is_read_from_the_status() {
        let ignored = mask("Name:\tholdfast\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n");
        let found: Vec<_> = (1..=64).filter(|signal| is_in(ignored, *signal)).collect();
        assert_eq!(found, [SignalKind::hangup().as_raw_value(), 13]);
        assert_eq!(mask("SigIgn:\tx"), 0);
    }
}
