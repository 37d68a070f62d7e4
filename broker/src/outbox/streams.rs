//! The newest stream of each follower's broker. Nothing that comes on an older one counts.
//!
//! A stream may break at the follower alone. Its next one then asks for records, and what still comes on the first, late,
//! must not turn the answers back to where nobody reads them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use holdfast_proto::ids::{BrokerEpoch, BrokerId};

use super::answers::Outbox;

/// Which stream of a broker: a start of it, and a count within that. Later ones are greater.
pub type StreamNumber = (BrokerEpoch, u64);

/// The newest stream of each follower's broker.
#[derive(Debug, Default)]
pub struct FollowerStreams(Mutex<BTreeMap<BrokerId, (StreamNumber, Arc<Outbox>)>>);

impl FollowerStreams {
    /// A stream begins: an older one of the same broker ends. False if there is a newer one.
    pub fn begin(&self, follower: BrokerId, number: StreamNumber, outbox: &Arc<Outbox>) -> bool {
        let mut streams = self.0.lock();
        match streams.entry(follower) {
            Entry::Occupied(known) if known.get().0 > number => return false,
            Entry::Occupied(mut known) => known.insert((number, Arc::clone(outbox))).1.close(),
            Entry::Vacant(place) => _ = place.insert((number, Arc::clone(outbox))),
        }
        true
    }

    /// A stream has ended.
    pub fn end(&self, follower: BrokerId, outbox: &Arc<Outbox>) {
        let mut streams = self.0.lock();
        if streams.get(&follower).is_some_and(|(_, newest)| Arc::ptr_eq(newest, outbox)) {
            streams.remove(&follower);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_stream_ends_the_older_one_and_an_older_one_changes_nothing() {
        let streams = FollowerStreams::default();
        let [first, second, third] = [(); 3].map(|()| Arc::new(Outbox::default()));
        let (broker, start) = (BrokerId(1), BrokerEpoch(5));
        assert!(streams.begin(broker, (start, 7), &first));
        assert!(streams.begin(broker, (start, 8), &second));
        assert!(first.is_closed() && !second.is_closed());
        assert!(!streams.begin(broker, (start, 7), &third), "late");
        streams.end(broker, &first);
        assert!(streams.begin(broker, (BrokerEpoch(6), 0), &third), "a later start of the broker");
        assert!(second.is_closed());
        streams.end(broker, &third);
        assert!(streams.0.lock().is_empty());
    }
}
