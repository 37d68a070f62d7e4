//! The topics that a client asks for with each look at the metadata.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long one is asked for that does not exist: it may be created again.
const KEPT: Duration = Duration::from_mins(10);

/// Names of topics, and when each was last asked for by the program or told by a broker. A client that lives long would
/// otherwise ask for all that were ever deleted, until a request held too many names.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeMap<Arc<str>, Instant>);

impl Wanted {
    pub(super) fn add(&mut self, name: &str, now: Instant) {
        match self.0.get_mut(name) {
            Some(last) => *last = now,
            None => drop(self.0.insert(name.into(), now)),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }

    /// A broker answered, of the topics that were asked for all but these.
    pub(super) fn told(&mut self, unknown: &[String], now: Instant) {
        let unknown: HashSet<&str> = unknown.iter().map(String::as_str).collect();
        self.0.retain(|name, last| {
            if !unknown.contains(&**name) {
                *last = now;
            }
            now.duration_since(*last) < KEPT
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_gone_for_long_is_not_asked_for_any_more() {
        let start = Instant::now();
        let mut wanted = Wanted::default();
        for name in ["gone", "there"] {
            wanted.add(name, start);
        }
        let gone = ["gone".to_owned()];
        wanted.told(&gone, start + KEPT / 2);
        assert_eq!(wanted.names(), ["gone", "there"]);
        wanted.told(&gone, start + KEPT);
        assert_eq!(wanted.names(), ["there"], "what was told meanwhile stays");
        wanted.add("gone", start + KEPT);
        wanted.told(&gone, start + KEPT);
        wanted.told(&[], start + 2 * KEPT);
        assert_eq!(wanted.names(), ["gone", "there"], "it was created again");
    }
}
