//! The topics that a client asks for with each look at the metadata.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long one is asked for that does not exist any more: it may be created again.
const KEPT: Duration = Duration::from_mins(10);
/// And one that never did: who waits for it asks for it again and again.
const KEPT_UNKNOWN: Duration = Duration::from_secs(10);

/// Names of topics. A client that lives long would otherwise ask for all that were ever deleted, or never there, until a
/// request held too many names.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeMap<Arc<str>, Name>);

#[derive(Clone, Copy, Debug)]
struct Name {
    /// When the program asked for it last, or a broker told it.
    last: Instant,
    was_told: bool,
}

impl Wanted {
    pub(super) fn add(&mut self, name: &str, now: Instant) {
        match self.0.get_mut(name) {
            Some(known) => known.last = now,
            None => drop(self.0.insert(name.into(), Name { last: now, was_told: false })),
        }
    }

    /// What to ask for.
    pub(super) fn names(&mut self, now: Instant) -> Vec<String> {
        self.0.retain(|_, name| now.duration_since(name.last) < if name.was_told { KEPT } else { KEPT_UNKNOWN });
        self.0.keys().map(ToString::to_string).collect()
    }

    /// A broker answered, of the topics that were asked for all but these.
    pub(super) fn told(&mut self, unknown: &[String], now: Instant) {
        let unknown: HashSet<&str> = unknown.iter().map(String::as_str).collect();
        for name in self.0.iter_mut().filter(|(name, _)| !unknown.contains(&***name)).map(|(_, name)| name) {
            *name = Name { last: now, was_told: true };
        }
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
        wanted.told(&[], start);
        let gone = ["gone".to_owned()];
        wanted.told(&gone, start + KEPT / 2);
        assert_eq!(wanted.names(start + KEPT / 2), ["gone", "there"]);
        wanted.told(&gone, start + KEPT);
        assert_eq!(wanted.names(start + KEPT), ["there"], "what was told meanwhile stays");
        wanted.add("gone", start + KEPT);
        wanted.told(&[], start + KEPT);
        assert_eq!(wanted.names(start + KEPT + KEPT / 2), ["gone", "there"], "it was created again");
    }

    #[test]
    fn one_that_never_was_is_asked_for_as_long_as_somebody_waits() {
        let start = Instant::now();
        let mut wanted = Wanted::default();
        let never = ["never".to_owned()];
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            wanted.add("never", now);
            wanted.told(&never, now);
            assert_eq!(wanted.names(now), never);
        }
        assert!(wanted.names(start + Duration::from_secs(59) + KEPT_UNKNOWN).is_empty(), "also if nobody answers");
    }
}
