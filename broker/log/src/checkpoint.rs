//! Small text files of a partition's folder: whose log it is, and its leader epochs.
//!
//! `leader-epoch-checkpoint` is Kafka's: a version, the number of entries, then `epoch start-offset` a line.
//! `partition.metadata` is two lines, `version: 1` and `topic_id: <uuid>`.
//!
//! Failure: a damaged epoch file is rebuilt from the segments. A damaged metadata file is an error: nothing tells whose
//! log it is.

use std::{fmt::Write, fs, io, path::Path};

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use holdfast_replication::{EpochChain, EpochEntry};

use crate::Error;

/// The bytes of an epoch file.
pub(crate) fn encode_epochs(epochs: &EpochChain) -> Vec<u8> {
    let entries = epochs.iter();
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.leader_epoch, entry.start_offset); // a String takes everything
    }
    text.into_bytes()
}

/// The epochs of a file; `None` if it is absent or damaged.
pub(crate) fn load_epochs(path: &Path) -> Result<Option<EpochChain>, Error> {
    Ok(read(path)?.as_deref().and_then(decode_epochs))
}

fn decode_epochs(text: &str) -> Option<EpochChain> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let mut entries = Vec::new();
    for line in lines {
        let (epoch, start) = line.split_once(' ')?;
        let leader_epoch = LeaderEpoch(epoch.parse().ok()?);
        entries.push(EpochEntry { leader_epoch, start_offset: Offset(start.parse().ok()?) });
    }
    if entries.len() != count {
        return None;
    }
    EpochChain::from_entries(entries)
}

/// The bytes of a metadata file.
pub(crate) fn encode_metadata(topic_id: TopicId) -> Vec<u8> {
    format!("version: 1\ntopic_id: {topic_id}\n").into_bytes()
}

/// Checks that the metadata file names this partition's topic.
pub(crate) fn check_metadata(path: &Path, partition: TopicPartition) -> Result<(), Error> {
    let bad = |reason: &str| Error::BadFolder { path: path.to_owned(), reason: reason.to_owned() };
    let text = read(path)?.ok_or_else(|| bad("it is missing, so nothing tells whose log this is"))?;
    let found = text
        .strip_prefix("version: 1\ntopic_id: ")
        .and_then(|rest| rest.strip_suffix('\n')?.parse().ok())
        .map(TopicId)
        .ok_or_else(|| bad("it is damaged, or of a version that this program does not know"))?;
    if found == partition.topic_id {
        Ok(())
    } else {
        let path = crate::disk::parent(path).to_owned();
        Err(Error::OtherTopic { path, found, expected: partition.topic_id })
    }
}

/// A text file; `None` if it is absent. What is not UTF-8 reads as an empty text, which no format here allows.
fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8(bytes).unwrap_or_default())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::PartitionIndex;

    use super::*;

    #[test]
    fn the_epoch_file_is_kafkas() {
        let mut epochs = EpochChain::new();
        epochs.assign(LeaderEpoch(0), Offset(0));
        epochs.assign(LeaderEpoch(4), Offset(117));
        let bytes = encode_epochs(&epochs);
        assert_eq!(bytes, b"0\n2\n0 0\n4 117\n");
        assert_eq!(decode_epochs("0\n2\n0 0\n4 117\n"), Some(epochs));
        assert_eq!(decode_epochs("0\n0\n"), Some(EpochChain::new()));
        for bad in
            ["", "0\n", "1\n0\n", "0\n2\n0 0\n", "0\n2\n0 0\n4 117", "0\n2\n4 0\n4 9\n", "0\n1\n4\n", "0\n1\n4 x\n"]
        {
            assert_eq!(decode_epochs(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_metadata_file_names_the_topic() {
        let folder = crate::test_support::tempdir().unwrap();
        let path = folder.path().join("partition.metadata");
        let of = |id| TopicPartition { topic_id: TopicId(Uuid::from_u128(id)), partition: PartitionIndex(0) };
        assert!(matches!(check_metadata(&path, of(1)), Err(Error::BadFolder { .. })));
        fs::write(&path, encode_metadata(of(1).topic_id)).unwrap();
        check_metadata(&path, of(1)).unwrap();
        let error = check_metadata(&path, of(2)).unwrap_err().to_string();
        assert!(error.contains(&of(1).topic_id.to_string()) && error.contains(&of(2).topic_id.to_string()), "{error}");
        fs::write(&path, b"version: 1\ntopic_id: \xff\n").unwrap();
        assert!(matches!(check_metadata(&path, of(1)), Err(Error::BadFolder { .. })));
    }
}
