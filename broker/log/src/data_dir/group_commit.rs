//! One durable write for all that wait.

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::Error;

/// Gathers what many threads want to be made durable. While one write runs, what comes waits for the next one, which
/// takes all of it. The first write that fails answers everything after it.
#[derive(Debug)]
pub(super) struct GroupCommit<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    /// How many ever came.
    taken: u64,
    /// How many of them are durable.
    done: u64,
    is_writing: bool,
    failure: Option<Error>,
}

impl<T> GroupCommit<T> {
    pub(super) fn new() -> Self {
        let state = State { waiting: Vec::new(), taken: 0, done: 0, is_writing: false, failure: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Returns when a call of `write`, by this thread or another, has made `item` durable. Calls come one at a time, with
    /// the items in the order in which they came.
    pub(super) fn commit(&self, item: T, write: impl Fn(&[T]) -> Result<(), Error>) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.waiting.push(item);
        state.taken += 1;
        let own = state.taken;
        while state.done < own {
            if let Some(error) = &state.failure {
                return Err(error.clone());
            }
            if state.is_writing {
                self.changed.wait(&mut state);
                continue;
            }
            let (items, last) = (std::mem::take(&mut state.waiting), state.taken);
            state.is_writing = true;
            let result = MutexGuard::unlocked(&mut state, || write(&items));
            state.is_writing = false;
            match result {
                Ok(()) => state.done = last,
                Err(error) => state.failure = Some(error),
            }
            self.changed.notify_all();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_waits_during_a_write_shares_the_next_one() {
        let commits = GroupCommit::new();
        let writes: Mutex<Vec<Vec<u32>>> = Mutex::default();
        let is_released = AtomicBool::new(false);
        let write = |items: &[u32]| {
            while !is_released.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            writes.lock().push(items.to_vec());
            Ok(())
        };
        std::thread::scope(|scope| {
            scope.spawn(|| commits.commit(0, write).unwrap());
            while !commits.state.lock().is_writing {
                std::thread::yield_now();
            }
            for item in 1..=20 {
                let (commits, write) = (&commits, &write);
                scope.spawn(move || commits.commit(item, write).unwrap());
            }
            while commits.state.lock().waiting.len() < 20 {
                std::thread::yield_now();
            }
            is_released.store(true, Ordering::Release);
        });
        let writes = writes.into_inner();
        assert_eq!((writes.len(), writes[0].as_slice(), writes[1].len()), (2, [0].as_slice(), 20));
    }

    #[test]
    fn a_failed_write_answers_all_that_wait_and_all_that_come() {
        let commits = GroupCommit::new();
        assert!(commits.commit(1, |_| Err(Error::Closed)).is_err());
        assert!(commits.commit(2, |_| panic!("nothing is written after a failure")).is_err());
    }
}
