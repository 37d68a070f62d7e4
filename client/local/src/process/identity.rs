//! A process, known by more than its id.
//!
//! Process ids are used again. What names a process for good is its id, the time of its start in clock ticks since the
//! machine's boot, and the boot itself. A signal goes through a pidfd that was opened *before* the identity was
//! checked, so that the process cannot be another one by the time the signal arrives.

use std::io;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its id, which another process may have after its end.
    pub pid: i32,
    /// Its start, in clock ticks since the machine's boot (`/proc/<pid>/stat`, field 22).
    pub start_ticks: u64,
    /// The machine's boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// What a process does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It is alive and not suspended.
    Running,
    /// It is suspended by SIGSTOP.
    Suspended,
    /// It has ended, or the machine has booted since.
    Ended,
}

impl ProcessIdentity {
    /// The process that has this id now; `None` if there is none, or if it is a zombie.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        let Some(stat) = read_stat(pid)? else { return Ok(None) };
        if stat.has_ended() {
            return Ok(None);
        }
        Ok(Some(Self { pid, start_ticks: stat.start_ticks, boot_id: boot_id()? }))
    }

    /// What it does now.
    pub fn state(&self) -> ProcessState {
        let stat = match read_stat(self.pid) {
            Ok(Some(stat)) if stat.start_ticks == self.start_ticks => stat,
            _ => return ProcessState::Ended,
        };
        match stat.state {
            _ if boot_id().is_ok_and(|boot_id| boot_id != self.boot_id) => ProcessState::Ended,
            _ if stat.has_ended() => ProcessState::Ended,
            'T' => ProcessState::Suspended,
            _ => ProcessState::Running,
        }
    }

    /// True until it has ended.
    pub fn is_alive(&self) -> bool {
        self.state() != ProcessState::Ended
    }

    /// Sends a signal, if it is still that process. False if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match rustix::process::pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Resident memory, in bytes; `None` if it has ended.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok().filter(|_| self.is_alive())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1_024)
    }
}

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    threads: u32,
    start_ticks: u64,
}

impl Stat {
    /// True once nothing of the process is left. A first thread that has ended before the others shows as a zombie
    /// while they still hold its sockets and files.
    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads <= 1
    }
}

fn read_stat(pid: i32) -> io::Result<Option<Stat>> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => match parse_stat(&text) {
            Some(stat) => Ok(Some(stat)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"))),
        },
        // ESRCH comes from a process that ends while it is read.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The program's name, the second field, may hold blanks and brackets: what counts begins after the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3, the number of threads field 20, the start field 22.
    let threads = fields.nth(16)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    Some(Stat { state, threads, start_ticks })
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let text = "7 (a ) S (b) R 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 2 3";
        assert_eq!(parse_stat(text), Some(Stat { state: 'R', threads: 1, start_ticks: 4711 }));
        let dying = "7 (a) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4711 1 2 3";
        assert!(parse_stat(dying).is_some_and(|stat| !stat.has_ended()), "two threads still hold its sockets");
        assert_eq!(parse_stat("7 (x) R 1"), None);
    }

    #[test]
    fn a_process_is_known_stopped_and_ended() {
        let mut child = sleeper();
        let identity = ProcessIdentity::of(child.id() as i32).unwrap().unwrap();
        assert!(identity.is_alive());
        assert!(identity.signal(Signal::KILL).unwrap());
        child.wait().unwrap();
        assert_eq!(identity.state(), ProcessState::Ended);
        assert!(!identity.signal(Signal::KILL).unwrap());
        assert_eq!(identity.resident_bytes(), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_never_signalled() {
        let mut child = sleeper();
        let real = ProcessIdentity::of(child.id() as i32).unwrap().unwrap();
        let earlier = ProcessIdentity { start_ticks: real.start_ticks - 1, ..real.clone() };
        let other_boot = ProcessIdentity { boot_id: "another".into(), ..real.clone() };
        for stale in [earlier, other_boot] {
            assert_eq!(stale.state(), ProcessState::Ended);
            assert!(!stale.signal(Signal::KILL).unwrap());
        }
        assert!(real.is_alive(), "it was not hit");
        real.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}
