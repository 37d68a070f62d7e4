//! `holdfast partition recover`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use holdfast_checker::text::render_table;
use holdfast_client::admin::{Admin, Loss, PartitionRecovery, RecoverPartition};
use holdfast_proto::{
    ids::{BrokerId, PartitionEpoch, PartitionIndex},
    v1::{BrokerInfo, DescribeClusterResponse, PartitionInfo},
};

use super::recover_many::{self, Order};
use crate::{
    exit::{Failure, Result},
    given_up,
    output::{Output, confirm, ids, print_json, say, tell},
    trust,
    width::fit,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  # who could lead, and what each would give up
  holdfast partition recover orders -p 3
  # what would be given up with broker 2's replica; changes nothing
  holdfast partition recover orders -p 3 --broker 2
  # goes on with it; asks
  holdfast partition recover orders -p 3 --broker 2 --accept-loss
  # every partition that waits for it: a table of what would be given up
  holdfast partition recover --all
  # goes on with all of them; asks once
  holdfast partition recover --all --accept-loss

The last resort: acknowledged records may be lost for good. First start every
broker that still has its own disk; a leader is then elected without loss, and
this is refused. What is given up is kept in the cluster for ever. Of many,
each goes on with the live replica that reaches farthest; one that may still
get a leader without loss is left as it is.";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct RecoverArgs {
    /// Name of the topic of the one partition.
    #[arg(value_name = "TOPIC", group = "which", requires = "partition")]
    name: Option<String>,
    /// Index of the partition.
    #[arg(short, long, value_name = "PARTITION", requires = "name")]
    partition: Option<u32>,
    /// All partitions of this topic that wait for it.
    #[arg(short, long, value_name = "TOPIC", group = "which")]
    topic: Option<String>,
    /// All partitions that wait for it.
    #[arg(long, group = "which")]
    all: bool,
    /// The broker whose replica it goes on with, a live one [default: only show who could; of many, who reaches farthest].
    #[arg(long, value_name = "ID")]
    broker: Option<u32>,
    /// Acknowledged records that the replica lacks may be given up.
    #[arg(long)]
    accept_loss: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(admin: &Admin, args: RecoverArgs, output: Output) -> Result {
    if let (Some(topic), Some(partition)) = (&args.name, args.partition) {
        return one(admin, topic, PartitionIndex(partition), &args, output).await;
    }
    let (topic, broker) = (args.topic.as_deref(), args.broker.map(BrokerId));
    let order = Order { topic, broker, accept_loss: args.accept_loss, yes: args.yes };
    recover_many::run(admin, &order, output).await
}

async fn one(admin: &Admin, topic: &str, index: PartitionIndex, args: &RecoverArgs, output: Output) -> Result {
    if args.accept_loss && args.broker.is_none() {
        return Err(Failure::usage("--accept-loss: name the replica that it goes on with, by --broker ID"));
    }
    let partition = admin.describe_partition(topic, index).await?;
    let name = format!("{topic}-{index}");
    let view = admin.describe_cluster().await?;
    if let Some(leader) = partition.leader {
        if let Some(done) = recovered_so(&view, topic, &partition) {
            match output {
                Output::Json => print_json(&given_up::as_json(&done)),
                Output::Table => say(fit(&format!("it is led since: {}", given_up::past(&done)), " ")),
            }
            return Ok(());
        }
        return Err(Failure::error(format!(
            "{name} is led by broker {leader}: nothing has to be given up, and nothing was changed"
        )));
    }
    let brokers = view.brokers;
    tell(output, fit(&format!("{name} has no leader. {}", known(&partition)), " ") + "\n");
    tell(output, candidates(&partition, &brokers));
    let Some(broker) = args.broker else {
        match output {
            Output::Json => print_json(&as_json(topic, &partition, &brokers)),
            Output::Table => say(next(topic, &partition, &brokers)),
        }
        return Ok(());
    };
    let partition_epoch = PartitionEpoch(partition.partition_epoch);
    let recovery =
        RecoverPartition { topic: topic.to_owned(), partition: index, broker: BrokerId(broker), partition_epoch };
    let plan = admin.plan_recovery(&recovery).await?;
    tell(output, fit(&format!("\nto be given up: {}", given_up::told(&plan)), " "));
    if !args.accept_loss {
        if output == Output::Json {
            print_json(&given_up::as_json(&plan));
        }
        let command = command(topic, index.0, &broker.to_string());
        return Err(Failure::error(format!("nothing was changed: to give that up for good, say so:\n  {command}")));
    }
    let unknown = match plan.loss() {
        Loss::Unknown { .. } => ". How much that is nobody knows",
        Loss::Nothing | Loss::Offsets(..) => "",
    };
    confirm(&format!("{name} goes on with broker {broker}, and what is given up is lost for good{unknown}"), args.yes)?;
    let done = admin.recover_partition(&recovery).await?;
    match output {
        Output::Json => print_json(&given_up::as_json(&done)),
        Output::Table => {
            say(fit(&format!("\nkept for ever: {}", given_up::past(&done)), " "));
            say("the other replicas are copied from it by themselves: holdfast cluster status");
        }
    }
    Ok(())
}

/// What was given up so that the present leader leads: an answer that was lost does not make it nothing.
fn recovered_so(view: &DescribeClusterResponse, topic: &str, partition: &PartitionInfo) -> Option<PartitionRecovery> {
    let all = view.recoveries.iter().map(|info| PartitionRecovery::from_message(info.clone(), 0));
    all.into_iter().rev().find(|one| {
        let is_it = one.topic == topic && one.partition.0 == partition.partition;
        is_it && one.leader_epoch.0 == partition.leader_epoch
    })
}

/// What is known of the end of what was acknowledged.
fn known(partition: &PartitionInfo) -> String {
    match (partition.frozen_high_watermark, partition.frozen_leader_epoch) {
        (Some(offset), _) if partition.unsettled => format!(
            "Its high watermark stood at {offset} before the controllers were recovered: more may have been acknowledged since."
        ),
        (Some(offset), None) => format!("Its high watermark stood at {offset}."),
        (Some(offset), Some(epoch)) => format!(
            "Its high watermark stood at {offset}. The last record below it is of leader epoch {epoch}: a log that has none of \
             that epoch lacks that one at least."
        ),
        (None, _) => "Where its high watermark stood is not known.".to_owned(),
    }
}

fn candidates(partition: &PartitionInfo, brokers: &[BrokerInfo]) -> String {
    let alive = alive(brokers);
    let rows = partition.replicas.iter().map(|broker| {
        let claim = partition.claims.iter().find(|claim| claim.broker_id == *broker && !claim.unread);
        let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let state = if alive.get(broker).copied().unwrap_or(false) { "alive" } else { "down" };
        [
            broker.to_string(),
            state.to_owned(),
            number(claim.map(|claim| claim.end.to_string())),
            number(claim.and_then(|claim| claim.leader_epoch).map(|epoch| epoch.to_string())),
            trust::candidate(partition, *broker),
        ]
    });
    render_table(["BROKER", "STATE", "LOG END", "EPOCH", "REPLICA"], rows)
}

/// What to do, where nothing was chosen yet.
fn next(topic: &str, partition: &PartitionInfo, brokers: &[BrokerInfo]) -> String {
    let alive = alive(brokers);
    let is_down = |id: &&u32| !alive.get(id).copied().unwrap_or(false);
    let down: Vec<_> = partition.isr.iter().chain(&partition.elr).filter(is_down).map(|id| BrokerId(*id)).collect();
    let first = match &down[..] {
        [] => String::new(),
        down => {
            format!("first start broker {}: it was in sync last, and what it alone holds is given up else\n", ids(down))
        }
    };
    let silent = silent(partition, &alive);
    let silent = if silent.is_empty() {
        String::new()
    } else {
        format!("restart broker {}, and look again: it has not said where its log ends\n", ids(&silent))
    };
    let unread = partition.claims.iter().filter(|claim| claim.unread).map(|claim| BrokerId(claim.broker_id));
    let unread: Vec<_> = unread.collect();
    let unread = if unread.is_empty() {
        String::new()
    } else {
        let unread = ids(&unread);
        format!("mend what the log of broker {unread} names, and start it again: it could not read its replica\n")
    };
    let is_away = partition.elr.iter().any(|id| trust::is_away(partition, *id));
    let away = if is_away {
        "first start every broker that there was, also those that are not listed here: the partition may have moved to one\n"
    } else {
        ""
    };
    let command = command(topic, partition.partition, "ID");
    format!("\n{away}{first}{unread}{silent}nothing was changed; to choose:\n  {command}")
}

fn command(topic: &str, partition: u32, broker: &str) -> String {
    format!("holdfast partition recover {topic} -p {partition} --broker {broker} --accept-loss")
}

/// The live and believed brokers that have not said where their logs end: those that started while there was a leader.
fn silent(partition: &PartitionInfo, alive: &BTreeMap<u32, bool>) -> Vec<BrokerId> {
    trust::silent(partition).filter(|id| alive.get(id).copied().unwrap_or(false)).map(BrokerId).collect()
}

fn alive(brokers: &[BrokerInfo]) -> BTreeMap<u32, bool> {
    brokers.iter().map(|broker| (broker.broker_id, !broker.fenced)).collect()
}

fn as_json(topic: &str, partition: &PartitionInfo, brokers: &[BrokerInfo]) -> serde_json::Value {
    let alive = alive(brokers);
    let one = |broker: &u32| {
        json!({
            "broker": broker,
            "alive": alive.get(broker).copied().unwrap_or(false),
            "replica": trust::candidate(partition, *broker),
        })
    };
    json!({
        "topic": topic,
        "partition": partition.partition,
        "candidates": partition.replicas.iter().map(one).collect::<Vec<_>>(),
        "trust": trust::as_json(partition),
    })
}
