//! The lock on a data folder.

use std::fs::{File, TryLockError};

/// Keeps every other process out of a data folder until it is dropped. The kernel (flock) gives it back when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the folder's lock file, without waiting; `None`: another process holds it.
    pub fn take(file: File) -> std::io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let take = || Lock::take(File::options().create(true).append(true).open(&path).unwrap()).unwrap();
        let held = take();
        assert!(held.is_some() && take().is_none());
        drop(held);
        assert!(take().is_some());
    }
}
