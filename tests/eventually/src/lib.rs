//! How tests wait: for a condition, with a limit, and never for a time.
//!
//! Past the limit the test panics and names what it waited for, at the caller's line where it is not async.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The longest that a test waits. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// What a look at a condition gives: `bool`, or `Option` of what was waited for.
pub trait Look {
    /// What the test goes on with.
    type Found;

    /// It, if the condition holds.
    fn found(self) -> Option<Self::Found>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Option<T> {
        self
    }
}

/// Looks until the condition holds, on this thread.
#[track_caller]
pub fn eventually<L: Look>(what: &str, mut look: impl FnMut() -> L) -> L::Found {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        thread::sleep(LOOK);
    }
}

/// Looks until the condition holds, and lets other tasks run between two looks.
pub async fn until<L: Look>(what: &str, mut look: impl AsyncFnMut() -> L) -> L::Found {
    let deadline = Instant::now() + PATIENCE;
    let mut interval = tokio::time::interval(LOOK);
    loop {
        if let Some(found) = look().await.found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        interval.tick().await;
    }
}

/// The future's value, unless it takes longer than [`PATIENCE`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_ends_the_wait_and_gives_what_it_found() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            (looks == 3).then_some(looks)
        };
        assert_eq!(eventually("three looks", look), 3);
        let mut looks = 0;
        until("two looks", async || {
            looks += 1;
            looks == 2
        })
        .await;
        assert_eq!(soon("now", std::future::ready(7)).await, 7);
    }
}
