//! Work that a stop waits for: what is under way when every log is closed, and what begins meanwhile.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts what is under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay(watch::Sender<usize>);

/// One work, until it is dropped.
#[derive(Debug)]
pub(super) struct Going(Arc<UnderWay>);

impl UnderWay {
    /// A work begins that a stop is to wait for.
    pub(super) fn begin(self: &Arc<Self>) -> Going {
        self.0.send_modify(|count| *count += 1);
        Going(Arc::clone(self))
    }

    /// Returns once nothing is under way.
    pub(super) async fn ended(&self) {
        let mut count = self.0.subscribe();
        // The sender is `self`: it lives as long as the wait.
        let _all_ended = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn all_that_is_under_way_is_waited_for() {
        let under_way = Arc::new(UnderWay::default());
        assert!(under_way.ended().now_or_never().is_some(), "nothing is");
        let (first, second) = (under_way.begin(), under_way.begin());
        let mut ended = std::pin::pin!(under_way.ended());
        assert!(ended.as_mut().now_or_never().is_none());
        drop(first);
        assert!(ended.as_mut().now_or_never().is_none());
        drop(second);
        assert!(ended.now_or_never().is_some());
    }
}
