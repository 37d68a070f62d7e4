//! Compares the replicas of a partition, batch by batch, as the files of their brokers hold them.
//!
//! Not through the programs' own log: what is compared must not be what says that it is equal. Only the format of a batch
//! and the names of the segments are shared. Nothing is written; the brokers may run, as long as nothing is produced.

use std::{fmt, fs, io, path::Path};

use holdfast_proto::batch::{self, BatchHeader};

/// A batch as a segment holds it: all that has to be equal on every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of its first record.
    pub base: u64,
    /// Offset after its last record.
    pub next: u64,
    /// Leader epoch in which it was appended.
    pub epoch: u32,
    /// Who wrote it; -1 without idempotence.
    pub producer: i64,
    /// Sequence of its first record; -1 without idempotence.
    pub sequence: i32,
    /// Its checksum, which fits its bytes.
    pub crc: u32,
    /// Where it begins in its segment's file.
    pub position: u64,
    /// Its length with the header, bytes.
    pub size: u64,
}

impl Batch {
    /// True if both are the same batch; where they stand in a file may differ.
    fn is_same(&self, other: &Self) -> bool {
        Self { position: 0, ..*self } == Self { position: 0, ..*other }
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, next, epoch, producer, sequence, crc, .. } = self;
        write!(
            f,
            "offsets {base} to below {next}, epoch {epoch}, producer {producer}, sequence {sequence}, CRC {crc:08x}"
        )
    }
}

/// The batches of one segment's file; `Err` says where they end and why.
pub fn batches_of(segment: &Path) -> Result<Vec<Batch>, String> {
    let bytes = fs::read(segment).map_err(|error| format!("{}: {error}", segment.display()))?;
    let mut batches = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let bad = |reason: String| format!("{} at byte {position}: {reason}", segment.display());
        let header = BatchHeader::parse(&bytes[position..]).map_err(|error| bad(error.to_string()))?;
        let whole = bytes.get(position..position + header.size_bytes);
        let whole = whole.ok_or_else(|| bad(format!("a batch of {} bytes is cut", header.size_bytes)))?;
        batch::verify_crc(whole).map_err(|error| bad(error.to_string()))?;
        batches.push(Batch {
            base: header.base_offset.0,
            next: header.next_offset().0,
            epoch: header.leader_epoch.0,
            producer: header.producer_id.0,
            sequence: header.base_sequence.0,
            crc: header.crc,
            position: position as u64,
            size: header.size_bytes as u64,
        });
        position += header.size_bytes;
    }
    Ok(batches)
}

/// The files of a partition's segments, oldest first.
pub fn segments_of(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "log") {
            segments.push(path);
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// All batches of a partition's folder below the high watermark, without gaps.
fn held(folder: &Path, high_watermark: u64) -> Result<Vec<Batch>, String> {
    let mut held: Vec<Batch> = Vec::new();
    for segment in segments_of(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        for batch in batches_of(&segment)?.into_iter().filter(|batch| batch.base < high_watermark) {
            if let Some(last) = held.last().filter(|last| last.next != batch.base) {
                return Err(format!("{} has nothing from offset {} to {}", folder.display(), last.next, batch.base));
            }
            held.push(batch);
        }
    }
    let end = held.last().map_or(0, |last| last.next);
    if end < high_watermark {
        return Err(format!("{} ends at offset {end}, below the high watermark {high_watermark}", folder.display()));
    }
    Ok(held)
}

/// Compares the folders of one partition up to the high watermark, as far back as all of them reach. Gives the number of
/// batches that are equal on all; `Err` is the first difference, in words.
pub fn compare(folders: &[(String, impl AsRef<Path>)], high_watermark: u64) -> Result<usize, String> {
    let mut all = Vec::new();
    for (name, folder) in folders {
        all.push((name, held(folder.as_ref(), high_watermark).map_err(|reason| format!("{name}: {reason}"))?));
    }
    let start = all.iter().filter_map(|(_, batches)| batches.first()).map(|batch| batch.base).max().unwrap_or(0);
    for (_, batches) in &mut all {
        batches.retain(|batch| batch.base >= start);
    }
    let Some(((first, expected), others)) = all.split_first() else { return Ok(0) };
    for (name, batches) in others {
        let differing = expected.iter().zip(batches).find(|(one, other)| !one.is_same(other));
        if let Some((one, other)) = differing {
            return Err(format!("{first} and {name} differ: {first} holds {one}; {name} holds {other}"));
        }
        if expected.len() != batches.len() {
            return Err(format!("{first} holds {} batches, {name} holds {}", expected.len(), batches.len()));
        }
    }
    Ok(expected.len())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        batch::{BatchBuilder, Compression, RecordRef, set_base_offset_and_epoch},
        ids::{LeaderEpoch, Offset},
    };

    use super::*;

    /// A batch of one record at this offset.
    fn batch(offset: u64, value: &str) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        let record = RecordRef { value: Some(value.as_bytes()), ..RecordRef::default() };
        builder.append(&record).unwrap();
        let mut bytes = builder.build(None).unwrap().to_vec();
        set_base_offset_and_epoch(&mut bytes, Offset(offset), LeaderEpoch(3));
        bytes
    }

    /// A replica whose segments begin at these batches.
    fn replica(segments: &[&[(u64, &str)]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for segment in segments {
            let bytes: Vec<u8> = segment.iter().flat_map(|(offset, value)| batch(*offset, value)).collect();
            fs::write(folder.path().join(format!("{:020}.log", segment[0].0)), bytes).unwrap();
        }
        folder
    }

    fn compared(one: &tempfile::TempDir, other: &tempfile::TempDir, high_watermark: u64) -> Result<usize, String> {
        compare(&[("broker-1".to_owned(), one.path()), ("broker-2".to_owned(), other.path())], high_watermark)
    }

    #[test]
    fn equal_batches_are_equal_whatever_their_segments() {
        let one = replica(&[&[(0, "a"), (1, "b")], &[(2, "c")]]);
        let other = replica(&[&[(1, "b"), (2, "c"), (3, "beyond")]]);
        assert_eq!(compared(&one, &other, 3), Ok(2));
        assert_eq!(compared(&one, &one, 3), Ok(3));
    }

    #[test]
    fn the_first_difference_is_named() {
        let one = replica(&[&[(0, "a"), (1, "b"), (2, "c")]]);
        let changed = replica(&[&[(0, "a"), (1, "x"), (2, "y")]]);
        let said = compared(&one, &changed, 3).unwrap_err();
        assert!(said.contains("broker-2 holds offsets 1 to below 2, epoch 3"), "{said}");
        let short = replica(&[&[(0, "a"), (1, "b")]]);
        let said = compared(&one, &short, 3).unwrap_err();
        assert!(said.contains("broker-2") && said.contains("ends at offset 2, below the high watermark 3"), "{said}");
        let gap = replica(&[&[(0, "a")], &[(2, "c")]]);
        let said = compared(&one, &gap, 3).unwrap_err();
        assert!(said.contains("has nothing from offset 1 to 2"), "{said}");
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let (one, other) = (replica(&[&[(0, "a"), (1, "b")]]), replica(&[&[(0, "a"), (1, "b")]]));
        let segment = &segments_of(other.path()).unwrap()[0];
        let second = batches_of(segment).unwrap()[1];
        let mut bytes = fs::read(segment).unwrap();
        bytes[second.position as usize + BatchHeader::SIZE] ^= 1;
        fs::write(segment, bytes).unwrap();
        let said = compared(&one, &other, 2).unwrap_err();
        assert!(said.contains(&format!("at byte {}", second.position)), "{said}");
    }
}
