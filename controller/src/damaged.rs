//! Which brokers have replicas that are damaged and go on, for no other could take their place: as heartbeats say. In memory
//! alone: another controller hears it within a heartbeat.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use holdfast_proto::{ids::BrokerId, v1::DamagedReplicas};

/// See the module. Clones share it. At most one entry a broker.
#[derive(Clone, Default)]
pub struct Damaged(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    /// Of the leadership in which it was said.
    term: u64,
    said: BTreeMap<BrokerId, DamagedReplicas>,
}

impl Damaged {
    /// What a broker's heartbeat says, in the leadership of this term.
    pub fn heartbeat(&self, broker_id: BrokerId, term: u64, said: Option<DamagedReplicas>) {
        let mut table = self.0.lock();
        if table.term != term {
            *table = Table { term, ..Table::default() };
        }
        match said.filter(|said| said.count > 0) {
            Some(said) => table.said.insert(broker_id, said),
            None => table.said.remove(&broker_id),
        };
    }

    /// What a broker said last in the leadership of this term; `None`: no such replica, or nothing was heard.
    pub fn of(&self, broker_id: BrokerId, term: u64) -> Option<DamagedReplicas> {
        let table = self.0.lock();
        table.said.get(&broker_id).filter(|_| table.term == term).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_last_heartbeat_of_this_leadership_says() {
        let (damaged, broker) = (Damaged::default(), BrokerId(1));
        let some = || Some(DamagedReplicas { count: 2, ..DamagedReplicas::default() });
        damaged.heartbeat(broker, 7, some());
        assert_eq!(damaged.of(broker, 7), some());
        assert_eq!((damaged.of(BrokerId(2), 7), damaged.of(broker, 8)), (None, None));
        damaged.heartbeat(BrokerId(2), 8, None);
        assert_eq!(damaged.of(broker, 8), None, "said in another leadership");
        damaged.heartbeat(broker, 8, some());
        damaged.heartbeat(broker, 8, None);
        assert_eq!(damaged.of(broker, 8), None, "it is mended");
    }
}
