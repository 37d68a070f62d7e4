//! Where the partitions of a topic begin, and whether its settings let retention move that.

use std::collections::BTreeMap;

use holdfast_checker::{sequences::Tally, text::counted};
use holdfast_client::{
    Client,
    offsets::{OffsetQuery, OffsetSpec},
};
use holdfast_proto::{ids::PartitionIndex, v1::ConfigEntry};

use crate::exit::{Failure, Result};

/// The settings by which retention removes records, each off with -1.
const RETENTION: [&str; 2] = ["retention.ms", "retention.bytes"];

/// Where each partition begins, and what may have moved that.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// The log start offset of each partition.
    pub(super) offsets: BTreeMap<u32, u64>,
    /// Those settings of retention that remove records, as `retention.ms=60000`; empty if the topic keeps everything.
    pub(super) retention: Vec<String>,
}

impl Starts {
    /// As the topic's leaders and its settings are now. `was_on`: retention removed records before, whatever the settings say.
    pub(super) async fn look_up(
        client: &Client,
        topic: &str,
        partitions: impl Iterator<Item = PartitionIndex>,
        was_on: bool,
    ) -> Result<Self> {
        let query = |partition| OffsetQuery { topic: topic.to_owned(), partition, spec: OffsetSpec::Earliest };
        let queries: Vec<_> = partitions.map(query).collect();
        let found = client.admin().list_offsets(&queries).await?;
        let mut offsets = BTreeMap::new();
        for (query, at) in queries.iter().zip(found) {
            let offset = at.offset.ok_or_else(|| {
                Failure::error(format!("the leader of {topic}-{} does not say where it begins", query.partition))
            })?;
            offsets.insert(query.partition.0, offset.0);
        }
        Ok(Self { offsets, retention: retention(&client.admin().topic_config(topic).await?, was_on) })
    }

    /// The partitions whose beginning retention moved, with their log start offsets.
    pub(super) fn expiring(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let moved = self.moved();
        moved.filter(|_| !self.retention.is_empty())
    }

    /// True if something was removed, and may have been.
    pub(super) fn may_expire(&self) -> bool {
        self.expiring().next().is_some()
    }

    /// What retention has to do with it; `None` if nothing.
    pub(super) fn told(&self, tally: &Tally, topic: &str) -> Option<String> {
        if tally.expired > 0 {
            let records = counted(tally.expired, "record");
            return Some(format!("{records} expired by retention ({}): not compared", self.retention.join(", ")));
        }
        let (partition, offset) = self.moved().next().filter(|_| self.retention.is_empty())?;
        Some(format!(
            "{topic}-{partition} begins at offset {offset}, and the topic's settings keep everything; if retention was on \
             before: --allow-expired"
        ))
    }

    fn moved(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.offsets.iter().map(|(partition, offset)| (*partition, *offset)).filter(|(_, offset)| *offset > 0)
    }
}

fn retention(configs: &[ConfigEntry], was_on: bool) -> Vec<String> {
    let removing = configs.iter().filter_map(|entry| {
        let value = entry.value.as_deref().filter(|value| *value != "-1")?;
        RETENTION.contains(&entry.key.as_str()).then(|| format!("{}={value}", entry.key))
    });
    let removing: Vec<String> = removing.collect();
    if removing.is_empty() && was_on { vec!["switched off since".to_owned()] } else { removing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(retention_ms: &str, log_start: u64) -> Starts {
        starts_of(retention_ms, log_start, false)
    }

    fn starts_of(retention_ms: &str, log_start: u64, was_on: bool) -> Starts {
        let entry = |key: &str, value: &str| ConfigEntry {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            ..ConfigEntry::default()
        };
        let configs =
            [entry("retention.bytes", "-1"), entry("retention.ms", retention_ms), entry("segment.bytes", "9")];
        Starts { offsets: [(0, 0), (1, log_start)].into(), retention: retention(&configs, was_on) }
    }

    #[test]
    fn only_what_the_settings_let_retention_remove_expires() {
        let expired = Tally { expired: 40, ..Tally::default() };
        let with = starts("60000", 40);
        assert_eq!(with.expiring().collect::<Vec<_>>(), [(1, 40)]);
        let told = with.told(&expired, "a").unwrap();
        assert_eq!(told, "40 records expired by retention (retention.ms=60000): not compared");
        let without = starts("-1", 40);
        assert!(!without.may_expire());
        let told = without.told(&Tally::default(), "a").unwrap();
        assert!(told.starts_with("a-1 begins at offset 40, and the topic's settings keep everything; if"), "{told}");
        let before = starts_of("-1", 40, true);
        assert_eq!(before.expiring().collect::<Vec<_>>(), [(1, 40)]);
        let told = before.told(&expired, "a").unwrap();
        assert_eq!(told, "40 records expired by retention (switched off since): not compared");
        assert_eq!(starts_of("60000", 40, true).retention, ["retention.ms=60000"]);
        assert!(!starts("60000", 0).may_expire() && starts("60000", 0).told(&Tally::default(), "a").is_none());
    }
}
