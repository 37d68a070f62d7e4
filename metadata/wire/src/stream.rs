//! The state and its changes as a session's messages hold them: encoded, for one encoding serves every session.

use bytes::Bytes;
use prost::Message as _;

use holdfast_metadata::{HistoryHash, Image, Record};
use holdfast_proto::{
    convert,
    ids::MetadataIndex,
    v1::{MetadataDelta, MetadataRecord, MetadataSnapshot},
};

use crate::records::{from_message, to_message};

/// What was told of one index: the whole state, or its change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The index that it leads to.
    pub index: MetadataIndex,
    /// The records that travel, in order.
    pub records: Vec<Record>,
    /// The hash of all changes up to the index, also of those that do not travel; `None` if there is none.
    pub history: Option<HistoryHash>,
}

/// Why what came is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no such message.
    #[error("the bytes are no {0}: {1}")]
    Malformed(&'static str, prost::DecodeError),
    /// A record of it is wrong.
    #[error(transparent)]
    Record(#[from] convert::Error),
}

/// The whole state, encoded. Never empty for an image that has an index.
pub fn snapshot(image: &Image) -> Bytes {
    let (index, history_hash) = (image.index().0, hash_to_bytes(image.history()));
    MetadataSnapshot { index, records: travelling(&image.records()), history_hash }.encode_to_vec().into()
}

/// The change of one index, encoded; no record travels of one that only concerns the controllers.
pub fn delta(index: MetadataIndex, records: &[Record], history: Option<HistoryHash>) -> Bytes {
    let history_hash = hash_to_bytes(history);
    MetadataDelta { index: index.0, records: travelling(records), history_hash }.encode_to_vec().into()
}

/// The image that [`snapshot`] encoded.
pub fn read_snapshot(bytes: Bytes) -> Result<Told, Error> {
    let message = MetadataSnapshot::decode(bytes).map_err(|error| Error::Malformed("snapshot", error))?;
    told(message.index, message.records, &message.history_hash)
}

/// The change that [`delta`] encoded.
pub fn read_delta(bytes: Bytes) -> Result<Told, Error> {
    let message = MetadataDelta::decode(bytes).map_err(|error| Error::Malformed("change", error))?;
    told(message.index, message.records, &message.history_hash)
}

fn told(index: u64, messages: Vec<MetadataRecord>, history_hash: &[u8]) -> Result<Told, Error> {
    let records = messages.into_iter().filter_map(|message| from_message(message).transpose());
    let records = records.collect::<Result<_, convert::Error>>()?;
    Ok(Told { index: MetadataIndex(index), records, history: HistoryHash::from_bytes(history_hash) })
}

fn travelling(records: &[Record]) -> Vec<MetadataRecord> {
    records.iter().filter_map(to_message).collect()
}

fn hash_to_bytes(history: Option<HistoryHash>) -> Bytes {
    history.map(|hash| Bytes::copy_from_slice(&hash.to_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{Command, CreateTopic, apply_command};
    use holdfast_proto::ids::{BrokerId, TopicId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_told_is_read_as_it_was_without_what_does_not_travel() {
        let history = Some(HistoryHash::START);
        let drain = Record::BrokerDrain { broker_id: BrokerId(1), draining: true };
        let own = Record::History { hash: HistoryHash::START };
        let sent = delta(MetadataIndex(7), &[own, drain.clone()], history);
        assert_eq!(read_delta(sent), Ok(Told { index: MetadataIndex(7), records: vec![drain], history }));
        let empty = delta(MetadataIndex(8), &[], None);
        assert_eq!(read_delta(empty), Ok(Told { index: MetadataIndex(8), records: Vec::new(), history: None }));
        assert!(matches!(read_delta(Bytes::from_static(b"\xff\xff")), Err(Error::Malformed("change", _))));
        assert!(matches!(read_snapshot(Bytes::from_static(b"\xff\xff")), Err(Error::Malformed("snapshot", _))));
    }

    #[test]
    fn a_snapshot_holds_what_travels_and_the_hash() {
        let mut image = Image::default();
        let command = Command::CreateTopic(CreateTopic {
            name: "t".to_owned(),
            topic_id: TopicId(Uuid::from_u128(1)),
            partition_count: 1,
            replication_factor: 1,
            configs: std::collections::BTreeMap::default(),
        });
        // Refused, for there is no broker: the index is still told.
        apply_command(&mut image, MetadataIndex(1), &command);
        let told = read_snapshot(snapshot(&image)).expect("read");
        assert_eq!((told.index, told.history), (image.index(), image.history()));
        assert!(told.records.iter().eq(image.records().iter().filter(|record| record.travels())));
    }
}
