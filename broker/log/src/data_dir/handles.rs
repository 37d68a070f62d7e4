//! How many files this process may have open, and whether there are enough left for one more log.
//!
//! A part of the limit is kept: a log that is open needs handles to go on, as for its next segment, and without one it
//! ends the broker. So it is the newcomer that does without.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::Error;

/// Files that a log has open, and may have open for a moment.
const OF_A_LOG: u64 = 4;
/// What is kept for the logs that are open and for connections, as a part of the limit.
const KEPT: u64 = 4;
/// Counting costs a look at every open file: what was counted holds for so long.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The open files of this process, as they were counted last.
#[derive(Debug)]
pub(super) struct Handles {
    limit: u64,
    counted: Mutex<Option<(Instant, u64)>>,
}

impl Handles {
    /// Raises the limit of this process as far as the system allows.
    pub(super) fn raise() -> Self {
        let limit = getrlimit(Resource::Nofile);
        match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
            Ok(()) => Self::limited_to(limit.maximum.unwrap_or(u64::MAX)),
            Err(error) => {
                tracing::warn!(%error, current = limit.current, "cannot raise the limit of open files");
                Self::limited_to(limit.current.unwrap_or(u64::MAX))
            }
        }
    }

    fn limited_to(limit: u64) -> Self {
        Self { limit, counted: Mutex::default() }
    }

    /// Refuses, as the system would, if a log in this folder would take of what is kept.
    pub(super) fn check(&self, folder: &Path) -> Result<(), Error> {
        let mut counted = self.counted.lock();
        let most = self.limit - self.limit / KEPT;
        let (mut at, mut open) = match *counted {
            Some((at, open)) if at.elapsed() < COUNT_EVERY => (at, open + OF_A_LOG),
            _ => (Instant::now(), open_files() + OF_A_LOG),
        };
        if open > most {
            // Nobody is refused for an estimate: most logs have fewer files open.
            (at, open) = (Instant::now(), open_files() + OF_A_LOG);
        }
        if open > most {
            let doing = "too few files may be open (`ulimit -n`, LimitNOFILE) to open one log more:";
            return Err(Error::io(doing, folder, io::Error::from_raw_os_error(Errno::MFILE.raw_os_error())));
        }
        *counted = Some((at, open));
        Ok(())
    }
}

fn open_files() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_log_more_is_refused_before_the_last_handles_are_gone() {
        let limit = 4 * (open_files() + 400);
        let handles = Handles::limited_to(limit);
        let folder = Path::new("a folder");
        Handles::raise(); // so many are opened here
        let mut opened = Vec::new();
        let refusal = loop {
            match handles.check(folder) {
                Ok(()) => opened.push([(); OF_A_LOG as usize].map(|()| fs::File::open("/dev/null").unwrap())),
                // Once: other tests of this process close files meanwhile.
                Err(refusal) => break refusal,
            }
        };
        let fitted = opened.len() as u64;
        assert!((1..=limit * 3 / 4 / OF_A_LOG).contains(&fitted), "{fitted} of {limit}");
        assert!(refusal.is_shortage() && refusal.to_string().contains("ulimit -n"), "{refusal}");
        Handles::limited_to(u64::MAX).check(folder).unwrap();
    }
}
