//! Why a program has to end: the first reason wins.
//!
//! Place: each program holds one [`FatalCell`] with its own reasons; any part may put one, and the program's main task
//! waits for it. Invariant: a reason that is there is never replaced, so the exit code names the cause and not one of
//! its consequences.

use tokio::sync::watch;

/// The reason why a program has to end, once there is one. Clones share it.
#[derive(Clone, Debug)]
pub struct FatalCell<R>(watch::Sender<Option<R>>);

impl<R> Default for FatalCell<R> {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl<R: Clone> FatalCell<R> {
    /// Puts a reason, unless there is one already. `report` is called with the first one, before [`wait`](Self::wait)
    /// returns it: the program may be gone right after.
    pub fn put(&self, reason: R, report: impl FnOnce(&R)) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                report(&reason);
                *first = Some(reason);
            }
            is_first
        });
    }

    /// The reason, if there is one.
    pub fn get(&self) -> Option<R> {
        self.0.borrow().clone()
    }

    /// Returns the reason as soon as there is one.
    pub async fn wait(&self) -> R {
        let mut reasons = self.0.subscribe();
        match reasons.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // Cannot be: `self` holds the sender.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_wins() {
        let cell = FatalCell::default();
        assert_eq!(cell.get(), None);
        let mut reported = Vec::new();
        cell.put("disk", |reason| reported.push(*reason));
        cell.clone().put("session", |reason| reported.push(*reason));
        assert_eq!(reported, ["disk"]);
        assert_eq!((cell.get(), cell.wait().await), (Some("disk"), "disk"));
    }
}
