//! Bytes of produces in work, and of their answers until they have left the socket, over the whole broker.
//!
//! What comes from one address leaves some to the others. A batch that finds no room for itself and its answer is refused,
//! and let go before anything is waited for. Then its answer alone waits. Whenever there is no room, producers lose their
//! connection that take nothing of the answers that they have, so that these keep nobody out. The room of a batch is given
//! back once the log has counted it, that of its answer when that has left the socket.

use std::{pin::pin, sync::Arc};

use tokio::time::timeout;

use holdfast_node::{closer::Closer, incoming::Source};

use crate::{
    config::limits::MAX_REQUEST_BYTES,
    here::shares::{Share, Shares, units},
    partition::answer_reader::{Patience, Reader, Readers},
};

/// The part that is for messages on their way in.
const ARRIVING_SHARE: usize = 4;
/// And its least: a largest message, and something for all others.
const ARRIVING_LEAST_BYTES: usize = MAX_REQUEST_BYTES + (4 << 20);

/// What one stream may have of it: of the three quarters that one client gets, so that it is slowed down and not refused.
const STREAM_SHARE: usize = 4;

/// The one budget of a broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProduceBudget {
    shares: Shares,
    arriving_bytes: usize,
    producers: Arc<Readers>,
}

impl ProduceBudget {
    /// A budget of `limit_bytes`, a part of which is for what is on its way.
    pub fn new(limit_bytes: usize) -> Self {
        let arriving_bytes = (limit_bytes / ARRIVING_SHARE).max(ARRIVING_LEAST_BYTES);
        Self { arriving_bytes, ..Self::in_work(limit_bytes.saturating_sub(arriving_bytes)) }
    }

    fn in_work(bytes: usize) -> Self {
        Self { shares: Shares::new(bytes), arriving_bytes: 0, producers: Arc::default() }
    }

    /// What messages on their way in may take up.
    pub fn arriving_bytes(&self) -> usize {
        self.arriving_bytes
    }

    /// Units that one stream may have in work, if it is set to `bytes`; the largest request fits.
    pub fn of_stream(&self, bytes: usize) -> u32 {
        units(bytes).min((self.shares.limit() as usize / STREAM_SHARE) as u32).max(units(MAX_REQUEST_BYTES))
    }

    /// One that answers go to; `closer` ends its connection.
    pub fn producer(&self, closer: Closer) -> Arc<Reader> {
        self.producers.stream(closer, 1)
    }

    /// Room for a batch of so many bytes from there, and for its answer, if there is some for it at once.
    pub fn try_batch(&self, source: Option<Source>, bytes: usize) -> Option<(Share, Share)> {
        let mut both = self.take(source, units(bytes).saturating_add(1))?;
        let answer = both.split(1)?;
        Some((both, answer))
    }

    /// Room for a call that holds so many bytes until it is answered, if there is some at once.
    pub fn try_call(&self, source: Option<Source>, bytes: usize) -> Option<Share> {
        self.take(source, units(bytes))
    }

    /// Who finds none is refused, and sees to it that those who come after find some.
    fn take(&self, source: Option<Source>, units: u32) -> Option<Share> {
        let room = self.shares.take(source, units);
        if room.is_none() && self.shares.is_short_of(units) {
            self.producers.close_stalled(Patience::default());
        }
        room
    }

    /// Room for one answer. `None` if there was none for long: then its request is refused without room, and so many
    /// answers a stream are few.
    pub async fn answer(&self, source: Option<Source>) -> Option<Share> {
        self.answer_within(source, Patience::default()).await
    }

    async fn answer_within(&self, source: Option<Source>, patience: Patience) -> Option<Share> {
        let waiting = async {
            let mut room = pin!(self.shares.wait(source, 1));
            loop {
                self.producers.close_stalled(patience);
                if let Ok(room) = timeout(patience.look_every, &mut room).await {
                    return room;
                }
            }
        };
        timeout(patience.wait, waiting).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;
    use holdfast_node::settings::Settings as _;

    use crate::{config::Config, here::shares::UNIT_BYTES};

    const PATIENCE: Patience = Patience { stalled_after: MS, look_every: MS, wait: Duration::from_millis(100) };
    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn answers_that_nobody_reads_give_way_to_those_who_wait() {
        let budget = ProduceBudget::in_work(8 * UNIT_BYTES);
        let [reads, stopped] = [(); 2].map(|()| Closer::default());
        let (_reads, stopped_reader) = (budget.producer(reads.clone()), budget.producer(stopped.clone()));
        let held: Vec<_> = std::iter::from_fn(|| budget.take(None, 1)).collect();
        assert_eq!(held.len(), 6, "what comes from one address leaves a quarter");
        let _unsent = stopped_reader.hand();
        assert!(budget.try_batch(None, 0).is_none(), "an answer holds room until it has left");
        assert!(budget.answer_within(None, PATIENCE).await.is_none(), "nobody waits for ever");
        let is_closed = |closer: &Closer| format!("{closer:?}").contains("true");
        assert!(is_closed(&stopped) && !is_closed(&reads));
        drop(held);
        assert!(budget.answer_within(None, PATIENCE).await.is_some());
    }

    #[test]
    fn what_comes_from_one_address_leaves_some_to_the_others() {
        let budget = ProduceBudget::in_work(8 * UNIT_BYTES);
        let held = budget.try_call(None, 4 * UNIT_BYTES).expect("who holds nothing gets what there is");
        assert_eq!(held.units(), 5);
        assert!(budget.try_batch(None, 0).is_none(), "the rest is for others");
        let other = Some(Source::from(std::net::IpAddr::from([10, 0, 0, 1])));
        assert!(budget.try_batch(other, 0).is_some());
        drop(held);
        assert!(budget.try_batch(None, 0).is_some());
    }

    #[test]
    fn the_largest_call_fits_where_least_is_set() {
        let reference = Config::reference();
        let option = reference.iter().find(|option| option.key == "max_in_flight_bytes").expect("an option");
        let (least, _most) = option.range.expect("a number");
        let budget = ProduceBudget::new(least as usize);
        assert!(budget.try_call(None, 2 * MAX_REQUEST_BYTES).is_some());
        assert!(budget.arriving_bytes() > MAX_REQUEST_BYTES);
    }
}
