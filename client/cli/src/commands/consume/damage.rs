//! Where a partition can be read again behind damage.
//!
//! A broker refuses what is damaged with all that it cannot tell from it: one batch, or a piece of some 64 KiB. Where that ends it
//! does not say, so offsets behind it are tried: farther and farther until one can be read, then between. Where two damaged
//! places are nearly as close together as they are long, what lies between them may be passed over too; what was passed over
//! is told.

use std::time::Duration;

use tokio::time::timeout;

use holdfast_client::{
    Client,
    consumer::{Consumer, Error, StartAt},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{Offset, PartitionIndex},
};

/// How long one offset may take to be tried: a broker reads a batch of it from its disk.
const TRY: Duration = Duration::from_secs(30);

/// True if the bytes at an offset are damaged, however that is said.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupt { .. } => true,
        Error::Rejected { detail, .. } => detail.code == ErrorCode::LogDamaged,
        _ => false,
    }
}

/// The first offset behind `damaged` that can be read, or `end` if there is none below that; `None` if it cannot be found out.
pub(super) async fn readable_behind(
    client: &Client,
    topic: &str,
    partition: PartitionIndex,
    damaged: Offset,
    end: Offset,
) -> Option<Offset> {
    let start = StartAt::Offset(damaged);
    let mut consumer = Consumer::builder(client.clone()).assign([(topic, partition, start)]).build().await.ok()?;
    let mut search = Search { unreadable: damaged, readable: end, step: 1, is_found: false };
    while let Some(offset) = search.next() {
        consumer.seek(topic, partition, StartAt::Offset(offset)).await.ok()?;
        match timeout(TRY, consumer.next_batch()).await.ok()?? {
            Ok(_) => search.can_be_read(offset),
            Err(error) if is_damage(&error) => search.cannot_be_read(offset),
            Err(_) => return None,
        }
    }
    Some(search.readable)
}

/// Which offset is tried next. Pure.
struct Search {
    /// The last one that cannot be read.
    unreadable: Offset,
    /// The first one known to be readable, or the end.
    readable: Offset,
    /// How far the next one lies behind the last, while none that can be read is found.
    step: u64,
    is_found: bool,
}

impl Search {
    /// `None` once nothing lies between.
    fn next(&self) -> Option<Offset> {
        let (from, to) = (self.unreadable.0, self.readable.0);
        let next = if self.is_found { from + (to - from) / 2 } else { from.saturating_add(self.step).min(to - 1) };
        (next > from && next < to).then_some(Offset(next))
    }

    fn can_be_read(&mut self, offset: Offset) {
        (self.readable, self.is_found) = (offset, true);
    }

    fn cannot_be_read(&mut self, offset: Offset) {
        self.unreadable = offset;
        self.step = self.step.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_offset_behind_damage_is_found_in_few_steps() {
        let find = |damaged: u64, until: u64, end: u64| {
            let mut search = Search { unreadable: Offset(damaged), readable: Offset(end), step: 1, is_found: false };
            let mut tries = 0;
            while let Some(offset) = search.next() {
                assert!(offset > Offset(damaged) && offset < Offset(end), "{offset} of {damaged} to {until}, {end}");
                tries += 1;
                if offset.0 >= until { search.can_be_read(offset) } else { search.cannot_be_read(offset) }
            }
            (search.readable.0, tries)
        };
        for damaged in [0, 7, 1_000_000] {
            for length in 1..200 {
                for behind in 0..20 {
                    let until = damaged + length;
                    let (found, tries) = find(damaged, until, until + behind);
                    assert_eq!(found, until, "{damaged} {length} {behind}");
                    assert!(tries <= 20, "{tries}");
                }
            }
        }
        assert_eq!(find(5, 1 << 40, 1 << 50).0, 1 << 40);
    }
}
