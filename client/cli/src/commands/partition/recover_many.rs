//! `holdfast partition recover --all` and `--topic`: the last resort for every partition that waits for nothing else.
//!
//! Each goes on with the live replica that reaches farthest, by leader epoch and offset, as an operator would choose one by
//! one. A partition that may still get a leader without loss is left as it is, and said. One that the cluster refuses holds up
//! no other.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use holdfast_checker::text::{counted, grouped, render_table};
use holdfast_client::{
    Error,
    admin::{Admin, Loss, PartitionRecovery, RecoverPartition},
};
use holdfast_proto::{
    ids::{BrokerId, PartitionEpoch, PartitionIndex},
    v1::{DescribeClusterResponse, PartitionInfo, TopicInfo},
};

use crate::{
    commands::cluster::before_recovery,
    exit::{Code, Failure, Result},
    given_up,
    output::{Output, confirm, note, print_json, say, tell},
    trust,
    width::fit,
};

/// Partitions that are asked for at the same time.
const AT_ONCE: usize = 8;

/// What is asked for.
pub(super) struct Order<'a> {
    /// Only the partitions of this topic.
    pub(super) topic: Option<&'a str>,
    /// The broker whose replicas they go on with; `None`: of each the one that reaches farthest.
    pub(super) broker: Option<BrokerId>,
    pub(super) accept_loss: bool,
    pub(super) yes: bool,
}

/// A partition that is not recovered, and why.
struct Not {
    topic: String,
    partition: u32,
    why: String,
}

/// What becomes of the partitions.
#[derive(Default)]
struct Outcome {
    recoveries: Vec<PartitionRecovery>,
    refused: Vec<Not>,
    left: Vec<Not>,
    /// Whether one of those that were refused may have been recovered all the same.
    is_in_doubt: bool,
}

pub(super) async fn run(admin: &Admin, order: &Order<'_>, output: Output) -> Result {
    let (orders, mut outcome) = look(admin, order).await?;
    let planned = outcome.take(&orders, |one| admin.plan_recovery(one)).await;
    show(&outcome, output);
    if planned.is_empty() {
        if output == Output::Json {
            print_json(&outcome.as_json(false));
        }
        return outcome.ended();
    }
    if !order.accept_loss {
        if output == Output::Json {
            print_json(&outcome.as_json(false));
        }
        let which = order.topic.map_or_else(|| "--all".to_owned(), |topic| format!("--topic {topic}"));
        let broker = order.broker.map_or_else(String::new, |broker| format!(" --broker {broker}"));
        return Err(Failure::error(format!(
            "nothing was changed: to give that up for good, say so:\n  holdfast partition recover {which}{broker} --accept-loss"
        )));
    }
    let unknown = outcome.recoveries.iter().filter(|one| matches!(one.loss(), Loss::Unknown { .. })).count();
    let unknown = match unknown {
        0 => String::new(),
        count => format!(". Of {} nobody knows how much that is", grouped(count as u64)),
    };
    let count = counted(planned.len() as u64, "partition");
    confirm(&format!("{count} go on as shown, and what is given up is lost for good{unknown}"), order.yes)?;
    outcome.recoveries.clear();
    let refused = outcome.refused.len();
    let done = outcome.take(&planned, |one| admin.recover_partition(one)).await;
    match output {
        Output::Json => print_json(&outcome.as_json(true)),
        Output::Table => {
            say_not("refused", &outcome.refused[refused..], output);
            let done = counted(done.len() as u64, "partition");
            say(fit(
                &format!("{done} recovered; what was given up is kept for ever: holdfast cluster recoveries"),
                " ",
            ));
            say("the other replicas are copied by themselves: holdfast cluster status");
        }
    }
    outcome.ended()
}

impl Outcome {
    /// Asks for each, a few at a time, and takes the answers in; gives back those that were not refused.
    async fn take<'a, F>(
        &mut self,
        orders: &'a [RecoverPartition],
        ask: impl Fn(&'a RecoverPartition) -> F,
    ) -> Vec<RecoverPartition>
    where
        F: Future<Output = std::result::Result<PartitionRecovery, Error>>,
    {
        let answers: Vec<_> = stream::iter(orders.iter().map(ask)).buffered(AT_ONCE).collect().await;
        let mut taken = Vec::new();
        for (order, answer) in orders.iter().zip(answers) {
            match answer {
                Ok(recovery) => {
                    self.recoveries.push(recovery);
                    taken.push(order.clone());
                }
                Err(error) => {
                    self.is_in_doubt |= error.is_in_doubt();
                    let (topic, partition) = (order.topic.clone(), order.partition.0);
                    self.refused.push(Not { topic, partition, why: error.to_string() });
                }
            }
        }
        taken
    }

    fn as_json(&self, is_done: bool) -> Value {
        let not = |not: &Not| json!({ "topic": not.topic, "partition": not.partition, "reason": not.why });
        json!({
            "done": is_done,
            "recoveries": self.recoveries.iter().map(given_up::as_json).collect::<Vec<_>>(),
            "refused": self.refused.iter().map(not).collect::<Vec<_>>(),
            "left": self.left.iter().map(not).collect::<Vec<_>>(),
        })
    }

    fn ended(&self) -> Result {
        let count = counted(self.refused.len() as u64, "partition");
        match (self.refused.len(), self.is_in_doubt) {
            (0, _) => Ok(()),
            (_, false) => Err(Failure::error(format!("{count} refused"))),
            (_, true) => Err(Failure::new(
                Code::InDoubt,
                format!("{count} refused, or not answered for: the same command again says which are recovered"),
            )),
        }
    }
}

/// The partitions that wait for nothing but a recovery, each with the replica to go on with; and what is said of the others
/// without a leader.
async fn look(admin: &Admin, order: &Order<'_>) -> Result<(Vec<RecoverPartition>, Outcome)> {
    let topics = admin.describe_partitions(order.topic.map(str::to_owned).into_iter().collect()).await?;
    let view = admin.describe_cluster().await?;
    let (mut orders, mut outcome) = (Vec::new(), Outcome::default());
    for topic in topics.iter().filter(|topic| topic.partitions.iter().any(|one| one.leader.is_none())) {
        let minimum = min_insync_replicas(admin, topic).await?;
        for partition in topic.partitions.iter().filter(|one| one.leader.is_none()) {
            match choose(partition, minimum, order.broker, &view) {
                Ok(broker) => orders.push(RecoverPartition {
                    topic: topic.name.clone(),
                    partition: PartitionIndex(partition.partition),
                    broker,
                    partition_epoch: PartitionEpoch(partition.partition_epoch),
                }),
                Err(why) => outcome.left.push(Not { topic: topic.name.clone(), partition: partition.partition, why }),
            }
        }
    }
    Ok((orders, outcome))
}

async fn min_insync_replicas(admin: &Admin, topic: &TopicInfo) -> Result<u32> {
    let configs = admin.topic_config(&topic.name).await?;
    let value = configs.into_iter().find(|entry| entry.key == "min.insync.replicas").and_then(|entry| entry.value);
    value.and_then(|value| value.parse().ok()).ok_or_else(|| {
        Failure::error(format!(
            "the cluster does not say min.insync.replicas of {}; is it of another build?",
            topic.name
        ))
    })
}

/// The broker whose replica this partition goes on with, or why it is left.
fn choose(
    partition: &PartitionInfo,
    min_insync_replicas: u32,
    wanted: Option<BrokerId>,
    view: &DescribeClusterResponse,
) -> std::result::Result<BrokerId, String> {
    if let Some(first) = before_recovery(partition, min_insync_replicas, view) {
        return Err(first);
    }
    if let Some(wanted) = wanted {
        return Ok(wanted);
    }
    let is_alive = |id: u32| view.brokers.iter().any(|broker| broker.broker_id == id && !broker.fenced);
    let reach = |id: u32| {
        let claim = trust::claim(partition, id).filter(|claim| !claim.unread && !claim.not_held)?;
        Some((claim.leader_epoch, claim.end))
    };
    let alive = partition.replicas.iter().copied().filter(|id| is_alive(*id));
    // Of those that reach as far the first assigned.
    let farthest = alive.filter_map(|id| Some((reach(id)?, id))).rev().max_by_key(|(reach, _)| *reach);
    farthest.map(|(_, id)| BrokerId(id)).ok_or_else(|| {
        "no live broker has said how far its replica reaches: start those that hold one, or choose with --broker"
            .to_owned()
    })
}

/// The plan as a table, and who is not in it.
fn show(outcome: &Outcome, output: Output) {
    if outcome.recoveries.is_empty() && outcome.refused.is_empty() && outcome.left.is_empty() {
        note("every partition has a leader: nothing has to be given up");
        return;
    }
    if !outcome.recoveries.is_empty() {
        tell(output, table(&outcome.recoveries));
        tell(output, "");
    }
    say_not("refused", &outcome.refused, output);
    say_not("left", &outcome.left, output);
}

fn table(recoveries: &[PartitionRecovery]) -> String {
    let rows = recoveries.iter().map(|one| {
        let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        [
            format!("{}-{}", one.topic, one.partition),
            one.broker.to_string(),
            number(one.end.map(|end| end.to_string())),
            number(one.claim().and_then(|claim| claim.leader_epoch).map(|epoch| epoch.to_string())),
            given_up::short(one),
        ]
    });
    render_table(["PARTITION", "BROKER", "LOG END", "EPOCH", "GIVEN UP"], rows)
}

/// Those that are not recovered, a line or two for all that share the reason.
fn say_not(what: &str, not: &[Not], output: Output) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in not {
        by_reason.entry(&one.why).or_default().push(format!("{}-{}", one.topic, one.partition));
    }
    for (why, names) in by_reason {
        let count = counted(names.len() as u64, "partition");
        tell(output, fit(&format!("{count} {what}: {why}"), " "));
        tell(output, fit(&format!("  {}", trust::names_of(&names)), ", "));
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{BrokerInfo, DistrustReason, DistrustedReplica, ReplicaClaim};

    use super::*;

    fn view(fenced: &[u32]) -> DescribeClusterResponse {
        let broker = |broker_id| BrokerInfo { broker_id, fenced: fenced.contains(&broker_id), ..Default::default() };
        DescribeClusterResponse { brokers: (1..4).map(broker).collect(), ..Default::default() }
    }

    fn partition(claims: &[(u32, Option<u32>, u64)]) -> PartitionInfo {
        let claim =
            |(broker_id, leader_epoch, end)| ReplicaClaim { broker_id, leader_epoch, end, ..Default::default() };
        let distrusted = DistrustedReplica { broker_id: 1, reason: DistrustReason::Folder.into() };
        PartitionInfo {
            replicas: vec![1, 2, 3],
            claims: claims.iter().copied().map(claim).collect(),
            distrusted: vec![distrusted],
            ..Default::default()
        }
    }

    #[test]
    fn the_live_replica_that_reaches_farthest_is_chosen_believed_or_not() {
        let lost = partition(&[(1, Some(5), 90), (2, Some(4), 120), (3, Some(5), 80)]);
        assert_eq!(choose(&lost, 2, None, &view(&[])), Ok(BrokerId(1)), "an older epoch reaches less far");
        assert_eq!(choose(&lost, 2, None, &view(&[1])), Ok(BrokerId(3)));
        assert_eq!(choose(&lost, 2, Some(BrokerId(2)), &view(&[])), Ok(BrokerId(2)), "the cluster refuses that");
        let equal = partition(&[(2, Some(5), 90), (3, Some(5), 90)]);
        assert_eq!(choose(&equal, 2, None, &view(&[])), Ok(BrokerId(2)));
        let silent = choose(&partition(&[]), 2, None, &view(&[])).unwrap_err();
        assert!(silent.contains("--broker"), "{silent}");
    }

    #[test]
    fn a_partition_that_may_get_a_leader_without_loss_is_left() {
        let claims = [(2, Some(5), 90), (3, Some(5), 80)];
        let down = PartitionInfo { elr: vec![3], ..partition(&claims) };
        let why = choose(&down, 2, Some(BrokerId(2)), &view(&[3])).unwrap_err();
        assert!(why.starts_with("start broker 3: it was in sync last"), "{why}");
        let heard = PartitionInfo { elr: vec![2, 3], distrusted: Vec::new(), ..partition(&claims) };
        let why = choose(&heard, 2, None, &view(&[])).unwrap_err();
        assert_eq!(why, "wait: brokers 2,3 say how far they reach, then the farthest leads");
    }

    #[test]
    fn what_is_refused_holds_up_no_other_and_is_no_success() {
        let order = |partition| RecoverPartition {
            topic: "orders".to_owned(),
            partition: PartitionIndex(partition),
            broker: BrokerId(2),
            partition_epoch: PartitionEpoch(1),
        };
        let orders: Vec<_> = (0..20).map(order).collect();
        let info = holdfast_proto::v1::RecoveryInfo::default();
        let ask = async |order: &RecoverPartition| match order.partition.0 {
            3 => Err(Error::Closed),
            _ => Ok(PartitionRecovery::from_message(info.clone(), 1)),
        };
        let mut outcome = Outcome::default();
        let taken = futures::executor::block_on(outcome.take(&orders, ask));
        assert_eq!((taken.len(), outcome.recoveries.len(), outcome.refused.len()), (19, 19, 1));
        assert_eq!(outcome.refused[0].partition, 3);
        let failure = outcome.ended().unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (Code::Error, "1 partition refused"));
        assert_eq!(outcome.as_json(true)["refused"][0]["partition"], 3);
        outcome.is_in_doubt = true;
        assert_eq!(outcome.ended().unwrap_err().code, Code::InDoubt);
        outcome.refused.clear();
        assert!(outcome.ended().is_ok());
    }
}
