//! Bytes of produces in work, and of their answers until they have left the socket, over the whole broker.
//!
//! A batch that finds no room for itself and its answer is refused, and let go before anything is waited for. Then its
//! answer alone waits: meanwhile producers lose their connection that take nothing of the answers that they have, so that
//! these keep nobody out. The room of a batch is given back once the log has counted it, that of its answer when that has
//! left the socket.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use holdfast_node::closer::Closer;

use crate::partition::answer_reader::{Patience, Reader, Readers};

/// Bytes that one permit stands for. A request takes one permit more, so that many small ones are bounded too.
pub const PERMIT_BYTES: usize = 1024;

/// The one budget of a broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProduceBudget {
    free: Arc<Semaphore>,
    limit: u32,
    producers: Arc<Readers>,
}

/// Room in it; given back when dropped.
pub type ProduceRoom = OwnedSemaphorePermit;

/// Permits of a request of this size.
pub fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes / PERMIT_BYTES + 1).unwrap_or(u32::MAX)
}

impl ProduceBudget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        let limit = limit_bytes / PERMIT_BYTES;
        let free = Arc::new(Semaphore::new(limit));
        Self { free, limit: u32::try_from(limit).unwrap_or(u32::MAX), producers: Arc::default() }
    }

    /// One that answers go to; `closer` ends its connection.
    pub fn producer(&self, closer: Closer) -> Arc<Reader> {
        self.producers.add(closer, 1)
    }

    /// Room for a batch of so many bytes, and for its answer, if there is some at once.
    pub fn try_batch(&self, bytes: usize) -> Option<(ProduceRoom, ProduceRoom)> {
        let mut both = Arc::clone(&self.free).try_acquire_many_owned(permits(bytes).saturating_add(1)).ok()?;
        let answer = both.split(1)?;
        Some((both, answer))
    }

    /// Room for a call that holds so many bytes until it is answered, if there is some at once; half of all is enough for
    /// the largest.
    pub fn try_call(&self, bytes: usize) -> Option<ProduceRoom> {
        Arc::clone(&self.free).try_acquire_many_owned(permits(bytes).min(self.limit / 2)).ok()
    }

    /// Room for one answer. `None` if there was none for long: then its request is refused without room, and so many
    /// answers a stream are few.
    pub async fn answer(&self) -> Option<ProduceRoom> {
        self.answer_within(Patience::default()).await
    }

    async fn answer_within(&self, patience: Patience) -> Option<ProduceRoom> {
        self.producers.take(patience, &self.free, 1, || None).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;

    const PATIENCE: Patience = Patience { stalled_after: MS, look_every: MS, wait: Duration::from_millis(100) };
    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn answers_that_nobody_reads_give_way_to_those_who_wait() {
        let budget = ProduceBudget::new(2 * PERMIT_BYTES);
        let [reads, stopped] = [(); 2].map(|()| Closer::default());
        let (_reads, stopped_reader) = (budget.producer(reads.clone()), budget.producer(stopped.clone()));
        let held = [budget.answer().await.unwrap(), budget.answer().await.unwrap()];
        let _unsent = stopped_reader.hand();
        assert!(budget.try_batch(0).is_none(), "an answer holds room until it has left");
        assert!(budget.answer_within(PATIENCE).await.is_none(), "nobody waits for ever");
        let is_closed = |closer: &Closer| format!("{closer:?}").contains("true");
        assert!(is_closed(&stopped) && !is_closed(&reads));
        drop(held);
        assert!(budget.answer_within(PATIENCE).await.is_some());
    }

    #[test]
    fn the_largest_call_fits_and_holds_half() {
        let budget = ProduceBudget::new(4 * PERMIT_BYTES);
        let held = budget.try_call(1 << 30).expect("half at most");
        assert!(budget.try_call(3 * PERMIT_BYTES).is_some_and(|more| more.num_permits() == 2));
        let _batch = budget.try_batch(0).unwrap();
        assert!(budget.try_batch(0).is_none());
        drop(held);
        assert!(budget.try_batch(0).is_some());
    }
}
