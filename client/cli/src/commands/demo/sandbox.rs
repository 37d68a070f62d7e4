//! The demo's folder: made for it, and removed after it however it ends.
//!
//! 1. Success and interruption remove everything.
//! 2. An error removes the data and keeps logs and configuration; a loss keeps everything, for it is evidence. Either is
//!    said.
//! 3. A demo that was killed cannot remove its folder: the next one does ([`sweep`]).

use std::path::{Path, PathBuf};

use holdfast_checker::text::bytes;
use holdfast_local::process::ProcessIdentity;

use crate::{
    exit::{Failure, Result},
    output::note,
};

/// Folders of demos are called so, then their process id and its start.
const PREFIX: &str = "holdfast-demo-";
/// A folder with this file in it is kept.
const KEPT: &str = "kept";

/// What of the folder outlives the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Nothing,
    Logs,
    Everything,
}

/// The folder of one demo. Dropping it removes it, unless it was told to keep something.
#[derive(Debug)]
pub struct Sandbox {
    dir: PathBuf,
    keep: Keep,
}

impl Sandbox {
    /// Makes the folder: a new one in the system's temporary folder, or the one given, which must be new or empty.
    pub fn make(given: Option<&Path>) -> Result<Self> {
        let dir = if let Some(dir) = given {
            if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(Failure::usage(format!("{} is not empty; name a new folder", dir.display())));
            }
            dir.to_path_buf()
        } else {
            let temp = std::env::temp_dir();
            sweep(&temp);
            let id = std::process::id();
            let start = ProcessIdentity::of(id as i32)?.map_or(0, |process| process.start_ticks);
            temp.join(format!("{PREFIX}{id}-{start}"))
        };
        std::fs::create_dir_all(&dir).map_err(Failure::file("make", &dir))?;
        Ok(Self { dir, keep: Keep::Nothing })
    }

    /// Folder of the cluster; exists until the sandbox is dropped, then only as far as it is to be kept.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Fails if the disk has less room than this, in bytes.
    pub fn check_room(&self, needed: u64) -> Result {
        let disk =
            rustix::fs::statvfs(&self.dir).map_err(std::io::Error::from).map_err(Failure::file("read", &self.dir))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed {
            return Err(Failure::error(format!(
                "the demo needs about {} in {}, which has {} left; give --data-dir a folder on a larger disk, \
                 or --input a smaller folder",
                bytes(needed),
                self.dir.display(),
                bytes(free)
            )));
        }
        Ok(())
    }

    /// Keeps logs and configuration, for an error.
    pub fn keep_logs(&mut self) {
        self.keep = Keep::Logs;
    }

    /// Keeps everything, for a loss.
    pub fn keep_everything(&mut self) {
        self.keep = Keep::Everything;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.keep == Keep::Nothing {
            if let Err(error) = std::fs::remove_dir_all(&self.dir) {
                note(format!("cannot remove {}: {error}", self.dir.display()));
            }
            return;
        }
        keep(&self.dir, self.keep == Keep::Everything);
    }
}

/// Keeps logs, and data if asked to, and says where. Also called when the program panics, which runs no destructors.
pub fn keep(dir: &Path, data_too: bool) {
    // Best effort on the way out: what cannot be removed stays, and is named below.
    let _marked = std::fs::write(dir.join(KEPT), "");
    if !data_too {
        let _removed = std::fs::remove_dir_all(dir.join("data"));
    }
    let what = if data_too { "data and logs are" } else { "logs are" };
    note(format!("{what} kept in {}", dir.display()));
}

/// Removes the folders of demos whose process is gone, except those that were kept.
fn sweep(temp: &Path) {
    let Ok(entries) = temp.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((pid, start)) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')) else {
            continue;
        };
        let (Ok(pid), Ok(start)) = (pid.parse::<i32>(), start.parse::<u64>()) else { continue };
        let alive = ProcessIdentity::of(pid).ok().flatten().is_some_and(|process| process.start_ticks == start);
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if folder && !alive && !entry.path().join(KEPT).exists() {
            // Another user's cannot be removed, which is right.
            let _removed = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_removed_unless_something_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("demo");
        for (tell, logs, data) in [
            ((|_| {}) as fn(&mut Sandbox), false, false),
            (Sandbox::keep_logs, true, false),
            (Sandbox::keep_everything, true, true),
        ] {
            let mut sandbox = Sandbox::make(Some(&dir)).unwrap();
            for folder in ["logs", "data"] {
                std::fs::create_dir(dir.join(folder)).unwrap();
            }
            tell(&mut sandbox);
            drop(sandbox);
            assert_eq!((dir.join("logs").exists(), dir.join("data").exists()), (logs, data));
            let _cleared = std::fs::remove_dir_all(&dir);
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("mine"), "").unwrap();
        assert!(Sandbox::make(Some(root.path())).is_err());
        assert!(root.path().join("mine").exists());
    }

    #[test]
    fn only_folders_of_dead_demos_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let own = ProcessIdentity::of(std::process::id() as i32).unwrap().unwrap();
        let alive = format!("{PREFIX}{}-{}", own.pid, own.start_ticks);
        let dead = format!("{PREFIX}{}-{}", own.pid, own.start_ticks + 1);
        let kept = format!("{PREFIX}{}-{}", own.pid, own.start_ticks + 2);
        for name in [&alive, &dead, &kept, "holdfast-demo-notes", "other"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(root.path().join(&kept).join(KEPT), "").unwrap();
        sweep(root.path());
        assert!(!root.path().join(&dead).exists());
        for name in [&alive, &kept, "holdfast-demo-notes", "other"] {
            assert!(root.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn a_full_disk_is_told_before_the_start() {
        let root = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::make(Some(&root.path().join("demo"))).unwrap();
        sandbox.check_room(1).unwrap();
        assert!(sandbox.check_room(u64::MAX).unwrap_err().message.contains("--data-dir"));
    }
}
