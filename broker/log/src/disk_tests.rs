use super::*;
use crate::test_support::tempdir;

/// A failure to play, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The next change of this kind, on a path that ends so.
    At { doing: &'static str, path_ends_with: &'static str },
    /// The next change of this kind, for want of handles.
    RanOut { doing: &'static str },
    /// The next change of this kind, for want of rights.
    Refused { doing: &'static str },
    /// The next time that something is opened or made after so many others, for want of handles.
    RanOutAfter(u32),
    /// What lies behind this byte of a segment is in the page cache alone, as after a failed fsync.
    Forgot { from: u64 },
    /// The change after so many others: as if the process ended there.
    After(u32),
}

impl Disk {
    /// Plays a failure once.
    pub(crate) fn inject(&self, fault: Fault) {
        *self.fault.lock() = Some(fault);
    }

    /// Where a segment begins to be in the page cache alone.
    pub(crate) fn forgotten_from(&self) -> Option<u64> {
        match *self.fault.lock() {
            Some(Fault::Forgot { from }) => Some(from),
            _ => None,
        }
    }

    /// True if the failure was not played yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.fault.lock().is_some()
    }

    pub(super) fn injected(&self, change: &str, path: &Path, opens: bool) -> Option<io::Error> {
        let mut fault = self.fault.lock();
        let errno = match *fault {
            Some(Fault::RanOut { .. } | Fault::RanOutAfter(_)) => 24,
            Some(Fault::Refused { .. }) => 13,
            _ => 5,
        };
        let hits = match &mut *fault {
            None | Some(Fault::Forgot { .. }) => false,
            Some(Fault::At { doing, path_ends_with }) => {
                change == *doing && path.to_string_lossy().ends_with(*path_ends_with)
            }
            Some(Fault::RanOut { doing } | Fault::Refused { doing }) => change == *doing,
            Some(Fault::RanOutAfter(_)) if !opens => false,
            Some(Fault::After(0) | Fault::RanOutAfter(0)) => true,
            Some(Fault::After(left) | Fault::RanOutAfter(left)) => {
                *left -= 1;
                false
            }
        };
        hits.then(|| {
            *fault = None;
            io::Error::from_raw_os_error(errno)
        })
    }
}

#[test]
fn a_replaced_file_leaves_nothing_beside() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("small");
    let disk = Disk::new();
    disk.replace(&path, b"one").unwrap();
    disk.replace(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_first_error_answers_everything_after_it() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let path = folder.path().join("a.log");
    let file = disk.create(&path).unwrap();
    disk.inject(Fault::At { doing: "cannot fsync", path_ends_with: "a.log" });
    let first = disk.sync_batches(&file, &path).unwrap_err().to_string();
    assert!(first.contains("a.log"), "{first}");
    assert_eq!(disk.sync_batches(&file, &path).unwrap_err().to_string(), first, "an fsync is never retried");
    assert_eq!(disk.replace(&folder.path().join("b"), b"").unwrap_err().to_string(), first);
    assert_eq!(disk.failure().unwrap().to_string(), first);
}

#[test]
fn what_cannot_be_opened_for_want_of_handles_says_nothing_of_the_disk() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let path = folder.path().join("a.log");
    disk.replace(&folder.path().join("b"), b"old").unwrap();
    for doing in ["cannot create", "cannot open", "cannot create the folder", "cannot open the folder"] {
        disk.inject(Fault::RanOut { doing });
        let refused = [
            disk.create(&path).err(),
            disk.open(&path).err(),
            disk.create_folder(&folder.path().join("c")).err(),
            disk.sync_folder(folder.path()).err(),
        ];
        assert_eq!(refused.iter().flatten().count(), 1, "{doing}: {refused:?}");
        disk.remove(&path).unwrap();
    }
    for doing in ["cannot create", "cannot open the folder"] {
        disk.inject(Fault::RanOut { doing });
        disk.replace(&folder.path().join("b"), b"new").unwrap_err();
        assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"old", "{doing}: all or nothing");
    }
    assert!(disk.failure().is_none());
    let file = disk.open(&path).unwrap();
    disk.inject(Fault::RanOut { doing: "cannot fsync" });
    disk.sync_batches(&file, &path).unwrap_err();
    assert!(disk.failure().is_some(), "an fsync that fails is final, whatever the reason");
}

/// As of a folder of one partition whose owner somebody changed: no other log has to stop for it.
#[test]
fn what_may_not_be_opened_or_made_says_nothing_of_the_disk() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let path = folder.path().join("a.log");
    for doing in ["cannot create", "cannot open", "cannot open the folder"] {
        disk.inject(Fault::Refused { doing });
        let refused = [disk.create(&path).err(), disk.open(&path).err(), disk.sync_folder(folder.path()).err()]
            .into_iter()
            .flatten();
        assert!(refused.map(|error| error.is_refused()).eq([true]), "{doing}");
        disk.remove(&path).unwrap();
    }
    drop(disk.create(&path).unwrap());
    for doing in ["cannot rename", "cannot remove"] {
        disk.inject(Fault::Refused { doing });
        let refused = [disk.rename(&path, &path).err(), disk.remove(&folder.path().join("b.log")).err()];
        assert!(refused.into_iter().flatten().map(|error| error.is_refused()).eq([true]), "{doing}");
    }
    assert!(disk.failure().is_none());
    let file = disk.open(&path).unwrap();
    disk.inject(Fault::Refused { doing: "cannot write" });
    disk.write_at(&file, &path, b"x", 0).unwrap_err();
    assert!(disk.failure().is_some(), "a write that is refused is final");
}

#[test]
fn what_no_log_relies_on_latches_nothing() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let path = |name| folder.path().join(name);
    fs::write(path("small"), b"old").unwrap();
    for doing in ["cannot replace", "cannot rename", "cannot remove the folder"] {
        disk.inject(Fault::At { doing, path_ends_with: "small" });
        let done = [
            disk.try_replace(&path("small"), b"new").is_ok(),
            disk.try_rename(&path("small"), &path("small")).is_ok(),
            disk.try_remove_folder(&path("other")).is_ok() && disk.try_remove_folder(&path("small")).is_ok(),
        ];
        assert!(!disk.is_pending() && done.contains(&false), "{doing}: {done:?}");
    }
    fs::create_dir(path("small.tmp")).unwrap();
    assert!(disk.try_replace(&path("small"), b"newer").is_err(), "no file can be made there");
    assert_eq!(fs::read(path("small")).unwrap(), b"new", "all or nothing");
    assert!(disk.failure().is_none());
    fs::remove_dir(path("small.tmp")).unwrap();
    disk.try_replace(&path("small"), b"newest").unwrap();
    assert_eq!(fs::read(path("small")).unwrap(), b"newest");
}

#[test]
fn many_slices_are_written_in_order() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let path = folder.path().join("a.log");
    let file = disk.create(&path).unwrap();
    let parts: Vec<[u8; 2]> = (0..3000u16).map(u16::to_be_bytes).collect();
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    disk.write_batches(&file, &path, &mut slices, 0).unwrap();
    assert_eq!(fs::read(&path).unwrap(), parts.concat());
    assert_eq!(disk.stats().written_bytes, 6000);
    assert_eq!(disk.stats().writes, 3);
}
