//! Which topics keep their records for less than by the settings that they had before.
//!
//! Place: as the controllers go on from one of them, settings count that may never have been agreed to. What brokers
//! delete by them nothing brings back, so that people are asked first.
//!
//! 1. `retention.ms` and `retention.bytes` say what may go. Segments go whole, and by size the last one stays: what
//!    `segment.ms` and `segment.bytes` hold together goes later than it might, and sooner once they are smaller. They
//!    count where anything goes at all. No other setting deletes records.
//! 2. The cluster may be in any of the states between what is known to be agreed to and the end, so that each setting
//!    is compared with the most that it was in them: one that was raised and lowered again has got smaller since, and
//!    one that was lowered and raised again has not.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use holdfast_proto::ids::TopicId;

use crate::{config::TopicConfig, image::Image};

/// A topic of which brokers delete records sooner than before. Shown as `orders (retention.ms 7 days -> 1 hour)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortenedTopic {
    /// Name of the topic, as the image has it.
    pub name: String,
    /// What got smaller, by key; at least one.
    pub settings: Vec<Shortening>,
}

/// A setting that got smaller. Shown as `retention.ms 7 days -> 1 hour`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortening {
    /// Name of the setting, one of [`crate::config::KEYS`].
    pub key: &'static str,
    /// The most that it was before.
    pub before: Bound,
    /// What it is now; smaller.
    pub after: Bound,
}

/// How much a setting keeps. The order is that of how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// So many ms or bytes, as the key says.
    At(u64),
    /// Nothing goes by it.
    Unlimited,
}

/// The settings by which records go, by key.
type Bounds = [(&'static str, Bound); 4];

/// The topics of the image, by name, of which brokers delete records sooner than by settings that they had before.
/// `earlier`: these, in any order, as many as there are of each topic. A topic that the image does not hold, or of
/// which there are none, is passed over.
pub fn shortened_topics(
    earlier: impl IntoIterator<Item = (TopicId, TopicConfig)>,
    image: &Image,
) -> Vec<ShortenedTopic> {
    let mut most: BTreeMap<TopicId, Bounds> = BTreeMap::new();
    for (topic_id, config) in earlier {
        let kept = bounds(&config);
        let of_topic = most.entry(topic_id).or_insert(kept);
        for ((_, most), (_, bound)) in of_topic.iter_mut().zip(kept) {
            *most = bound.max(*most);
        }
    }
    let topics = image.topics_by_name().filter_map(|topic| {
        let settings = shortenings(*most.get(&topic.topic_id())?, topic.config());
        (!settings.is_empty()).then(|| ShortenedTopic { name: topic.name().to_owned(), settings })
    });
    topics.collect()
}

fn shortenings(before: Bounds, config: &TopicConfig) -> Vec<Shortening> {
    if config.retention_bytes.is_none() && config.retention_ms.is_none() {
        return Vec::new();
    }
    let pairs = before.into_iter().zip(bounds(config));
    let all = pairs.map(|((key, before), (_, after))| Shortening { key, before, after });
    all.filter(|setting| setting.after < setting.before).collect()
}

fn bounds(config: &TopicConfig) -> Bounds {
    let limit = |limit: Option<u64>| limit.map_or(Bound::Unlimited, Bound::At);
    [
        ("retention.bytes", limit(config.retention_bytes)),
        ("retention.ms", limit(config.retention_ms)),
        ("segment.bytes", Bound::At(config.segment_bytes.into())),
        ("segment.ms", Bound::At(config.segment_ms)),
    ]
}

impl Display for ShortenedTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<String> = self.settings.iter().map(ToString::to_string).collect();
        write!(f, "{} ({})", self.name, settings.join(", "))
    }
}

impl Display for Shortening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.key, readable(self.key, self.before), readable(self.key, self.after))
    }
}

/// The bound in the largest unit of which it is a whole number, so that nothing is rounded.
fn readable(key: &str, bound: Bound) -> String {
    const TIMES: [(u64, &str); 4] = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    const SIZES: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Bound::At(number) = bound else { return "no limit".to_owned() };
    let is_time = key.rsplit_once('.').is_some_and(|(_, unit)| unit == "ms");
    let units = if is_time { TIMES } else { SIZES };
    match units.into_iter().find(|(size, _)| number.is_multiple_of(*size)) {
        Some((size, unit)) if is_time && number != size => format!("{} {unit}s", number / size),
        Some((size, unit)) => format!("{} {unit}", number / size),
        None if is_time => format!("{number} ms"),
        None if number == 1 => "1 byte".to_owned(),
        None => format!("{number} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::record::Record;

    const TOPIC: TopicId = TopicId(Uuid::from_u128(1));
    const OTHER: TopicId = TopicId(Uuid::from_u128(2));

    type Settings<'a> = &'a [(&'a str, &'a str)];

    fn configs(settings: Settings<'_>) -> BTreeMap<String, String> {
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn config(settings: Settings<'_>) -> TopicConfig {
        TopicConfig::parse(&configs(settings)).expect("valid settings")
    }

    /// The topics `orders`, with these settings, and `audit`, with the defaults.
    fn image(settings: Settings<'_>) -> Image {
        let mut image = Image::default();
        for record in [
            Record::Topic { topic_id: TOPIC, name: "orders".to_owned() },
            Record::TopicConfig { topic_id: TOPIC, configs: configs(settings) },
            Record::Topic { topic_id: OTHER, name: "audit".to_owned() },
        ] {
            image.apply(&record).expect("it fits");
        }
        image
    }

    /// What is told of a topic that had these settings one after the other, and has the last of them.
    fn told(states: &[Settings<'_>]) -> Vec<String> {
        let (last, earlier) = states.split_last().expect("one state at least");
        let earlier = earlier.iter().map(|settings| (TOPIC, config(settings)));
        shortened_topics(earlier, &image(last)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_gets_smaller_is_told_with_both_values() {
        assert_eq!(told(&[&[], &[("retention.ms", "3600000")]]), ["orders (retention.ms 7 days -> 1 hour)"]);
        let one = &[("retention.bytes", "1073741824")][..];
        assert_eq!(told(&[&[], one]), ["orders (retention.bytes no limit -> 1 GiB)"]);
        assert_eq!(
            told(&[one, &[("retention.bytes", "1073741823")]]),
            ["orders (retention.bytes 1 GiB -> 1073741823 bytes)"]
        );
        let both = &[("retention.bytes", "1048576"), ("retention.ms", "1500")][..];
        assert_eq!(told(&[&[], both]), ["orders (retention.bytes no limit -> 1 MiB, retention.ms 7 days -> 1500 ms)"]);
    }

    #[test]
    fn values_are_readable_and_never_rounded() {
        for (key, number, expected) in [
            ("retention.ms", 86_400_000, "1 day"),
            ("retention.ms", 90_000_000, "25 hours"),
            ("retention.ms", 60_000, "1 minute"),
            ("retention.ms", 90_001, "90001 ms"),
            ("retention.bytes", 3 << 40, "3 TiB"),
            ("segment.bytes", 1_000_000, "1000000 bytes"),
            ("retention.bytes", 1, "1 byte"),
        ] {
            assert_eq!(readable(key, Bound::At(number)), expected);
        }
    }

    #[test]
    fn a_setting_that_goes_back_to_its_default_is_compared_by_what_that_is() {
        assert_eq!(told(&[&[("retention.ms", "-1")], &[]]), ["orders (retention.ms no limit -> 7 days)"]);
        assert!(told(&[&[("retention.bytes", "1")], &[]]).is_empty());
    }

    #[test]
    fn what_keeps_as_much_or_more_is_not_told() {
        for settings in [
            &[("retention.ms", "691200000")][..],
            &[("retention.ms", "604800000")],
            &[("retention.ms", "-1")],
            &[("segment.bytes", "2147483647"), ("segment.ms", "691200000")],
            &[("min.insync.replicas", "1"), ("flush.policy", "interval"), ("max.message.bytes", "2048")],
        ] {
            assert!(told(&[&[], settings]).is_empty(), "{settings:?}");
        }
    }

    #[test]
    fn smaller_segments_count_where_anything_goes_at_all() {
        let (kept, smaller) = (("retention.ms", "-1"), [("segment.bytes", "16384"), ("segment.ms", "60000")]);
        assert_eq!(told(&[&[], &smaller]), ["orders (segment.bytes 1 GiB -> 16 KiB, segment.ms 7 days -> 1 minute)"]);
        assert!(told(&[&[kept], &[kept, smaller[0], smaller[1]]]).is_empty());
    }

    #[test]
    fn each_setting_is_compared_with_the_most_that_it_was() {
        let (short, long) = (&[("retention.ms", "3600000")][..], &[("retention.ms", "172800000")][..]);
        let more = &[("retention.ms", "3600000"), ("segment.ms", "1209600000")][..];
        assert_eq!(
            told(&[short, long, short]),
            ["orders (retention.ms 2 days -> 1 hour)"],
            "raised, and lowered again"
        );
        assert!(told(&[long, short, long]).is_empty(), "lowered, and raised again");
        assert_eq!(
            told(&[long, more, short]),
            ["orders (retention.ms 2 days -> 1 hour, segment.ms 14 days -> 7 days)"],
            "each for itself"
        );
    }

    #[test]
    fn a_topic_that_is_gone_or_that_did_not_change_is_passed_over() {
        let mut image = image(&[("retention.ms", "1000")]);
        let earlier = || [(TOPIC, TopicConfig::default()), (OTHER, TopicConfig::default())];
        let told: Vec<String> = shortened_topics(earlier(), &image).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["orders (retention.ms 7 days -> 1 second)"]);
        image.apply(&Record::RemoveTopic { topic_id: TOPIC }).expect("it fits");
        assert!(shortened_topics(earlier(), &image).is_empty());
        assert!(shortened_topics([], &image).is_empty());
    }
}
