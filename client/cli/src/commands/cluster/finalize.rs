//! `holdfast cluster finalize-version`.

use clap::Args;
use serde_json::json;

use holdfast_checker::text::render_table;
use holdfast_client::admin::Admin;
use holdfast_proto::{
    ids::MetadataVersion,
    v1::{BrokerInfo, ControllerInfo, DescribeClusterResponse},
};

use crate::{
    exit::Result,
    output::{Output, confirm, print_json, say, tell},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast cluster status -o json              what each node supports
  holdfast cluster finalize-version 2 --dry-run
  holdfast cluster finalize-version 2          asks, and cannot be taken back

After an upgrade of all nodes: until then, what came with the new build is
not used, and the old build can be installed again.";

#[derive(Debug, Args)]
pub(super) struct FinalizeArgs {
    /// The metadata version, which every broker and every controller supports.
    #[arg(value_name = "VERSION")]
    version: u32,
    /// Show who supports it, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(admin: &Admin, args: &FinalizeArgs, output: Output) -> Result {
    let version = MetadataVersion(args.version);
    let view = admin.describe_cluster().await?;
    let finalised = view.metadata_version;
    tell(output, plan(&view, args.version));
    // Asks every node that votes now, and names those that do not support it.
    admin.finalize_version(version, true).await?;
    let changes = args.version != finalised;
    if !args.dry_run && changes {
        let question = format!("This raises the metadata version from {finalised} to {version}, with no way back");
        confirm(&question, args.yes)?;
        admin.finalize_version(version, false).await?;
    }
    match output {
        Output::Json => print_json(&json!({
            "metadata_version": if args.dry_run { finalised } else { args.version },
            "metadata_version_before": finalised,
            "dry_run": args.dry_run,
        })),
        Output::Table => say(match (changes, args.dry_run) {
            (false, _) => format!("metadata version {version} is finalised already"),
            (true, true) => format!("metadata version {version} can be finalised: every node supports it"),
            (true, false) => format!("metadata version {version} is finalised"),
        }),
    }
    Ok(())
}

/// The nodes, what each supports, and whether that is enough.
fn plan(view: &DescribeClusterResponse, version: u32) -> String {
    let row = |node: String, min: u32, max: u32| {
        let supports = if max == 0 {
            "is asked"
        } else if min <= version && version <= max {
            "yes"
        } else {
            "no: upgrade it first"
        };
        [node, range(min, max), supports.to_owned()]
    };
    let controller = |one: &ControllerInfo| {
        row(format!("controller {}", one.node_id), one.min_metadata_version, one.max_metadata_version)
    };
    let broker =
        |one: &BrokerInfo| row(format!("broker {}", one.broker_id), one.min_metadata_version, one.max_metadata_version);
    let voters = view.controllers.iter().filter(|controller| controller.voter);
    let rows = voters.map(controller).chain(view.brokers.iter().map(broker));
    render_table(["NODE", "SUPPORTS", &format!("VERSION {version}")], rows)
}

/// The metadata versions that a node supports, as tables show them.
pub(super) fn range(min: u32, max: u32) -> String {
    if max == 0 { "-".to_owned() } else { format!("{min}-{max}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_says_of_each_node_whether_it_is_ready() {
        let controller = |node_id, max: u32| ControllerInfo {
            node_id,
            voter: true,
            min_metadata_version: max.min(1),
            max_metadata_version: max,
            ..ControllerInfo::default()
        };
        let broker =
            BrokerInfo { broker_id: 3, min_metadata_version: 1, max_metadata_version: 2, ..BrokerInfo::default() };
        let view = DescribeClusterResponse {
            controllers: vec![controller(1, 1), controller(2, 0)],
            brokers: vec![broker],
            ..DescribeClusterResponse::default()
        };
        let plan = plan(&view, 2);
        let line = |node: &str| plan.lines().find(|line| line.starts_with(node)).expect("a line").to_owned();
        assert!(line("controller 1").ends_with("1-1       no: upgrade it first"), "{plan}");
        assert!(line("controller 2").ends_with("-         is asked"), "{plan}");
        assert!(line("broker 3").ends_with("1-2       yes"), "{plan}");
    }
}
