//! Whether a node lives: its event loops turn, and its disk takes a write and a sync.
//!
//! Place: each program starts one [`Watchdog`], lets [`Turns::keep`] run on every loop that must turn, and keeps it until
//! its end. It answers the probe `live`, and nothing else in the program does.
//!
//! ```text
//!   runtime ── keep() ──┐
//!   actor threads ──────┼─ counts ──▶ judge, a thread of its own, a tick a second ──▶ Probe::Live
//!   disk thread ────────┘  (a write and a sync every few seconds)
//! ```
//!
//! 1. What counts are the judge's own ticks without a turn of the other, never a clock: a process that was stopped as a
//!    whole (SIGSTOP, a frozen container, a sleeping machine) has missed no tick when it goes on.
//! 2. Only loops and the disk count. Recovery, catching up, a lost quorum or a slow peer leave them turning.
//! 3. A full disk takes no write and is not dead: what is there is served. [`is_broken`] says what is.
//!
//! Failure: a loop that stands for [`PATIENCE`] ticks, or a disk that answers with an error of its own or not at all for
//! as long, is named in the log, and the node is not live until it turns again. A restart is up to the prober.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::health::{Probe, Probes};

/// Between two turns of a loop that is watched, and between two ticks of the judge.
const TICK: Duration = Duration::from_secs(1);

/// Ticks without a turn after which the node is not live.
const PATIENCE: u32 = 30;

/// Between two writes to the disk.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// The file that is written and synced: a few bytes in the data folder that mean nothing.
const FILE: &str = "holdfast.probe";

/// Counts the turns of one loop.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<AtomicU64>);

impl Turns {
    fn turned(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a turn each second, for ever: to be spawned on the loop that is watched.
    pub async fn keep(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.turned();
        }
    }
}

/// Watches loops and the disk until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    watched: Arc<Mutex<Vec<(String, Turns)>>>,
    // Their ends tell both threads to end.
    _stop: [SyncSender<()>; 2],
}

impl Watchdog {
    /// Starts watching the disk under `folder`, which must be there.
    pub fn start(probes: &Probes, folder: &Path) -> io::Result<Self> {
        let watched = Arc::new(Mutex::new(Vec::new()));
        let (stop_judge, judge_stopped) = sync_channel(0);
        let (stop_disk, disk_stopped) = sync_channel(0);
        let watchdog = Self { watched: Arc::clone(&watched), _stop: [stop_judge, stop_disk] };
        let turns = watchdog.watch("the disk");
        let broken = Arc::new(Mutex::new(None));
        let (found, file) = (Arc::clone(&broken), DiskFile { path: folder.join(FILE), open: None });
        std::thread::Builder::new()
            .name("hf-disk-probe".to_owned())
            .spawn(move || try_disk(file, &turns, &found, &disk_stopped))?;
        let probes = probes.clone();
        std::thread::Builder::new().name("hf-watchdog".to_owned()).spawn(move || {
            let mut judge = Judge::default();
            while !stopped(&judge_stopped, TICK) {
                let counts: Vec<u64> =
                    watched.lock().iter().map(|(_, turns)| turns.0.load(Ordering::Relaxed)).collect();
                let standing = judge.tick(&counts);
                tell(&probes, &watched.lock(), &standing, broken.lock().as_deref());
            }
        })?;
        Ok(watchdog)
    }

    /// Watches one more loop: let [`Turns::keep`] run on it.
    pub fn watch(&self, name: impl Into<String>) -> Turns {
        let turns = Turns::default();
        self.watched.lock().push((name.into(), turns.clone()));
        turns
    }
}

/// Waits for `pause`; true once there is no more to do.
fn stopped(stop: &Receiver<()>, pause: Duration) -> bool {
    !matches!(stop.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
}

/// Says what was found: to the probe, and to the log when it changes.
fn tell(probes: &Probes, watched: &[(String, Turns)], standing: &[usize], broken: Option<&str>) {
    let is_live = standing.is_empty() && broken.is_none();
    if !probes.set(Probe::Live, is_live) {
        return;
    }
    if is_live {
        tracing::warn!("every loop turns and the disk takes writes again: this node is live");
    }
    for (name, _) in standing.iter().filter_map(|index| watched.get(*index)) {
        tracing::error!(seconds = PATIENCE, "{name} has stood still: this node is not live");
    }
    if let Some(error) = broken {
        tracing::error!(error, "the disk does not take writes: this node is not live");
    }
}

/// Counts the ticks in which nothing turned. Pure.
#[derive(Debug, Default)]
struct Judge {
    /// What each had counted when last looked at, and for how many ticks that stands.
    seen: Vec<(u64, u32)>,
}

impl Judge {
    /// One tick: the indexes of those that have stood for [`PATIENCE`] ticks.
    fn tick(&mut self, counts: &[u64]) -> Vec<usize> {
        for (index, count) in counts.iter().enumerate() {
            match self.seen.get_mut(index) {
                Some((last, ticks)) if last == count => *ticks = ticks.saturating_add(1),
                Some(seen) => *seen = (*count, 0),
                None => self.seen.push((*count, 0)),
            }
        }
        self.seen.iter().enumerate().filter(|(_, (_, ticks))| *ticks >= PATIENCE).map(|(index, _)| index).collect()
    }
}

/// Writes and syncs now and then; a turn is a write that came back, well or not.
fn try_disk(mut file: DiskFile, turns: &Turns, found: &Mutex<Option<String>>, stop: &Receiver<()>) {
    let mut number = 0;
    loop {
        number += 1;
        let broken = match file.write(number) {
            Ok(()) => None,
            Err(error) if is_broken(&error) => Some(error.to_string()),
            Err(error) => {
                tracing::debug!(%error, "the disk takes no write now, which is not its end");
                None
            }
        };
        *found.lock() = broken;
        turns.turned();
        if stopped(stop, DISK_PAUSE) {
            return;
        }
    }
}

/// The file of the disk's probe, kept open: running out of file handles is no fault of the disk.
struct DiskFile {
    path: PathBuf,
    open: Option<File>,
}

impl DiskFile {
    fn write(&mut self, number: u64) -> io::Result<()> {
        let file = match self.open.take() {
            Some(file) => file,
            None => OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?,
        };
        file.write_all_at(format!("{number:020}\n").as_bytes(), 0)?;
        file.sync_data()?;
        self.open = Some(file);
        Ok(())
    }
}

/// True for an error by which a disk, or the file system on it, has come to its end: a restart elsewhere may help. Not for
/// a full disk or quota, nor for what the process lacks, as file handles.
fn is_broken(error: &io::Error) -> bool {
    let errors = [Errno::IO, Errno::ROFS, Errno::NODEV, Errno::NXIO, Errno::STALE, Errno::UCLEAN];
    Errno::from_io_error(error).is_some_and(|errno| errors.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_for_thirty_ticks_is_named_until_it_turns() {
        let mut judge = Judge::default();
        for tick in 0..PATIENCE {
            assert_eq!(judge.tick(&[7, u64::from(tick)]), Vec::<usize>::new(), "tick {tick}");
        }
        assert_eq!(judge.tick(&[7, 99]), [0]);
        assert_eq!(judge.tick(&[7, 99]), [0]);
        assert_eq!(judge.tick(&[8, 99]), Vec::<usize>::new());
    }

    #[test]
    fn one_that_is_watched_later_has_its_own_count() {
        let mut judge = Judge::default();
        for _ in 0..=PATIENCE {
            judge.tick(&[1]);
        }
        assert_eq!(judge.tick(&[2, 5]), Vec::<usize>::new());
        for _ in 1..PATIENCE {
            assert_eq!(judge.tick(&[2, 6]), Vec::<usize>::new());
        }
    }

    #[test]
    fn a_full_disk_is_not_dead_and_a_read_only_one_is() {
        let broken = |errno: Errno| is_broken(&io::Error::from(errno));
        assert!(broken(Errno::IO) && broken(Errno::ROFS));
        assert!(!broken(Errno::NOSPC) && !broken(Errno::DQUOT) && !broken(Errno::MFILE));
    }

    #[test]
    fn the_disk_is_written_again_and_again_in_one_small_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = DiskFile { path: folder.path().join(FILE), open: None };
        file.write(1).unwrap();
        file.write(2).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), format!("{:020}\n", 2));
    }

    #[test]
    fn what_is_found_is_told_to_the_probe() {
        let probes = Probes::new();
        let watched = [("the runtime".to_owned(), Turns::default())];
        tell(&probes, &watched, &[0], None);
        assert!(!probes.is(Probe::Live));
        tell(&probes, &watched, &[], None);
        assert!(probes.is(Probe::Live));
        tell(&probes, &watched, &[], Some("Input/output error"));
        assert!(!probes.is(Probe::Live));
    }
}
