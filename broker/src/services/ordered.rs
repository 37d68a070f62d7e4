//! Answers of one stream, in order per partition though they come true in any order.
//!
//! A refusal comes at once while earlier batches still wait for replication; it has to wait behind them. Each request
//! takes a ticket in the lane of its partition; an answer is given out when every earlier ticket of its lane was
//! answered. Bounded by what the stream may have in work: a ticket is given only to a request that holds its bytes, and
//! an answer holds some of them until it is sent.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, task::AtomicWaker};
use parking_lot::Mutex;

/// The answers of one stream.
#[derive(Debug)]
pub struct Ordered<K, T> {
    state: Mutex<State<K, T>>,
    waker: AtomicWaker,
}

#[derive(Debug)]
struct State<K, T> {
    lanes: HashMap<K, AnswerLane<T>>,
    ready: VecDeque<T>,
    open: usize,
    finished: bool,
    /// Nobody takes answers any more: they are dropped, with what they hold.
    is_left: bool,
}

#[derive(Debug)]
struct AnswerLane<T> {
    first: u64,
    answers: VecDeque<Option<T>>,
}

/// A place in a lane.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<K> {
    lane: K,
    number: u64,
}

impl<K: Eq + Hash + Copy, T> Ordered<K, T> {
    /// A queue without lanes: each begins with its first request.
    pub fn new() -> Arc<Self> {
        let state = State { lanes: HashMap::new(), ready: VecDeque::new(), open: 0, finished: false, is_left: false };
        Arc::new(Self { state: Mutex::new(state), waker: AtomicWaker::new() })
    }

    /// A request came; its answer will follow those of earlier ones in the lane.
    pub fn ask(&self, lane: K) -> Ticket<K> {
        let mut state = self.state.lock();
        if state.is_left {
            return Ticket { lane, number: 0 };
        }
        state.open += 1;
        let answers = state.lanes.entry(lane).or_insert_with(|| AnswerLane { first: 0, answers: VecDeque::new() });
        answers.answers.push_back(None);
        Ticket { lane, number: answers.first + answers.answers.len() as u64 - 1 }
    }

    /// Its answer is there.
    pub fn answer(&self, ticket: &Ticket<K>, answer: T) {
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if state.is_left {
                return;
            }
            let Some(lane) = state.lanes.get_mut(&ticket.lane) else { return };
            if let Some(place) = lane.answers.get_mut((ticket.number - lane.first) as usize) {
                *place = Some(answer);
            }
            while let Some(Some(_)) = lane.answers.front() {
                state.ready.extend(lane.answers.pop_front().flatten());
                lane.first += 1;
                state.open -= 1;
            }
            if lane.answers.is_empty() {
                state.lanes.remove(&ticket.lane);
            }
        }
        self.waker.wake();
    }

    /// No more requests come: the stream ends after the last answer.
    pub fn finish(&self) {
        self.state.lock().finished = true;
        self.waker.wake();
    }
}

/// Gives the answers out.
pub struct Answers<K, T>(pub Arc<Ordered<K, T>>);

impl<K, T> Drop for Answers<K, T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_left = true;
        let unsent = (std::mem::take(&mut state.ready), std::mem::take(&mut state.lanes));
        drop(state);
        // What they hold goes without the lock.
        drop(unsent);
    }
}

impl<K, T> Stream for Answers<K, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.waker.register(context.waker());
        let mut state = self.0.state.lock();
        match state.ready.pop_front() {
            Some(answer) => Poll::Ready(Some(answer)),
            None if state.finished && state.open == 0 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn each_lane_keeps_its_order_and_the_stream_ends_after_the_last_answer() {
        let ordered = Ordered::new();
        let mut answers = Answers(Arc::clone(&ordered));
        let [a1, b1, a2, a3] = ["a", "b", "a", "a"].map(|lane| ordered.ask(lane));
        ordered.answer(&a2, 2);
        ordered.answer(&b1, 10);
        ordered.finish();
        assert_eq!(answers.next().now_or_never(), Some(Some(10)));
        assert_eq!(answers.next().now_or_never(), None);
        ordered.answer(&a1, 1);
        assert_eq!(answers.next().now_or_never(), Some(Some(1)));
        assert_eq!(answers.next().now_or_never(), Some(Some(2)));
        assert_eq!(answers.next().now_or_never(), None);
        ordered.answer(&a3, 3);
        assert_eq!(answers.next().now_or_never(), Some(Some(3)));
        assert_eq!(answers.next().now_or_never(), Some(None));
        assert!(ordered.state.lock().lanes.is_empty());
    }

    #[test]
    fn answers_that_nobody_takes_any_more_keep_nothing() {
        let ordered = Ordered::new();
        let held = Arc::new(());
        let [first, second] = [(); 2].map(|()| ordered.ask("a"));
        ordered.answer(&first, Arc::clone(&held));
        drop(Answers(Arc::clone(&ordered)));
        ordered.answer(&second, Arc::clone(&held));
        let late = ordered.ask("a");
        ordered.answer(&late, Arc::clone(&held));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
