//! What brokers say of their replicas with each heartbeat: which are damaged and go on, for no other could take their place,
//! and which cannot be opened. In memory alone: another controller hears it within a heartbeat.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use holdfast_proto::ids::BrokerId;

/// What each broker said last of one thing. Clones share it. At most one entry a broker.
pub struct Said<T>(Arc<Mutex<Table<T>>>);

struct Table<T> {
    /// Of the leadership in which it was said.
    term: u64,
    said: BTreeMap<BrokerId, T>,
}

impl<T> Clone for Said<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Table { term: 0, said: BTreeMap::new() })))
    }
}

impl<T: Clone> Said<T> {
    /// What a broker's heartbeat says, in the leadership of this term; `None`: nothing of the kind.
    pub fn heartbeat(&self, broker_id: BrokerId, term: u64, said: Option<T>) {
        let mut table = self.0.lock();
        if table.term != term {
            *table = Table { term, said: BTreeMap::new() };
        }
        match said {
            Some(said) => table.said.insert(broker_id, said),
            None => table.said.remove(&broker_id),
        };
    }

    /// What a broker said last in the leadership of this term; `None`: nothing of the kind, or nothing was heard.
    pub fn of(&self, broker_id: BrokerId, term: u64) -> Option<T> {
        let table = self.0.lock();
        table.said.get(&broker_id).filter(|_| table.term == term).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_last_heartbeat_of_this_leadership_says() {
        let (said, broker, some) = (Said::default(), BrokerId(1), Some("damaged"));
        said.heartbeat(broker, 7, some);
        assert_eq!(said.of(broker, 7), some);
        assert_eq!((said.of(BrokerId(2), 7), said.of(broker, 8)), (None, None));
        said.heartbeat(BrokerId(2), 8, None);
        assert_eq!(said.of(broker, 8), None, "said in another leadership");
        said.heartbeat(broker, 8, some);
        said.heartbeat(broker, 8, None);
        assert_eq!(said.of(broker, 8), None, "it is mended");
    }
}
