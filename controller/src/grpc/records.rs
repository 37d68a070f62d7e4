//! The view as it travels to brokers.

use holdfast_metadata::{Image, Record};
use holdfast_metadata_wire::records::to_message;
use holdfast_proto::v1::{MetadataDelta, MetadataRecord, MetadataSnapshot};

use crate::view::Delta;

/// The whole image, for a session that begins or fell behind the changes.
pub(super) fn snapshot(image: &Image) -> MetadataSnapshot {
    MetadataSnapshot { index: image.index().0, records: travelling(&image.records()) }
}

/// The records of one index; none travel for an entry that only concerns the controllers.
pub(super) fn delta(delta: &Delta) -> MetadataDelta {
    MetadataDelta { index: delta.index.0, records: travelling(&delta.records) }
}

fn travelling(records: &[Record]) -> Vec<MetadataRecord> {
    records.iter().filter_map(to_message).collect()
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{Command, CreateTopic, apply_command};
    use holdfast_proto::ids::{MetadataIndex, TopicId};

    use super::*;

    #[test]
    fn what_travels_is_what_the_machine_says() {
        let mut image = Image::default();
        let command = Command::CreateTopic(CreateTopic {
            name: "t".to_owned(),
            topic_id: TopicId(uuid::Uuid::from_u128(1)),
            partition_count: 1,
            replication_factor: 1,
            configs: std::collections::BTreeMap::default(),
        });
        // Refused, for there is no broker: the delta still tells the index.
        let outcome = apply_command(&mut image, MetadataIndex(1), &command);
        let sent = delta(&Delta { index: MetadataIndex(1), records: outcome.records, history: None });
        assert_eq!((sent.index, sent.records.len()), (1, 0));
        for record in image.records() {
            assert_eq!(record.travels(), to_message(&record).is_some(), "{record:?}");
        }
    }
}
