//! What a follower says of a range of its log that its leader compares. Blocks: it reads the disk.

use holdfast_log::{Cause, Digest, Distrust, Error, RangeDigest};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset},
};

use super::{OpenReplica, findings::Finding, scrub_budget::ScrubBudget};

/// A range of its log that a leader asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Who asks, and leads.
    pub leader: BrokerId,
    /// In which leadership it does.
    pub leader_epoch: LeaderEpoch,
    /// The first offset, and the one after the range.
    pub range: (Offset, Offset),
    /// The digest of the leader, once it has read its own batches with their checksums and both differ.
    pub settled: Option<Digest>,
    /// Where this log begins, as it has answered, once the leader has read what it holds before that, and enough others hold it.
    pub settled_log_start: Option<Offset>,
}

/// What the follower holds of the range. It does not vouch for its replica any more if the difference is settled and stands,
/// or that it begins too late: that is noted durably by `note` before it is answered, for no later start would find it by
/// itself.
/// UNKNOWN_LEADER_EPOCH, FENCED_LEADER_EPOCH or NOT_LEADER_OR_FOLLOWER if the replica does not follow that leader in that
/// leadership.
pub fn answer(
    replica: &OpenReplica,
    asked: &Asked,
    budget: &ScrubBudget,
    note: impl FnOnce(Distrust) -> Result<(), Error>,
) -> Result<RangeDigest, ErrorCode> {
    check(replica, asked)?;
    let (from, to) = asked.range;
    let failed = |error: Error| replica.read_failed(&error);
    if asked.settled.is_some() {
        read_again(replica, (from, to), budget).map_err(failed)?;
    }
    let held = replica.reader.digest_of(from, to).map_err(failed)?;
    // What was read while the role changed says nothing.
    check(replica, asked)?;
    if let (Some(theirs), RangeDigest::Known(_) | RangeDigest::InsideBatch) = (asked.settled, held)
        && held != RangeDigest::Known(theirs)
    {
        let leader = asked.leader;
        let detail = format!(
            "the batches from offset {from} to below {to} are whole, and not those of the leader, broker {leader}"
        );
        stand_aside(replica, detail, note).map_err(failed)?;
    } else if let Some(late) = asked.settled_log_start.filter(|late| replica.reader.log_start_offset() >= *late) {
        let leader = asked.leader;
        let detail = format!("it begins at offset {late}, and the leader, broker {leader}, holds records before that");
        stand_aside(replica, detail, note).map_err(failed)?;
    }
    Ok(held)
}

/// First it is noted: once it is found the replica may be made again, of which nothing is to be noted.
fn stand_aside(
    replica: &OpenReplica,
    detail: String,
    note: impl FnOnce(Distrust) -> Result<(), Error>,
) -> Result<(), Error> {
    let view = replica.view();
    let (last_epoch, end) = (view.flushed_epoch, Some(view.flushed_end));
    let noted = note(Distrust { last_epoch, end, ..Distrust::new(Cause::Damaged, &detail) });
    replica.found(Finding::damaged(&replica.reader, detail));
    noted
}

fn check(replica: &OpenReplica, asked: &Asked) -> Result<(), ErrorCode> {
    let view = replica.view();
    match view.leader_epoch {
        Some(known) if known > asked.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
        Some(known) if known == asked.leader_epoch && view.leader == Some(asked.leader) => Ok(()),
        Some(known) if known == asked.leader_epoch => Err(ErrorCode::NotLeaderOrFollower),
        Some(_) | None => Err(ErrorCode::UnknownLeaderEpoch),
    }
}

/// Reads a range with all checksums, from the disk, no faster than the budget allows: where borders differ it may be a whole
/// segment.
pub fn read_again(replica: &OpenReplica, (from, to): (Offset, Offset), budget: &ScrubBudget) -> Result<(), Error> {
    let mut next = Some(from);
    while let Some(at) = next.filter(|at| *at < to) {
        let step = replica.reader.scrub(at, 1)?;
        budget.spend_and_wait(step.bytes);
        next = step.next;
    }
    Ok(())
}
