//! What became of the records, in the order in which they were sent.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

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
    /// Records of which it is known what became of them.
    pub(super) known: u64,
}

impl Outcomes {
    fn note(&mut self, place: Place, result: Result<Delivery, Error>) {
        self.known += 1;
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

/// Awaits every record's outcome; gives those that it has by then when `cut` is told or dropped.
pub(super) async fn gather(
    mut waiting: mpsc::Receiver<(Place, DeliveryFuture)>,
    mut cut: oneshot::Receiver<()>,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let all = async {
        while let Some((place, delivery)) = waiting.recv().await {
            outcomes.note(place, delivery.await);
        }
    };
    tokio::select! {
        // What has an outcome already is taken first.
        biased;
        () = all => {}
        _ = &mut cut => {}
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outcome_that_never_comes_can_be_given_up() {
        let (_open, waiting) = mpsc::channel(1);
        let (cut_short, cut) = oneshot::channel();
        let gathering = tokio::spawn(gather(waiting, cut));
        drop(cut_short);
        assert_eq!(gathering.await.unwrap().known, 0);
    }
}
