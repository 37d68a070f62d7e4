//! Where the partitions of a topic begin, and whether retention can have moved that.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use holdfast_checker::{sequences::Tally, text::counted};
use holdfast_client::{
    Client,
    offsets::{OffsetQuery, OffsetSpec},
};
use holdfast_proto::{ids::PartitionIndex, v1::ConfigEntry};

use super::kept::{Kept, Limits};
use crate::exit::{Failure, Result};

/// Where each partition begins, and what moved that.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// The log start offset of each partition.
    pub(super) offsets: BTreeMap<u32, u64>,
    /// Those settings of retention that remove records, as `retention.ms=60000`; empty if the topic keeps everything.
    pub(super) retention: Vec<String>,
    /// The partitions that begin late though retention does not explain it, with why it does not.
    pub(super) unexplained: BTreeMap<u32, String>,
}

impl Starts {
    /// As the topic's leaders and its settings are now, beside what was read of it. `allow_expired`: who asks knows that
    /// retention moved every log start, whatever the settings are by now.
    pub(super) async fn look_up(
        client: &Client,
        topic: &str,
        partitions: impl Iterator<Item = PartitionIndex>,
        kept: &Kept,
        allow_expired: bool,
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
        let limits = limits(&client.admin().topic_config(topic).await?);
        Ok(Self::of(offsets, limits, kept, allow_expired, now_ms()))
    }

    fn of(offsets: BTreeMap<u32, u64>, limits: Limits, kept: &Kept, allow_expired: bool, now_ms: u64) -> Self {
        let mut retention = named(limits);
        let mut unexplained = BTreeMap::new();
        if allow_expired {
            retention.push("--allow-expired".to_owned());
        } else {
            let moved = offsets.iter().filter(|(_, log_start)| **log_start > 0);
            let moved = moved.filter(|(partition, log_start)| !kept.explains(limits, **partition, **log_start, now_ms));
            unexplained.extend(
                moved.map(|(partition, log_start)| (*partition, why(limits, kept, *partition, *log_start, now_ms))),
            );
        }
        Self { offsets, retention, unexplained }
    }

    /// The partitions whose beginning retention moved, with their log start offsets.
    pub(super) fn expiring(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let moved =
            self.offsets.iter().map(|(partition, offset)| (*partition, *offset)).filter(|(_, offset)| *offset > 0);
        moved.filter(|(partition, _)| !self.unexplained.contains_key(partition))
    }

    /// True if something was removed, and may have been.
    pub(super) fn may_expire(&self) -> bool {
        self.expiring().next().is_some()
    }

    /// What retention has to do with it, a line each; empty if nothing.
    pub(super) fn told(&self, tally: &Tally, topic: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if tally.expired > 0 {
            let records = counted(tally.expired, "record");
            lines.push(format!("{records} expired by retention ({}): not compared", self.retention.join(", ")));
        }
        if let Some((partition, why)) = self.unexplained.iter().next() {
            let offset = self.offsets.get(partition).copied().unwrap_or(0);
            let more = match self.unexplained.len() - 1 {
                0 => String::new(),
                more => format!(" (and {} more)", counted(more as u64, "partition")),
            };
            lines.push(format!(
                "{topic}-{partition} begins at offset {offset}{more}, and retention does not explain that: {why}; what is gone \
                 counts as lost. If retention removed more before: --allow-expired"
            ));
        }
        lines
    }
}

/// By what retention removes records; an unreadable value counts as none, so that nothing is excused by it.
pub(super) fn limits(configs: &[ConfigEntry]) -> Limits {
    let value = |key: &str| {
        let entry = configs.iter().find(|entry| entry.key == key)?;
        entry.value.as_deref()?.parse::<u64>().ok()
    };
    Limits { ms: value("retention.ms"), bytes: value("retention.bytes") }
}

/// The settings that remove records, as one writes them.
pub(super) fn named(limits: Limits) -> Vec<String> {
    let (ms, bytes) = (
        limits.ms.map(|ms| format!("retention.ms={ms}")),
        limits.bytes.map(|bytes| format!("retention.bytes={bytes}")),
    );
    bytes.into_iter().chain(ms).collect()
}

/// Why retention with these limits cannot have moved this log start.
fn why(limits: Limits, kept: &Kept, partition: u32, log_start: u64, now_ms: u64) -> String {
    let size = limits.bytes.map(|limit| {
        format!("by retention.bytes={limit} more would be left than {} bytes", kept.size_bytes(partition, log_start))
    });
    let age = limits.ms.zip(kept.age_ms(partition, log_start, now_ms)).map(|(limit, age)| {
        format!("by retention.ms={limit} only what is older goes, and it may have been {age} ms old at most")
    });
    let whys: Vec<String> = size.into_iter().chain(age).collect();
    if whys.is_empty() { "the topic's settings keep everything".to_owned() } else { whys.join(", and ") }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> ConfigEntry {
        ConfigEntry { key: key.to_owned(), value: Some(value.to_owned()), ..ConfigEntry::default() }
    }

    fn starts_of(retention_bytes: &str, log_start: u64, allow_expired: bool) -> Starts {
        let configs =
            [entry("retention.bytes", retention_bytes), entry("retention.ms", "-1"), entry("segment.bytes", "9")];
        Starts::of([(0, 0), (1, log_start)].into(), limits(&configs), &Kept::default(), allow_expired, 7)
    }

    #[test]
    fn only_what_retention_explains_expires() {
        let explained = starts_of("0", 40, false);
        assert_eq!(explained.expiring().collect::<Vec<_>>(), [(1, 40)]);
        let expired = Tally { expired: 40, ..Tally::default() };
        assert_eq!(
            explained.told(&expired, "a"),
            ["40 records expired by retention (retention.bytes=0): not compared"]
        );
        let emptied = starts_of("9", 40, false);
        assert!(!emptied.may_expire());
        let told = emptied.told(&Tally::default(), "a");
        let expected = "a-1 begins at offset 40, and retention does not explain that: by retention.bytes=9 more would be left \
                        than 0 bytes; what is gone counts as lost.";
        assert!(told[0].starts_with(expected) && told[0].ends_with("--allow-expired"), "{told:?}");
        let off = starts_of("-1", 40, false);
        assert!(!off.may_expire());
        assert!(off.told(&Tally::default(), "a")[0].contains("the topic's settings keep everything"));
        let known = starts_of("-1", 40, true);
        assert_eq!(known.expiring().collect::<Vec<_>>(), [(1, 40)]);
        assert_eq!(known.told(&expired, "a"), ["40 records expired by retention (--allow-expired): not compared"]);
        let never = starts_of("9", 0, false);
        assert!(!never.may_expire() && never.told(&Tally::default(), "a").is_empty());
    }
}
