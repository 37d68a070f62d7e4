//! What must hold of a replica after every step. The simulation and the tests call [`check`]; [`Monitor`] compares with
//! the step before.
//!
//! Of one replica at any moment:
//!  1. log start ≤ high watermark ≤ log end, and flushed ≤ log end.
//!  2. The epochs in the log increase, start within the log, and are not newer than the assignment's.
//!  3. A leader's epoch is the newest one of its log, and starts at or below the log end.
//!  4. A leader is in its maximal ISR, has progress of every other member, and nobody joins who is in already.
//!  5. A waiting produce lies within the log, its condition is not met, and there are not more than the limit.
//!  6. A parked fetch stands at the log end: no follower waits while there is something for it.
//!  7. A remembered producer batch lies within the log.
//!  8. Nothing that the time has made due was left undone, and a leader's high watermark stands as high as it may.
//!
//! From one step to the next:
//!  9. The high watermark, the log start, leader epoch, partition epoch and log generation never go back.
//! 10. The log gets shorter, and the flushed end goes back, only with a new log generation.
//! 11. Under `flush.policy=ack` a leader moves its high watermark only to where every member of the maximal ISR, itself
//!     included, is durable: what consumers see and producers were told survives a power loss everywhere. (Later a member
//!     may be found with less, if it lost its disk; then the high watermark stands still.)
//! 12. A halted replica stays halted.

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionEpoch};

use crate::{
    event::{Acks, FlushPolicy},
    leader::Leader,
    log::batch::LogGeneration,
    replica::{Replica, Role},
    view::RoleView,
};

/// Panics, naming the number, if an invariant of one moment is broken.
pub fn check(replica: &Replica) {
    let log = &replica.log;
    let (start, high_watermark, end) = (log.start(), log.high_watermark(), log.end());
    assert!(start <= high_watermark, "1: log start {start} above the high watermark {high_watermark}");
    assert!(high_watermark <= end, "1: high watermark {high_watermark} above the log end {end}");
    assert!(log.flushed() <= end, "1: flushed {} above the log end {end}", log.flushed());

    let mut before = None;
    for entry in log.epochs.iter() {
        assert!(before < Some((entry.leader_epoch, entry.start_offset)), "2: epochs do not increase at {entry:?}");
        assert!(entry.start_offset <= end, "2: {entry:?} starts above the log end {end}");
        before = Some((entry.leader_epoch, entry.start_offset));
    }
    if !matches!(replica.role, Role::Waiting | Role::Halted) {
        assert!(
            log.epochs.latest() <= replica.leader_epoch(),
            "2: {:?} in the log, {:?} assigned",
            log.epochs.latest(),
            replica.leader_epoch()
        );
    }
    if !log.is_truncating() {
        let producers_end = log.producers.end_offset();
        assert!(producers_end <= end, "7: producers up to {producers_end}, log end {end}");
    }
    if let Some(deadline) = replica.next_deadline() {
        assert!(deadline > replica.now, "8: due at {deadline}, now is {}", replica.now);
    }
    if let Role::Leader(leader) = &replica.role {
        check_leader(replica, leader);
    }
}

fn check_leader(replica: &Replica, leader: &Leader) {
    let log = &replica.log;
    let me = replica.config.broker_id;
    assert_eq!(log.epochs.latest(), Some(leader.leader_epoch), "3: newest epoch of a leader's log");
    assert_eq!(replica.leader_epoch(), Some(leader.leader_epoch), "3: assigned epoch of a leader");
    assert!(leader.epoch_start <= log.end(), "3: epoch starts at {}, log end {}", leader.epoch_start, log.end());

    let committed = leader.isr.committed();
    assert!(committed.contains(&me), "4: the leader {me} is not in its ISR {committed:?}");
    assert!(leader.isr.joiner().is_none_or(|joiner| !committed.contains(&joiner)), "4: a member joins again");
    for member in leader.isr.maximal().filter(|member| *member != me) {
        assert!(leader.progress(member).is_some(), "4: no progress of member {member}");
    }

    if let Some(candidate) = leader.high_watermark_candidate(me, log.counted_end(leader.flush_policy)) {
        let high_watermark = log.high_watermark();
        assert!(candidate <= high_watermark, "8: the high watermark {high_watermark} may be {candidate}");
    }

    let limit = replica.config.max_pending_produces;
    assert!(leader.pending.len() <= limit, "5: {} produces wait, the limit is {limit}", leader.pending.len());
    for (acks, waiting) in leader.pending.iter() {
        let reached = if acks == Acks::All { log.high_watermark() } else { log.counted_end(leader.flush_policy) };
        assert!(waiting.end_offset > reached, "5: {waiting:?} waits although {reached} is reached");
        assert!(waiting.end_offset <= log.end(), "5: {waiting:?} waits past the log end {}", log.end());
    }
    for follower in &leader.followers {
        if let Some(parked) = follower.parked {
            assert_eq!(parked.fetch_offset, log.end(), "6: parked fetch of {}", follower.broker_id);
        }
    }
}

fn check_advance(replica: &Replica) {
    let Role::Leader(leader) = &replica.role else { return };
    if leader.flush_policy != FlushPolicy::Ack {
        return;
    }
    let (high_watermark, flushed) = (replica.log.high_watermark(), replica.log.flushed());
    assert!(high_watermark <= flushed, "11: high watermark {high_watermark}, the leader is durable to {flushed}");
    for member in leader.isr.maximal().filter(|member| *member != replica.config.broker_id) {
        let durable = leader.progress(member).and_then(|progress| progress.counted_end(FlushPolicy::Ack));
        assert!(
            durable >= Some(high_watermark),
            "11: high watermark {high_watermark}, {member} is durable to {durable:?}"
        );
    }
}

/// Watches one replica from step to step. A restart of the replica needs a new monitor.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    last: Option<Snapshot>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    start: Offset,
    high_watermark: Offset,
    end: Offset,
    flushed: Offset,
    generation: LogGeneration,
    leader_epoch: Option<LeaderEpoch>,
    partition_epoch: Option<PartitionEpoch>,
    role: RoleView,
}

impl Monitor {
    /// Checks the moment, and the way here from the last observed one. Panics, naming the number.
    pub fn observe(&mut self, replica: &Replica) {
        check(replica);
        let now = Snapshot {
            start: replica.log.start(),
            high_watermark: replica.log.high_watermark(),
            end: replica.log.end(),
            flushed: replica.log.flushed(),
            generation: replica.log.generation(),
            leader_epoch: replica.leader_epoch(),
            partition_epoch: replica.partition_epoch(),
            role: replica.role(),
        };
        if let Some(last) = self.last.replace(now) {
            assert!(now.start >= last.start, "9: log start went back: {last:?} to {now:?}");
            assert!(now.high_watermark >= last.high_watermark, "9: high watermark went back: {last:?} to {now:?}");
            assert!(now.leader_epoch >= last.leader_epoch, "9: leader epoch went back: {last:?} to {now:?}");
            assert!(now.partition_epoch >= last.partition_epoch, "9: partition epoch went back: {last:?} to {now:?}");
            assert!(now.generation >= last.generation, "9: generation went back: {last:?} to {now:?}");
            if now.generation == last.generation {
                assert!(now.end >= last.end && now.flushed >= last.flushed, "10: the log shrank: {last:?} to {now:?}");
            }
            if now.high_watermark > last.high_watermark {
                check_advance(replica);
            }
            assert!(last.role != RoleView::Halted || now.role == RoleView::Halted, "12: it came back: {now:?}");
        }
    }
}
