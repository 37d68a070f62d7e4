//! Who a data folder belongs to, and what it shows to prove that it is no copy: the file `holdfast-data`. Its text:
//! [`holdfast_identity`].
//!
//! An earlier program passes over the keys that it does not know, and drops them when it counts its start. Then the list
//! of partitions is made of the folders again, as for a folder from before, and the folder has no token and no anchor: the
//! controllers know it by its directory id and boot counter alone, as they did before.

use std::{fs, io, path::Path, str::FromStr};

use uuid::Uuid;

use holdfast_identity::{BROKER, Problem, VERSION};
use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId, FolderToken, MetadataIndex};

use super::anchor::Anchor;
use crate::{Disk, Error};

const CLUSTER_ID: &str = "cluster_id";
const BROKER_ID: &str = "broker_id";
const DIRECTORY_ID: &str = "directory_id";
const BOOT_COUNTER: &str = "boot_counter";
const REPLICA_LIST: &str = "replica_list";
const TOKEN: &str = "token";
const PENDING_TOKENS: &str = "pending_tokens";
const METADATA_INDEX: &str = "metadata_index";
const ANCHOR: &str = "anchor";
const WAS_COPIED: &str = "was_copied";

/// The identity of a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) broker_id: BrokerId,
    pub(super) directory_id: DirectoryId,
    pub(super) boot_counter: u64,
    /// `None`: an earlier program wrote it, which kept no list of partitions.
    pub(super) list: Option<ListKept>,
    /// The token that was confirmed last.
    pub(super) token: Option<FolderToken>,
    /// Those that were given since, oldest first.
    pub(super) pending: Vec<FolderToken>,
    /// The cluster's metadata was committed up to there at least; 0: nothing is known.
    pub(super) metadata_index: MetadataIndex,
    pub(super) anchor: Option<Anchor>,
    /// It was found to be a copy, and no token was confirmed since.
    pub(super) was_copied: bool,
}

/// What became of the list of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKept {
    /// The folder has one.
    Kept,
    /// It has one again, and no token was confirmed since it was lost.
    Lost,
}

impl Identity {
    /// That of a folder that is formatted now.
    pub(super) fn new(broker_id: BrokerId, cluster_id: Option<ClusterId>) -> Self {
        Self {
            cluster_id,
            broker_id,
            directory_id: DirectoryId(Uuid::new_v4()),
            boot_counter: 0,
            list: Some(ListKept::Kept),
            token: None,
            pending: Vec::new(),
            metadata_index: MetadataIndex(0),
            anchor: None,
            was_copied: false,
        }
    }

    /// As the next start finds it, with the anchor that it finds, if any.
    pub(super) fn at_next_boot(self, found: Option<Anchor>) -> Self {
        let is_copy = self.anchor.zip(found).is_some_and(|(known, found)| known != found);
        Self {
            boot_counter: self.boot_counter + 1,
            anchor: found.or(self.anchor),
            was_copied: self.was_copied || is_copy,
            ..self
        }
    }

    /// That of the folder; `None` if it was never formatted.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(BROKER.file);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", &path, error)),
        };
        match decode(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(problem) => Err(Error::BadFolder { path, reason: reason(&problem) }),
        }
    }

    /// Puts it into the folder, durably.
    pub(super) fn store(&self, disk: &Disk, folder: &Path) -> Result<(), Error> {
        disk.replace(&folder.join(BROKER.file), encode(self).as_bytes())
    }

    /// The identity with the cluster, if it is the expected one.
    pub(super) fn check(
        self,
        folder: &Path,
        broker_id: BrokerId,
        cluster_id: Option<ClusterId>,
    ) -> Result<Self, Error> {
        let path = folder.to_owned();
        if self.broker_id != broker_id {
            return Err(Error::OtherBroker { path, found: self.broker_id, expected: broker_id });
        }
        match (self.cluster_id, cluster_id) {
            (Some(found), Some(expected)) if found != expected => Err(Error::OtherCluster { path, found, expected }),
            (found, expected) => Ok(Self { cluster_id: found.or(expected), ..self }),
        }
    }
}

fn encode(identity: &Identity) -> String {
    let mut fields = Vec::new();
    fields.extend(identity.cluster_id.map(|cluster_id| (CLUSTER_ID, cluster_id.to_string())));
    fields.push((BROKER_ID, identity.broker_id.to_string()));
    fields.push((DIRECTORY_ID, identity.directory_id.to_string()));
    fields.push((BOOT_COUNTER, identity.boot_counter.to_string()));
    fields.extend(identity.list.map(|list| (REPLICA_LIST, list.word().to_owned())));
    fields.extend(identity.token.map(|token| (TOKEN, token.to_string())));
    if !identity.pending.is_empty() {
        let pending: Vec<String> = identity.pending.iter().map(ToString::to_string).collect();
        fields.push((PENDING_TOKENS, pending.join(",")));
    }
    if identity.metadata_index > MetadataIndex(0) {
        fields.push((METADATA_INDEX, identity.metadata_index.to_string()));
    }
    fields.extend(identity.anchor.map(|anchor| (ANCHOR, anchor.to_string())));
    fields.extend(identity.was_copied.then(|| (WAS_COPIED, true.to_string())));
    BROKER.encode(&fields)
}

fn decode(text: &str) -> Result<Identity, Problem> {
    let fields = BROKER.decode(text)?;
    Ok(Identity {
        cluster_id: fields.find(CLUSTER_ID)?.map(ClusterId),
        broker_id: BrokerId(fields.get(BROKER_ID)?),
        directory_id: DirectoryId(fields.get(DIRECTORY_ID)?),
        boot_counter: fields.get(BOOT_COUNTER)?,
        list: fields.find(REPLICA_LIST)?,
        token: fields.find(TOKEN)?.map(FolderToken),
        pending: match fields.find::<String>(PENDING_TOKENS)? {
            None => Vec::new(),
            Some(tokens) => {
                let tokens: Result<Vec<_>, _> = tokens.split(',').map(|token| token.parse().map(FolderToken)).collect();
                tokens.map_err(|_| fields.wrong(PENDING_TOKENS))?
            }
        },
        metadata_index: MetadataIndex(fields.find(METADATA_INDEX)?.unwrap_or(0)),
        anchor: fields.find(ANCHOR)?,
        was_copied: fields.find(WAS_COPIED)?.unwrap_or(false),
    })
}

impl ListKept {
    const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Lost => "lost",
        }
    }
}

impl FromStr for ListKept {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Kept, Self::Lost].into_iter().find(|list| list.word() == word).ok_or(())
    }
}

fn reason(problem: &Problem) -> String {
    match problem {
        Problem::Newer(version) => {
            format!("it has format version {version}, this program knows version {VERSION}: use a newer program")
        }
        _ => "it is damaged; restore it from a copy, or empty the data folder if the other replicas are complete"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stays_as_earlier_programs_wrote_it() {
        let text = "version: 1\ncluster_id: 00000000-0000-0000-0000-000000000007\nbroker_id: 1\n\
                    directory_id: 00000000-0000-0000-0000-000000000009\nboot_counter: 3\ncrc32c: 087459d8\n";
        let expected = Identity {
            cluster_id: Some(ClusterId(Uuid::from_u128(7))),
            broker_id: BrokerId(1),
            directory_id: DirectoryId(Uuid::from_u128(9)),
            boot_counter: 3,
            list: None,
            token: None,
            pending: Vec::new(),
            metadata_index: MetadataIndex(0),
            anchor: None,
            was_copied: false,
        };
        assert_eq!(decode(text).as_ref(), Ok(&expected));
        assert_eq!(encode(&expected), text);
        let young = Identity { cluster_id: None, ..expected };
        assert_eq!(decode(&encode(&young)), Ok(young));
    }

    #[test]
    fn what_is_new_is_read_back() {
        let identity = Identity {
            list: Some(ListKept::Lost),
            token: Some(FolderToken(Uuid::from_u128(1))),
            pending: vec![FolderToken(Uuid::from_u128(3)), FolderToken(Uuid::from_u128(2))],
            metadata_index: MetadataIndex(10_000_000_083),
            anchor: Some("77-1700000000123456789".parse().unwrap()),
            was_copied: true,
            ..Identity::new(BrokerId(1), None)
        };
        let text = encode(&identity);
        assert_eq!(decode(&text), Ok(identity));
        for key in [REPLICA_LIST, TOKEN, PENDING_TOKENS, ANCHOR, WAS_COPIED] {
            assert!(text.contains(&format!("\n{key}: ")), "{text}");
        }
        let with = |key, value: &str| {
            let old = [(BROKER_ID, "1"), (DIRECTORY_ID, &Uuid::nil().to_string()), (BOOT_COUNTER, "1"), (key, value)]
                .map(|(key, value)| (key, value.to_owned()));
            decode(&BROKER.encode(&old))
        };
        assert!(with(REPLICA_LIST, "kept").is_ok());
        for (key, bad) in [(REPLICA_LIST, "x"), (TOKEN, "x"), (PENDING_TOKENS, "x,"), (ANCHOR, "7"), (WAS_COPIED, "1")]
        {
            assert!(with(key, bad).is_err(), "{key}");
        }
    }

    #[test]
    fn a_newer_file_asks_for_a_newer_program() {
        let reason = reason(&Problem::Newer(2));
        assert_eq!(reason, "it has format version 2, this program knows version 1: use a newer program");
    }
}
