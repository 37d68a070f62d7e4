//! What a story expects: each line compares what is found with what it says.

use std::fmt::Debug;

use holdfast_broker::partition::ReplicaView;
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset},
};
use holdfast_replication::{Replica, RoleView};

use super::{
    cluster::Cluster,
    words::{broker, number, value},
};
use crate::sim::disk::SimLog;

/// Checks the words after `expect`. `Err` says what was found.
pub(super) fn check(cluster: &Cluster, words: &[&str]) -> Result<(), String> {
    let numbers = |words: &[&str]| words.iter().map(|word| number::<u32>(word)).collect::<Result<Vec<_>, _>>();
    match words {
        ["ok", name] => match cluster.producing.answer(name)? {
            Some(Ok(_)) => Ok(()),
            found => Err(format!("found {found:?}")),
        },
        ["ok", name, at] => {
            let at = Offset(number(value(at, "at")?)?);
            equal(&cluster.producing.answer(name)?, &Some(Ok(at)))
        }
        ["waiting", name] => equal(&cluster.producing.answer(name)?, &None),
        ["error", name, code] => equal(&cluster.producing.answer(name)?.map(text).as_deref(), &Some(*code)),
        ["log", node, names @ ..] => {
            let batches = cluster.log(broker(cluster, node)?).map(SimLog::batches).unwrap_or_default();
            let found: Vec<&str> = batches.iter().map(|batch| cluster.producing.name(batch.id)).collect();
            equal(found.as_slice(), names)
        }
        ["hw", node, offset] => equal(&replica(cluster, node)?.high_watermark(), &Offset(number(offset)?)),
        ["end", node, offset] => equal(&replica(cluster, node)?.log_end(), &Offset(number(offset)?)),
        ["start", node, offset] => equal(&replica(cluster, node)?.log_start(), &Offset(number(offset)?)),
        ["readable", node, expected] => equal(text(replica(cluster, node)?.readable_end()).as_str(), *expected),
        ["latest", node, expected] => equal(text(replica(cluster, node)?.latest_end()).as_str(), *expected),
        ["consumer", node, epoch, expected] => {
            let view = ReplicaView::of(replica(cluster, node)?);
            let found = view.check_epoch(Some(LeaderEpoch(number(epoch)?))).and(view.readable);
            equal(found.map_or_else(ErrorCode::name, |_| "ok"), *expected)
        }
        ["leader", "none"] => equal(&cluster.committed().leader, &None),
        ["leader", node] => equal(&cluster.committed().leader, &Some(broker(cluster, node)?)),
        ["isr", nodes @ ..] => equal(&sorted(&cluster.committed().isr), &numbers(nodes)?),
        ["elr", nodes @ ..] => equal(&sorted(&cluster.committed().elr), &numbers(nodes)?),
        ["role", node, expected] => {
            let found = match replica(cluster, node)?.role() {
                RoleView::Leader => "leader",
                RoleView::Follower(_) => "follower",
                RoleView::Waiting => "waiting",
                RoleView::Halted => "halted",
            };
            equal(found, *expected)
        }
        _ => Err("no such expectation".to_owned()),
    }
}

fn replica<'a>(cluster: &'a Cluster, node: &str) -> Result<&'a Replica, String> {
    cluster.replica(broker(cluster, node)?)
}

fn text(result: Result<Offset, ErrorCode>) -> String {
    result.map_or_else(|code| code.name().to_owned(), |offset| offset.to_string())
}

fn sorted(brokers: &[BrokerId]) -> Vec<u32> {
    let mut sorted: Vec<u32> = brokers.iter().map(|broker| broker.0).collect();
    sorted.sort_unstable();
    sorted
}

fn equal<T: PartialEq + Debug + ?Sized>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}")) }
}
