//! What stands where in the database: column families, keys, and the marker that says whose it is.

use rocksdb::DB;

use super::error::Error;

/// Version of everything that is stored here. A newer one is refused, an older one is migrated once there is one.
const FORMAT_VERSION: u8 = 1;

/// Column family of the log: entries by big-endian index.
pub(super) const LOG: &str = "log";
/// Column family of single values: marker, vote, commit mark, purge mark.
pub(super) const STATE: &str = "state";
/// Column family of the snapshot: its meta data and its chunks.
pub(super) const SNAPSHOT: &str = "snapshot";

/// Key of the vote: it is told, so it stands in the mark as well.
pub const VOTE: &[u8] = b"vote";
pub(super) const MARKER: &[u8] = b"marker";
pub(super) const SNAPSHOT_META: &[u8] = b"meta";
/// Keys of a snapshot's chunks: the first byte of the range, and a big-endian number.
pub(super) const CHUNKS: std::ops::Range<&[u8]> = b"c".as_slice()..b"d".as_slice();

/// Whose database this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Raft id of the node.
    pub node_id: u64,
    /// Random id of its folder.
    pub directory_id: uuid::Uuid,
}

/// Whether a store has to be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The node took part in nothing yet: what a first start left is gone on with, and what is missing is made.
    New,
    /// The node may have voted and acknowledged. Its store was made before that: one that is missing, or a part of it,
    /// is a loss, and an empty one in its place would forget what it told.
    Made,
}

/// Handle of a column family; all are made at open.
pub(super) fn family<'a>(db: &'a DB, name: &str) -> &'a rocksdb::ColumnFamily {
    db.cf_handle(name).expect("column families are made when the database is opened")
}

/// The log index that a key of [`LOG`] stands for.
pub(super) fn index_of(key: &[u8]) -> Result<u64, Error> {
    let bytes = key.try_into().map_err(|_| Error::Damaged(format!("log key of {} bytes", key.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The marker as bytes: format version, node id, directory id.
pub(super) fn encode(marker: &Marker) -> Vec<u8> {
    let mut bytes = vec![FORMAT_VERSION];
    bytes.extend_from_slice(&marker.node_id.to_be_bytes());
    bytes.extend_from_slice(marker.directory_id.as_bytes());
    bytes
}

/// The marker of an open database.
pub(super) fn decode(bytes: &[u8]) -> Result<Marker, Error> {
    let damaged = || Error::Damaged(format!("marker of {} bytes", bytes.len()));
    let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
    if *version > FORMAT_VERSION {
        return Err(Error::NewerFormat { found: *version, supported: FORMAT_VERSION });
    }
    let (node_id, directory_id) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    Ok(Marker {
        node_id: u64::from_be_bytes(*node_id),
        directory_id: uuid::Uuid::from_slice(directory_id).map_err(|_| damaged())?,
    })
}
