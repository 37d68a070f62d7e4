//! `holdfast partition ls`.

use std::{collections::BTreeSet, time::Duration};

use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use holdfast_client::{
    admin::Admin,
    metadata::{PartitionView, TopicView},
};

use crate::{
    exit::Result,
    output::{Output, ids, note, print_json, print_table, say},
    trust, unopened,
};

/// How long the controllers are asked what brokers say of their replicas.
const LOOK_UP: Duration = Duration::from_secs(2);

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast partition ls --topic orders
  holdfast partition ls --moving    what a rebalance or a drain is doing
  # without a leader, or with replicas out of sync
  holdfast partition ls --troubled -o json";

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this topic.
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only those whose replicas are moving.
    #[arg(long)]
    moving: bool,
    /// Only those without a leader, or with replicas out of sync; a replica that a move brings in does not count.
    #[arg(long)]
    troubled: bool,
}

pub(super) async fn run(admin: &Admin, args: &ListArgs, output: Output) -> Result {
    // Asked once: leaders and doubts are of the same moment.
    let mut known = admin.describe_partitions(args.topic.iter().cloned().collect()).await?;
    let topics = trust::views(&known)?;
    if topics.iter().flat_map(|topic| &topic.partitions).any(is_troubled)
        && let Ok(Ok(view)) = timeout(LOOK_UP, admin.describe_cluster()).await
    {
        unopened::mark(&mut known, &view);
    }
    let chosen: Vec<_> = chosen(&topics, args.moving, args.troubled).collect();
    if output == Output::Json {
        let known = trust::by_name(&known);
        let one = |(topic, partition): &(&TopicView, &PartitionView)| {
            let mut json = as_json(topic, partition);
            json["trust"] = trust::found_json(&known, &topic.name, partition.partition.0);
            json
        };
        print_json(&chosen.iter().map(one).collect::<Vec<_>>());
        return Ok(());
    }
    if chosen.is_empty() {
        note(match (args.moving, args.troubled) {
            (true, false) => "no partition is moving",
            (false, true) => "no partition is in trouble",
            (true, true) => "no partition is moving and in trouble",
            (false, false) => "there is no partition",
        });
        return Ok(());
    }
    let rows = chosen.iter().map(|(topic, partition)| {
        [
            topic.name.to_string(),
            partition.partition.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            ids(&partition.replicas),
            ids(&partition.isr),
            ids(&partition.adding),
            ids(&partition.removing),
        ]
    });
    print_table(["TOPIC", "PARTITION", "LEADER", "REPLICAS", "ISR", "ADDING", "REMOVING"], rows);
    let shown: BTreeSet<_> =
        chosen.iter().map(|(topic, partition)| (topic.name.as_ref(), partition.partition.0)).collect();
    for topic in &mut known {
        let name = topic.name.clone();
        topic.partitions.retain(|partition| shown.contains(&(name.as_str(), partition.partition)));
    }
    let doubts = trust::told(&known);
    if !doubts.is_empty() {
        say(format!("\n{}", doubts.join("\n")));
    }
    Ok(())
}

fn chosen(
    topics: &[TopicView],
    moving: bool,
    troubled: bool,
) -> impl Iterator<Item = (&TopicView, &PartitionView)> + '_ {
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    all.filter(move |(_, partition)| !moving || partition.is_moving())
        .filter(move |(_, partition)| !troubled || is_troubled(partition))
}

fn is_troubled(partition: &PartitionView) -> bool {
    let is_missing = |id| !partition.isr.contains(id) && !partition.adding.contains(id);
    partition.leader.is_none() || partition.replicas.iter().any(is_missing)
}

fn as_json(topic: &TopicView, partition: &PartitionView) -> serde_json::Value {
    json!({
        "topic": topic.name.as_ref(),
        "partition": partition.partition,
        "leader": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "replicas": partition.replicas,
        "isr": partition.isr,
        "elr": partition.elr,
        "adding": partition.adding,
        "removing": partition.removing,
    })
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn a_replica_that_is_being_added_is_no_trouble() {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let partition = |index, leader: Option<u32>, isr: &[u32], adding: &[u32]| PartitionView {
            partition: PartitionIndex(index),
            leader: leader.map(BrokerId),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(&[1, 2, 3]),
            isr: ids(isr),
            elr: vec![],
            adding: ids(adding),
            removing: vec![],
        };
        let partitions = vec![
            partition(0, Some(1), &[1, 2, 3], &[]),
            partition(1, Some(1), &[1, 2], &[3]),
            partition(2, Some(1), &[1, 2], &[]),
            partition(3, None, &[], &[]),
        ];
        let topics = [TopicView { name: "t".into(), id: TopicId::from_bytes(&[1; 16]).unwrap(), partitions }];
        let found =
            |moving, troubled| chosen(&topics, moving, troubled).map(|(_, one)| one.partition.0).collect::<Vec<_>>();
        assert_eq!(found(false, false), [0, 1, 2, 3]);
        assert_eq!(found(true, false), [1]);
        assert_eq!(found(false, true), [2, 3]);
    }
}
