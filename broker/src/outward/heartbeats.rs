//! How long a broker may believe itself alive: the heartbeats of one session with the active controller. Pure; the mirror
//! of the controller's `sessions`.
//!
//! Place: `session` feeds it with time and with what the stream brings, and carries the effects out. A new one
//! is made for each session.
//!
//! Invariants:
//! 1. The lease counts from the *sending* of the oldest heartbeat that is not answered yet, so it never outlasts the
//!    controller's own count. An answer belongs to the oldest heartbeat; a message that only brings changes answers none.
//!    One with a snapshot counts once that was applied: it may say that this broker leads nothing any more.
//! 2. "Ready" is said only once every log is recovered and the registration's own index was applied: a broker knows what
//!    it lost before it serves.
//! 3. What a session goes on from is said in its first heartbeat; after that it counts as applied only once the controller
//!    answered without a snapshot. Else it may be of another history, and "ready" would be believed.
//! 4. A controller that says nothing for the silence is left while the lease still holds; while this broker works on what
//!    the controller sent, it hears nothing and leaves nobody, for [`WORK_MS`] at most.

use std::collections::VecDeque;

use holdfast_proto::ids::{MetadataIndex, Millis};

/// How long this broker says that it lives while it works on metadata, ms since it heard the controller last. Longer than
/// a snapshot of the largest cluster takes; past it another may lead what a stuck thread leads.
const WORK_MS: u64 = 10_000;

/// What happened to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A heartbeat is due.
    Tick,
    /// As [`Self::Tick`], while what the controller sent is worked on: that nothing is heard meanwhile says nothing of it.
    /// The work has [`WORK_MS`]: past it this broker is no better than a dead one, and is silent.
    TickAtWork,
    /// The last [`Effect::Send`] was taken by the connection. One that was not is as good as none.
    Sent,
    /// The controller took the stream. This answers no heartbeat yet.
    Accepted,
    /// The controller said something.
    Heard {
        /// The lease that it gives, ms.
        lease_ms: u64,
        /// What else the message brings.
        content: Content,
    },
    /// What was heard last was applied; the metadata is at this index now.
    Applied(MetadataIndex),
}

/// What a message of the controller brings besides the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No metadata: it answers a heartbeat.
    Nothing,
    /// Changes without a snapshot: they come by themselves and answer no heartbeat.
    Changes,
    /// The whole state: the answer to the heartbeat that opened the session.
    Snapshot,
}

impl Content {
    /// That of a message with these parts.
    pub fn of(has_snapshot: bool, has_changes: bool) -> Self {
        match (has_snapshot, has_changes) {
            (true, _) => Self::Snapshot,
            (false, true) => Self::Changes,
            (false, false) => Self::Nothing,
        }
    }
}

/// What the session must do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a heartbeat; then [`Event::Sent`] if the connection took it.
    Send {
        /// Metadata is applied up to this index.
        applied: MetadataIndex,
        /// True if this broker can serve.
        is_ready: bool,
    },
    /// The heartbeat that was sent at this time was answered: the lease holds for so long from then.
    RenewLease {
        /// When it was sent.
        sent: Millis,
        /// How long it holds, ms, from `sent` on.
        lease_ms: u64,
    },
    /// The controller is silent: end the session and ask another.
    Leave,
}

/// What the broker is like at the moment of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// True once every log is recovered.
    pub is_recovered: bool,
    /// True while the controllers count it as fenced.
    pub is_joining: bool,
}

/// The heartbeats of one session. See the module.
#[derive(Debug)]
pub struct Heartbeats {
    silence_ms: u64,
    heard: Millis,
    /// When those that are not answered were sent, oldest first.
    unanswered: VecDeque<Millis>,
    /// True until one was sent.
    is_first: bool,
    /// What the first offers to go on from, until the controller has answered it.
    offered: MetadataIndex,
    applied: MetadataIndex,
    registered_at: MetadataIndex,
    /// The lease that came with a snapshot that is not applied yet.
    granted: Option<Effect>,
}

impl Heartbeats {
    /// Those of a session that begins now, with the metadata applied that it goes on from (0: with a snapshot). `silence_ms`
    /// must be less than the lease.
    pub fn new(now: Millis, silence_ms: u64, registered_at: MetadataIndex, applied: MetadataIndex) -> Self {
        Self {
            silence_ms,
            heard: now,
            unanswered: VecDeque::new(),
            is_first: true,
            offered: applied,
            applied: MetadataIndex(0),
            registered_at,
            granted: None,
        }
    }

    /// Takes one event and appends what follows.
    pub fn step(&mut self, now: Millis, local: Local, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick if now.since(self.heard) > self.silence_ms => effects.push(Effect::Leave),
            Event::TickAtWork if now.since(self.heard) > WORK_MS => {}
            Event::Tick | Event::TickAtWork => effects.push(self.heartbeat(local)),
            Event::Accepted => self.heard = now,
            Event::Sent => {
                self.is_first = false;
                self.unanswered.push_back(now);
            }
            Event::Heard { lease_ms, content } => {
                self.heard = now;
                let offered = std::mem::take(&mut self.offered);
                if content != Content::Snapshot {
                    self.applied = self.applied.max(offered);
                }
                let answered = if content == Content::Changes { None } else { self.unanswered.pop_front() };
                let granted = answered.map(|sent| Effect::RenewLease { sent, lease_ms });
                match content {
                    Content::Snapshot => self.granted = granted,
                    Content::Nothing | Content::Changes => effects.extend(granted),
                }
            }
            Event::Applied(index) => {
                self.applied = index;
                effects.extend(self.granted.take());
                // A broker that is fenced is let in once it has applied what fenced it: the controller waits for this.
                if self.is_ready(local, self.applied) && local.is_joining {
                    effects.push(self.heartbeat(local));
                }
            }
        }
    }

    fn is_ready(&self, local: Local, applied: MetadataIndex) -> bool {
        local.is_recovered && applied >= self.registered_at
    }

    fn heartbeat(&self, local: Local) -> Effect {
        let applied = if self.is_first { self.applied.max(self.offered) } else { self.applied };
        Effect::Send { applied, is_ready: self.is_ready(local, applied) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVING: Local = Local { is_recovered: true, is_joining: false };
    const JOINING: Local = Local { is_recovered: true, is_joining: true };

    fn step(heartbeats: &mut Heartbeats, now: u64, local: Local, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        heartbeats.step(Millis(now), local, event, &mut effects);
        effects
    }

    #[test]
    fn the_lease_counts_from_the_oldest_heartbeat_that_is_not_answered() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(0), MetadataIndex(0));
        for now in [100, 200] {
            step(&mut heartbeats, now, SERVING, Event::Sent);
        }
        let changes = Event::Heard { lease_ms: 3_000, content: Content::Changes };
        assert_eq!(step(&mut heartbeats, 250, SERVING, changes), [], "changes answer no heartbeat");
        let answer = Event::Heard { lease_ms: 3_000, content: Content::Nothing };
        let renewed = |sent| [Effect::RenewLease { sent: Millis(sent), lease_ms: 3_000 }];
        assert_eq!(step(&mut heartbeats, 300, SERVING, answer), renewed(100));
        assert_eq!(step(&mut heartbeats, 310, SERVING, answer), renewed(200));
        assert_eq!(step(&mut heartbeats, 320, SERVING, answer), [], "an answer to nothing gives no lease");
    }

    #[test]
    fn the_lease_that_comes_with_a_snapshot_counts_once_that_is_applied() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(0), MetadataIndex(0));
        step(&mut heartbeats, 100, SERVING, Event::Sent);
        let snapshot = Event::Heard { lease_ms: 3_000, content: Content::Snapshot };
        assert_eq!(step(&mut heartbeats, 200, SERVING, snapshot), []);
        let renewed = Effect::RenewLease { sent: Millis(100), lease_ms: 3_000 };
        assert_eq!(step(&mut heartbeats, 300, SERVING, Event::Applied(MetadataIndex(4))), [renewed]);
        assert_eq!(step(&mut heartbeats, 400, SERVING, Event::Applied(MetadataIndex(5))), [], "once");
    }

    #[test]
    fn ready_is_said_only_with_the_own_registration_applied_and_all_logs_recovered() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(7), MetadataIndex(0));
        let send = |applied, is_ready| [Effect::Send { applied: MetadataIndex(applied), is_ready }];
        assert_eq!(step(&mut heartbeats, 1, JOINING, Event::Tick), send(0, false));
        assert_eq!(step(&mut heartbeats, 2, JOINING, Event::Applied(MetadataIndex(6))), []);
        let recovering = Local { is_recovered: false, is_joining: true };
        assert_eq!(step(&mut heartbeats, 3, recovering, Event::Applied(MetadataIndex(7))), []);
        assert_eq!(step(&mut heartbeats, 4, JOINING, Event::Applied(MetadataIndex(8))), send(8, true));
        assert_eq!(step(&mut heartbeats, 5, SERVING, Event::Applied(MetadataIndex(9))), [], "it is served already");
    }

    #[test]
    fn a_session_that_goes_on_is_ready_at_once_and_its_lease_counts_from_its_first_answer() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(7), MetadataIndex(9));
        let first = [Effect::Send { applied: MetadataIndex(9), is_ready: true }];
        assert_eq!(step(&mut heartbeats, 1, SERVING, Event::Tick), first);
        step(&mut heartbeats, 1, SERVING, Event::Sent);
        let since = Event::Heard { lease_ms: 0, content: Content::Changes };
        assert_eq!(step(&mut heartbeats, 5, SERVING, since), [], "what is new comes before the answer");
        assert_eq!(step(&mut heartbeats, 6, SERVING, Event::Applied(MetadataIndex(12))), []);
        let answer = Event::Heard { lease_ms: 3_000, content: Content::Nothing };
        let renewed = [Effect::RenewLease { sent: Millis(1), lease_ms: 3_000 }];
        assert_eq!(step(&mut heartbeats, 7, SERVING, answer), renewed);
    }

    #[test]
    fn what_is_gone_on_from_counts_once_the_controller_sends_no_snapshot_for_it() {
        let send = |applied, is_ready| [Effect::Send { applied: MetadataIndex(applied), is_ready }];
        for (content, says) in [(Content::Nothing, 9), (Content::Changes, 9), (Content::Snapshot, 0)] {
            let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(7), MetadataIndex(9));
            assert_eq!(step(&mut heartbeats, 1, JOINING, Event::Tick), send(9, true));
            step(&mut heartbeats, 1, JOINING, Event::Sent);
            assert_eq!(step(&mut heartbeats, 2, JOINING, Event::Tick), send(0, false), "not answered yet");
            step(&mut heartbeats, 3, JOINING, Event::Heard { lease_ms: 3_000, content });
            assert_eq!(step(&mut heartbeats, 4, JOINING, Event::Tick), send(says, says > 0), "{content:?}");
        }
    }

    #[test]
    fn an_accepted_stream_breaks_the_silence_and_gives_no_lease() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(0), MetadataIndex(0));
        step(&mut heartbeats, 0, SERVING, Event::Sent);
        assert_eq!(step(&mut heartbeats, 1_000, SERVING, Event::Accepted), []);
        assert_ne!(step(&mut heartbeats, 3_000, SERVING, Event::Tick), [Effect::Leave]);
        assert_eq!(step(&mut heartbeats, 3_001, SERVING, Event::Tick), [Effect::Leave]);
    }

    #[test]
    fn a_silent_controller_is_left() {
        let mut heartbeats = Heartbeats::new(Millis(0), 2_000, MetadataIndex(0), MetadataIndex(0));
        let answer = Event::Heard { lease_ms: 3_000, content: Content::Changes };
        step(&mut heartbeats, 500, SERVING, answer);
        assert_ne!(step(&mut heartbeats, 2_500, SERVING, Event::Tick), [Effect::Leave]);
        assert_ne!(step(&mut heartbeats, 9_000, SERVING, Event::TickAtWork), [Effect::Leave], "nobody listened");
        assert_eq!(step(&mut heartbeats, 500 + WORK_MS + 1, SERVING, Event::TickAtWork), [], "a thread is stuck");
        assert_eq!(step(&mut heartbeats, 2_501, SERVING, Event::Tick), [Effect::Leave]);
    }
}
