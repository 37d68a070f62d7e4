//! Settings: defaults, ranges, and errors that say everything at once.

use super::*;

fn configs(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn problems(entries: &[(&str, &str)]) -> Vec<String> {
    TopicConfig::parse(&configs(entries)).expect_err("refused").iter().map(ToString::to_string).collect()
}

#[test]
fn the_shown_defaults_parse_to_the_defaults() {
    let entries: BTreeMap<String, String> =
        TopicConfig::default().entries().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    assert_eq!(TopicConfig::parse(&entries), Ok(TopicConfig::default()));
    assert!(KEYS.is_sorted());
}

#[test]
fn values_are_taken() {
    let config = TopicConfig::parse(&configs(&[
        ("retention.ms", "-1"),
        ("retention.bytes", "1000000"),
        ("min.insync.replicas", "3"),
        ("flush.policy", "interval"),
        ("segment.bytes", "262144"),
    ]))
    .expect("valid");
    assert_eq!(config.retention_ms, None);
    assert_eq!(config.retention_bytes, Some(1_000_000));
    assert_eq!(config.min_insync_replicas, 3);
    assert_eq!(config.flush_policy, FlushPolicy::Interval);
    assert_eq!(config.segment_bytes, 262_144);
}

#[test]
fn all_problems_are_reported_at_once() {
    assert_eq!(
        problems(&[
            ("cleanup.policy", "compact"),
            ("flush.ms", "soon"),
            ("max.message.bytes", "16777217"),
            ("min.insync.replicas", "0"),
            ("retention.ms", "0"),
            ("retention_msec", "3"),
        ]),
        [
            "cleanup.policy: compaction is not supported yet; use delete",
            "flush.ms: 'soon' is not a whole number; allowed: 1 or more",
            "max.message.bytes: 16777217 is out of range; allowed: 1024 to 16777216",
            "min.insync.replicas: 0 is out of range; allowed: 1 to 15",
            "retention.ms: 0 would delete every record at once; use at least 1, or -1 for no limit",
            "retention_msec: unknown setting; did you mean retention.ms?",
        ]
    );
}

#[test]
fn an_unknown_key_names_its_neighbour_or_all() {
    assert_eq!(
        problems(&[("min.insync.replica", "2")]),
        ["min.insync.replica: unknown setting; did you mean min.insync.replicas?"]
    );
    assert!(problems(&[("colour", "red")])[0].contains("known: cleanup.policy, "));
}

#[test]
fn stored_settings_of_another_version_do_not_stop_this_one() {
    let config = TopicConfig::from_stored(&configs(&[("from.the.future", "1"), ("min.insync.replicas", "3")]));
    assert_eq!(config, TopicConfig { min_insync_replicas: 3, ..TopicConfig::default() });
}
