//! The token by which the data folder proves itself, as it is renewed while the broker runs.
//!
//! ```text
//!   stored as pending ──▶ said in heartbeats ──▶ committed, and seen in the metadata ──▶ stored as the one that is known
//! ```
//!
//! Only the token that was said last is ever confirmed: what was said before it may be what the controllers have, and then the
//! folder has to know it still.
//!
//! A copy of the folder lacks what came after it was made; so the token changes with what the folder holds, every few
//! seconds in which something was written. A broker that writes nothing changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use holdfast_proto::ids::{FolderToken, Millis};

/// How old a token gets before another takes its place, ms, if something was written since. Short: a change of the metadata
/// for each broker and so much time. Long: what was written since is lost on a copy that passes for the folder, if every
/// other replica is lost as well.
const RENEW_AFTER_MS: u64 = 5_000;

/// What is under way with the token.
#[derive(Debug, Default)]
pub struct TokenRenewal {
    state: Mutex<State>,
    /// True once the controllers took what this start found.
    was_heard: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Durable in the folder, and not known to be committed.
    pending: Option<FolderToken>,
    /// When the last one was made, and how often records were durable by then.
    last: Option<(Millis, u64)>,
}

impl TokenRenewal {
    /// This start is registered, and the controllers took what its folder showed: they do since metadata version 2. A registration
    /// from before is not made good for when that version is finalised: the next start says it.
    pub fn heard(&self) {
        self.was_heard.store(true, Ordering::Release);
    }

    /// True if the controllers took what this start found of its folder.
    pub fn was_heard(&self) -> bool {
        self.was_heard.load(Ordering::Acquire)
    }

    /// What the next heartbeat says.
    pub fn to_say(&self) -> Option<FolderToken> {
        self.state.lock().pending
    }

    /// True if it is time for another token: `syncs` counts how often records were made durable.
    pub fn is_due(&self, now: Millis, syncs: u64) -> bool {
        let state = self.state.lock();
        let is_old = state.last.is_none_or(|(at, before)| now >= at.plus(RENEW_AFTER_MS) && before != syncs);
        state.pending.is_none() && is_old
    }

    /// A token is durable in the folder. `syncs` counts how often records were made durable.
    pub fn stored(&self, now: Millis, token: FolderToken, syncs: u64) {
        *self.state.lock() = State { pending: Some(token), last: Some((now, syncs)) };
    }

    /// The token that the metadata has for this broker. True if it is the one that was said, and has to be confirmed.
    pub fn committed(&self, token: FolderToken) -> bool {
        let mut state = self.state.lock();
        let is_said = state.pending == Some(token);
        if is_said {
            state.pending = None;
        }
        is_said
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_is_renewed_when_it_is_old_and_something_was_written() {
        let token = |n| FolderToken(Uuid::from_u128(n));
        let renewal = TokenRenewal::default();
        assert!(renewal.is_due(Millis(0), 7), "the first");
        renewal.stored(Millis(0), token(1), 8);
        assert_eq!(renewal.to_say(), Some(token(1)));
        assert!(!renewal.is_due(Millis(99_999), 50), "one is on its way");
        assert!(!renewal.committed(token(9)), "another start's");
        assert!(renewal.committed(token(1)) && !renewal.committed(token(1)));
        assert_eq!(renewal.to_say(), None);
        assert!(!renewal.is_due(Millis(99_999), 8), "nothing was written");
        assert!(!renewal.is_due(Millis(RENEW_AFTER_MS - 1), 9), "not yet");
        assert!(renewal.is_due(Millis(RENEW_AFTER_MS), 9));
    }
}
