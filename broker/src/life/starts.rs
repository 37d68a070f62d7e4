//! A leader looks whether its followers in sync begin where it does: one that begins later lacks records, and were it elected the
//! others would delete them.
//!
//! Place: the first part of the comparison (`compare`). Retention may be what took them: under the last leader, of whose log
//! start not everybody had heard. The leader's own comes as far soon; nothing tells the two apart until then. So a follower
//! stands aside for it only while, without it, as many replicas as the topic asks for begin where the leader does.
//!
//! A follower's log start moves because its leader's has moved. So what it answered lies above the leader's own of a moment
//! later only if something else has brought it there.

use holdfast_proto::ids::{BrokerId, Offset};

use super::{
    compare::{Counts, Ended, Leading, blocking},
    told::Told,
};
use crate::{outward::Question, partition::compared};

/// Bytes of its beginning that the leader reads again before it says that it has them.
const READ_BYTES: u64 = 256 << 20;

impl Leading<'_> {
    /// True if a follower was told that it begins too late.
    pub(super) async fn compare_starts(&self, told: &mut Told, counts: &mut Counts) -> bool {
        let reader = &self.replica.reader;
        let from = reader.log_start_offset();
        let Some(to) = reader.range_end(from, self.end, 1) else { return false };
        let (mut in_time, mut late) = (1, Vec::new());
        for follower in &self.followers {
            match self.ask(*follower, self.question((from, to))).await {
                Ok(answer) if answer.log_start > reader.log_start_offset() => late.push((*follower, answer.log_start)),
                Ok(_) => in_time += 1,
                Err(_) => {}
            }
        }
        let Some(until) = late.iter().map(|(_, log_start)| *log_start).min() else { return false };
        counts.differences += late.len() as u64;
        let partition = self.replica.id;
        if in_time < self.min_isr {
            tracing::error!(
                %partition, %from, ?late, in_time,
                "followers begin later than their leader, and too few begin where it does: no replica is closed for it. Retention may \
                 have taken what they lack, or they have lost it"
            );
            return false;
        }
        let to = reader.range_end(from, until.min(self.end), READ_BYTES).unwrap_or(to);
        let (replica, budget) = (self.replica.clone(), self.context.scrub_budget.clone());
        match blocking(move || compared::read_again(&replica, (from, to), &budget)).await {
            Ok(()) => {}
            Err(Ended::Here(error)) => {
                self.cannot_read(&error);
                return true;
            }
            Err(Ended::There(_)) => return false,
        }
        let mut is_told = false;
        for (follower, log_start) in late {
            is_told |= self.tell_late(follower, (from, to), log_start, told).await;
        }
        is_told
    }

    /// Tells a follower that its log begins too late. False if it was told before.
    async fn tell_late(
        &self,
        follower: BrokerId,
        (from, to): (Offset, Offset),
        log_start: Offset,
        told: &mut Told,
    ) -> bool {
        let partition = self.replica.id;
        let since = self.since(follower);
        if told.has_looked(partition, follower, since) {
            tracing::error!(%partition, %follower, %from, %log_start, "a follower that was copied again begins too late still");
            return false;
        }
        tracing::error!(
            %partition, %follower, %from, %log_start,
            "a follower begins later than its leader, and enough others do not: it is to be copied again"
        );
        let question = Question { settled_log_start: Some(log_start), ..self.question((from, to)) };
        match self.ask(follower, question).await {
            Ok(_) => told.looked(partition, follower, since),
            Err(Ended::There(error)) => {
                tracing::warn!(%partition, %follower, %error, "the follower does not say that it has looked at it");
            }
            Err(Ended::Here(error)) => self.cannot_read(&error),
        }
        true
    }
}
