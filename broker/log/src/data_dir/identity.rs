//! Who a data folder belongs to: the file `holdfast-data`. Its text: [`holdfast_identity`].

use std::{fs, io, path::Path};

use uuid::Uuid;

use holdfast_identity::{BROKER, Problem, VERSION};
use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId};

use crate::{Disk, Error};

const CLUSTER_ID: &str = "cluster_id";
const BROKER_ID: &str = "broker_id";
const DIRECTORY_ID: &str = "directory_id";
const BOOT_COUNTER: &str = "boot_counter";

/// The identity of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) broker_id: BrokerId,
    pub(super) directory_id: DirectoryId,
    pub(super) boot_counter: u64,
}

impl Identity {
    /// That of a folder that is formatted now.
    pub(super) fn new(broker_id: BrokerId, cluster_id: Option<ClusterId>) -> Self {
        Self { cluster_id, broker_id, directory_id: DirectoryId(Uuid::new_v4()), boot_counter: 0 }
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
    BROKER.encode(&fields)
}

fn decode(text: &str) -> Result<Identity, Problem> {
    let fields = BROKER.decode(text)?;
    Ok(Identity {
        cluster_id: fields.find(CLUSTER_ID)?.map(ClusterId),
        broker_id: BrokerId(fields.get(BROKER_ID)?),
        directory_id: DirectoryId(fields.get(DIRECTORY_ID)?),
        boot_counter: fields.get(BOOT_COUNTER)?,
    })
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
        };
        assert_eq!(decode(text), Ok(expected));
        assert_eq!(encode(&expected), text);
        let young = Identity { cluster_id: None, ..expected };
        assert_eq!(decode(&encode(&young)), Ok(young));
    }

    #[test]
    fn a_newer_file_asks_for_a_newer_program() {
        let reason = reason(&Problem::Newer(2));
        assert_eq!(reason, "it has format version 2, this program knows version 1: use a newer program");
    }
}
