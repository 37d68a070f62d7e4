//! One partition among those that the writer works on: its waiting operations, and who is told of them.

use std::{collections::VecDeque, fmt, sync::Arc, time::Instant};

use parking_lot::Mutex;

use super::{Completion, Notify, Op, round::OpenLog};
use crate::{Error, LogReader};

/// A partition that the writer works on.
pub(super) struct Slot {
    queue: Mutex<Queue>,
    /// Locked by the one thread that works on the partition; `None` once it is closed.
    pub(super) open: Mutex<Option<OpenLog>>,
    notify: Notify,
    /// True once `Failed` or `Closed` was told: nothing is told after it.
    is_silent: Mutex<bool>,
    /// When the timer wakes it.
    armed: Mutex<Option<Instant>>,
    reader: LogReader,
}

/// The operations that wait.
#[derive(Debug, Default)]
struct Queue {
    ops: VecDeque<Op>,
    /// True while it stands among the ready partitions, or a thread works on it.
    is_scheduled: bool,
    /// The timer came while a round was under way: one more has to follow, for this one may have looked before.
    is_woken: bool,
    /// Why nothing is taken any more.
    closed: Option<Error>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Slot {
    pub(super) fn new(open: OpenLog, notify: Notify) -> Arc<Self> {
        let reader = open.reader();
        Arc::new(Self {
            queue: Mutex::default(),
            open: Mutex::new(Some(open)),
            notify,
            is_silent: Mutex::new(false),
            armed: Mutex::new(None),
            reader,
        })
    }

    pub(super) const fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Adds an operation. True if the partition has to be scheduled now.
    pub(super) fn push(&self, op: Op) -> Result<bool, Error> {
        let mut queue = self.queue.lock();
        if let Some(error) = &queue.closed {
            return Err(error.clone());
        }
        if matches!(op, Op::Close) {
            queue.closed = Some(Error::Closed);
        }
        queue.ops.push_back(op);
        Ok(!std::mem::replace(&mut queue.is_scheduled, true))
    }

    /// True if it was not scheduled, and has to be now.
    pub(super) fn wake(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_woken = true;
        !std::mem::replace(&mut queue.is_scheduled, true)
    }

    /// Takes the operations of one round: appends up to about `max_bytes`, at least one operation.
    pub(super) fn take_round(&self, max_bytes: usize, round: &mut Vec<Op>) {
        let mut queue = self.queue.lock();
        queue.is_woken = false;
        let mut bytes = 0;
        while let Some(op) = queue.ops.front() {
            if let Op::Append { records, .. } = op {
                if bytes > 0 && bytes + records.len() > max_bytes {
                    break;
                }
                bytes += records.len();
            }
            round.extend(queue.ops.pop_front());
        }
    }

    /// The round is over. True if more waits: then it stays scheduled.
    pub(super) fn end_round(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_scheduled = std::mem::take(&mut queue.is_woken) || !queue.ops.is_empty();
        queue.is_scheduled
    }

    /// Tells a completion, unless the last one was told.
    pub(super) fn tell(&self, completion: Completion) {
        let mut is_silent = self.is_silent.lock();
        if !*is_silent {
            *is_silent = matches!(completion, Completion::Failed { .. } | Completion::Closed);
            (self.notify)(completion);
        }
    }

    /// Nothing is taken any more; what waits is dropped; the reason is told once.
    pub(super) fn fail(&self, error: &Error) {
        let dropped = {
            let mut queue = self.queue.lock();
            queue.closed = Some(error.clone());
            std::mem::take(&mut queue.ops)
        };
        drop(dropped); // gives its room back
        self.tell(Completion::Failed { error: error.clone() });
    }

    /// The timer is to wake it at this time. False if it does so earlier anyway.
    pub(super) fn arm(&self, at: Instant) -> bool {
        let mut armed = self.armed.lock();
        let is_earlier = armed.is_none_or(|armed| at < armed);
        if is_earlier {
            *armed = Some(at);
        }
        is_earlier
    }

    /// The timer came to this time. False if another one counts.
    pub(super) fn disarm(&self, at: Instant) -> bool {
        let mut armed = self.armed.lock();
        let counts = *armed == Some(at);
        if counts {
            *armed = None;
        }
        counts
    }
}
