//! Who this controller is: the identity of its data folder, and the lock on it.
//!
//! `<data_dir>/meta.properties` (its text: [`holdfast_identity`]) is written once and then changed in two ways only: the
//! boot counter grows at each start, and the cluster id is set once. `<data_dir>/lock` is held by the running process.
//!
//! 1. The node id is random and belongs to the disk: a blank folder is a new node, whatever its name or address. An
//!    empty log under an old id would let Raft elect a leader without committed entries.
//! 2. A folder belongs to one cluster for ever: [`DataDir::bind`] refuses a second one.
//! 3. Every change is durable before it is acted on: temporary file, fsync, rename, fsync of the folder.
//! 4. A folder is bound only once its store is durable, with its marker; before, it votes and promises nothing. So a folder
//!    that is bound has a store, and one that lost it is refused ([`crate::store::Origin`]).
//! 5. Two processes never share a folder: the second finds it locked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use rand::RngExt as _;
use uuid::Uuid;

use holdfast_identity::{CONTROLLER, Lock, Problem, VERSION};
use holdfast_proto::ids::{ClusterId, DirectoryId, IncarnationId};

const NODE_ID: &str = "node.id";
const DIRECTORY_ID: &str = "directory.id";
const BOOT_COUNTER: &str = "boot.counter";
const CLUSTER_ID: &str = "cluster.id";
const PROMISED_TO: &str = "promised.to";
const TOLD_MARK: &str = "told.mark";
/// Node ids fit the 53 bits that JSON tools read exactly.
const NODE_ID_MAX: u64 = (1 << 53) - 1;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading, writing, syncing or locking failed.
    #[error("{path}: {source}")]
    Io {
        /// The file that it failed for, or the folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{0} is in use by another process; each controller needs a folder of its own")]
    Locked(String),
    /// The file was written by a later version of Holdfast.
    #[error("{path} has version {found}; this version reads up to {VERSION}: install the newer version again")]
    NewerFormat {
        /// Path of the identity file.
        path: String,
        /// Version that the file says, above `VERSION`.
        found: u32,
    },
    /// The file is not what this program writes.
    #[error(
        "{path} is damaged: {problem}; move the whole data folder away, never a part of it, and start with an empty one: it joins under a new id"
    )]
    Damaged {
        /// Path of the identity file.
        path: String,
        /// The line or field that is wrong, in words for the message.
        problem: String,
    },
    /// The folder belongs to another cluster.
    #[error("the data folder belongs to cluster {found}, not {wanted}; check data_dir and cluster_id")]
    OtherCluster {
        /// The cluster that the folder belongs to.
        found: ClusterId,
        /// The cluster that was asked for.
        wanted: ClusterId,
    },
}

/// The identity as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Raft id: random, not 0, below 2^53.
    pub node_id: u64,
    /// Random id of the folder.
    pub directory_id: DirectoryId,
    /// Starts on this folder, this one included, from 1.
    pub boot_counter: u64,
    /// The only cluster that this folder may ever belong to, once there is one.
    pub cluster_id: Option<ClusterId>,
    /// The node that the folder promised to form that cluster with; 0 if it learned of a formed one.
    pub promised_to: u64,
    /// True once the folder has a mark of what was told ([`crate::store::Told`]). Earlier programs drop the field at their
    /// start, and do not keep the mark either: then it is made again.
    pub told: bool,
}

/// A locked data folder with its identity.
pub struct DataDir {
    path: PathBuf,
    identity: Mutex<Identity>,
    incarnation_id: IncarnationId,
    _lock: Lock,
}

impl DataDir {
    /// Locks the folder (made if it is not there), reads or makes its identity and counts this start. Blocks.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|source| at(path, source))?;
        let lock = lock(path)?;
        let file = path.join(CONTROLLER.file);
        let mut identity = match fs::read_to_string(&file) {
            Ok(text) => parse(&text, &file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh(path)?,
            Err(source) => return Err(at(&file, source)),
        };
        identity.boot_counter += 1;
        write(path, &identity)?;
        let incarnation_id = IncarnationId(Uuid::new_v4());
        Ok(Self { path: path.to_owned(), identity: Mutex::new(identity), incarnation_id, _lock: lock })
    }

    /// The identity as it is now.
    pub fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// Raft id of this node.
    pub fn node_id(&self) -> u64 {
        self.identity.lock().node_id
    }

    /// Random id of this start: two processes on copies of a folder have the same node id, and never this.
    pub const fn incarnation_id(&self) -> IncarnationId {
        self.incarnation_id
    }

    /// The cluster that the folder is bound to.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.identity.lock().cluster_id
    }

    /// Folder of the store.
    pub fn store_path(&self) -> PathBuf {
        self.path.join("raft")
    }

    /// File of the mark of what the store held when it was told.
    pub fn told_path(&self) -> PathBuf {
        self.path.join("told")
    }

    /// Notes, durably, that the folder has its mark. Blocks on the disk.
    pub fn keep_told(&self) -> Result<(), Error> {
        let mut identity = self.identity.lock();
        if !identity.told {
            let next = Identity { told: true, ..*identity };
            write(&self.path, &next)?;
            *identity = next;
        }
        Ok(())
    }

    /// Binds the folder to a cluster, durably, and says what it is bound to now. A folder that is bound already stays
    /// so: compare the answer. Blocks on the disk.
    pub fn bind(&self, cluster_id: ClusterId, promised_to: u64) -> Result<Identity, Error> {
        let mut identity = self.identity.lock();
        if identity.cluster_id.is_none() {
            let next = Identity { cluster_id: Some(cluster_id), promised_to, ..*identity };
            write(&self.path, &next)?;
            *identity = next;
        }
        Ok(*identity)
    }
}

fn lock(path: &Path) -> Result<Lock, Error> {
    let name = path.join(CONTROLLER.lock);
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&name);
    let taken = opened.and_then(Lock::take).map_err(|source| at(&name, source))?;
    taken.ok_or_else(|| Error::Locked(path.display().to_string()))
}

/// A new identity, for a folder that holds nothing yet.
fn fresh(path: &Path) -> Result<Identity, Error> {
    // A store without an identity is what a restored half of a folder looks like: its log belongs to another id.
    if path.join("raft").exists() {
        let problem = format!("it is missing, but {} exists", path.join("raft").display());
        return Err(Error::Damaged { path: path.join(CONTROLLER.file).display().to_string(), problem });
    }
    Ok(Identity {
        node_id: rand::rng().random_range(1..=NODE_ID_MAX),
        directory_id: DirectoryId(Uuid::new_v4()),
        boot_counter: 0,
        cluster_id: None,
        promised_to: 0,
        told: false,
    })
}

fn write(dir: &Path, identity: &Identity) -> Result<(), Error> {
    let temporary = dir.join("meta.properties.new");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(encode(identity).as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| at(&temporary, source))?;
    let path = dir.join(CONTROLLER.file);
    fs::rename(&temporary, &path).map_err(|source| at(&path, source))?;
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(|source| at(dir, source))
}

fn encode(identity: &Identity) -> String {
    let mut fields = vec![
        (NODE_ID, identity.node_id.to_string()),
        (DIRECTORY_ID, identity.directory_id.to_string()),
        (BOOT_COUNTER, identity.boot_counter.to_string()),
    ];
    if let Some(cluster_id) = identity.cluster_id {
        fields.push((CLUSTER_ID, cluster_id.to_string()));
        fields.push((PROMISED_TO, identity.promised_to.to_string()));
    }
    if identity.told {
        fields.push((TOLD_MARK, "1".to_owned()));
    }
    CONTROLLER.encode(&fields)
}

fn parse(text: &str, path: &Path) -> Result<Identity, Error> {
    decode(text).map_err(|problem| {
        let path = path.display().to_string();
        match problem {
            Problem::Newer(found) => Error::NewerFormat { path, found },
            problem => Error::Damaged { path, problem: problem.to_string() },
        }
    })
}

fn decode(text: &str) -> Result<Identity, Problem> {
    let fields = CONTROLLER.decode(text)?;
    let node_id = fields.get(NODE_ID)?;
    if !(1..=NODE_ID_MAX).contains(&node_id) {
        return Err(fields.wrong(NODE_ID));
    }
    let cluster_id = fields.find(CLUSTER_ID)?.map(ClusterId);
    Ok(Identity {
        node_id,
        directory_id: DirectoryId(fields.get(DIRECTORY_ID)?),
        boot_counter: fields.get(BOOT_COUNTER)?,
        promised_to: if cluster_id.is_some() { fields.get(PROMISED_TO)? } else { 0 },
        told: fields.find::<u64>(TOLD_MARK)?.is_some(),
        cluster_id,
    })
}

fn at(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_restarts_and_counts_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = DataDir::open(dir.path()).expect("open").identity();
        assert!((1..=NODE_ID_MAX).contains(&first.node_id));
        assert_eq!((first.boot_counter, first.cluster_id), (1, None));
        let second = DataDir::open(dir.path()).expect("open").identity();
        assert_eq!(second, Identity { boot_counter: 2, ..first });
    }

    #[test]
    fn a_folder_is_bound_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, other) = (ClusterId(Uuid::from_u128(1)), ClusterId(Uuid::from_u128(2)));
        let data = DataDir::open(dir.path()).expect("open");
        assert_eq!(data.bind(one, 7).expect("bind").cluster_id, Some(one));
        let again = data.bind(other, 8).expect("bind");
        assert_eq!((again.cluster_id, again.promised_to), (Some(one), 7));
        drop(data);
        assert_eq!(DataDir::open(dir.path()).expect("open").cluster_id(), Some(one));
    }

    #[test]
    fn a_locked_folder_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let _held = DataDir::open(dir.path()).expect("open");
        assert!(matches!(DataDir::open(dir.path()), Err(Error::Locked(_))));
    }

    #[test]
    fn damage_and_newer_versions_are_named() {
        let path = Path::new("meta.properties");
        let good = "version=1\nnode.id=5\ndirectory.id=00000000-0000-0000-0000-000000000001\nboot.counter=3\n";
        assert!(parse(good, path).is_ok());
        assert!(matches!(
            parse(&good.replace("version=1", "version=2"), path),
            Err(Error::NewerFormat { found: 2, .. })
        ));
        for bad in [
            "",
            "node.id=5",
            &good.replace("=5", "=0"),
            &good.replace("boot", "b"),
            &good.replace('-', "+"),
            &format!("{good}x\n"),
            &format!("{good}cluster.id=1\n"),
        ] {
            assert!(matches!(parse(bad, path), Err(Error::Damaged { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_file_stays_as_earlier_programs_wrote_it() {
        let text = "version=1\nnode.id=5\ndirectory.id=00000000-0000-0000-0000-000000000009\nboot.counter=3\n\
                    cluster.id=00000000-0000-0000-0000-000000000007\npromised.to=8\n";
        let expected = Identity {
            node_id: 5,
            directory_id: DirectoryId(Uuid::from_u128(9)),
            boot_counter: 3,
            cluster_id: Some(ClusterId(Uuid::from_u128(7))),
            promised_to: 8,
            told: false,
        };
        assert_eq!(decode(text), Ok(expected));
        assert_eq!(encode(&expected), text);
        let young = Identity { cluster_id: None, promised_to: 0, ..expected };
        assert_eq!(decode(&encode(&young)), Ok(young));
    }

    #[test]
    fn a_store_without_identity_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("raft")).expect("mkdir");
        assert!(matches!(DataDir::open(dir.path()), Err(Error::Damaged { .. })));
    }
}
