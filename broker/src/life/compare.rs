//! A leader compares its log with those of its followers in sync, range by range below the high watermark: finds what each
//! replica by itself takes for right, for its bytes fit its own digests.
//!
//! Place: part of the scrub's pass, after a replica was read. A range costs both sides the borders of some segments and a
//! piece or two; only what differs is halved, read again by both with its checksums, and settled ([`crate::partition::difference`]).
//!
//! Invariants:
//! 1. Nobody stands aside for a digest alone: the leader reads its own range first, and the follower its own then, and
//!    compares once more, in the same leadership. What either finds by itself is damage as any other.
//! 2. A follower is told that it differs until it has looked, and once more only after it was equal as a whole, or started
//!    again, or in another leadership (`told`). One that was copied again and differs still is named in the log, pass by
//!    pass, and keeps its place: the cause is elsewhere.
//! 3. Nobody stands aside while one that is away could decide who is right ([`Verdict::Undecided`]): later passes look again.
//! 4. Who begins later than its leader differs as well (`starts`).
//! 5. Who does not answer, does not know the call, or has no digests, is not compared with in this pass.

use std::sync::Arc;

use holdfast_log::{Digest, Error, RangeDigest};
use holdfast_proto::{
    detail::ErrorDetail,
    error::Outcome,
    ids::{BrokerId, LeaderEpoch, Offset},
};

use super::told::{Since, Told};
use crate::{
    here::context::Context,
    outward::{CompareAnswer, Held, Question, ask_to_compare},
    partition::{
        OpenReplica, compared,
        difference::{Verdict, verdict},
        findings::Finding,
    },
};

/// Bytes of one range, unless a segment is larger.
const RANGE_BYTES: u64 = 256 << 20;
/// What a range counts for at the rate of the scrub: a piece at each end, on both sides.
const RANGE_COST_BYTES: u64 = 256 << 10;
/// Ranges of one follower that a pass goes on behind though nobody could be told to stand aside.
const MAX_UNSETTLED: usize = 16;
/// Ranges that one whose borders are others at too many followers is widened by, for one where all have a border.
const MAX_WIDENINGS: usize = 4;
/// Halvings of a range: more than there are batches to halve between.
const MAX_HALVINGS: usize = 64;

/// What a pass compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) ranges: u64,
    pub(super) differences: u64,
}

/// A replica that leads, and who follows it.
pub(super) struct Leading<'a> {
    pub(super) context: &'a Context,
    pub(super) replica: &'a OpenReplica,
    leader_epoch: LeaderEpoch,
    pub(super) followers: Vec<BrokerId>,
    /// How many replicas the partition has, with those that are not in sync, and without those that a move brings in: what
    /// these hold was copied lately, from the leader.
    replicas: usize,
    /// How many have to hold what is acknowledged.
    pub(super) min_isr: usize,
    /// Its high watermark, where the comparison ends.
    pub(super) end: Offset,
}

/// Why a comparison ends early.
pub(super) enum Ended {
    /// The own log cannot be read.
    Here(Error),
    /// The follower does not answer.
    There(ErrorDetail),
}

/// Compares one replica with all that follow it in sync, if it leads.
pub(super) async fn compare(context: &Context, replica: &OpenReplica, told: &mut Told, counts: &mut Counts) {
    let Some(leading) = Leading::of(context, replica) else { return };
    if leading.compare_starts(told, counts).await {
        return;
    }
    for follower in leading.followers.clone() {
        let mut from = replica.reader.log_start_offset();
        let mut is_whole = true;
        for _ in 0..=MAX_UNSETTLED {
            match leading.first_difference(follower, from, counts, &mut is_whole).await {
                Ok(None) => {
                    if is_whole {
                        told.is_equal(replica.id, follower);
                    }
                    break;
                }
                Ok(Some(range)) => {
                    counts.differences += 1;
                    is_whole = false;
                    if leading.settle(range, told).await {
                        // Of all followers: the next pass goes on behind it.
                        return;
                    }
                    from = range.1;
                }
                Err(Ended::Here(error)) => return leading.cannot_read(&error),
                Err(Ended::There(error)) => {
                    tracing::debug!(partition = %replica.id, %follower, %error, "a follower is not compared in this pass");
                    break;
                }
            }
        }
    }
}

impl<'a> Leading<'a> {
    fn of(context: &'a Context, replica: &'a OpenReplica) -> Option<Self> {
        let (own, view) = (context.identity.broker_id, replica.view());
        let leader_epoch = view.leader_epoch.filter(|_| view.leader == Some(own))?;
        let image = context.metadata.look();
        let state = image.partition(replica.id).filter(|state| state.leader_epoch == leader_epoch)?;
        let counts = |member: &BrokerId| *member != own && !state.adding.contains(member);
        let followers = state.isr.iter().copied().filter(counts).collect();
        let replicas = 1 + state.replicas.iter().copied().filter(counts).count();
        let min_isr = image.topic(replica.id.topic_id)?.effective_min_isr(state);
        Some(Self { context, replica, leader_epoch, followers, replicas, min_isr, end: view.readable.ok()? })
    }

    /// The first range from this offset on that differs from the follower's, as small as it can be told. What is passed over
    /// leaves the comparison not `is_whole`.
    async fn first_difference(
        &self,
        follower: BrokerId,
        mut from: Offset,
        counts: &mut Counts,
        is_whole: &mut bool,
    ) -> Result<Option<(Offset, Offset)>, Ended> {
        let reader = &self.replica.reader;
        while let Some(to) = reader.range_end(from, self.end, RANGE_BYTES) {
            let RangeDigest::Known(own) = self.digest((from, to)).await? else {
                (*is_whole, from) = (false, to);
                continue;
            };
            counts.ranges += 1;
            let answer = self.ask(follower, self.question((from, to))).await?;
            match answer.held {
                Held::Known(theirs) if theirs == own => from = to,
                Held::Known(_) => return self.narrow(follower, (from, to)).await.map(Some),
                Held::OtherBorders => return Ok(Some((from, to))),
                // Retention there may be ahead of the one here; whether it is was asked before.
                Held::Unknown if answer.log_start > from => (*is_whole, from) = (false, answer.log_start.min(to)),
                Held::Unknown => (*is_whole, from) = (false, to),
            }
            self.rest().await;
        }
        Ok(None)
    }

    /// Halves a range whose digests differ until one batch is left, or the follower has no border there.
    async fn narrow(
        &self,
        follower: BrokerId,
        (mut from, mut to): (Offset, Offset),
    ) -> Result<(Offset, Offset), Ended> {
        for _ in 0..MAX_HALVINGS {
            let reader = self.replica.reader.clone();
            let Some(middle) = blocking(move || reader.middle(from, to)).await? else { break };
            let theirs = self.ask(follower, self.question((from, middle))).await?.held;
            match (self.digest((from, middle)).await?, theirs) {
                (RangeDigest::Known(own), Held::Known(theirs)) if own == theirs => from = middle,
                (RangeDigest::Known(_), Held::Known(_)) => to = middle,
                _ => break,
            }
            self.rest().await;
        }
        Ok((from, to))
    }

    /// Reads the own range again, asks all that follow, and lets those stand aside that are wrong. False if nobody does.
    async fn settle(&self, (from, to): (Offset, Offset), told: &mut Told) -> bool {
        let to = match self.with_common_borders(from, to).await {
            Ok(to) => to,
            Err(Ended::Here(error)) => {
                self.cannot_read(&error);
                return true;
            }
            Err(Ended::There(_)) => return false,
        };
        let (replica, budget) = (self.replica.clone(), Arc::clone(&self.context.scrub_budget));
        let own = match blocking(move || compared::read_again(&replica, (from, to), &budget)).await {
            Ok(()) => self.digest((from, to)).await,
            Err(ended) => Err(ended),
        };
        let own = match own {
            Ok(RangeDigest::Known(own)) => own,
            Err(Ended::Here(error)) => {
                self.cannot_read(&error);
                return true;
            }
            // A cut or retention came: the next pass looks again.
            Ok(_) | Err(Ended::There(_)) => return false,
        };
        let answers = self.answers((from, to)).await;
        let partition = self.replica.id;
        match verdict(own, &answers, self.replicas) {
            Verdict::Undecided => {
                let (answered, replicas) = (answers.len() + 1, self.replicas);
                tracing::error!(
                    %partition, %from, %to, answered, replicas,
                    "replicas differ, and too few are in sync to tell which is right: start the brokers that are away"
                );
                false
            }
            Verdict::OtherBorders => {
                tracing::error!(
                    %partition, %from, %to,
                    "most followers hold other batches than their leader, and have no border in common with it here: \
                     no replica is closed for it. Report it, and keep the data folders"
                );
                false
            }
            Verdict::Leader => {
                let detail = format!("most replicas in sync hold other batches from offset {from} to below {to}");
                tracing::error!(%partition, %from, %to, "most followers agree on batches that their leader does not hold");
                self.replica.found(Finding::damaged(&self.replica.reader, detail));
                true
            }
            Verdict::Followers(aside) => {
                let mut is_told = false;
                for follower in aside {
                    is_told |= self.tell(follower, (from, to), own, told).await;
                }
                is_told
            }
        }
    }

    /// The end of the smallest range from this one on that tells something of most replicas.
    async fn with_common_borders(&self, from: Offset, mut to: Offset) -> Result<Offset, Ended> {
        for _ in 0..MAX_WIDENINGS {
            let RangeDigest::Known(own) = self.digest((from, to)).await? else { break };
            let verdict = verdict(own, &self.answers((from, to)).await, self.replicas);
            let wider = self.replica.reader.range_end(to, self.end, RANGE_BYTES);
            match wider.filter(|_| verdict == Verdict::OtherBorders) {
                Some(wider) => to = wider,
                None => break,
            }
        }
        Ok(to)
    }

    /// What those that follow hold of a range; those that do not know or do not answer are left out.
    async fn answers(&self, range: (Offset, Offset)) -> Vec<(BrokerId, Option<Digest>)> {
        let mut answers = Vec::new();
        for follower in &self.followers {
            match self.ask(*follower, self.question(range)).await.map(|answer| answer.held) {
                Ok(Held::Known(theirs)) => answers.push((*follower, Some(theirs))),
                Ok(Held::OtherBorders) => answers.push((*follower, None)),
                Ok(Held::Unknown) | Err(_) => {}
            }
        }
        answers
    }

    /// In which leadership, and which registration of a follower, something is told.
    pub(super) fn since(&self, follower: BrokerId) -> Since {
        let image = self.context.metadata.look();
        (self.leader_epoch, image.broker(follower).map(|broker| broker.broker_epoch))
    }

    /// Tells a follower that it differs. False if it was told before.
    async fn tell(&self, follower: BrokerId, (from, to): (Offset, Offset), own: Digest, told: &mut Told) -> bool {
        let partition = self.replica.id;
        // As of before the call: if it starts again meanwhile, it is told again.
        let since = self.since(follower);
        if told.has_looked(partition, follower, since) {
            tracing::error!(
                %partition, %follower, %from, %to,
                "a follower that was copied again differs from its leader still: it keeps its place. Compare both replicas"
            );
            return false;
        }
        tracing::error!(
            %partition, %follower, %from, %to,
            "a follower differs from its leader, where all that both hold is whole: it is to be copied again"
        );
        let reader = self.replica.reader.clone();
        let read_bytes = match blocking(move || reader.range_bytes(from, to)).await {
            Ok(bytes) => bytes,
            Err(Ended::Here(error)) => {
                self.cannot_read(&error);
                return true;
            }
            Err(Ended::There(_)) => return false,
        };
        let question = Question { settled: Some(own), read_bytes, ..self.question((from, to)) };
        match self.ask(follower, question).await.map(|answer| answer.held) {
            Ok(Held::Known(theirs)) if theirs == own => {}
            Ok(Held::Known(_) | Held::OtherBorders) => {
                told.looked(partition, follower, since);
            }
            // It did not look: the next pass tells it again.
            Ok(Held::Unknown) => {}
            Err(Ended::There(error)) => {
                tracing::warn!(%partition, %follower, %error, "the follower does not say that it has looked at it");
                if error.outcome == Outcome::Unknown {
                    told.unanswered(partition, follower, since);
                }
            }
            Err(Ended::Here(error)) => self.cannot_read(&error),
        }
        true
    }

    /// Waits for what one range costs.
    async fn rest(&self) {
        tokio::time::sleep(self.context.scrub_budget.spend(RANGE_COST_BYTES)).await;
    }

    async fn digest(&self, (from, to): (Offset, Offset)) -> Result<RangeDigest, Ended> {
        let reader = self.replica.reader.clone();
        blocking(move || reader.digest_of(from, to)).await
    }

    /// What is asked at first: nothing is settled, and next to nothing is read.
    pub(super) fn question(&self, range: (Offset, Offset)) -> Question {
        let (partition, leader_epoch) = (self.replica.id, self.leader_epoch);
        Question { partition, leader_epoch, range, settled: None, settled_log_start: None, read_bytes: 0 }
    }

    pub(super) async fn ask(&self, follower: BrokerId, question: Question) -> Result<CompareAnswer, Ended> {
        ask_to_compare(self.context, follower, question).await.map_err(Ended::There)
    }

    pub(super) fn cannot_read(&self, error: &Error) {
        if !matches!(error, Error::Closed) {
            self.replica.read_failed(error);
        }
    }
}

/// Runs a read on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Ended> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(Ended::Here),
        // The runtime ends.
        Err(_ends) => Err(Ended::Here(Error::Closed)),
    }
}
