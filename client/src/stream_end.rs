//! When a stream to a broker is given up, though its connection stands: for lanes of producer and consumer.
//!
//! Invariant: a reason that was given to one stream does not end the next one.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long a broker may refuse all that it leads by the metadata before its stream is given up: a leader may not have
/// heard of its leadership yet.
const REFUSING: Duration = Duration::from_secs(1);

/// Why a stream is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The broker does not answer.
    Silent,
    /// The broker has another address by now.
    Moved,
    /// Who answers refuses as if it were another broker than the one that the address stands for.
    NotMeant,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "it is silent",
            Self::Moved => "the broker has another address now",
            Self::NotMeant => "it does not lead what the metadata says: another broker may be there",
        })
    }
}

/// The end of the stream that is open now.
#[derive(Debug, Default)]
pub(crate) struct StreamEnd {
    state: Mutex<State>,
    given_up: Notify,
    /// True since a refusal that nothing was served after.
    refusing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Where the stream leads to; empty while there is none.
    address: String,
    why: Option<Why>,
    refusing_since: Option<Instant>,
    last_refusal: Option<Instant>,
}

impl StreamEnd {
    /// A stream to this address begins.
    pub(crate) fn begin(&self, address: &str) {
        *self.state.lock() = State { address: address.to_owned(), ..State::default() };
        self.served();
    }

    /// Gives the stream up.
    pub(crate) fn give_up(&self, why: Why) {
        self.state.lock().why.get_or_insert(why);
        self.given_up.notify_one();
    }

    /// The broker has this address, as far as known: a stream to another one is given up.
    pub(crate) fn look_at_address(&self, current: Option<&str>) {
        let moved = {
            let state = self.state.lock();
            current.is_some_and(|current| !state.address.is_empty() && state.address != current)
        };
        if moved {
            self.give_up(Why::Moved);
        }
    }

    /// The broker took or gave something: it is the one that was meant.
    pub(crate) fn served(&self) {
        self.refusing.store(false, Ordering::Relaxed);
    }

    /// The broker says that it does not lead what it leads by the metadata. Who is refused asks again within the pause.
    ///
    /// A refusal after which nobody asked again for longer says nothing about now: the time begins again.
    pub(crate) fn refused(&self, now: Instant, longest_pause: Duration) {
        let mut state = self.state.lock();
        let last = state.last_refusal.replace(now);
        let is_old =
            last.is_some_and(|last| now.saturating_duration_since(last) > REFUSING.saturating_add(longest_pause));
        if !self.refusing.swap(true, Ordering::Relaxed) || is_old {
            state.refusing_since = Some(now);
        } else if state.refusing_since.is_some_and(|since| now.saturating_duration_since(since) >= REFUSING) {
            state.refusing_since = None;
            drop(state);
            self.give_up(Why::NotMeant);
        }
    }

    /// Waits until the stream is given up.
    pub(crate) async fn wait(&self) -> Why {
        loop {
            self.given_up.notified().await;
            // What an earlier stream was given up for was taken back when this one began.
            if let Some(why) = self.state.lock().why.take() {
                return why;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[test]
    fn a_reason_ends_one_stream_alone() {
        let end = StreamEnd::default();
        end.begin("a:1");
        end.give_up(Why::Silent);
        end.give_up(Why::Silent);
        assert_eq!(end.wait().now_or_never(), Some(Why::Silent));
        end.give_up(Why::Silent);
        end.begin("a:1");
        assert_eq!(end.wait().now_or_never(), None, "that was another stream");
    }

    #[test]
    fn a_stream_to_an_address_that_the_broker_has_left_is_given_up() {
        let end = StreamEnd::default();
        end.look_at_address(Some("b:1"));
        assert_eq!(end.wait().now_or_never(), None, "there is none yet");
        end.begin("a:1");
        end.look_at_address(Some("a:1"));
        end.look_at_address(None);
        assert_eq!(end.wait().now_or_never(), None);
        end.look_at_address(Some("b:1"));
        assert_eq!(end.wait().now_or_never(), Some(Why::Moved));
    }

    #[test]
    fn a_broker_that_keeps_refusing_what_it_leads_is_not_the_one_that_was_meant() {
        let end = StreamEnd::default();
        end.begin("a:1");
        let start = Instant::now();
        end.refused(start, PAUSE);
        end.served();
        end.refused(start + REFUSING, PAUSE);
        end.refused(start + REFUSING + REFUSING / 2, PAUSE);
        assert_eq!(end.wait().now_or_never(), None);
        end.refused(start + REFUSING * 2, PAUSE);
        end.refused(start + REFUSING * 2, PAUSE);
        assert_eq!(end.wait().now_or_never(), Some(Why::NotMeant));
    }

    #[test]
    fn an_old_refusal_takes_nothing_from_the_time_of_the_next_one() {
        let end = StreamEnd::default();
        end.begin("a:1");
        let start = Instant::now();
        let later = start + Duration::from_mins(1);
        end.refused(start, PAUSE);
        end.refused(later, PAUSE);
        end.refused(later + REFUSING / 2, PAUSE);
        assert_eq!(end.wait().now_or_never(), None);
        end.refused(later + REFUSING / 2 + PAUSE, PAUSE);
        assert_eq!(end.wait().now_or_never(), Some(Why::NotMeant), "however long the pauses are");
    }
}
