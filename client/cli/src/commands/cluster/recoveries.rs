//! `holdfast cluster recoveries`: what operators gave up so that something went on, and how the status sums it up.
//!
//! The cluster keeps it for ever, so it grows: the status has one line for all of it, and this command has a line for each.

use std::cmp::Reverse;

use clap::Args;
use serde_json::{Value, json};

use holdfast_checker::text::grouped;
use holdfast_client::admin::{Admin, PartitionRecovery};
use holdfast_proto::v1::{ControllerRecovery, DescribeClusterResponse, LostDiskInfo};

use super::recovered;
use crate::{
    exit::Result,
    given_up::{self, at},
    output::{Output, note, print_json, say},
    width::fit,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast cluster recoveries
  holdfast cluster recoveries --topic orders
  holdfast cluster recoveries -o json | jq '.recoveries[].given_up_from'

The newest first: recoveries of partitions and of the controllers, and disks
of brokers that were given up. Of each kind the newest 1,000 are shown.";

#[derive(Debug, Args)]
pub(super) struct RecoveriesArgs {
    /// Only those of this topic's partitions.
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
}

pub(super) async fn run(admin: &Admin, args: &RecoveriesArgs, output: Output) -> Result {
    let mut view = admin.describe_cluster().await?;
    if let Some(topic) = &args.topic {
        view.recoveries.retain(|recovery| recovery.topic == *topic);
        view.controller_recoveries.clear();
        view.lost_disks.clear();
    }
    let lines = told(&view);
    match output {
        Output::Json => print_json(&as_json(&view)),
        Output::Table if lines.is_empty() => note("no operator has given anything up"),
        Output::Table => lines.iter().for_each(|line| say(fit(line, " "))),
    }
    Ok(())
}

/// All of it in one line, however much; `None` if nothing was ever given up.
pub(super) fn summary(view: &DescribeClusterResponse) -> Option<String> {
    let last = all(view).map(|(at_ms, _)| at_ms).max()?;
    let counts = [
        (view.recoveries.len(), "recovery of a partition", "recoveries of partitions"),
        (view.controller_recoveries.len(), "recovery of the controllers", "recoveries of the controllers"),
        (view.lost_disks.len(), "disk of a broker", "disks of brokers"),
    ];
    let counts = counts.iter().filter(|(count, ..)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, one, many)| format!("{} {}", grouped(*count as u64), if *count == 1 { one } else { many }))
        .collect();
    Some(format!(
        "given up by operators, at last on {}: {}; see holdfast cluster recoveries",
        at(last),
        counts.join(", ")
    ))
}

/// Each in one line, the newest first.
fn told(view: &DescribeClusterResponse) -> Vec<String> {
    let mut all: Vec<_> = all(view).collect();
    // Of the same moment the one that is told later is newer.
    all.reverse();
    all.sort_by_key(|(at_ms, _)| Reverse(*at_ms));
    all.iter().map(|(_, given)| given.told()).collect()
}

/// What was given up once.
enum Given<'a> {
    Controllers(&'a ControllerRecovery),
    Disk(&'a LostDiskInfo),
    Partition(PartitionRecovery),
}

impl Given<'_> {
    fn told(&self) -> String {
        match self {
            Self::Controllers(recovery) => recovered::one(recovery),
            Self::Disk(lost) => recovered::lost_disk(lost),
            Self::Partition(recovery) => given_up::past(recovery),
        }
    }
}

/// Each with its time, ms since 1970; those of a kind in their order.
fn all(view: &DescribeClusterResponse) -> impl Iterator<Item = (u64, Given<'_>)> {
    let controllers = view.controller_recoveries.iter().map(|one| (one.at_ms, Given::Controllers(one)));
    let disks = view.lost_disks.iter().map(|one| (one.at_ms, Given::Disk(one)));
    controllers.chain(disks).chain(partitions(view).map(|one| (one.at_ms, Given::Partition(one))))
}

/// The recoveries of partitions, the newest last.
fn partitions(view: &DescribeClusterResponse) -> impl Iterator<Item = PartitionRecovery> + '_ {
    view.recoveries.iter().map(|info| PartitionRecovery::from_message(info.clone(), 0))
}

/// All of it for scripts, the newest of each kind last.
pub(super) fn as_json(view: &DescribeClusterResponse) -> Value {
    json!({
        "recoveries": partitions(view).map(|one| given_up::as_json(&one)).collect::<Vec<_>>(),
        "controller_recoveries": recovered::as_json(view),
        "lost_disks": recovered::lost_disks_as_json(view),
    })
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::RecoveryInfo;

    use super::*;
    use crate::width::WIDTH;

    const START: u64 = 1_700_000_000_000;

    fn view(partitions: u32) -> DescribeClusterResponse {
        let recovery = |partition| RecoveryInfo {
            topic: "orders".to_owned(),
            partition,
            at_ms: START + 1_000 * u64::from(partition),
            ..Default::default()
        };
        DescribeClusterResponse {
            recoveries: (0..partitions).map(recovery).collect(),
            lost_disks: vec![LostDiskInfo { broker_id: 4, at_ms: START + 1_500, ..Default::default() }],
            controller_recoveries: vec![ControllerRecovery { at_ms: START, ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn the_status_has_one_line_for_all_of_it() {
        assert_eq!(summary(&DescribeClusterResponse::default()), None);
        assert_eq!(
            summary(&view(1_000)).unwrap(),
            "given up by operators, at last on 2023-11-14 22:29:59 UTC: 1,000 recoveries of partitions, 1 recovery of the \
             controllers, 1 disk of a broker; see holdfast cluster recoveries"
        );
    }

    #[test]
    fn each_is_told_the_newest_first() {
        let lines = told(&view(3));
        let starts = ["orders-2 was", "the disk of broker 4", "orders-1 was", "orders-0 was", "the controllers were"];
        assert_eq!(lines.len(), starts.len());
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
            assert!(fit(line, " ").lines().all(|line| line.chars().count() <= WIDTH), "{line}");
        }
        let json = as_json(&view(3));
        assert_eq!([&json["recoveries"][2]["partition"], &json["lost_disks"][0]["broker"]], [2, 4]);
    }
}
