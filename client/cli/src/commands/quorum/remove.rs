//! `holdfast quorum remove`.

use clap::Args;
use serde_json::json;

use holdfast_client::admin::Admin;
use holdfast_proto::{
    ids::ControllerId,
    v1::{QuorumMember, RemoveControllerResponse},
};

use super::list::{heard, strength};
use crate::{
    exit::Result,
    output::{Output, confirm, print_json, say, tell},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast quorum remove 4802117 --dry-run  what would become of the quorum
  # five become three: end one process for good, remove it, then the next
  holdfast quorum remove 4802117 --yes && holdfast quorum ls

Refused while too few of the others are alive, and while the controller is
alive and in `peers` of the active one, for it would join again at once. Its
process ends with code 16; its data folder counts for nothing any more.";

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Node id of the controller, from `quorum ls`.
    #[arg(value_name = "ID")]
    controller: u64,
    /// Show what would become of the quorum, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(admin: &Admin, args: &RemoveArgs, output: Output) -> Result {
    let controller = ControllerId(args.controller);
    let plan = admin.plan_removal(controller).await?;
    tell(output, as_text(&plan));
    if args.dry_run {
        if output == Output::Json {
            print_json(&as_json(&plan, false));
        }
        return Ok(());
    }
    confirm(&format!("This removes controller {controller} from the quorum for good"), args.yes)?;
    let done = admin.remove_controller(controller).await?;
    match output {
        Output::Json => print_json(&as_json(&done, true)),
        Output::Table => say(format!("controller {controller} is removed; {}", left(&done))),
    }
    Ok(())
}

/// What becomes of the quorum, for people.
fn as_text(plan: &RemoveControllerResponse) -> String {
    let unknown = QuorumMember::default();
    let member = plan.removed.as_ref().unwrap_or(&unknown);
    let role = if member.voter { "voter" } else { "learner" };
    let hands_over =
        if plan.is_active { "\nit is the active controller: another one takes over first, and decides" } else { "" };
    format!(
        "controller {} at {}, a {role}, leaves the quorum; heard {}{hands_over}\nvoters {} -> {}: {}",
        member.node_id,
        member.address,
        heard(member),
        plan.voters_before,
        plan.voters_after,
        left(plan)
    )
}

fn left(plan: &RemoveControllerResponse) -> String {
    strength(plan.voters_after.into(), plan.alive_after.into())
}

fn as_json(plan: &RemoveControllerResponse, removed: bool) -> serde_json::Value {
    json!({
        "node_id": plan.removed.as_ref().map(|member| member.node_id),
        "address": plan.removed.as_ref().map(|member| &member.address),
        "voter": plan.removed.as_ref().map(|member| member.voter),
        "active": plan.is_active,
        "voters_before": plan.voters_before,
        "voters_after": plan.voters_after,
        "alive_after": plan.alive_after,
        "removed": removed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_says_who_leaves_and_what_is_left() {
        let removed =
            QuorumMember { node_id: 77, address: "c:9095".to_owned(), voter: true, ..QuorumMember::default() };
        let plan = RemoveControllerResponse {
            removed: Some(removed),
            voters_before: 5,
            voters_after: 4,
            alive_after: 4,
            is_active: false,
        };
        let text = as_text(&plan);
        assert!(text.starts_with("controller 77 at c:9095, a voter, leaves the quorum; heard -\n"), "{text}");
        assert!(text.ends_with("voters 5 -> 4: 4 voters, 4 alive, majority 3: 1 more may fail"), "{text}");
        assert!(as_text(&RemoveControllerResponse { is_active: true, ..plan.clone() }).contains("takes over first"));
        assert_eq!([&as_json(&plan, true)["removed"], &as_json(&plan, true)["voter"]], [true, true]);
    }
}
