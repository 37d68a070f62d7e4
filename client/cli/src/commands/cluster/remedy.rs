//! What to do about a partition in trouble.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::v1::{BrokerInfo, DescribeClusterResponse, PartitionInfo, TroubledPartition};

use super::waiting;
use crate::{output, trust};

/// What is said before a last resort that may not be needed.
const STAYS: &str = "; if that stays so:";

/// What is to be done about a partition without a leader before it is recovered; `None` if it waits for nothing else.
pub(crate) fn before_recovery(
    partition: &PartitionInfo,
    min_insync_replicas: u32,
    view: &DescribeClusterResponse,
) -> Option<String> {
    let troubled = TroubledPartition { min_insync_replicas, ..TroubledPartition::default() };
    let remedy = Remedy::of(&troubled, partition, view);
    remedy.waits.then(|| remedy.text.trim_end_matches(STAYS).to_owned())
}

/// What to do. The order means nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Remedy {
    /// What to do, for people to read.
    pub(super) text: String,
    /// The command of the last resort belongs after the text, for each partition.
    pub(super) recovers: bool,
    /// It may be that a leader comes by itself yet.
    pub(super) waits: bool,
}

impl Remedy {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), recovers: false, waits: true }
    }

    fn recover(text: impl Into<String>) -> Self {
        Self { text: text.into(), recovers: true, waits: false }
    }

    /// First `wait`, then the last resort.
    fn recover_after(wait: &str) -> Self {
        Self { text: format!("wait: {wait}{STAYS}"), recovers: true, waits: true }
    }

    /// The text with the command for one partition.
    pub(super) fn in_one(&self, topic: &str, partition: u32) -> String {
        if self.recovers {
            format!("{} {}", self.text, trust::recover_command(topic, partition))
        } else {
            self.text.clone()
        }
    }

    /// What helps this partition.
    pub(super) fn of(troubled: &TroubledPartition, partition: &PartitionInfo, view: &DescribeClusterResponse) -> Self {
        let known: BTreeMap<u32, &BrokerInfo> = view.brokers.iter().map(|broker| (broker.broker_id, broker)).collect();
        if partition.leader.is_none() {
            let is_down = |id: &u32| known.get(id).is_none_or(|broker| broker.fenced);
            return without_leader(troubled, partition, &view.unheard_brokers, is_down);
        }
        let gone: Vec<_> = troubled.missing_replicas.iter().copied().filter(|id| !known.contains_key(id)).collect();
        let stopped: Vec<_> = troubled.missing_replicas.iter().copied().filter(|id| known.contains_key(id)).collect();
        Self::plain(match (&stopped[..], &gone[..]) {
            ([], []) if unread_followers(partition).next().is_some() => {
                "mend what its broker's log names: it is read then, by itself, and copies what it lacks".to_owned()
            }
            ([], []) if !partition.distrusted.is_empty() => {
                "wait: it is copied again from the leader by itself".to_owned()
            }
            ([], []) if partition.isr.len() == partition.replicas.len() && !trust::strays(partition).is_empty() => {
                "nothing has to be done for the partition: copy that log away if what it holds may be missed".to_owned()
            }
            ([], []) => "wait: it is catching up".to_owned(),
            ([], gone) => format!("broker {} is no longer registered: holdfast partition rebalance", numbers(gone)),
            ([one], _) => format!("start broker {one}; if it is gone for good: holdfast broker drain {one}"),
            (some, _) => format!("start brokers {}; drain those that are gone for good", numbers(some)),
        })
    }
}

/// The replicas that are out of sync because their brokers cannot read them.
fn unread_followers(partition: &PartitionInfo) -> impl Iterator<Item = u32> + '_ {
    let replicas = partition.replicas.iter().copied();
    replicas.filter(|id| !partition.isr.contains(id) && trust::is_unread(partition, *id))
}

fn without_leader(
    troubled: &TroubledPartition,
    partition: &PartitionInfo,
    unheard: &[u32],
    is_down: impl Fn(&u32) -> bool,
) -> Remedy {
    // These were in sync when the last record was acknowledged. Whether their disks still hold all of it is seen once they
    // start.
    let holders: Vec<_> = partition.isr.iter().chain(&partition.elr).copied().collect();
    let down: Vec<_> = holders.iter().copied().filter(&is_down).collect();
    let is_unread = |id: &u32| trust::is_unread(partition, *id) && !is_down(id);
    let unread: Vec<_> = holders.iter().copied().filter(is_unread).collect();
    if !unread.is_empty() {
        let unread = numbers(&unread);
        return Remedy::plain(format!(
            "broker {unread} could not read its replica, and nothing is said against what that holds: mend what its log names, \
             and start it again"
        ));
    }
    let is_claimed = |id: &u32| trust::claim(partition, *id).is_some();
    if partition.unsettled {
        let silent: Vec<_> = holders.into_iter().filter(|id| !is_claimed(id)).collect();
        let away: Vec<_> = partition.elr.iter().copied().filter(|id| trust::is_away(partition, *id)).collect();
        return unsettled(unheard, &silent, &down, &away, trust::is_of_several_leaderships(partition));
    }
    if trust::has_nobody(partition) {
        // Who was not in sync never comes to lead by itself: it may lack what was acknowledged.
        return Remedy::recover(
            "no replica can prove that it holds every acknowledged record, and none is elected by itself; a broker whose \
             old data folder is still there may be started with it first: to go on with that gives up less. See who could \
             lead, and give up what is lost:",
        );
    }
    if let Some(told) = waiting::cut_alone(troubled, partition) {
        return Remedy::recover(told);
    }
    match &down[..] {
        [] if partition.frozen_high_watermark.is_none() && holders.iter().any(is_claimed) => Remedy::recover_after(
            &format!("brokers {} say how far they reach, then the farthest leads", numbers(&holders)),
        ),
        [] => Remedy::recover_after("a leader is being elected"),
        [one] => Remedy::plain(format!(
            "start broker {one}: it was in sync last, and leads if its log {}; {}",
            provided(partition),
            waiting::lost_disk(&down)
        )),
        some => Remedy::plain(format!(
            "start brokers {}: they were in sync last; one leads whose log {}; {}",
            numbers(some),
            provided(partition),
            waiting::lost_disk(&down)
        )),
    }
}

/// The controllers were recovered since: nobody knows who was in sync, and all are waited for.
fn unsettled(unheard: &[u32], silent: &[u32], down: &[u32], away: &[u32], has_split: bool) -> Remedy {
    if !unheard.is_empty() {
        return Remedy::plain(format!(
            "the controllers were recovered, and a leader comes once every broker has said what it holds: start broker {} \
             again; {}",
            numbers(unheard),
            waiting::lost_disk(unheard)
        ));
    }
    if !silent.is_empty() {
        let silent = numbers(silent);
        return Remedy::recover_after(&format!("broker {silent} has not said yet how far it reaches"));
    }
    if !down.is_empty() {
        return Remedy::plain(format!(
            "start broker {}: the controllers were recovered, and the replica that reaches farthest leads; {}",
            numbers(down),
            waiting::lost_disk(down)
        ));
    }
    if !away.is_empty() {
        return Remedy::recover(format!(
            "the controllers were recovered, and broker {} does not hold it: it may have moved to brokers that the metadata does \
             not know any more. First start every broker that there was, also those that are not listed here: a leader is \
             elected without loss then. Only if that cannot be, see who could lead, and give up what is lost:",
            numbers(away)
        ));
    }
    if has_split {
        return Remedy::recover(
            "the controllers were recovered, and the replicas end with records of different leaderships: those with an earlier \
             one may have acknowledged what the one that reaches farthest lacks. See who could lead, and give up what is lost:",
        );
    }
    Remedy::recover(
        "the controllers were recovered, and too few replicas are believed to prove that one of them holds every \
         acknowledged record. See who could lead, and give up what is lost:",
    )
}

/// What the log of a replica that was in sync last has to show before it leads.
fn provided(partition: &PartitionInfo) -> String {
    partition.frozen_high_watermark.map_or_else(|| "is whole".to_owned(), |offset| format!("reaches offset {offset}"))
}

/// The ids in order, with commas.
pub(super) fn numbers(ids: &[u32]) -> String {
    // The same brokers are the same cause, in whichever order a partition names them.
    output::ids(ids.iter().collect::<BTreeSet<_>>())
}
