//! Keeps the account of what was acknowledged, and the pauses in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;

use holdfast_client::producer::{Delivery, Error};
use holdfast_proto::batch::Header;

use crate::account::{Account, Record};
use crate::{pauses::PauseMeter, tracker::Handler};

/// Name of the header that carries a record's sequence among those of its key, in decimal digits.
const SEQUENCE_HEADER: &str = "n";

/// The header of a record with this sequence.
pub fn sequence_header(sequence: u64) -> Header {
    Header { key: SEQUENCE_HEADER.to_owned(), value: Some(Bytes::from(sequence.to_string())) }
}

/// The sequence in a record's headers; `None` if it has none, which no record of ours lacks.
pub fn sequence_of(headers: &[Header]) -> Option<u64> {
    let header = headers.iter().find(|header| header.key == SEQUENCE_HEADER)?;
    std::str::from_utf8(header.value.as_ref()?).ok()?.parse().ok()
}

/// Counts that others watch while the load runs.
#[derive(Debug, Default)]
pub struct Watch {
    acked: AtomicU64,
    longest_pause_us: AtomicU64,
}

impl Watch {
    /// Records acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// The longest pause of any partition since this was last called.
    pub fn take_longest_pause(&self) -> Duration {
        Duration::from_micros(self.longest_pause_us.swap(0, Ordering::Relaxed))
    }
}

/// The ledger of one partition.
#[derive(Debug)]
pub struct Ledger {
    partition: u32,
    account: Account,
    pauses: PauseMeter,
    refused: u64,
    first_problem: Option<Error>,
    watch: Arc<Watch>,
}

impl Ledger {
    /// An empty ledger of a partition.
    pub fn new(partition: u32, watch: Arc<Watch>) -> Self {
        let account = Account::new(0);
        Self { partition, account, pauses: PauseMeter::default(), refused: 0, first_problem: None, watch }
    }
}

impl Handler<Record> for Ledger {
    fn done(&mut self, record: Record, sent: Instant, now: Instant, result: Result<Delivery, Error>) {
        match result {
            Ok(Delivery { offset: Some(offset), partition, .. }) => {
                assert!(
                    partition.0 == self.partition,
                    "a record for partition {} was delivered to {partition}",
                    self.partition
                );
                self.account.acknowledge(self.partition, offset.0, record);
                let pause = self.pauses.acked(sent, now);
                let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                self.watch.longest_pause_us.fetch_max(pause_us, Ordering::Relaxed);
                self.watch.acked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Delivery { offset: None, .. }) => {
                self.account.acknowledge_unplaced(record);
                self.watch.acked.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                if error.is_in_doubt() {
                    self.account.in_doubt(record);
                } else {
                    self.refused += 1;
                }
                self.first_problem.get_or_insert(error);
            }
        }
    }
}

/// The ledgers of a topic, added up.
#[derive(Debug, Default)]
pub struct Summary {
    /// What was acknowledged or is in doubt.
    pub account: Account,
    /// The longest pause of any partition.
    pub longest_pause: Duration,
    /// Records that are certainly not in the log.
    pub refused: u64,
    /// Why the first record was not delivered.
    pub first_problem: Option<Error>,
}

impl Summary {
    /// Adds up the ledgers of a topic's partitions; the first problem is that of the first ledger that has one.
    pub fn close(ledgers: Vec<Ledger>) -> Self {
        let mut summary = Self { account: Account::new(ledgers.len() as u32), ..Self::default() };
        for ledger in ledgers {
            summary.account.absorb(ledger.account);
            summary.longest_pause = summary.longest_pause.max(ledger.pauses.longest());
            summary.refused += ledger.refused;
            summary.first_problem = summary.first_problem.or(ledger.first_problem);
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_survives_its_header() {
        assert_eq!(sequence_of(&[sequence_header(42)]), Some(42));
        assert_eq!(sequence_of(&[]), None);
        assert_eq!(sequence_of(&[Header { key: SEQUENCE_HEADER.into(), value: None }]), None);
    }
}
