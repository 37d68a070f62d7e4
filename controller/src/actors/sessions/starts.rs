//! Starts of brokers that wait until it is known what became of their earlier sessions. The rules are those of
//! [`Sessions::earlier`].

use tokio::sync::oneshot;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, Millis},
};

use crate::sessions::{Earlier, Sessions};

/// How long a call waits before it is told to come again, ms: less than a broker gives one attempt.
const WAIT_MS: u64 = 1_000;

/// True: the earlier session may be that of a broker that lives. An error: ask again.
pub(super) type Answer = Result<bool, ErrorDetail>;

/// At most one a broker; only registered ones wait.
#[derive(Debug, Default)]
pub(super) struct Starts {
    waiting: Vec<Start>,
}

#[derive(Debug)]
struct Start {
    broker_id: BrokerId,
    is_same_folder: bool,
    until: Millis,
    answer: oneshot::Sender<Answer>,
}

impl Starts {
    /// True if nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets a start wait. What it returns ends with its answer; without one if the broker asks again meanwhile.
    pub(super) fn wait(&mut self, now: Millis, broker_id: BrokerId, is_same_folder: bool) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        self.waiting.retain(|start| start.broker_id != broker_id);
        self.waiting.push(Start { broker_id, is_same_folder, until: now.plus(WAIT_MS), answer });
        answered
    }

    /// Answers those of which it is known by now, and those that waited for too long.
    pub(super) fn answer(&mut self, now: Millis, sessions: &Sessions) {
        self.answer_where(|start| match sessions.earlier(now, start.broker_id, start.is_same_folder) {
            Earlier::Alive => Some(Ok(true)),
            Earlier::Over => Some(Ok(false)),
            Earlier::NotYet => (now >= start.until).then(|| Err(not_yet())),
        });
    }

    /// Answers all: this controller cannot say.
    pub(super) fn refuse(&mut self, detail: &ErrorDetail) {
        self.answer_where(|_| Some(Err(detail.clone())));
    }

    fn answer_where(&mut self, answer: impl Fn(&Start) -> Option<Answer>) {
        for start in std::mem::take(&mut self.waiting) {
            match answer(&start) {
                // Nobody may wait for it any more.
                Some(answer) => drop(start.answer.send(answer)),
                None => self.waiting.push(start),
            }
        }
    }
}

/// The answer to a start that cannot register yet.
pub(super) fn not_yet() -> ErrorDetail {
    let message = "it is not known yet which brokers' sessions ended with this one's, or they are being fenced: they leave each \
                   ISR together; retry in a moment";
    ErrorDetail::new(ErrorCode::Overloaded, message)
}
