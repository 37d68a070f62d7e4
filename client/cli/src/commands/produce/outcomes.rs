//! What became of the records, in the order in which they were sent.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use holdfast_client::producer::{Delivery, DeliveryFuture, Error};

/// Where a record stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the source: the file, or standard input.
    pub(super) source: u32,
    /// Number of the record in its source, from 1.
    pub(super) number: u64,
}

/// The records that one partition took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) records: u64,
    /// Offsets of the first and the last one, as far as told.
    pub(super) offsets: Option<(u64, u64)>,
}

/// What became of all records.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// What each partition took, by its index.
    pub(super) taken: BTreeMap<u32, Taken>,
    /// The first record that was not delivered.
    pub(super) first_problem: Option<(Place, Error)>,
}

impl Outcomes {
    fn note(&mut self, place: Place, result: Result<Delivery, Error>) {
        let delivery = match result {
            Ok(delivery) => delivery,
            Err(error) => {
                self.first_problem.get_or_insert((place, error));
                return;
            }
        };
        let taken = self.taken.entry(delivery.partition.0).or_insert(Taken { records: 0, offsets: None });
        taken.records += 1;
        if let Some(offset) = delivery.offset.map(|offset| offset.0) {
            let first = taken.offsets.map_or(offset, |(first, _)| first);
            taken.offsets = Some((first, offset));
        }
    }
}

/// Awaits every record's outcome.
pub(super) async fn gather(mut waiting: mpsc::Receiver<(Place, DeliveryFuture)>) -> Outcomes {
    let mut outcomes = Outcomes::default();
    while let Some((place, delivery)) = waiting.recv().await {
        outcomes.note(place, delivery.await);
    }
    outcomes
}
