//! What a copy of a data folder, file by file, cannot keep: the inode number and the birth time of a file.

use std::{fmt, fs, os::unix::fs::MetadataExt, path::Path, str::FromStr, time::UNIX_EPOCH};

/// The inode number and birth time of a file that is never replaced while the folder stays where it is.
///
/// A copy below the file system (a snapshot of a disk, a cloned volume) keeps both: tokens tell that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    inode: u64,
    born_ns: u128,
}

impl Anchor {
    /// That of a file; `None` where the file system does not tell when a file was made.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { inode: metadata.ino(), born_ns: born.as_nanos() })
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.inode, self.born_ns)
    }
}

impl FromStr for Anchor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (inode, born_ns) = text.split_once('-').ok_or(())?;
        Ok(Self { inode: inode.parse().map_err(drop)?, born_ns: born_ns.parse().map_err(drop)? })
    }
}
