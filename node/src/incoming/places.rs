//! The places of a port: how many connections there may be, in all and from one source.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Fewest places of one source, where there are as many: a small port serves one host too.
const SOURCE_AT_LEAST: usize = 64;
/// Places that are kept for the time when the others are taken.
const KEPT: usize = 32;
/// Those of them that one source may have.
const KEPT_OF_SOURCE: usize = 4;

/// Where a connection comes from: an address, and of IPv6 the network of one host or site, which has any number of
/// addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// What one source may have of a limit: a quarter, and 64 where there are as many.
    pub fn share(limit: usize) -> usize {
        (limit / 4).max(limit.min(SOURCE_AT_LEAST))
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                Self(IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))))
            }
            other => Self(other),
        }
    }
}

/// How long a place is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As long as the connection lasts.
    Lasting,
    /// For a moment: it is one of those that are kept.
    Passing,
}

/// All places of one port.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
    given_back: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    lasting: usize,
    passing: usize,
    /// The same by source: lasting, passing.
    by_source: HashMap<Source, (usize, usize)>,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    source: Source,
    kind: Kind,
}

impl Places {
    /// `limit` connections that last, and some that pass.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default(), given_back: Notify::new() })
    }

    /// Waits until any place is free. For one waiter.
    pub(crate) async fn free(&self) {
        loop {
            {
                let taken = self.taken.lock();
                if taken.lasting < self.limit || taken.passing < KEPT {
                    return;
                }
            }
            // A place that is given back in between is remembered.
            self.given_back.notified().await;
        }
    }

    /// A place for a connection from `source`; `None` if it has as many as it may have, or there is none at all.
    pub(crate) fn take(self: &Arc<Self>, source: Source) -> Option<Place> {
        let mut taken = self.taken.lock();
        let of_source = taken.by_source.get(&source).copied().unwrap_or_default();
        let kind = if taken.lasting < self.limit && of_source.0 < Source::share(self.limit) {
            Kind::Lasting
        } else if taken.passing < KEPT && of_source.1 < KEPT_OF_SOURCE {
            Kind::Passing
        } else {
            return None;
        };
        taken.add(source, kind);
        Some(Place { places: Arc::clone(self), source, kind })
    }
}

impl Taken {
    fn add(&mut self, source: Source, kind: Kind) {
        let of_source = self.by_source.entry(source).or_default();
        match kind {
            Kind::Lasting => (self.lasting, of_source.0) = (self.lasting + 1, of_source.0 + 1),
            Kind::Passing => (self.passing, of_source.1) = (self.passing + 1, of_source.1 + 1),
        }
    }

    fn remove(&mut self, source: Source, kind: Kind) {
        let Some(of_source) = self.by_source.get_mut(&source) else { return };
        match kind {
            Kind::Lasting => (self.lasting, of_source.0) = (self.lasting - 1, of_source.0 - 1),
            Kind::Passing => (self.passing, of_source.1) = (self.passing - 1, of_source.1 - 1),
        }
        if *of_source == (0, 0) {
            self.by_source.remove(&source);
        }
    }
}

impl Place {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Makes a place for a moment a lasting one, if one is free now.
    pub(super) fn last(&mut self) -> bool {
        if self.kind == Kind::Lasting {
            return true;
        }
        let mut taken = self.places.taken.lock();
        let of_source = taken.by_source.get(&self.source).map_or(0, |of_source| of_source.0);
        if taken.lasting >= self.places.limit || of_source >= Source::share(self.places.limit) {
            return false;
        }
        taken.add(self.source, Kind::Lasting);
        taken.remove(self.source, Kind::Passing);
        self.kind = Kind::Lasting;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().remove(self.source, self.kind);
        self.places.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> Source {
        IpAddr::from([10, 0, 0, number]).into()
    }

    fn take(places: &Arc<Places>, source: Source, count: usize) -> Vec<Place> {
        (0..count).filter_map(|_| places.take(source)).collect()
    }

    #[test]
    fn one_source_leaves_places_to_the_others() {
        let places = Places::new(1_000);
        let first = take(&places, source(1), 1_000);
        let lasting = first.iter().filter(|place| place.kind() == Kind::Lasting).count();
        assert_eq!((lasting, first.len()), (250, 254));
        assert_eq!(places.take(source(2)).map(|place| place.kind()), Some(Kind::Lasting));
        drop(first);
        assert_eq!(places.taken.lock().by_source.len(), 0, "nothing is kept of sources that are gone");
    }

    #[test]
    fn a_full_port_takes_some_for_a_moment_and_they_last_once_there_is_room() {
        let places = Places::new(8);
        let mut full = take(&places, source(1), 8);
        let mut passing = places.take(source(2)).expect("a place for a moment");
        assert_eq!((passing.kind(), passing.last()), (Kind::Passing, false));
        full.pop();
        assert!(passing.last());
        let more: Vec<_> = (3..=10).map(|number| take(&places, source(number), 9)).collect();
        assert!(more.iter().all(|taken| taken.len() == KEPT_OF_SOURCE), "{more:?}");
        assert!(places.take(source(11)).is_none(), "all of them are taken");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_is_waited_for() {
        let places = Places::new(1);
        let mut taken: Vec<_> = (1..=9).flat_map(|number| take(&places, source(number), 5)).collect();
        assert_eq!(taken.len(), 1 + KEPT);
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.free().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        taken.pop();
        waiting.await.expect("there is room");
    }
}
