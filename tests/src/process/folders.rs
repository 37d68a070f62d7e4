//! Faults of one disk: the data folder of a node is copied, restored, or loses and changes what it holds.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use holdfast_local::{NodeName, ProcessCluster};
use holdfast_proto::ids::TopicPartition;

use super::replicas::{Batch, batches_of, segments_of};

/// The file of a data folder that its program locks. A copy below the file system keeps it the same file.
const LOCK: &str = "holdfast.lock";

/// The file that says whose a data folder is.
const IDENTITY: &str = "holdfast-data";

/// A copy of a data folder; removed with this.
pub struct Copy(TempDir);

/// How a folder is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// Below the file system, as a snapshot of a volume: the files keep their inodes.
    Volume,
    /// File by file, as a backup: each file is another one then.
    Files,
}

/// The data folder of a node.
pub struct Folder(PathBuf);

impl Folder {
    /// That of this node.
    pub fn of(cluster: &ProcessCluster, node: NodeName) -> Self {
        Self(cluster.data_dir(node))
    }

    /// The data folder at this place.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Copies it as it is at this moment.
    pub fn copy(&self) -> Copy {
        let copy = tempfile::tempdir().expect("a folder for the copy");
        copy_into(&self.0, copy.path()).expect("the folder can be copied");
        Copy(copy)
    }

    /// Makes it again what the copy holds. Its node must not run.
    pub fn restore(&self, copy: &Copy, how: Restore) {
        let lock = copy.path().join(LOCK);
        assert!(how == Restore::Files || lock.exists(), "the name of the file that is locked has changed");
        for entry in fs::read_dir(&self.0).expect("the folder is there") {
            let entry = entry.expect("the folder can be listed");
            if how == Restore::Volume && entry.file_name() == LOCK {
                continue;
            }
            remove(&entry.path());
        }
        copy_into(copy.path(), &self.0).expect("the copy can be put in place");
    }

    /// The folder of one of its partitions.
    pub fn partition(&self, partition: TopicPartition) -> Replica {
        Replica(self.0.join("partitions").join(partition.to_string()))
    }

    /// The tokens that it shows when its broker registers; none if its program keeps none.
    pub fn tokens(&self) -> Vec<String> {
        tokens(&self.0)
    }

    /// Removes a file that stands in the folder itself.
    pub fn lose_file(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("the file is there");
    }

    /// Removes a folder that stands in it.
    pub fn lose_folder(&self, name: &str) {
        fs::remove_dir_all(self.0.join(name)).expect("the folder is there");
    }

    /// Removes the whole folder.
    pub fn remove(&self) {
        fs::remove_dir_all(&self.0).expect("the folder is there");
    }
}

impl Copy {
    /// True if the folder has shown the controllers a token since that this copy lacks: then nothing of it counts.
    pub fn is_older_than(&self, folder: &Folder) -> bool {
        let (known, now) = (tokens(self.path()), folder.tokens());
        now.is_empty() || now.first().is_some_and(|confirmed| !known.contains(confirmed))
    }

    /// Where the copy stands.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The folder of a partition.
pub struct Replica(PathBuf);

impl Replica {
    /// Where the folder stands.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it as a whole.
    pub fn vanish(&self) {
        fs::remove_dir_all(&self.0).expect("the folder is there");
    }

    /// Its segments, oldest first. The last is the active one.
    pub fn segments(&self) -> Vec<PathBuf> {
        segments_of(&self.0).expect("the folder is there")
    }

    /// Removes its oldest segment's file.
    pub fn lose_segment(&self) {
        let segments = self.segments();
        assert!(segments.len() > 1, "{} has one segment alone", self.0.display());
        fs::remove_file(&segments[0]).expect("the segment is there");
    }

    /// Cuts the log at a batch border, in the middle of the newest segment that has a few batches; those behind it are
    /// gone. Gives the offsets that are.
    pub fn cut(&self) -> std::ops::Range<u64> {
        let mut segments = self.segments();
        let end = batches_of(&segments[segments.len() - 1]).expect("it is whole").last().map(|batch| batch.next);
        loop {
            let segment = segments.pop().expect("a segment has a few batches");
            let batches = batches_of(&segment).expect("it is whole");
            if batches.len() < 4 {
                fs::remove_file(&segment).expect("the segment is there");
                continue;
            }
            let first = batches[batches.len() / 2];
            let file = File::options().write(true).open(&segment).expect("the segment is there");
            file.set_len(first.position).expect("it can be cut");
            return first.base..end.unwrap_or(batches[batches.len() - 1].next);
        }
    }

    /// Flips one bit in the records of a batch in the middle of a sealed segment. Gives that batch.
    pub fn flip_sealed(&self) -> Batch {
        let segments = self.segments();
        assert!(segments.len() > 1, "{} has no sealed segment", self.0.display());
        flip(&segments[0])
    }

    /// As [`Self::flip_sealed`], in the active segment, or in the one before if nothing is in that.
    pub fn flip_active(&self) -> Batch {
        let holds = |segment: &PathBuf| fs::metadata(segment).is_ok_and(|metadata| metadata.len() > 0);
        flip(&self.segments().into_iter().rfind(holds).expect("the log holds something"))
    }
}

/// Writes a batch of a sealed segment of one replica over one of another replica that has the same offsets and length, so
/// that all that a batch says of itself is right. `None` if no two are so alike.
pub fn misplace(from: &Replica, into: &Replica) -> Option<Batch> {
    let sealed = |replica: &Replica| {
        let mut segments = replica.segments();
        segments.pop();
        let batches = |segment: PathBuf| {
            let batches = batches_of(&segment).expect("it is whole");
            batches.into_iter().map(move |batch| (segment.clone(), batch))
        };
        segments.into_iter().flat_map(batches).collect::<Vec<_>>()
    };
    let targets = sealed(into);
    let (source, batch, target) = sealed(from).into_iter().find_map(|(source, batch)| {
        let is_alike = |other: &Batch| (other.base, other.next, other.size) == (batch.base, batch.next, batch.size);
        let target = targets.iter().find(|(_, other)| is_alike(other) && other.crc != batch.crc)?;
        Some((source, batch, target.clone()))
    })?;
    let mut bytes = vec![0; batch.size as usize];
    let file = File::open(source).expect("the segment is there");
    file.read_exact_at(&mut bytes, batch.position).expect("the batch is there");
    let (segment, place) = target;
    let file = File::options().write(true).open(segment).expect("the segment is there");
    file.write_all_at(&bytes, place.position).expect("it can be written");
    Some(batch)
}

fn flip(segment: &Path) -> Batch {
    let batches = batches_of(segment).expect("it is whole");
    let batch = batches[batches.len() / 2];
    let at = batch.position + batch.size - 2;
    let file = File::options().read(true).write(true).open(segment).expect("the segment is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("the batch is there");
    file.write_all_at(&[byte[0] ^ 0x10], at).expect("it can be written");
    batch
}

/// The tokens of a data folder, the one that was confirmed last first.
fn tokens(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join(IDENTITY)).expect("the folder says whose it is");
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let all = field("token: ").split(',').chain(field("pending_tokens: ").split(','));
    all.filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.expect("it can be removed");
}

/// Copies what a folder holds into another, over what is there. What vanishes meanwhile is passed over.
fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let copied = if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_into(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), &target).map(drop)
        };
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}
