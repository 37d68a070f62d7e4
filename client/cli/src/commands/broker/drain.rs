//! `holdfast broker drain`.
//!
//! The mark comes first, so that nothing new is placed on the broker while it is emptied; then moves are planned and made
//! until a plan is empty, for topics may have been created or moved meanwhile.
//!
//! Signals: from the mark on one set of them serves all, so that an interruption says at every moment that the mark stays.

use clap::Args;
use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::admin::{Admin, Move};
use holdfast_proto::ids::BrokerId;

use super::find::find;
use crate::{
    exit::{Code, Failure, Result},
    moves::{self, Throttle},
    output::{Output, confirm, few, note, print_json, tell},
    signals::Signals,
    width::say_long,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast broker drain 4 --dry-run    what would move, and what cannot
  # asks, moves, and says when it is safe to remove
  holdfast broker drain 4 --throttle 50MB/s
  # one whose process has ended for good
  holdfast broker drain 4 --yes && holdfast broker remove 4

A broker that is gone for good is drained in the same way: the others copy
from each other.";

/// How often moves are planned again before the rest is given up.
const ROUNDS_MAX: usize = 10;

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Id of the broker, from `broker ls`.
    #[arg(value_name = "ID")]
    broker: u32,
    /// Show what would move, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
    /// Most that each broker copies for moves until they are done, as 50MB/s, or none [default: as it is].
    #[arg(long, value_name = "RATE")]
    throttle: Option<Throttle>,
}

pub(super) async fn run(admin: &Admin, args: &DrainArgs, output: Output) -> Result {
    let broker = BrokerId(args.broker);
    let known = find(admin, args.broker).await?;
    let plan = admin.plan_moves(&[broker], true).await?;
    if args.dry_run && output == Output::Json {
        print_json(&json!({ "moves": moves::as_json(&plan.moves), "problems": plan.problems }));
    }
    if plan.moves.is_empty() && !plan.problems.is_empty() {
        let examples = few(&plan.problems);
        return Err(Failure::error(format!("broker {broker} cannot be emptied; nothing was changed:\n{examples}")));
    }
    show(&plan.moves, &plan.problems, output);
    if args.dry_run {
        return Ok(());
    }
    if known.replica_count > 0 {
        let replicas = counted(known.replica_count, "replica");
        confirm(&format!("This moves {replicas} away from broker {broker}, and gives it no new ones"), args.yes)?;
    }
    let mut signals = Signals::listen()?;
    signals.or(async { Ok(admin.set_broker_drain(broker, true).await?) }).await.map_err(|failure| {
        // Anything but a refusal may have happened all the same.
        if failure.code == Code::Error { failure } else { marked(&failure, broker, "may be marked") }
    })?;
    let emptied = empty(admin, broker, args.throttle, &mut signals).await;
    let (moved, problems) = emptied.map_err(|failure| marked(&failure, broker, "stays marked"))?;
    let left =
        signals.or(find(admin, args.broker)).await.map_err(|failure| marked(&failure, broker, "stays marked"))?;
    let left = left.replica_count;
    let is_safe = left == 0;
    if output == Output::Json {
        let moves = moves::as_json(&moved);
        print_json(&json!({
            "broker_id": broker, "moves": moves, "problems": problems, "replicas_left": left, "safe_to_remove": is_safe
        }));
    }
    if !is_safe {
        let left = counted(left, "replica");
        let state = format!("broker {broker} still has {left}: it is not safe to remove");
        return Err(Failure::error(format!("{state}\n{}", few(&problems)).trim_end()));
    }
    if output == Output::Table {
        say_long(&farewell(args.broker), " ");
    }
    Ok(())
}

/// Moves everything away; gives what was moved, and what could not be.
async fn empty(
    admin: &Admin,
    broker: BrokerId,
    throttle: Option<Throttle>,
    signals: &mut Signals,
) -> Result<(Vec<Move>, Vec<String>)> {
    let (mut moved, mut problems) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS_MAX {
        let plan = signals.or(async { Ok(admin.plan_moves(&[broker], true).await?) }).await?;
        problems = plan.problems;
        if plan.moves.is_empty() {
            break;
        }
        let outcome = moves::run(admin, &plan.moves, throttle, signals).await?;
        moved.extend(plan.moves);
        if outcome.done == 0 {
            problems.extend(outcome.problems);
            break;
        }
    }
    Ok((moved, problems))
}

/// The failure, and what it leaves behind.
fn marked(failure: &Failure, broker: BrokerId, state: &str) -> Failure {
    let text = format!("{failure}\nbroker {broker} {state}; `holdfast broker undrain {broker}` takes that back");
    Failure::new(failure.code, text)
}

fn show(planned: &[Move], problems: &[String], output: Output) {
    if !planned.is_empty() {
        tell(output, moves::as_text(planned));
    }
    if !problems.is_empty() {
        note(format!("some cannot move:\n{}", few(problems)));
    }
}

/// What to do with a broker that is empty. Brokers of the Helm chart count from 0, and only the last can go.
fn farewell(broker: u32) -> String {
    format!(
        "broker {broker} holds no replica: it is safe to remove. End its process for good (the last one of a Helm \
         release: --set broker.replicas={broker}), then: holdfast broker remove {broker}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_to_go_on() {
        let text = farewell(3);
        assert!(text.contains("safe to remove") && text.contains("broker.replicas=3"), "{text}");
        assert!(text.ends_with("holdfast broker remove 3"), "{text}");
    }
}
