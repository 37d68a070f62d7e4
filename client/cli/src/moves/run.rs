//! Starts moves a few at a time, and watches them to their end.
//!
//! Invariants: (1) at most [`UNDER_WAY_MAX`] of them are under way at once: each partition then holds its extra copies for
//! a short time only, and an interruption leaves little behind; (2) a limit that was set here is taken away at the end, and
//! kept when this is interrupted while moves go on.
//!
//! On failure: moves that were started go on by themselves, as the brokers make them; the message says so.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use holdfast_checker::text::counted;
use holdfast_client::{
    admin::{Admin, Move},
    metadata::{PartitionView, TopicView},
};

use super::Throttle;
use crate::{
    exit::{Failure, Result},
    progress::Progress,
    signals::Signals,
};

/// Moves that are under way at the same time.
const UNDER_WAY_MAX: usize = 50;
/// How often the cluster is asked how far they are.
const LOOK: Duration = Duration::from_millis(300);
/// How long a broker may lag behind a change before its answer is believed.
const CATCH_UP: Duration = Duration::from_secs(10);
/// After so long without any change the reason is looked for.
const STALL: Duration = Duration::from_secs(15);

/// What to do with moves that go on without this command.
const GO_ON: &str = "watch with `holdfast partition ls --moving`, end with `holdfast partition cancel`";

/// What came of the moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveOutcome {
    /// Moves that reached their end.
    pub done: usize,
    /// Those that did not, each with the reason.
    pub problems: Vec<String>,
}

struct UnderWay<'a> {
    one: &'a Move,
    since: Instant,
    seen: bool,
}

/// What a look at a partition says of its move.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    GoesOn,
    NotSeenYet,
    Done,
    /// Somebody else changed it.
    Replaced,
}

/// Makes the moves, or those that were started when a signal comes. With `throttle`, each broker copies no faster until they
/// are done.
pub async fn run(
    admin: &Admin,
    moves: &[Move],
    throttle: Option<Throttle>,
    signals: &mut Signals,
) -> Result<MoveOutcome> {
    let progress = Progress::start("moving", moves.len() as u64);
    let mut runner = Runner {
        admin,
        waiting: moves.iter().collect(),
        asked: 0,
        under_way: Vec::new(),
        outcome: MoveOutcome::default(),
    };
    let moving = async {
        if let Some(throttle) = throttle {
            admin.alter_replicas(&[], Some(throttle.bytes_per_second)).await?;
        }
        runner.run(&progress).await?;
        if throttle.is_some_and(|throttle| throttle.bytes_per_second > 0) {
            admin.alter_replicas(&[], Some(0)).await?;
        }
        Ok(())
    };
    let ended = signals.or(moving).await;
    progress.end();
    match ended {
        Ok(()) => Ok(runner.outcome),
        Err(failure) => Err(Failure::new(failure.code, format!("{failure}; {}", runner.left(throttle)))),
    }
}

/// Asks for moves, or for their ends, and watches none: gives the names of those that were taken, and why others were not.
pub async fn ask(admin: &Admin, moves: &[Move], limit: Option<u64>) -> Result<(Vec<String>, Vec<String>)> {
    let results = admin.alter_replicas(moves, limit).await?;
    let (mut taken, mut problems) = (Vec::new(), Vec::new());
    for (name, result) in moves.iter().map(name).zip(results) {
        match result {
            Ok(()) => taken.push(name),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    Ok((taken, problems))
}

struct Runner<'a> {
    admin: &'a Admin,
    waiting: VecDeque<&'a Move>,
    /// So many of those that wait were asked for, and not answered yet.
    asked: usize,
    under_way: Vec<UnderWay<'a>>,
    outcome: MoveOutcome,
}

impl Runner<'_> {
    async fn run(&mut self, progress: &Progress) -> Result {
        let partitions = counted(self.waiting.len() as u64, "partition");
        let mut greeting = Some(format!("moving {partitions}; an interruption leaves moves that are under way going"));
        let mut looks = tokio::time::interval(LOOK);
        let (mut last, mut last_change, mut told) = (String::new(), Instant::now(), false);
        while !self.waiting.is_empty() || !self.under_way.is_empty() {
            self.start_some().await?;
            if let Some(greeting) = greeting.take() {
                progress.tell(&greeting);
            }
            looks.tick().await;
            let state = self.look().await?;
            if state != last {
                (last, last_change, told) = (state, Instant::now(), false);
            } else if last_change.elapsed() > STALL && !told {
                told = true;
                progress.tell(&self.why_it_stalls().await?);
            }
            progress.set(self.outcome.done as u64, || {
                format!(
                    "{} done, {} under way, {} to start",
                    self.outcome.done,
                    self.under_way.len(),
                    self.waiting.len()
                )
            });
        }
        Ok(())
    }

    async fn start_some(&mut self) -> Result {
        let room = UNDER_WAY_MAX.saturating_sub(self.under_way.len()).min(self.waiting.len());
        if room == 0 {
            return Ok(());
        }
        let batch: Vec<Move> = self.waiting.iter().take(room).map(|one| (*one).clone()).collect();
        self.asked = room;
        let results = self.admin.alter_replicas(&batch, None).await?;
        self.asked = 0;
        for (one, result) in self.waiting.drain(..room).zip(results) {
            match result {
                Ok(()) => self.under_way.push(UnderWay { one, since: Instant::now(), seen: false }),
                Err(error) => self.outcome.problems.push(format!("{}: {error}", name(one))),
            }
        }
        Ok(())
    }

    /// Takes note of what is done; gives a text that changes whenever something has changed.
    async fn look(&mut self) -> Result<String> {
        let topics = self.admin.list_topics().await?;
        let outcome = &mut self.outcome;
        let mut state = Vec::new();
        self.under_way.retain_mut(|move_| {
            let Some(partition) = find(&topics, move_.one) else {
                outcome.problems.push(format!("{}: the topic was deleted", name(move_.one)));
                return false;
            };
            state.push(format!("{}.{}", name(move_.one), partition.partition_epoch));
            match look_at(partition, move_.one) {
                Look::GoesOn => move_.seen = true,
                Look::Done => {
                    outcome.done += 1;
                    return false;
                }
                Look::Replaced if move_.seen => {
                    outcome.problems.push(format!("{}: cancelled or changed by somebody else", name(move_.one)));
                    return false;
                }
                Look::Replaced | Look::NotSeenYet if move_.since.elapsed() > CATCH_UP => {
                    outcome.problems.push(format!("{}: started, and not seen to go on", name(move_.one)));
                    return false;
                }
                Look::Replaced | Look::NotSeenYet => {}
            }
            true
        });
        Ok(state.join(","))
    }

    /// Which brokers cannot copy at the moment.
    async fn why_it_stalls(&self) -> Result<String> {
        let view = self.admin.describe_cluster().await?;
        let fenced: Vec<_> =
            view.brokers.iter().filter(|broker| broker.fenced).map(|broker| broker.broker_id).collect();
        let waited_for = self.under_way.iter().flat_map(|move_| move_.one.added()).map(|broker| broker.0);
        let mut down: Vec<_> = waited_for.filter(|broker| fenced.contains(broker)).collect();
        down.sort_unstable();
        down.dedup();
        let down: Vec<_> = down.iter().map(ToString::to_string).collect();
        Ok(if down.is_empty() {
            format!("no move has ended for {} s; copying goes on", STALL.as_secs())
        } else {
            format!("waiting for broker {}: it is fenced, and copies again once it runs", down.join(", "))
        })
    }

    /// What an interruption leaves.
    fn left(&self, throttle: Option<Throttle>) -> String {
        let (done, left) = (self.outcome.done, self.waiting.len() - self.asked);
        // One that was asked for may go on like those that were started.
        let under_way = self.under_way.len() + self.asked;
        let mut text = format!("{} done, {} not started", counted(done as u64, "move"), left);
        if under_way > 0 {
            text = format!("{text}, {under_way} under way and going on: {GO_ON}");
        }
        match throttle {
            Some(throttle) if throttle.bytes_per_second > 0 => {
                text + &format!(" (the limit of {throttle} stays; `--throttle none` lifts it)")
            }
            _ => text,
        }
    }
}

fn name(one: &Move) -> String {
    format!("{}-{}", one.topic, one.partition)
}

fn find<'a>(topics: &'a [TopicView], one: &Move) -> Option<&'a PartitionView> {
    topics.iter().find(|topic| *topic.name == *one.topic)?.partition(one.partition)
}

fn look_at(partition: &PartitionView, one: &Move) -> Look {
    let target = partition.replicas.iter().filter(|replica| !partition.removing.contains(replica));
    let is_ours = target.eq(one.new_replicas.iter());
    match (is_ours, partition.is_moving()) {
        (true, true) => Look::GoesOn,
        (true, false) => Look::Done,
        (false, false) if partition.replicas == one.old_replicas => Look::NotSeenYet,
        (false, _) => Look::Replaced,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};

    use super::*;

    fn ids(ids: &[u32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    fn check(replicas: &[u32], adding: &[u32], removing: &[u32], expected: &Look) {
        let partition = PartitionView {
            partition: PartitionIndex(0),
            leader: None,
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(replicas),
            isr: vec![],
            elr: vec![],
            adding: ids(adding),
            removing: ids(removing),
        };
        let one = Move { old_replicas: ids(&[1, 2, 3]), ..Move::to("t", PartitionIndex(0), ids(&[4, 2, 3])) };
        assert_eq!(look_at(&partition, &one), *expected, "{partition:?}");
    }

    #[test]
    fn a_partition_tells_how_far_its_move_is() {
        check(&[1, 2, 3], &[], &[], &Look::NotSeenYet);
        check(&[4, 2, 3, 1], &[4], &[1], &Look::GoesOn);
        check(&[4, 2, 3], &[], &[], &Look::Done);
        check(&[2, 3, 1], &[], &[], &Look::Replaced);
        check(&[5, 2, 3, 1], &[5], &[1], &Look::Replaced);
    }
}
