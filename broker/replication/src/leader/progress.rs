//! What a leader knows of one follower.
//!
//! Place: held by the leader for each other replica, from the start of its epoch to its end.
//!
//! Invariants:
//! 1. Ends are known only from a fetch in this leader epoch whose position was found to lie on the leader's log.
//! 2. Within one leader epoch and one start of the follower's broker the ends do not go back: such a position, once on
//!    the leader's log, stays there. Reports that arrive out of order cannot hurt.
//! 3. A newer start of the follower's broker begins from nothing; an older one is refused (KIP-903).
//! 4. While it is outside the ISR, only what it tells under the partition's latest state counts. A replica that a move
//!    takes away is deleted, and one that a later move brings back on the same broker starts empty: with the same broker
//!    epoch and, maybe, the same leader epoch. Between the two lies a state without it in the ISR, and only this leader
//!    takes it in again, so a position under a later state is one of the replica that is there now.
//! 5. What it tells under a state that this leader does not know yet counts once the leader knows it. A broker that starts
//!    again says first how far its log reaches, and elections go by that: in the state that follows it is out of the ISR.
//!    Were what it copies then counted by a leader that takes it for a member still, more could be acknowledged than it
//!    is known to hold, and one that lost its end could lead before it.

use holdfast_proto::ids::{BrokerEpoch, BrokerId, Millis, Offset, PartitionEpoch};

use crate::event::{FetchPosition, FlushPolicy};

/// Ends of a follower's log that are known to lie on the leader's, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FollowerEnds {
    pub(crate) appended: Offset,
    pub(crate) flushed: Offset,
    /// `None`: it does not say.
    pub(crate) log_start: Option<Offset>,
}

impl FollowerEnds {
    /// The later end of each; where the log begins is what it `told` last.
    fn with(self, told: Self) -> Self {
        Self {
            appended: self.appended.max(told.appended),
            flushed: self.flushed.max(told.flushed),
            log_start: told.log_start.or(self.log_start),
        }
    }
}

/// A fetch at the log end that waits for records or for a new high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParkedFetch {
    pub(crate) fetch_offset: Offset,
}

/// Progress of one follower in this leader epoch.
#[derive(Clone, Debug)]
pub(crate) struct FollowerProgress {
    pub(crate) broker_id: BrokerId,
    pub(crate) broker_epoch: Option<BrokerEpoch>,
    /// Positions of an older state do not count (invariant 4).
    counts_from: PartitionEpoch,
    /// The latest state that the leader knows: positions of a newer one do not count yet (invariant 5).
    known: PartitionEpoch,
    ends: Option<FollowerEnds>,
    /// The latest state that it named, and the ends that it told under that state alone.
    latest: Option<(PartitionEpoch, FollowerEnds)>,
    /// The leader's log end at an earlier moment, which the follower has not reached yet.
    lag_sample: Option<(Offset, Millis)>,
    /// The latest moment of which it is known that the follower has since reached the log end that the leader had then.
    last_caught_up: Option<Millis>,
    /// True from its first fetch on a stream until that stream ends.
    pub(crate) is_connected: bool,
    pub(crate) parked: Option<ParkedFetch>,
    /// The highest high watermark that it was told.
    pub(crate) told_high_watermark: Offset,
    /// When its parked fetch has to be answered at the latest.
    pub(crate) notify_at: Option<Millis>,
}

impl FollowerProgress {
    /// A follower at the start of an epoch, or of a state that brings it. Members of the ISR get the whole lag time from now
    /// to show themselves.
    pub(crate) fn new(broker_id: BrokerId, in_isr: bool, known: PartitionEpoch, now: Millis) -> Self {
        Self {
            broker_id,
            broker_epoch: None,
            counts_from: PartitionEpoch(0),
            known,
            ends: None,
            latest: None,
            lag_sample: None,
            last_caught_up: in_isr.then_some(now),
            is_connected: false,
            parked: None,
            told_high_watermark: Offset(0),
            notify_at: None,
        }
    }

    /// Checks which start of the follower's broker speaks. False if it is an older one than has spoken before.
    pub(crate) fn admit(&mut self, broker_epoch: BrokerEpoch) -> bool {
        match self.broker_epoch {
            Some(known) if broker_epoch < known => return false,
            Some(known) if broker_epoch == known => {}
            _ => {
                self.ends = None;
                self.latest = None;
                self.lag_sample = None;
                if self.broker_epoch.replace(broker_epoch).is_some() {
                    // What an earlier start had reached says nothing of this one.
                    self.last_caught_up = None;
                }
                self.disconnected();
            }
        }
        true
    }

    /// The controller committed this state. If it is not in its ISR it has to tell its position again, unless it has told it
    /// under that state already.
    pub(crate) fn state_changed(&mut self, partition_epoch: PartitionEpoch, in_isr: bool) {
        self.known = partition_epoch;
        if !in_isr {
            self.counts_from = partition_epoch;
            self.ends = None;
        }
        if let Some((told_under, told)) = self.latest {
            self.count(told_under, told);
        }
    }

    fn count(&mut self, told_under: PartitionEpoch, told: FollowerEnds) {
        if told_under >= self.counts_from && told_under <= self.known {
            self.ends = Some(self.ends.map_or(told, |ends| ends.with(told)));
        }
    }

    /// Notes a position that lies on the leader's log.
    pub(crate) fn observe(&mut self, position: &FetchPosition) {
        self.is_connected = true;
        let told_under = position.partition_epoch;
        let flushed = position.flushed_offset.min(position.fetch_offset);
        let told = FollowerEnds { appended: position.fetch_offset, flushed, log_start: position.log_start_offset };
        match self.latest {
            Some((latest, _)) if told_under < latest => {}
            Some((latest, ends)) if told_under == latest => self.latest = Some((latest, ends.with(told))),
            _ => self.latest = Some((told_under, told)),
        }
        self.count(told_under, told);
    }

    /// Looks whether the follower has caught up; called after each of its positions.
    ///
    /// Kafka compares with the leader's log end at the previous fetch. A flushed end trails by more than one report
    /// under load, so the sample here stays until it is reached: the lag comes out at most twice too long, never endless.
    pub(crate) fn note_lag(&mut self, policy: FlushPolicy, leader_end: Offset, now: Millis) {
        let Some(counted) = self.counted_end(policy) else { return };
        if counted >= leader_end {
            self.last_caught_up = Some(now);
            self.lag_sample = None;
            return;
        }
        match self.lag_sample {
            Some((sample, at)) if counted >= sample => {
                self.last_caught_up = self.last_caught_up.max(Some(at));
                self.lag_sample = Some((leader_end, now));
            }
            Some(_) => {}
            None => self.lag_sample = Some((leader_end, now)),
        }
    }

    /// The leader is about to append to a log that ends at `leader_end`: a follower that is there is caught up now.
    pub(crate) fn before_append(&mut self, policy: FlushPolicy, leader_end: Offset, now: Millis) {
        if self.counted_end(policy).is_some_and(|counted| counted >= leader_end) {
            self.last_caught_up = Some(now);
        }
    }

    /// The end that counts towards the high watermark; `None` if it has not fetched in this epoch.
    pub(crate) fn counted_end(&self, policy: FlushPolicy) -> Option<Offset> {
        self.ends.map(|ends| match policy {
            FlushPolicy::Ack => ends.flushed,
            FlushPolicy::Interval => ends.appended,
        })
    }

    pub(crate) fn ends(&self) -> Option<FollowerEnds> {
        self.ends
    }

    pub(crate) fn last_caught_up(&self) -> Option<Millis> {
        self.last_caught_up
    }

    /// When it will have lagged too long, if nothing more is heard; `None` while it stands at the leader's log end.
    pub(crate) fn lag_deadline(&self, policy: FlushPolicy, leader_end: Offset, lag_time_max_ms: u64) -> Option<Millis> {
        if self.counted_end(policy).is_some_and(|counted| counted >= leader_end) {
            return None;
        }
        Some(self.last_caught_up.map_or(Millis(0), |at| at.plus(lag_time_max_ms + 1)))
    }

    /// True unless it has lagged behind the leader's log end for longer than the limit (Kafka's `isCaughtUp`).
    pub(crate) fn is_caught_up(
        &self,
        policy: FlushPolicy,
        leader_end: Offset,
        lag_time_max_ms: u64,
        now: Millis,
    ) -> bool {
        self.lag_deadline(policy, leader_end, lag_time_max_ms).is_none_or(|deadline| now < deadline)
    }

    /// Its position was found not to lie on the leader's log, or below its start. Takes the parked fetch, to answer it.
    pub(crate) fn diverged(&mut self) -> Option<ParkedFetch> {
        self.ends = None;
        self.latest = None;
        self.unpark()
    }

    /// Its stream ended: whether it saw the last answer is not known.
    pub(crate) fn disconnected(&mut self) {
        self.is_connected = false;
        self.told_high_watermark = Offset(0);
        self.unpark();
    }

    /// Takes the parked fetch, to answer it.
    pub(crate) fn unpark(&mut self) -> Option<ParkedFetch> {
        self.notify_at = None;
        self.parked.take()
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
