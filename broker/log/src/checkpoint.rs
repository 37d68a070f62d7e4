//! Small text files of a partition's folder: whose log it is, and its leader epochs.
//!
//! `leader-epoch-checkpoint` is Kafka's: a version, the number of entries, then `epoch start-offset` a line; and behind
//! them `noted-crc32c: <8 hexadecimal digits>` of all before, which earlier programs did not write, or as `crc32c: `. They take
//! a file with it for a damaged one, and read the headers of all segments once; so does this one with a file whose checksum
//! is wrong. `noted`: each epoch was durable before its first batch was written, here or in the mark ([`crate::noted`]).
//! `partition.metadata` is two lines, `version: 1` and `topic_id: <uuid>`.
//!
//! Failure: a damaged epoch file, or one that the disk does not read, is rebuilt from the segments, a damaged metadata file from the folder's name, which the
//! topic id is a part of.

use std::{fmt::Write, fs, io, path::Path};

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use holdfast_replication::{EpochChain, EpochEntry};

use crate::{
    Disk, Error, files,
    noted::{Filed, Noted},
};

const CRC: &str = "crc32c: ";
/// Says besides that each epoch was stored before the first batch of it was written.
const NOTED_CRC: &str = "noted-crc32c: ";

/// The file of these epochs, and its bytes.
pub(crate) fn file_of(epochs: &EpochChain) -> (Filed, Vec<u8>) {
    let bytes = encode_epochs(epochs);
    (Filed::new(epochs.clone(), &bytes), bytes)
}

fn encode_epochs(epochs: &EpochChain) -> Vec<u8> {
    let entries = epochs.iter();
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.leader_epoch, entry.start_offset); // a String takes everything
    }
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "{NOTED_CRC}{crc:08x}");
    text.into_bytes()
}

/// The epochs that are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEpochs {
    /// The leaderships, as they were stored last: those of the file with those that are noted behind it.
    pub(crate) chain: EpochChain,
    /// False if an earlier program wrote it: nothing tells whether a digit has changed.
    pub(crate) has_checksum: bool,
    /// What more can be noted behind; `None` if an earlier program wrote the file: it noted an epoch that it copied some time
    /// after its batches.
    pub(crate) filed: Option<Filed>,
    /// True if no epoch that was noted is missing: the mark says what is noted behind this file.
    pub(crate) is_complete: bool,
}

/// The epochs of a file, with what is known to be noted behind it; `None` if it is absent or damaged, or the disk does not read it.
pub(crate) fn load_epochs(path: &Path, noted: Option<&Noted>) -> Result<Option<StoredEpochs>, Error> {
    let text = files::read_spare(path)?.map(|bytes| String::from_utf8(bytes).unwrap_or_default());
    let Some(mut stored) = text.as_deref().and_then(decode_epochs) else { return Ok(None) };
    if let Some((filed, noted)) = stored.filed.as_ref().zip(noted) {
        stored.is_complete = filed.precedes(noted);
        stored.chain = filed.with(noted);
    }
    Ok(Some(stored))
}

fn decode_epochs(text: &str) -> Option<StoredEpochs> {
    let noted = text.rsplit_once(NOTED_CRC);
    let is_noted = noted.is_some();
    let Some((content, crc)) = noted.or_else(|| text.rsplit_once(CRC)) else {
        let chain = decode_chain(text)?;
        return Some(StoredEpochs { chain, has_checksum: false, filed: None, is_complete: false });
    };
    let is_whole = crc == format!("{:08x}\n", crc32c::crc32c(content.as_bytes()));
    let chain = if is_whole { decode_chain(content)? } else { return None };
    let filed = is_noted.then(|| Filed::new(chain.clone(), text.as_bytes()));
    Some(StoredEpochs { chain, has_checksum: true, filed, is_complete: false })
}

fn decode_chain(text: &str) -> Option<EpochChain> {
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

/// Checks that the metadata file names this partition's topic. A file that is missing or damaged is written again: the
/// folder was found by its name, which says the same.
pub(crate) fn check_metadata(disk: &Disk, path: &Path, partition: TopicPartition) -> Result<(), Error> {
    let text = read(path)?;
    match text.as_deref().map(decode_metadata) {
        Some(Metadata::Topic(found)) if found == partition.topic_id => Ok(()),
        Some(Metadata::Topic(found)) => {
            let path = crate::disk::parent(path).to_owned();
            Err(Error::OtherTopic { path, found, expected: partition.topic_id })
        }
        Some(Metadata::Newer(version)) => {
            let reason = format!(
                "it has version {version}, which this program does not know: use the newer program, or remove the file if \
                 there was none, and it is written again"
            );
            Err(Error::BadFolder { path: path.to_owned(), reason })
        }
        Some(Metadata::Damaged) | None => {
            let what = if text.is_some() { "damaged" } else { "missing" };
            tracing::warn!(path = %path.display(), "the metadata of a partition is {what} and is written again");
            disk.replace(path, &encode_metadata(partition.topic_id))
        }
    }
}

/// What a metadata file says.
#[derive(Debug, PartialEq, Eq)]
enum Metadata {
    Topic(TopicId),
    Newer(u32),
    Damaged,
}

fn decode_metadata(text: &str) -> Metadata {
    let parts = text.strip_prefix("version: ").and_then(|rest| rest.split_once('\n'));
    let Some((version, rest)) = parts else { return Metadata::Damaged };
    let topic_id = rest.strip_prefix("topic_id: ").and_then(|rest| rest.strip_suffix('\n')?.parse().ok());
    match (version.parse::<u32>(), topic_id) {
        (Ok(1), Some(topic_id)) => Metadata::Topic(TopicId(topic_id)),
        (Ok(version), _) if version > 1 => Metadata::Newer(version),
        _ => Metadata::Damaged,
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
        assert_eq!(bytes, b"0\n2\n0 0\n4 117\nnoted-crc32c: a8dc6af1\n");
        let text = String::from_utf8(bytes).unwrap();
        let stored = |chain: EpochChain, is_new: bool| {
            let filed = is_new.then(|| file_of(&chain).0);
            Some(StoredEpochs { chain, has_checksum: is_new, filed, is_complete: false })
        };
        let earlier = StoredEpochs { chain: epochs.clone(), has_checksum: true, filed: None, is_complete: false };
        assert_eq!(decode_epochs("0\n2\n0 0\n4 117\ncrc32c: a8dc6af1\n"), Some(earlier));
        assert_eq!(decode_epochs(&text), stored(epochs.clone(), true));
        assert_eq!(decode_epochs("0\n2\n0 0\n4 117\n"), stored(epochs.clone(), false), "from an earlier program");
        assert_eq!(decode_epochs("0\n0\n"), stored(EpochChain::new(), false));
        for at in 0..text.len() {
            let cut = decode_epochs(&text[..at]);
            assert!(cut.is_none() || cut == stored(epochs.clone(), false), "cut at {at}: {cut:?}");
            for bit in 0..7 {
                let mut flipped = text.clone().into_bytes();
                flipped[at] ^= 1 << bit;
                let found = std::str::from_utf8(&flipped).ok().and_then(decode_epochs);
                assert_eq!(found, None, "byte {at} bit {bit}");
            }
        }
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
        let check = |id| check_metadata(&Disk::new(), &path, of(id));
        check(1).unwrap();
        assert_eq!(fs::read(&path).unwrap(), encode_metadata(of(1).topic_id), "it is the folder's name that counts");
        let error = check(2).unwrap_err().to_string();
        assert!(error.contains(&of(1).topic_id.to_string()) && error.contains(&of(2).topic_id.to_string()), "{error}");
        for damaged in [b"".as_slice(), b"version: 1\ntopic_id: \xff\n", b"version: x\n", b"version: 1\ntopic_id: 7\n"]
        {
            fs::write(&path, damaged).unwrap();
            check(2).unwrap();
            check(1).unwrap_err();
        }
        fs::write(&path, b"version: 2\nname: x\n").unwrap();
        assert!(matches!(check(1), Err(Error::BadFolder { .. })), "damage is told from a newer program");
    }
}
