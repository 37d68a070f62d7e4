//! What is allowed for a topic but risky: the answer warns of it, and nothing is refused.

use std::collections::BTreeMap;

use crate::{
    config::{FlushPolicy, TopicConfig},
    image::Image,
};

/// The warnings for a topic with these settings, a sentence each. `collision` is from [`collision`].
pub(crate) fn of(
    config: &TopicConfig,
    given: &BTreeMap<String, String>,
    replication_factor: u32,
    collision: Option<String>,
) -> Vec<String> {
    let min_isr = config.effective_min_isr(replication_factor as usize);
    let mut warnings = Vec::new();
    if replication_factor == 1 {
        warnings.push("One replica: the topic is gone with its disk, and unavailable while its broker is.".to_owned());
    } else if min_isr == replication_factor as usize {
        warnings
            .push(format!("The replication factor equals min.insync.replicas ({min_isr}): one failure stops writes."));
    } else if min_isr == 1 {
        warnings.push("min.insync.replicas is 1: an acknowledged record may be on one disk only.".to_owned());
    }
    if config.flush_policy == FlushPolicy::Interval {
        warnings.push("flush.policy is interval: a power loss can lose acknowledged records.".to_owned());
    } else {
        for key in ["flush.messages", "flush.ms"].into_iter().filter(|key| given.contains_key(*key)) {
            warnings.push(format!("{key} has no effect unless flush.policy is interval."));
        }
    }
    warnings.extend(collision);
    warnings
}

/// Metrics write '.' as '_': a warning if another topic's name is then the same.
pub(crate) fn collision(image: &Image, name: &str) -> Option<String> {
    let flat = |name: &str| name.replace('.', "_");
    let wanted = flat(name);
    image
        .topics_by_name()
        .find(|topic| flat(topic.name()) == wanted)
        .map(|topic| format!("In metrics, where '.' is '_', the name is the same as that of {}.", topic.name()))
}
