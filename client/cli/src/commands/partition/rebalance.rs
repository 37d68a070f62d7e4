//! `holdfast partition rebalance`.

use clap::Args;
use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::admin::Admin;

use crate::{
    exit::{Failure, Result},
    moves::{self, Start},
    output::{Output, confirm, note, print_json, tell},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  # what would move from where to where
  holdfast partition rebalance --dry-run
  # asks, moves, and shows how far it is
  holdfast partition rebalance --throttle 50MB/s
  # from a script; watch with `partition ls --moving`
  holdfast partition rebalance --yes --wait=false

A partition keeps all of its replicas until the new ones are in sync: no move
takes it below min.insync.replicas. Ctrl-C leaves the moves that are under
way going.";

#[derive(Debug, Args)]
pub(super) struct RebalanceArgs {
    /// Show what would move, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    start: Start,
}

pub(super) async fn run(admin: &Admin, args: &RebalanceArgs, output: Output) -> Result {
    let plan = admin.plan_moves(&[], false).await?;
    if args.dry_run && output == Output::Json {
        print_json(&json!({ "moves": moves::as_json(&plan.moves), "problems": plan.problems }));
        return Ok(());
    }
    tell(output, if plan.moves.is_empty() { "nothing has to move".to_owned() } else { moves::as_text(&plan.moves) });
    for problem in &plan.problems {
        note(format!("cannot move: {problem}"));
    }
    let mut problems = plan.problems;
    let mut done = 0;
    if args.dry_run {
        return Ok(());
    }
    if !plan.moves.is_empty() {
        confirm(&format!("This moves {}", counted(plan.moves.len() as u64, "partition")), args.yes)?;
        let count = plan.moves.len();
        let outcome = args.start.make(admin, &plan.moves).await?;
        done = outcome.done;
        problems.extend(outcome.problems);
        let told = if args.start.wait { "done" } else { "started; watch: holdfast partition ls --moving" };
        tell(output, format!("{done} of {count} moves {told}"));
    }
    if output == Output::Json {
        print_json(&json!({ "moves": moves::as_json(&plan.moves), "done": done, "problems": problems }));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::error(problems.join("\n"))) }
}
