//! Names of the files of a partition's folder.
//!
//! `<base offset, 20 digits>.log`, `.index` and `.timeindex` are a segment, in Kafka's layout, and `.digest` its digests;
//! `.snapshot` of the same offset holds the producers of everything before it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use holdfast_proto::ids::Offset;

use crate::{Error, disk::TEMPORARY};

/// Record batches, one after another.
pub(crate) const LOG: &str = "log";
/// Positions in the segment by offset.
pub(crate) const INDEX: &str = "index";
/// Offsets by the largest time so far.
pub(crate) const TIME_INDEX: &str = "timeindex";
/// What binds batches to their place.
pub(crate) const DIGEST: &str = "digest";
/// Producers before the segment.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Leader epochs and where they start.
pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";
/// Whose log it is.
pub(crate) const METADATA: &str = "partition.metadata";
/// Times of the closed segments.
pub(crate) const SEGMENT_TIMES: &str = "segment-times";
/// Durable mark, log start and high watermark.
pub(crate) const MARK: &str = "durable-mark";
/// Why the log may lack records that were counted; absent as a rule.
pub(crate) const DOUBT: &str = "doubt";

/// Where the files of a log were set aside that is being cut; absent as a rule.
pub(crate) const SET_ASIDE: &str = "set-aside";

/// The file of an offset with this ending.
pub(crate) fn file(folder: &Path, base: Offset, ending: &str) -> PathBuf {
    folder.join(format!("{:020}.{ending}", base.0))
}

/// The files of a partition's folder that are named by an offset.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Base offsets of the segments, smallest first.
    pub(crate) segments: Vec<Offset>,
    /// Offsets of the producer snapshots, smallest first.
    pub(crate) snapshots: Vec<Offset>,
    /// Files that were being written when the process ended.
    pub(crate) temporary: Vec<PathBuf>,
    /// Indexes and digests of segments that are not there.
    pub(crate) orphans: Vec<PathBuf>,
}

/// Lists a partition's folder. Names that Holdfast does not write are left alone.
pub(crate) fn list(folder: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let mut indexes = Vec::new();
    let names = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    for name in names().map_err(|error| Error::io("cannot list", folder, error))? {
        if name.ends_with(TEMPORARY) {
            listing.temporary.push(folder.join(name));
            continue;
        }
        let Some((offset, ending)) = parse(&name) else { continue };
        match ending {
            LOG => listing.segments.push(offset),
            SNAPSHOT => listing.snapshots.push(offset),
            INDEX | TIME_INDEX | DIGEST => indexes.push((offset, folder.join(&name))),
            _ => {}
        }
    }
    listing.segments.sort_unstable();
    listing.snapshots.sort_unstable();
    indexes.retain(|(offset, _)| listing.segments.binary_search(offset).is_err());
    listing.orphans = indexes.into_iter().map(|(_, path)| path).collect();
    Ok(listing)
}

/// The files of a partition's folder that belong to no segment; those of earlier producers are among them.
pub(crate) fn beside_segments(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let paths = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = paths().map_err(|error| Error::io("cannot list", folder, error))?;
    paths.retain(|path| {
        let ending = path.file_name().and_then(|name| name.to_str()).and_then(parse).map(|(_, ending)| ending);
        path.is_file() && !matches!(ending, Some(LOG | INDEX | TIME_INDEX | DIGEST))
    });
    Ok(paths)
}

/// A small file that can be made again of the segments; `None` if it is absent, or the disk does not read it.
pub(crate) fn read_spare(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let error = Error::io("cannot read", path, error);
            if !error.is_unreadable() {
                return Err(error);
            }
            tracing::warn!(%error, "a file beside the segments is made again of them");
            Ok(None)
        }
    }
}

/// The first offset of the segment whose file an error is about, if it is one of a system call on such a file.
pub fn segment_of(error: &Error) -> Option<Offset> {
    let Error::Io { path, .. } = error else { return None };
    parse(path.file_name()?.to_str()?).map(|(base, _)| base)
}

/// Up to which offset a log can be read of which this error says that it is damaged, or that the disk does not read it. `None`:
/// that is not known, or it is the beginning that is missing.
pub fn readable_end(error: &Error) -> Option<Offset> {
    match error {
        Error::Damaged { path, at, .. } => Some(*at).filter(|at| segment_at(path).is_none_or(|base| base <= *at)),
        _ if error.is_unreadable() => segment_of(error),
        _ => None,
    }
}

/// The first offset of the segment whose batches this file holds; `None` for any other file.
pub(crate) fn segment_at(path: &Path) -> Option<Offset> {
    parse(path.file_name()?.to_str()?).filter(|(_, ending)| *ending == LOG).map(|(base, _)| base)
}

fn parse(name: &str) -> Option<(Offset, &str)> {
    let (digits, ending) = name.split_once('.')?;
    let is_offset = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_offset {
        return None;
    }
    Some((Offset(digits.parse().ok()?), ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_listed() {
        let folder = crate::test_support::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), b"").unwrap();
        let at = |offset, ending| file(folder.path(), Offset(offset), ending);
        assert!(at(368_769, LOG).ends_with("00000000000000368769.log"));
        fs::write(at(10, LOG), b"").unwrap();
        fs::write(at(2, LOG), b"").unwrap();
        fs::write(at(2, INDEX), b"").unwrap();
        fs::write(at(7, TIME_INDEX), b"").unwrap();
        fs::write(at(10, SNAPSHOT), b"").unwrap();
        write("leader-epoch-checkpoint.tmp");
        write("0000000000000000001x.log");
        write("lost+found");
        let listing = list(folder.path()).unwrap();
        assert_eq!(listing.segments, [Offset(2), Offset(10)]);
        assert_eq!(listing.snapshots, [Offset(10)]);
        assert_eq!(listing.temporary.len(), 1);
        assert_eq!(listing.orphans, [at(7, TIME_INDEX)]);
        let failed = |path: PathBuf| segment_of(&Error::io("cannot read", &path, io::ErrorKind::Other));
        assert_eq!(failed(at(7, TIME_INDEX)), Some(Offset(7)));
        assert_eq!(failed(folder.path().join(EPOCHS)), None);
    }

    #[test]
    fn a_log_can_be_read_up_to_what_an_error_is_about() {
        let at = |base| file(Path::new("p"), Offset(base), LOG);
        let damaged = |path, at| Error::Damaged { path, at: Offset(at), position: 0, reason: String::new() };
        assert_eq!(readable_end(&damaged(at(7), 9)), Some(Offset(9)));
        assert_eq!(readable_end(&damaged(at(7), 2)), None, "what lies before is gone");
        let failed = |errno: i32| Error::io("cannot read", &at(7), io::Error::from_raw_os_error(errno));
        assert_eq!((readable_end(&failed(5)), readable_end(&failed(13))), (Some(Offset(7)), None));
    }
}
