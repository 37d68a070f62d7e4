//! Reading some bytes of a file.

use std::{fs::File, io, path::Path};

use rustix::buffer::spare_capacity;

use crate::Error;

/// Reads up to `want` bytes at `position` into the emptied buffer; fewer at the file's end. After an error the buffer holds
/// what lies before the place that cannot be read.
pub(crate) fn read_at(file: &File, path: &Path, position: u64, want: usize, buffer: &mut Vec<u8>) -> Result<(), Error> {
    buffer.clear();
    buffer.reserve_exact(want);
    while buffer.len() < want {
        let (at, have) = (position + buffer.len() as u64, buffer.len());
        let mut read_some = || -> io::Result<usize> {
            let left = want - have;
            #[cfg(test)]
            let left = tests::readable(path, at, left)?;
            let read = rustix::io::retry_on_intr(|| rustix::io::pread(file, spare_capacity(buffer), at))?;
            buffer.truncate(have + left); // the memory may be more
            Ok(read.min(left))
        };
        match read_some() {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(Error::io("cannot read", path, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{cell::RefCell, ops::Range, path::PathBuf};

    use rustix::io::Errno;

    use super::*;
    use crate::test_support::tempdir;

    thread_local! {
        static FAULT: RefCell<Option<Unreadable>> = const { RefCell::new(None) };
    }

    /// Bytes of a file that the disk does not read, for this thread, until it is dropped.
    pub(crate) struct BadSector;

    struct Unreadable {
        path: PathBuf,
        bytes: Range<u64>,
        errno: Errno,
        met: u64,
    }

    impl BadSector {
        pub(crate) fn new(path: &Path, bytes: Range<u64>, errno: Errno) -> Self {
            FAULT.set(Some(Unreadable { path: path.to_owned(), bytes, errno, met: 0 }));
            Self
        }

        /// How often a read met the one of this thread.
        pub(crate) fn met() -> u64 {
            FAULT.with_borrow(|fault| fault.as_ref().map_or(0, |fault| fault.met))
        }
    }

    impl Drop for BadSector {
        fn drop(&mut self) {
            FAULT.set(None);
        }
    }

    /// How many of the bytes can be read before one that cannot.
    pub(super) fn readable(path: &Path, at: u64, want: usize) -> io::Result<usize> {
        FAULT.with_borrow_mut(|fault| {
            let Some(fault) = fault.as_mut().filter(|fault| fault.path == path && at < fault.bytes.end) else {
                return Ok(want);
            };
            if at >= fault.bytes.start {
                fault.met += 1;
                return Err(fault.errno.into());
            }
            Ok(want.min((fault.bytes.start - at) as usize))
        })
    }

    #[test]
    fn what_lies_before_an_unreadable_place_is_there_beside_the_error() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let mut buffer = Vec::new();
        read_at(&file, &path, 2, 5, &mut buffer).unwrap();
        assert_eq!(buffer, b"23456");
        read_at(&file, &path, 7, 50, &mut buffer).unwrap();
        assert_eq!(buffer, b"789");
        let _sector = BadSector::new(&path, 5..6, Errno::IO);
        assert!(read_at(&file, &path, 2, 5, &mut buffer).is_err_and(|error| error.is_unreadable()));
        assert_eq!((&buffer[..], BadSector::met()), (&b"234"[..], 1));
        read_at(&file, &path, 6, 5, &mut buffer).unwrap();
        assert_eq!(buffer, b"6789");
    }
}
