//! `holdfast partition rebalance`.

use clap::Args;
use holdfast_client::admin::Admin;
use serde_json::json;

use crate::exit::{Failure, Result};
use crate::moves::{self, Throttle};
use crate::output::{Output, confirm, counted, note, print_json, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast partition rebalance --dry-run              what would move from where to where
  holdfast partition rebalance --throttle 50MB/s      asks, moves, and shows how far it is
  holdfast partition rebalance --yes --wait=false     from a script; watch with `partition list --moving`

A partition keeps all of its replicas until the new ones are in sync: no move takes it below
min.insync.replicas. Ctrl-C leaves the moves that are under way going.";

#[derive(Debug, Args)]
pub(super) struct RebalanceArgs {
    /// Show what would move, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Most that each broker copies for moves until they are done, as 50MB/s, or none [default: as it is].
    #[arg(long, value_name = "RATE")]
    throttle: Option<Throttle>,
    /// Wait until everything has moved, or start it and end.
    #[arg(
        long,
        value_name = "YES",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    wait: bool,
}

pub(super) async fn run(admin: &Admin, args: &RebalanceArgs, output: Output) -> Result {
    let plan = admin.plan_moves(&[], false).await?;
    if args.dry_run && output == Output::Json {
        print_json(&json!({ "moves": moves::as_json(&plan.moves), "problems": plan.problems }))?;
        return Ok(());
    }
    show(output, if plan.moves.is_empty() { "nothing has to move".to_owned() } else { moves::as_text(&plan.moves) })?;
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
        if args.wait {
            let outcome = moves::run(admin, &plan.moves, args.throttle).await?;
            done = outcome.done;
            problems.extend(outcome.problems);
            show(output, format!("{done} of {count} moves done"))?;
        } else {
            let limit = args.throttle.map(|throttle| throttle.bytes_per_second);
            let results = admin.alter_replicas(&plan.moves, limit).await?;
            for (one, result) in plan.moves.iter().zip(results) {
                match result {
                    Ok(()) => done += 1,
                    Err(error) => problems.push(format!("{}-{}: {error}", one.topic, one.partition)),
                }
            }
            show(output, format!("{done} of {count} moves started; watch: holdfast partition list --moving"))?;
        }
    }
    if output == Output::Json {
        print_json(&json!({ "moves": moves::as_json(&plan.moves), "done": done, "problems": problems }))?;
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::error(problems.join("\n"))) }
}

/// What is for people goes where JSON does not.
fn show(output: Output, text: String) -> Result {
    match output {
        Output::Table => say(text)?,
        Output::Json => note(text),
    }
    Ok(())
}
