//! `holdfast quorum ls`.

use serde_json::json;

use holdfast_checker::text::{counted, render_table};
use holdfast_client::admin::Admin;
use holdfast_proto::v1::{DescribeQuorumResponse, QuorumMember};

use crate::{
    exit::Result,
    output::{Output, print_json, say},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast quorum ls
  holdfast quorum ls -o json | jq '.[] | select(.alive | not) | .node_id'

A controller with an empty disk has a new node id: it is a learner until it
has caught up. One that is not in peers has left the list `peers` of the
active controller, and still votes until it is removed.";

pub(super) async fn run(admin: &Admin, output: Output) -> Result {
    let quorum = admin.describe_quorum().await?;
    match output {
        Output::Json => print_json(&as_json(&quorum)),
        Output::Table => say(as_text(&quorum)),
    }
    Ok(())
}

/// So many voters of which so many are alive: what that means.
pub(super) fn strength(voters: u64, alive: u64) -> String {
    let majority = voters / 2 + 1;
    let spare = match alive.checked_sub(majority) {
        None => "too few to change anything".to_owned(),
        Some(0) => "none of them may fail".to_owned(),
        Some(spare) => format!("{spare} more may fail"),
    };
    format!("{}, {alive} alive, majority {majority}: {spare}", counted(voters, "voter"))
}

/// How long ago it was heard.
pub(super) fn heard(member: &QuorumMember) -> String {
    member.heard_ms_ago.map_or_else(|| "-".to_owned(), |ms| format!("{}.{} s ago", ms / 1_000, ms % 1_000 / 100))
}

fn as_text(quorum: &DescribeQuorumResponse) -> String {
    let voters = quorum.members.iter().filter(|member| member.voter);
    let (count, alive) = (voters.clone().count(), voters.filter(|member| member.alive).count());
    let changing = if quorum.changing { "\na change of voters is under way" } else { "" };
    let rows = quorum.members.iter().map(|member| {
        [
            member.node_id.to_string(),
            member.address.clone(),
            state(member, quorum.active_controller),
            heard(member),
            member.lag_entries.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        ]
    });
    format!(
        "quorum: {}\nterm {}, last entry {}{changing}\n\n{}",
        strength(count as u64, alive as u64),
        quorum.term,
        quorum.last_log_index,
        render_table(["CONTROLLER", "ADDRESS", "STATE", "HEARD", "LAG"], rows)
    )
}

fn as_json(quorum: &DescribeQuorumResponse) -> serde_json::Value {
    let member = |member: &QuorumMember| {
        json!({
            "node_id": member.node_id,
            "address": member.address,
            "voter": member.voter,
            "active": member.node_id == quorum.active_controller,
            "alive": member.alive,
            "heard_ms_ago": member.heard_ms_ago,
            "lag_entries": member.lag_entries,
            "in_peers": member.in_peers,
        })
    };
    quorum.members.iter().map(member).collect()
}

fn state(member: &QuorumMember, active: u64) -> String {
    let role = match (member.node_id == active, member.voter) {
        (true, _) => "active",
        (false, true) => "voter",
        (false, false) => "learner",
    };
    let silent = if member.alive { "" } else { ", silent" };
    let listed = if member.in_peers { "" } else { ", not in peers" };
    format!("{role}{silent}{listed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node_id: u64, voter: bool, heard_ms_ago: Option<u64>) -> QuorumMember {
        let alive = heard_ms_ago.is_some_and(|ms| ms < 1_000);
        let address = format!("c{node_id}:9095");
        QuorumMember { node_id, address, voter, heard_ms_ago, lag_entries: heard_ms_ago, alive, in_peers: alive }
    }

    #[test]
    fn each_controller_is_shown_with_what_is_wrong_with_it() {
        let quorum = DescribeQuorumResponse {
            active_controller: 1,
            term: 4,
            last_log_index: 90,
            members: vec![member(1, true, Some(0)), member(2, true, None), member(3, false, Some(1_250))],
            changing: false,
        };
        let text = as_text(&quorum);
        assert!(
            text.starts_with("quorum: 2 voters, 1 alive, majority 2: too few to change anything\nterm 4,"),
            "{text}"
        );
        for part in ["active", "voter, silent, not in peers", "learner, silent, not in peers", "1.2 s ago"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = as_json(&quorum);
        assert_eq!([&json[0]["active"], &json[1]["alive"], &json[2]["voter"]], [true, false, false]);
        assert!(json[1]["lag_entries"].is_null());
    }

    #[test]
    fn the_strength_says_how_many_more_may_fail() {
        assert_eq!(strength(5, 5), "5 voters, 5 alive, majority 3: 2 more may fail");
        assert_eq!(strength(4, 3), "4 voters, 3 alive, majority 3: none of them may fail");
        assert_eq!(strength(1, 1), "1 voter, 1 alive, majority 1: none of them may fail");
    }
}
