//! Runs one line of a story.

use holdfast_proto::ids::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, Sequence};
use holdfast_replication::Acks;

use super::{
    cluster::Cluster,
    expectation,
    links::Link,
    producing::{Wanted, first_stamp},
    words::{broker, link, number, value},
};
use crate::sim::disk::Crash;

/// Runs a line other than `cluster`. `Err` says what was found instead.
pub(super) fn run(cluster: &mut Cluster, words: &[&str]) -> Result<(), String> {
    match words {
        ["produce", node, name, options @ ..] => produce(cluster, broker(cluster, node)?, name, options)?,
        ["settle"] => cluster.settle(),
        ["run", ms] => cluster.run(number(ms)?),
        ["deliver", on] => deliver(cluster, link(on)?, false)?,
        ["deliver", on, "last"] => deliver(cluster, link(on)?, true)?,
        ["drop", on] => cluster.links.drop_all(link(on)?),
        ["hold", links @ ..] => links.iter().try_for_each(|on| link(on).map(|on| cluster.links.hold(on)))?,
        ["release", links @ ..] => links.iter().try_for_each(|on| link(on).map(|on| cluster.links.release(on)))?,
        ["release-all"] => cluster.links.release_all(),
        ["break", a, b] => cluster.break_connection(broker(cluster, a)?, broker(cluster, b)?),
        ["flush", node] => {
            if !cluster.flush(broker(cluster, node)?) {
                return Err("nothing to flush".to_owned());
            }
        }
        ["kill", node] => cluster.crash(broker(cluster, node)?, Crash::Kill { done: usize::MAX })?,
        ["power", node] => cluster.crash(broker(cluster, node)?, Crash::PowerLoss { done: usize::MAX, kept: 0 })?,
        ["power", node, keep] => {
            let kept = number(value(keep, "keep")?)?;
            cluster.crash(broker(cluster, node)?, Crash::PowerLoss { done: usize::MAX, kept })?;
        }
        ["start", node] => cluster.start(broker(cluster, node)?, false),
        ["start", node, "blank"] => cluster.start(broker(cluster, node)?, true),
        ["checkpoint", node] => cluster.checkpoint(broker(cluster, node)?),
        ["fence", node] => cluster.fence(broker(cluster, node)?)?,
        ["unfence", node] => cluster.unfence(broker(cluster, node)?),
        ["elect", node] => cluster.elect(broker(cluster, node)?)?,
        ["take-away", node] => cluster.take_away(broker(cluster, node)?)?,
        ["give-back", node] => cluster.give_back(broker(cluster, node)?)?,
        ["time-out-proposals", node] => cluster.time_out_proposals(broker(cluster, node)?)?,
        ["retain", node, offset] => cluster.retain(broker(cluster, node)?, Offset(number(offset)?)),
        ["lose-beginning", node, batches] => cluster.lose_beginning(broker(cluster, node)?, number(batches)?)?,
        ["storage-failed", node] => cluster.storage_failed(broker(cluster, node)?),
        ["audit"] => cluster.audit(),
        ["expect", words @ ..] => return expectation::check(cluster, words),
        _ => return Err("no such command".to_owned()),
    }
    cluster.pass();
    Ok(())
}

fn produce(cluster: &mut Cluster, to: BrokerId, name: &str, options: &[&str]) -> Result<(), String> {
    let mut wanted = Wanted::default();
    for option in options {
        let stamp = || wanted.stamp.ok_or_else(|| format!("{option} needs a producer before it"));
        match option.split_once('=') {
            Some(("acks", "0")) => wanted.acks = Acks::None,
            Some(("acks", "1")) => wanted.acks = Acks::Leader,
            Some(("acks", "all")) => wanted.acks = Acks::All,
            Some(("count", count)) => wanted.count = number(count)?,
            Some(("producer", id)) => wanted.stamp = Some(first_stamp(number(id)?)),
            Some(("epoch", epoch)) => {
                let mut stamp = stamp()?;
                stamp.epoch = ProducerEpoch(number(epoch)?);
                wanted.stamp = Some(stamp);
            }
            Some(("seq", sequence)) => {
                let mut stamp = stamp()?;
                stamp.base_sequence = Sequence(number(sequence)?);
                wanted.stamp = Some(stamp);
            }
            Some(("leader-epoch", epoch)) => wanted.leader_epoch = Some(LeaderEpoch(number(epoch)?)),
            _ => return Err(format!("no such option: {option}")),
        }
    }
    let (producer, message) = cluster.producing.make(cluster.tp, to, name, &wanted);
    if cluster.produce(to, producer as u32, message) { Ok(()) } else { Err("the node is down".to_owned()) }
}

fn deliver(cluster: &mut Cluster, on: Link, newest: bool) -> Result<(), String> {
    if cluster.deliver(on, newest) { Ok(()) } else { Err("nothing to deliver".to_owned()) }
}
