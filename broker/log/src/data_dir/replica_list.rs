//! The list of the partitions that a data folder holds, as bytes. Pure.
//!
//! ```text
//!  header | frame 0: every entry | frame 1 | frame 2 | ...
//!
//!  header: magic u32 | version u8 | 0 u24 | boot counter u64                                       (big-endian)
//!  frame:  magic u32 | number u32 | length of the records u32 | CRC-32C of header, number, length, records u32 | records
//!  record: kind u8 | topic id 16 bytes | partition u32, and if it is distrusted:
//!          known u8 (1: epoch, 2: end, 12: cause) | last epoch u32 | end u64 | length u16 | reason
//! ```
//!
//! Frame 0 comes with the file, which is put in place as a whole. Each later frame is written after the one before it was
//! durable. So a bad frame that no sound one follows is an unfinished write, which nobody was told of: it is dropped. Any
//! other one means that the list is lost.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};

use super::replica::{Cause, Distrust};

const MAGIC: [u8; 4] = *b"HFRL";
const FRAME_MAGIC: [u8; 4] = *b"HFRF";
const VERSION: u8 = 1;
const HEADER: usize = 16;
const FRAME_HEADER: usize = 16;
/// Longest reason that is kept, bytes.
const MAX_REASON: usize = 2000;

/// What the list says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Its folder was there, durably.
    Held,
    /// Its log does not count.
    Distrusted(Distrust),
}

/// The partitions of a list, in order.
pub(super) type Entries = BTreeMap<TopicPartition, Entry>;

/// One change of the list: what it says of a partition now; `None`: it is gone.
pub(super) type Change = (TopicPartition, Option<Entry>);

/// Makes a change to them.
pub(super) fn apply(entries: &mut Entries, (partition, entry): Change) {
    match entry {
        Some(entry) => entries.insert(partition, entry),
        None => entries.remove(&partition),
    };
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A later program wrote it, in this version of the format.
    Newer(u8),
    /// Entries are gone or changed; what was found.
    Lost(String),
}

/// The beginning of a file, and what its frames are bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header([u8; HEADER]);

impl Header {
    /// That of the file which this start of the folder writes.
    pub(super) fn new(boot_counter: u64) -> Self {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[8..].copy_from_slice(&boot_counter.to_be_bytes());
        Self(bytes)
    }

    /// A whole file with these entries.
    pub(super) fn file(self, entries: &Entries) -> Vec<u8> {
        let mut bytes = self.0.to_vec();
        let changes = entries.iter().map(|(partition, entry)| (*partition, Some(entry)));
        bytes.extend(self.frame_of(0, changes));
        bytes
    }

    /// The frame with this number, which makes changes.
    pub(super) fn frame(self, number: u32, changes: &[Change]) -> Vec<u8> {
        self.frame_of(number, changes.iter().map(|(partition, entry)| (*partition, entry.as_ref())))
    }

    fn frame_of<'e>(self, number: u32, changes: impl Iterator<Item = (TopicPartition, Option<&'e Entry>)>) -> Vec<u8> {
        let mut records = Vec::new();
        changes.for_each(|(partition, entry)| encode(&mut records, partition, entry));
        let mut frame = FRAME_MAGIC.to_vec();
        frame.extend_from_slice(&number.to_be_bytes());
        frame.extend_from_slice(&(records.len() as u32).to_be_bytes());
        frame.extend_from_slice(&self.crc(number, &records).to_be_bytes());
        frame.extend_from_slice(&records);
        frame
    }

    fn crc(self, number: u32, records: &[u8]) -> u32 {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&self.0), &number.to_be_bytes());
        let crc = crc32c::crc32c_append(crc, &(records.len() as u32).to_be_bytes());
        crc32c::crc32c_append(crc, records)
    }

    /// The frame that begins here, as its number and its records; `None` if it is not whole.
    fn read(self, bytes: &[u8]) -> Option<(u32, &[u8])> {
        let mut rest = bytes;
        if take::<4>(&mut rest)? != FRAME_MAGIC {
            return None;
        }
        let number = u32::from_be_bytes(take(&mut rest)?);
        let length = u32::from_be_bytes(take(&mut rest)?);
        let crc = u32::from_be_bytes(take(&mut rest)?);
        let records = rest.get(..length as usize)?;
        (crc == self.crc(number, records)).then_some((number, records))
    }
}

/// The entries of a file that the start with this boot counter, or a later one, has written.
pub(super) fn decode(bytes: &[u8], written_by: u64) -> Result<Entries, Problem> {
    let lost = |reason: &str| Problem::Lost(reason.to_owned());
    let header = bytes.first_chunk::<HEADER>().filter(|header| header.starts_with(&MAGIC));
    let header = Header(*header.ok_or_else(|| lost("it does not begin as such a file does"))?);
    let mut entries = Entries::new();
    let mut rest = &bytes[HEADER..];
    let mut expected = 0;
    // A version is believed only with a checksum that fits, which every later format has to have here too.
    while let Some((_, records)) = header.read(rest).filter(|(number, _)| *number == expected) {
        if header.0[4] > VERSION {
            return Err(Problem::Newer(header.0[4]));
        }
        decode_records(records, &mut entries).ok_or_else(|| lost("it holds a record of no known kind"))?;
        rest = &rest[FRAME_HEADER + records.len()..];
        expected += 1;
    }
    if expected == 0 {
        return Err(lost("its first frame is damaged"));
    }
    let boot_counter = u64::from_be_bytes(*header.0[8..].first_chunk().ok_or_else(|| lost("it has no boot counter"))?);
    if boot_counter < written_by {
        return Err(lost("it is of an earlier start, and what was noted since is gone"));
    }
    let is_followed = (0..rest.len()).any(|at| header.read(&rest[at..]).is_some_and(|(number, _)| number >= expected));
    if is_followed { Err(lost("a frame in its middle is damaged")) } else { Ok(entries) }
}

fn encode(bytes: &mut Vec<u8>, partition: TopicPartition, entry: Option<&Entry>) {
    bytes.push(match entry {
        None => 0,
        Some(Entry::Held) => 1,
        Some(Entry::Distrusted(_)) => 2,
    });
    bytes.extend_from_slice(&partition.topic_id.to_bytes());
    bytes.extend_from_slice(&partition.partition.0.to_be_bytes());
    if let Some(Entry::Distrusted(Distrust { cause, reason, last_epoch, end })) = entry {
        bytes.push(u8::from(last_epoch.is_some()) | u8::from(end.is_some()) << 1 | cause_bits(*cause));
        bytes.extend_from_slice(&last_epoch.map_or(0, |epoch| epoch.0).to_be_bytes());
        bytes.extend_from_slice(&end.map_or(0, |end| end.0).to_be_bytes());
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
        bytes.extend_from_slice(&(reason.len() as u16).to_be_bytes());
        bytes.extend_from_slice(reason.as_bytes());
    }
}

fn decode_records(mut rest: &[u8], entries: &mut Entries) -> Option<()> {
    while !rest.is_empty() {
        let kind = take::<1>(&mut rest)?[0];
        let topic_id = TopicId(Uuid::from_bytes(take(&mut rest)?));
        let partition = TopicPartition { topic_id, partition: PartitionIndex(u32::from_be_bytes(take(&mut rest)?)) };
        let entry = match kind {
            0 => None,
            1 => Some(Entry::Held),
            2 => Some(Entry::Distrusted(decode_distrust(&mut rest)?)),
            _ => return None,
        };
        apply(entries, (partition, entry));
    }
    Some(())
}

fn decode_distrust(rest: &mut &[u8]) -> Option<Distrust> {
    let known = take::<1>(rest)?[0];
    let epoch = LeaderEpoch(u32::from_be_bytes(take(rest)?));
    let end = Offset(u64::from_be_bytes(take(rest)?));
    let length = u16::from_be_bytes(take(rest)?);
    let (reason, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(Distrust {
        cause: cause_of(known),
        reason: String::from_utf8(reason.to_vec()).ok()?,
        last_epoch: (known & 1 != 0).then_some(epoch),
        end: (known & 2 != 0).then_some(end),
    })
}

fn cause_bits(cause: Cause) -> u8 {
    match cause {
        Cause::Damaged => 0,
        Cause::Vanished => 1 << 2,
        Cause::Halted => 2 << 2,
    }
}

fn cause_of(known: u8) -> Cause {
    match known >> 2 & 3 {
        1 => Cause::Vanished,
        2 => Cause::Halted,
        _ => Cause::Damaged,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*chunk)
}

#[cfg(test)]
#[path = "replica_list_tests.rs"]
mod tests;
