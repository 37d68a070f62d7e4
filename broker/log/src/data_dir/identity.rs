//! Who a data folder belongs to: the file `holdfast-data`.

use std::{fmt::Write, fs, io, path::Path, str::FromStr};

use uuid::Uuid;

use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId};

use crate::{Disk, Error};

pub(super) const FILE: &str = "holdfast-data";
const VERSION: &str = "1";

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
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", &path, error)),
        };
        match decode(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(reason) => Err(Error::BadFolder { path, reason }),
        }
    }

    /// Puts it into the folder, durably.
    pub(super) fn store(&self, disk: &Disk, folder: &Path) -> Result<(), Error> {
        disk.replace(&folder.join(FILE), &encode(self))
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

/// Lines of `name: value`, the last one a checksum over those before it.
fn encode(identity: &Identity) -> Vec<u8> {
    let mut text = format!("version: {VERSION}\n");
    if let Some(cluster_id) = identity.cluster_id {
        let _ = writeln!(text, "cluster_id: {cluster_id}"); // a String takes everything
    }
    let Identity { broker_id, directory_id, boot_counter, .. } = identity;
    let _ = write!(text, "broker_id: {broker_id}\ndirectory_id: {directory_id}\nboot_counter: {boot_counter}\n");
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c: {crc:08x}");
    text.into_bytes()
}

fn decode(text: &str) -> Result<Identity, String> {
    let damaged =
        || "it is damaged; restore it from a copy, or empty the data folder if the other replicas are complete";
    let (content, crc) = text.rsplit_once("crc32c: ").ok_or_else(damaged)?;
    let version = content.strip_prefix("version: ").and_then(|rest| rest.split('\n').next());
    let is_whole =
        crc.strip_suffix('\n').is_some_and(|crc| crc == format!("{:08x}", crc32c::crc32c(content.as_bytes())));
    if !is_whole {
        return Err(damaged().to_owned());
    }
    if version != Some(VERSION) {
        let version = version.unwrap_or("unknown");
        return Err(format!(
            "it has format version {version}, this program knows version {VERSION}: use a newer program"
        ));
    }
    let identity = || {
        Some(Identity {
            cluster_id: value(content, "cluster_id").map(ClusterId),
            broker_id: BrokerId(value(content, "broker_id")?),
            directory_id: DirectoryId(value(content, "directory_id")?),
            boot_counter: value(content, "boot_counter")?,
        })
    };
    identity().ok_or_else(|| damaged().to_owned())
}

fn value<T: FromStr>(text: &str, name: &str) -> Option<T> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
}
